"""JSON of others: parsed as Python's own does, but for what is nested too deep."""

import json
import sys
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nalu_export.io import json_text
from nalu_export.io.json_text import MAX_DEPTH, NestedError, parse

texts = st.text(st.sampled_from('ab"\\[]{}\n,: é\u5b5b\u7d7d😀'), max_size=6)
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=12,
)


def depth(value: Any) -> int:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return 0 if inner is None else 1 + max(map(depth, inner), default=0)


@given(value=values, ascii_only=st.booleans(), indent=st.none() | st.just(1))
def test_the_depth_is_that_of_the_value(value: Any, ascii_only: bool, indent: int | None) -> None:
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    assert parse(text) == parse(text.encode()) == parse(b"\xef\xbb\xbf" + text.encode()) == value
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(json_text, "MAX_DEPTH", -1)
        assert json_text._depth(text) == depth(value)


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"]}":', "}]")])
def test_as_deep_as_allowed_and_no_deeper(opening: str, closing: str) -> None:
    most = MAX_DEPTH // (opening.count("[") + opening.count("{"))
    assert depth(parse(opening * most + "1" + closing * most)) == MAX_DEPTH
    with pytest.raises(NestedError, match=r"^nests its values deeper than 200$"):
        parse(opening * (most + 1) + "1" + closing * (most + 1))
    with pytest.raises(NestedError):
        parse(opening * sys.getrecursionlimit())


@pytest.mark.parametrize("text", ["", "[", '"', '["\\', "[1 2]", "nul", b"\xff", b'{"\xff": 1}', "9" * 5000])
def test_what_is_no_json(text: str | bytes) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  json, codecs and int each have a text of their own
        parse(text)


def test_pairs_as_they_stand() -> None:
    assert parse('{"a": 1, "a": [2]}', list) == [("a", 1), ("a", [2])]
