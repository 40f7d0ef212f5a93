"""io.keywords: what a public function says of the arguments that it passes on."""

import inspect
from dataclasses import dataclass, field
from typing import Any

import pytest

from nalu_export import InputError
from nalu_export.io.keywords import part_of, public


@dataclass(frozen=True)
class _Read:
    eps: float | None = None
    trust: bool = False
    input_size: tuple[int, int] | None = None
    pairs: dict[str, str] = field(default_factory=dict)
    derived: int = field(default=0, init=False)


@dataclass(frozen=True)
class _More:
    level: int = 3


@public(_Read, more=lambda: vars(_More)["__dataclass_fields__"].values())
def _run(source: str, /, path: str = "", *, quiet: bool = False, **options: Any) -> Any:
    """What it was given."""
    return source, path, quiet, options


def test_what_help_shows() -> None:
    assert str(inspect.signature(_run)).startswith("(source: str, /, path: str = '', *, quiet: bool")
    shown = inspect.signature(_run).parameters
    assert list(shown) == ["source", "path", "quiet", "eps", "trust", "input_size", "pairs", "level"]
    assert {name: each.default for name, each in shown.items() if name != "source"} == {
        "path": "", "quiet": False, "eps": None, "trust": False, "input_size": None, "pairs": {}, "level": 3,
    }  # fmt: skip
    assert shown["input_size"].annotation == tuple[int, int] | None
    assert _run.__doc__ == "What it was given."


def test_only_what_is_given_is_passed_on() -> None:
    assert _run("s") == ("s", "", False, {})
    assert _run("s", "p", eps=None, level=3) == ("s", "p", False, {"eps": None, "level": 3})
    assert part_of(_Read, {"trust": True, "level": 1, "derived": 4}) == _Read(trust=True)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("trsut", "_run takes no argument 'trsut'; did you mean 'trust'?"),
        ("inputsize", "_run takes no argument 'inputsize'; did you mean 'input_size'?"),
        ("source", "_run takes no argument 'source'; it takes path, quiet, eps, trust, input_size, pairs, level"),
        ("derived", "_run takes no argument 'derived'; it takes path, quiet, eps, trust, input_size, pairs, level"),
    ],
)
def test_a_wrong_name(name: str, text: str) -> None:
    wrong: dict[str, Any] = {name: 1}
    with pytest.raises(InputError) as caught:
        _run("s", **wrong)
    assert str(caught.value) == text
