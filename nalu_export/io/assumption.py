"""Assumptions: facts that decide what a model computes and that its file does not contain.

They are shown and stored wherever the model goes: in files, reports and the output of commands.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from nalu_export.errors import InputError, at_command_line, option

_OPTION = re.compile(r"--([a-z][a-z-]*) (\S+)", re.ASCII)
# Limits for a list that is read from a file: its length, and the characters of each text.
MAX_COUNT, MAX_LENGTH = 16, 1000
# The option that gives the code of a model, in the form of Assumption.option. With it nothing is assumed.
CODE = "--model FILE.py:NAME"


def code() -> str:
    """Return the option that gives the code of a model, as its user writes it. With it nothing is assumed."""
    return stated(CODE)


def stated(option_text: str) -> str:
    """Return a text of :attr:`Assumption.option`, which may be untrusted, as a user writes it: see `errors.option`."""
    match = _OPTION.fullmatch(option_text)
    return option_text if match is None else option(match[1].replace("-", "_"), match[2])


@dataclass(frozen=True)
class Assumption:
    """One assumption about a model.

    Attributes:
        what: what is assumed: ``"formula"`` (what is computed with the tensors), ``"orientation"`` (whether they are
            stored transposed), ``"eps"``, ``"task"`` or ``"pooling"``.
        value: the assumed value.
        why: the reason, as the end of a sentence.
        option: the option with which a user states it instead, always as typed on the command line, also in files.
    """

    what: str
    value: str
    why: str
    option: str

    def __str__(self) -> str:
        return f"{self.what} is {self.value}, {self.why}"


FIELDS = tuple(field.name for field in fields(Assumption))


def is_assumptions(value: Any) -> bool:
    """Return whether plain, untrusted data is a list of at most 16 assumptions, as dicts of short texts."""
    return (
        isinstance(value, list)
        and len(value) <= MAX_COUNT
        and all(
            isinstance(row, dict)
            and row.keys() == set(FIELDS)
            and all(isinstance(text, str) and len(text) <= MAX_LENGTH for text in row.values())
            for row in value
        )
    )


def refuse(assumptions: Sequence[Assumption], *, converted: bool) -> None:
    """Refuse a file that needs assumptions, for the option ``strict``.

    Args:
        assumptions: the assumptions that the file needs.
        converted: whether they were made when the file was converted to this package's own format.

    Raises:
        InputError: ``assumptions`` is not empty; the text says which options state them.
    """
    if not assumptions:
        return
    options = dict.fromkeys(assumption.option for assumption in assumptions)
    listed = (at_command_line(" ") or ", ").join(map(stated, options))
    such_as = "" if CODE in options else f"what it was trained with, such as {listed}"
    strict = option("strict", True)
    names = _listed([assumption.what for assumption in assumptions])
    if converted:
        raise InputError(
            f"was converted from a file that does not say its {names}, and {strict} allows no assumptions; "
            f"convert that file again with {such_as or f'its code: {code()}'}"
        )
    raise InputError(
        f"does not say its {names}, and {strict} allows no assumptions; "
        f"{f'state {such_as}, or ' if such_as else ''}give its code: {code()}"
    )


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def in_one_line(assumptions: Sequence[Assumption]) -> str:
    """Return a line such as ``assumed: formula is that of kevinzakka:NALU (--layout …), eps is 1e-10 (--eps …)``."""
    parts = (f"{found.what} is {found.value} ({stated(found.option)})" for found in assumptions)
    return f"assumed: {', '.join(parts)}"
