"""What decides what a model computes and is not in its file: it is said wherever the model goes."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from nalu_export.errors import InputError, at_command_line, option

_OPTION = re.compile(r"--([a-z][a-z-]*) (\S+)", re.ASCII)
# Of a list that is read from a file.
MAX_COUNT, MAX_LENGTH = 16, 1000
# States all of them, as Assumption.option has it.
CODE = "--model FILE.py:NAME"


def code() -> str:
    """The option that gives a model's code, which states all of them."""
    return stated(CODE)


def stated(option_text: str) -> str:
    """The text of :attr:`Assumption.option` as the reader gives it; it may come from anyone."""
    match = _OPTION.fullmatch(option_text)
    return option_text if match is None else option(match[1].replace("-", "_"), match[2])


@dataclass(frozen=True)
class Assumption:
    """One thing that was assumed.

    Attributes:
        what: ``"formula"``: what is computed with the tensors, ``"orientation"``: which way round they are stored,
            ``"eps"``, ``"task"`` or ``"pooling"``.
        value: what was taken.
        why: the reason, as the end of a sentence.
        option: how the user states it: as typed at the command line, in files too.
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
    options = dict.fromkeys(each.option for each in assumptions)
    listed = (at_command_line(" ") or ", ").join(map(stated, options))
    such_as = "" if CODE in options else f"what it was trained with, such as {listed}"
    strict = option("strict", True)
    names = _listed([each.what for each in assumptions])
    if converted:
        raise InputError(
            f"was converted from a file that does not say its {names}, which {strict} does not let be assumed; "
            f"convert that again with {such_as or f'its code: {code()}'}"
        )
    raise InputError(
        f"does not say its {names}, which {strict} does not let be assumed; "
        f"{f'state {such_as}, or ' if such_as else ''}give its code: {code()}"
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def in_one_line(assumptions: Sequence[Assumption]) -> str:
    """``assumed: formula is that of kevinzakka:NALU (--layout …), eps is 1e-10 (--eps …)``."""
    return "assumed: " + ", ".join(f"{each.what} is {each.value} ({stated(each.option)})" for each in assumptions)
