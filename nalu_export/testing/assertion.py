"""``assert_parity``: one line in a test, and everything one needs to know when it fails."""

import os
import unittest
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, NoReturn, Unpack

from torch import nn

from nalu_export import formats, reports
from nalu_export.api.artifact import Artifact, read_artifact
from nalu_export.api.check import CheckArguments, check
from nalu_export.api.chosen import ALL
from nalu_export.api.export import EmitKeywords, export
from nalu_export.errors import InputError, NaluExportError, RuntimeUnavailableError
from nalu_export.formats import FormatName
from nalu_export.formats.base import EmitOptions
from nalu_export.io.input_files import read_inputs
from nalu_export.io.keywords import public
from nalu_export.io.targets import check_target, write_atomically
from nalu_export.parity import CheckOptions, Report
from nalu_export.parity.real_inputs import InputFile
from nalu_export.source.preparing import SourceOptions
from nalu_export.testing.errors import ParityAssertionError
from nalu_export.testing.message import Files, message

# Options that say how to export, besides those of formats; the others say how to check, and these what the model is and
# takes, for both.
EXPORT = ("weights", "compute")
BOTH = tuple(option.name for option in fields(SourceOptions))

Source = nn.Module | str | os.PathLike[str]


@dataclass(frozen=True)
class Outcome:
    """A check, and the runtimes that were asked for by name and are not there."""

    report: Report | None
    missing: dict[str, str]


class AssertArguments(CheckArguments, EmitKeywords, total=False):
    """Keyword arguments of :func:`assert_parity` that it passes on to an export and a check."""


class FixtureArguments(AssertArguments, total=False):
    """Keyword arguments of the fixture ``parity``: all those of :func:`assert_parity`."""

    format: FormatName | None
    save_to: str | os.PathLike[str] | None
    replay: str | os.PathLike[str] | None
    skip_missing: bool


@public(CheckOptions, EmitOptions, SourceOptions, more=lambda: (each for _, each in formats.option_fields()))
def assert_parity(
    source: Source,
    artifact: Artifact | str | os.PathLike[str] | None = None,
    /,
    runtimes: Sequence[str] | str | None = None,
    *,
    format: FormatName | None = None,  # noqa: A002  the name that `export` uses
    save_to: str | os.PathLike[str] | None = None,
    replay: str | os.PathLike[str] | None = None,
    skip_missing: bool = False,
    **options: Unpack[AssertArguments],
) -> Report:
    """Assert that an exported file computes what a model computes.

    Args:
        source: a module or the path of a ``model.pt``.
        artifact: the exported file; ``None`` exports the model now, in memory, and checks that.
        runtimes: names of runtimes, or ``"all"`` for those that are installed and run this format; by default the one
            that checks an export of this format.
        format: of the export, where ``artifact`` is ``None``; ``"onnx"`` by default.
        save_to: an existing folder; a failure leaves the worst inputs there as ``NAME.worst.npz``, and the file
            that was exported for this check.
        replay: a ``.worst.npz`` of an earlier failure, to run its inputs alone.
        skip_missing: skip the test where a runtime that ``runtimes`` names is not there, instead of raising. The
            others are checked first, and a failure of theirs is a failure.
        **options: of :func:`nalu_export.check`: ``samples``, ``seed``, ``search``, ``rtol``, ``atol``, ``max_ulp``,
            ``tf32``, ``ranges``, ``inputs``, ``allow_empty``, what the model takes (``example_inputs``,
            ``dynamic_shapes``, ``input_size`` …), and how to read its file (``model``, ``layout`` …); without an
            artifact also ``weights``, ``compute`` and the format's own options (``opset``, ``part`` …) of
            :func:`nalu_export.export`.

    Returns:
        The report; ``report.missing`` lists what ``"all"`` could not run.

    Raises:
        ParityAssertionError: the file is wrong, or no output could be compared and ``allow_empty`` is not given; an
            :class:`AssertionError` that says what is wrong where.
        RuntimeUnavailableError: a runtime is not there, or with ``"all"`` none of them is. What could not be checked
            never passes.
        unittest.SkipTest: the same with ``skip_missing``, in pytest its own ``Skipped``.
        InputError: a file or an option cannot be used.
    """
    __tracebackhide__ = True
    try:
        outcome, files = _run(
            source, artifact, runtimes, format, save_to, replay, dict(options), skip_missing=skip_missing
        )
    except NaluExportError as error:
        # Its text says all there is to know; the frames below are this package's.
        raise error.with_traceback(None) from None
    report = outcome.report
    if report is not None and not report.accepted:
        raise ParityAssertionError(message(report, files), report)
    if outcome.missing or report is None:
        _skip(_not_run(outcome))
    return report


def _run(
    model: Source,
    artifact: Artifact | str | os.PathLike[str] | None,
    runtimes: Sequence[str] | str | None,
    format_name: FormatName | None,
    save_to: str | os.PathLike[str] | None,
    replay: str | os.PathLike[str] | None,
    options: dict[str, Any],
    *,
    skip_missing: bool,
) -> tuple[Outcome, Files]:
    folder = None if save_to is None else _folder(save_to)
    if replay is not None:
        if "inputs" in options:
            raise InputError("inputs and replay are both given; replay runs the inputs of one file alone")
        options |= {"inputs": InputFile(read_inputs(replay), Path(replay).stem), "only_inputs": True}
    found = _exported(model, format_name, options) if artifact is None else _read(artifact, options)
    outcome = _check(model, found, runtimes, options, skip_missing=skip_missing)
    if outcome.report is None or outcome.report.accepted:
        return outcome, Files(None, None, None)
    return outcome, _save(outcome.report, model, found, folder, exported=artifact is None)


def _skip(reason: str) -> NoReturn:
    """Skip the test that runs, in the words of whatever runs it."""
    __tracebackhide__ = True
    if "PYTEST_CURRENT_TEST" in os.environ:
        import pytest

        pytest.skip(reason)
    raise unittest.SkipTest(reason)


def _folder(path: str | os.PathLike[str]) -> Path:
    folder = Path(path)
    if not folder.is_dir():
        raise InputError(f"{folder}: save_to is not a folder; create it first")
    return folder


def _read(artifact: Artifact | str | os.PathLike[str], options: dict[str, Any]) -> Artifact:
    for name in _export_names():
        if name in options:
            raise InputError(f"{name} is given with an artifact; it says how to export, and the file is there already")
    return artifact if isinstance(artifact, Artifact) else read_artifact(artifact)


def _export_names() -> tuple[str, ...]:
    return (*EXPORT, *(each.name for _, each in formats.option_fields()))


def _exported(model: Source, format_name: FormatName | None, options: dict[str, Any]) -> Artifact:
    """The file in memory, with the name that it would have; options of the export are taken out of ``options``."""
    how = {name: options.pop(name) for name in _export_names() if name in options}
    how |= {name: options[name] for name in BOTH if name in options}
    found = export(model, None, format=format_name, check=False, **how)
    stem = type(model).__name__ if isinstance(model, nn.Module) else Path(model).stem
    return replace(found, path=Path(stem + formats.get(found.format).suffix))


def _check(
    model: Source,
    artifact: Artifact,
    runtimes: Sequence[str] | str | None,
    options: dict[str, Any],
    *,
    skip_missing: bool,
) -> Outcome:
    """Check in all runtimes that are there; without ``skip_missing`` one that is not is an error."""
    wanted = [runtimes] if isinstance(runtimes, str) else list(runtimes or [formats.get(artifact.format).runtime])
    missing: dict[str, str] = {}
    while True:
        left = [name for name in wanted if name not in missing]
        if not left:
            return Outcome(None, missing)
        try:
            return Outcome(check(model, artifact, left, **options), missing)
        except RuntimeUnavailableError as error:
            if not skip_missing or ALL in wanted:
                raise
            # Whichever it is, its message begins with its name; where none does, no more can be told apart.
            gone = [name for name in left if str(error).startswith(f"{name}: ")] or left
            missing |= {name: str(error).removeprefix(f"{name}: ") for name in gone}


def _not_run(outcome: Outcome) -> str:
    parts = [f"{name}: {reason}" for name, reason in outcome.missing.items()]
    passed = [] if outcome.report is None else [runtime.name for runtime in outcome.report.runtimes]
    return f"not run: {'; '.join(parts)}" + (f" (passed: {', '.join(passed)})" if passed else "")


def _save(report: Report, model: Source, artifact: Artifact, folder: Path | None, *, exported: bool) -> Files:
    """What a later run needs, beside each other."""
    given = None if isinstance(model, nn.Module) else Path(model)
    if folder is None:
        return Files(given, None if exported else artifact.path, None)
    path = own = Path(artifact.name) if artifact.path is None else artifact.path
    if exported:
        path = folder / own.name
        write_atomically(check_target(path, given), artifact.data)
    worst = None
    if report.worst:
        worst = folder / (own.stem + reports.get("worst").suffix)
        write_atomically(check_target(worst, given), reports.get("worst").render(report))
    return Files(given, path, worst)
