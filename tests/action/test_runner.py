"""tests.action.runner reads what a runner reads, or the attacks on action.yml would prove nothing."""

import pytest

from tests.action.runner import commands, outputs


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("::set-output name=passed::true", ["set-output"]),
        (" \t\u00a0::SET-OUTPUT name=passed::true", ["set-output"]),
        ("text ::set-output name=passed::true", []),
        ("text ##[set-output name=passed]true", ["set-output"]),
        ("text\r::error::x\r\n::add-mask::y", ["error", "add-mask"]),
        ("::no-such::x ##[error]y", ["error"]),
        ("::error x", []),
        (": :error::x", []),
        ("::stop-commands::T\n::error::x\n##[error]x\n::t::\n::error::y", ["stop-commands", "error"]),
    ],
)
def test_commands(text: str, names: list[str]) -> None:
    assert [found.split()[0] for found in commands(text)] == names


def test_outputs() -> None:
    assert outputs("a=1\nb<<E\nx\nc=2\nE\na<<F\n3\nF\n") == {"a": "3", "b": "x\nc=2"}
    for text in ("a<<E\nx\n", "text\n"):
        with pytest.raises(ValueError, match="no "):
            outputs(text)
