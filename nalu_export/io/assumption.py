"""What decides what a model computes and is not in its file: it is said wherever the model goes."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from nalu_export.errors import InputError

# Of a list that is read from a file.
MAX_COUNT, MAX_LENGTH = 16, 1000
# States all of them.
CODE = "--model FILE.py:NAME"


@dataclass(frozen=True)
class Assumption:
    """One thing that was assumed.

    Attributes:
        what: ``"formula"``: what is computed with the tensors, ``"orientation"``: which way round they are stored,
            ``"eps"``, ``"task"`` or ``"pooling"``.
        value: what was taken.
        why: the reason, as the end of a sentence.
        option: how the user states it, on the command line.
    """

    what: str
    value: str
    why: str
    option: str

    def __str__(self) -> str:
        return f"{self.what} is {self.value}, {self.why}"


FIELDS = tuple(each.name for each in fields(Assumption))


def is_assumptions(value: Any) -> bool:
    """Whether plain data, which may come from anyone, is a list of assumptions as dicts."""
    return (
        isinstance(value, list)
        and len(value) <= MAX_COUNT
        and all(
            isinstance(each, dict)
            and each.keys() == set(FIELDS)
            and all(isinstance(text, str) and len(text) <= MAX_LENGTH for text in each.values())
            for each in value
        )
    )


def refuse(assumptions: Sequence[Assumption], *, converted: bool) -> None:
    """With ``strict`` nothing is assumed.

    Args:
        assumptions: what would be.
        converted: whether they were made for a file of ours, when it was written.

    Raises:
        InputError: something would be.
    """
    if not assumptions:
        return
    options = [each.option for each in assumptions]
    stated = "" if CODE in options else f"what it was trained with, such as {' '.join(dict.fromkeys(options))}"
    names = _listed([each.what for each in assumptions])
    if converted:
        raise InputError(
            f"was converted from a file that does not say its {names}, which --strict does not let be assumed; "
            f"convert that again with {stated or f'its code: {CODE}'}"
        )
    raise InputError(
        f"does not say its {names}, which --strict does not let be assumed; "
        f"{f'state {stated}, or ' if stated else ''}give its code: {CODE}"
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def in_one_line(assumptions: Sequence[Assumption]) -> str:
    """``assumed: formula is that of kevinzakka:NALU (--layout …), eps is 1e-10 (--eps …)``."""
    return "assumed: " + ", ".join(f"{each.what} is {each.value} ({each.option})" for each in assumptions)
