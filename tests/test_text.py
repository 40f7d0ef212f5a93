import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nalu_export.text import MAX_TEXT, printable, short, to_json
from tests.checkpoints import files


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("größe 数 →", "größe 数 →"),
        ("a\nb\r\t", r"a\nb\r\t"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\u202e\u200b", r"\u202e\u200b"),
        ("\udcff", r"\udcff"),
    ],
)
def test_printable(text: str, expected: str) -> None:
    assert printable(text) == expected


@given(st.text(st.characters()))
def test_printable_is_one_line_in_any_encoding(text: str) -> None:
    found = printable(text)
    assert found.isprintable()
    found.encode("utf-8")
    assert len(found.splitlines()) <= 1


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_number_that_json_does_not_know_is_null(value: float) -> None:
    assert json.loads(to_json({"a": [value, (value, 1.5)], "b": {"c": value}})) == {
        "a": [None, [None, 1.5]],
        "b": {"c": None},
    }


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
        max_leaves=8,
    )
)
def test_anything_else_is_itself(value: Any) -> None:
    assert json.loads(to_json(value)) == value


def test_letters_stay_letters() -> None:
    assert to_json(["größe"]) == '[\n  "größe"\n]'


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        (True, "True"),
        (3, "3"),
        (-1.5, "-1.5"),
        ("layers.0", "'layers.0'"),
        ("a\nb\x1b", r"'a\nb\x1b'"),
        ("größe", "'größe'"),
        ("\u202eab\ud800", r"'\u202eab\ud800'"),
        ("x" * 1000, "'" + "x" * (MAX_TEXT - 4) + "..."),
        (10**5000, "a value of type int"),
        (b"abc", "a value of type bytes"),
        ([1, 2], "a value of type list"),
        (torch.zeros(3, 3), "a value of type Tensor"),
        (files.nested_list(5000), "a value of type list"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_short(value: Any, text: str) -> None:
    assert short(value) == text
    assert len(text) <= MAX_TEXT
