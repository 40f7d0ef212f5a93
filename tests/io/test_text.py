import json
import math
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nalu_export.io.text import MAX_TEXT, plain, printable, printable_lines, short, to_json
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
        ("\x7f\x80\x9b\x9f", r"\x7f\x80\x9b\x9f"),
        ("\u200e\u2066\u2069\u061c\u2060\ufeff", r"\u200e\u2066\u2069\u061c\u2060\ufeff"),
        ("\u2028\u2029\u00a0", r"\u2028\u2029\xa0"),
        ("\u3164\ufe0f\u2800\u115f\u034f\U000e0101", r"\u3164\ufe0f\u2800\u115f\u034f\U000e0101"),
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


@given(st.text(st.characters()))
def test_json_is_printable_and_comes_back(text: str) -> None:
    """Lone surrogates included, which a file name that is not UTF-8 has."""
    written = to_json({text: [text]})
    assert printable_lines(written) == written
    assert json.loads(written) == {text: [text]}


def test_what_json_escapes() -> None:
    assert to_json("\x7f\x9b\u202e\U000e0041\udcff\u3164") == r'"\u007f\u009b\u202e\udb40\udc41\udcff\u3164"'


def test_lines_stay_lines() -> None:
    assert printable_lines("a\r\n\x1b\u2028\n") == "a\\r\n\\x1b\\u2028\n"


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
        ("a\u3164", r"'a\u3164'"),
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


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("größe", "größe"),
        ("a\u3164", r"'a\u3164'"),
        ("a\x9b", r"'a\x9b'"),
        (b"\xff", r"b'\xff'"),
        ("x" * 99, "x" * MAX_TEXT),
    ],
)
def test_plain(name: str | bytes, text: str) -> None:
    assert plain(name) == text
