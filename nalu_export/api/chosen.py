"""Chooses the runtimes of a check."""

from collections.abc import Sequence

from nalu_export import formats
from nalu_export import runtimes as all_runtimes
from nalu_export.errors import InputError

ALL = "all"


def chosen_runtimes(runtimes: Sequence[str] | str | None, format_name: str, artifact: str) -> tuple[list[str], bool]:
    """Return the names of the runtimes to run, without duplicates, and whether ``"all"`` was requested.

    Args:
        runtimes: names, ``"all"``, or ``None`` for the runtime that checks an export of the format.
        format_name: format of the artifact.
        artifact: name of the artifact, for the text of an error.

    Raises:
        InputError: a runtime does not exist or does not run the format.
    """
    wanted = [runtimes] if isinstance(runtimes, str) else list(runtimes or [formats.get(format_name).runtime])
    if ALL in wanted:
        return [name for name in all_runtimes.names() if all_runtimes.get(name).format in (None, format_name)], True
    for name in wanted:
        runs = all_runtimes.get(name).format
        if runs not in (None, format_name):
            raise InputError(f"runtime {name} runs {runs}, but {artifact} is {format_name}")
    return list(dict.fromkeys(wanted)), False
