"""nalu_export.reports._text: texts."""

from nalu_export.reports._text import LONGEST, clipped, count


def test_long_text_says_how_long_it_is() -> None:
    assert clipped("a" * LONGEST) == "a" * LONGEST
    assert clipped("a" * (LONGEST + 1)) == "a" * LONGEST + f"… ({LONGEST + 1} characters)"
    assert clipped("abcdef", 3) == "abc… (6 characters)"


def test_one_is_not_plural() -> None:
    assert [count(n, "output") for n in (0, 1, 2)] == ["0 outputs", "1 output", "2 outputs"]
    assert count(2, "distribution", "distributions") == "2 distributions"
