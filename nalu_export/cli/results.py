"""The targets of a command's result: the terminal, JSON, and the files of reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nalu_export import reports
from nalu_export.cli.headed import Command, option
from nalu_export.cli.options import FILE, OUTPUT
from nalu_export.errors import InputError
from nalu_export.io.files import StandardInput
from nalu_export.io.targets import StandardOutput, check_target, write_atomically
from nalu_export.io.text import printable, to_json

if TYPE_CHECKING:
    from rich.console import Console

    from nalu_export.parity import Report

_JSON = "--json"
# What the help says of a kind of report beside its name. The kinds are not asked: their import takes 0.2 s.
_WHAT = {"html": "as one self-contained web page", "junit": "as JUnit XML, for CI systems"}


class ResultCommand(Command):
    """A command with ``--json [PATH]``.

    The word after ``--json`` is its PATH, unless an argument of the command would be missing then.
    """

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as click does, and a second time with ``--json=-`` if the word after ``--json`` is an argument."""
        given = list(args)
        try:
            left = super().parse_args(ctx, list(args))
        except click.MissingParameter:
            if _JSON not in given:
                raise
        else:
            if not self._is_an_argument(ctx, given):
                return left
        ctx.params.clear()
        return super().parse_args(ctx, [f"{_JSON}=-" if word == _JSON else word for word in given])

    def _is_an_argument(self, ctx: click.Context, given: list[str]) -> bool:
        """Return whether ``--json`` took an optional argument for its PATH.

        A single word without a suffix is not a JSON file.
        """
        missing = any(
            isinstance(each, click.Argument) and ctx.params.get(each.name or "") is None for each in self.params
        )
        path = ctx.params.get("json_path")
        if not isinstance(path, Path) or isinstance(path, StandardOutput):
            return False
        return missing and not path.suffix and len(path.parts) == 1 and _JSON in given


def json_option(command: Any) -> Any:
    """Add ``--json [PATH]``."""
    return option(
        _JSON,
        "json_path",
        type=OUTPUT,
        metavar="[PATH]",
        is_flag=False,
        flag_value="-",
        heading="Output",
        help="Write the result as JSON to PATH; without PATH, to standard output in place of the text.",
    )(command)


def quiet_option(command: Any) -> Any:
    """Add ``--quiet``."""
    return option(
        "--quiet",
        "-q",
        is_flag=True,
        heading="Output",
        help="Print no text except errors and assumptions, which go to standard error.",
    )(command)


def report_options(command: Any) -> Any:
    """Add a flag for each kind of report that has one: ``--junit`` and ``--html``, beside ``--json``."""
    for name, path in _report_paths().items():
        what = _WHAT.get(name, f"as {name}")
        command = option(
            f"--{name}", path, type=FILE, metavar="PATH", heading="Output", help=f"Write the report {what}."
        )(command)
    return command


def report_files(options: dict[str, Any]) -> dict[str, Any]:
    """Take the paths of the reports out of the options, by kind."""
    return {name: options.pop(path) for name, path in reversed(_report_paths().items())}


def _report_paths() -> dict[str, str]:
    """Return the kinds of report with a flag of their own, with the names of their arguments."""
    # Every command has --json, and the worst inputs go beside the other reports.
    kinds = [name for name in reports.names() if name not in ("json", "worst")]
    return {name: f"{name.replace('-', '_')}_path" for name in kinds}


class Results:
    """The targets of a result, which are determined before the work begins.

    Args:
        json_path: the value of ``--json``.
        quiet: the value of ``--quiet``.
        files: paths of the other reports by kind; ``None`` for a command that has no reports.
        output: the file that the command writes, if it writes one.

    Attributes:
        json_alone: whether standard output gets JSON in place of the text.
        shows: whether the text is printed.
        aside: whether the text goes to standard error, because the file goes to standard output.

    Raises:
        InputError: two results go to standard output, or a report cannot go there or to its path.
    """

    def __init__(
        self,
        json_path: Path | None,
        *,
        quiet: bool,
        files: Mapping[str, Path | None] | None = None,
        output: Path | None = None,
    ) -> None:
        self.json_alone = isinstance(json_path, StandardOutput)
        self.shows = not quiet and not self.json_alone
        self.aside = isinstance(output, StandardOutput)
        if self.aside and self.json_alone:
            raise InputError("--json and --output - both write to standard output; give one of them a file")
        for kind, path in (files or {}).items():
            if path == Path("-"):
                raise InputError(f"--{kind} is -, but only --json and --output write to standard output; give a path")
        given = {"json": None if self.json_alone else json_path, **(files or {})}
        self._targets = {kind: path for kind, path in given.items() if path is not None}
        self._places = {kind: check_target(path, None) for kind, path in self._targets.items()}
        if files is not None and self._targets:
            first = next(iter(self._targets.values()))
            worst = first.with_name(first.stem + reports.get("worst").suffix)
            self._targets["worst"], self._places["worst"] = worst, check_target(worst, None)

    def refuse_overwriting(self, *files: Path | None) -> Results:
        """Refuse reports that would overwrite another file of the command; call it before the work.

        Args:
            *files: the files that the command reads and writes.

        Returns:
            These results.

        Raises:
            InputError: a report would replace one of the files, or another report.
        """
        for kind, target in self._targets.items():
            for file in files:
                if file is None or isinstance(file, (StandardInput, StandardOutput)) or not _is_one(target, file):
                    continue
                what = "the worst inputs, which are saved there," if kind == "worst" else "the report"
                raise InputError(f"{target}: {what} would replace {file}; choose another path for the report")
        if len({_real(place) for place in self._places.values()}) < len(self._places):
            raise InputError("two reports, or a report and its .worst.npz, have the same path; choose one for each")
        return self

    def write(self, found: Callable[[], str] | bytes, report: Report | None = None) -> list[Path]:
        """Write the JSON and the reports. All of them are rendered before the first is written.

        Args:
            found: the JSON, or a function that returns it.
            report: the report that the other files show; without it they are not written.

        Returns:
            The paths of the files.
        """
        data = found if isinstance(found, bytes) else f"{found()}\n".encode() if self._wants_json else b""
        made: dict[str, bytes] = {}
        for kind in self._targets:
            if kind == "json":
                made[kind] = data
            elif report is not None and (kind != "worst" or report.worst):
                made[kind] = reports.get(kind).render(report)
        for kind, content in made.items():
            write_atomically(self._places[kind], content)
        if self.json_alone:
            click.echo(data, nl=False)
        return [self._targets[kind] for kind in made]

    @property
    def _wants_json(self) -> bool:
        return self.json_alone or "json" in self._targets


def written(out: Console, paths: Iterable[Path]) -> None:
    """Print a line for each report that was written."""
    for path in paths:
        out.print(f"written: {printable(str(path))}", markup=False, soft_wrap=True)


def finish(results: Results, found: Callable[[], Any], show: Callable[[Console], None], assumptions: Any = ()) -> None:
    """Write and print the result of a command.

    Args:
        results: its targets.
        found: returns the result as plain data, for JSON.
        show: prints the result as text.
        assumptions: the assumptions, which are also printed if no text is.
    """
    from nalu_export.cli.assumed import say_assumed
    from nalu_export.reports.terminal.lines import console

    paths = results.write(lambda: to_json(found()))
    if not results.shows:
        say_assumed(assumptions)
        return
    out = console(stderr=results.aside)
    show(out)
    written(out, paths)


def _is_one(target: Path, file: Path) -> bool:
    try:
        return target.samefile(file)
    except OSError:  # one of them does not exist
        return _real(target) == _real(file)


def _real(path: Path) -> Path:
    return path.parent.resolve() / path.name
