"""``assert_parity``: asserts in one line of a test that an exported file computes what a model computes."""

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

# Options of the export besides those of formats.
EXPORT = tuple(field.name for field in fields(EmitOptions))
# Options of both the export and the check: how to read the model, and its inputs. All others are options of the check.
BOTH = tuple(field.name for field in fields(SourceOptions))

Source = nn.Module | str | os.PathLike[str]


@dataclass(frozen=True)
class Outcome:
    """The result of a check.

    Attributes:
        report: the report; ``None`` if no runtime was available.
        missing: requested runtimes that are not available, with the reason.
    """

    report: Report | None
    missing: dict[str, str]


class AssertArguments(CheckArguments, EmitKeywords, total=False):
    """Keyword arguments that :func:`assert_parity` passes on to the export and the check."""


class FixtureArguments(AssertArguments, total=False):
    """Keyword arguments of the fixture ``parity``: all those of :func:`assert_parity`."""

    format: FormatName | None
    save_to: str | os.PathLike[str] | None
    replay: str | os.PathLike[str] | None
    skip_missing: bool


@public(CheckOptions, EmitOptions, SourceOptions, more=lambda: (field for _, field in formats.option_fields()))
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

    A finite output passes if ``|out − reference| ≤ bound``, see :func:`nalu_export.check`.

    Args:
        source: a module, or the path of a ``model.pt``; it is not changed.
        artifact: the exported file; with ``None`` the model is exported in memory and that export is checked.
        runtimes: names of runtimes, or ``"all"`` for all installed runtimes that run this format; by default the one
            that checks an export of this format.
        format: format of the export if ``artifact`` is ``None``; ``"onnx"`` by default.
        save_to: an existing folder. If the assertion fails, the worst inputs are written there as ``NAME.worst.npz``,
            and the file too if it was exported here.
        replay: path of a ``.worst.npz`` file of an earlier failure; only its inputs are run.
        skip_missing: skip the test if a runtime that ``runtimes`` names is not available, instead of raising. The other
            runtimes are checked first, and if one fails, the assertion fails.
        **options: the options of :func:`nalu_export.check`, such as ``samples``, ``seed``, ``rtol``, ``ranges``,
            ``inputs``, ``allow_empty``, ``example_inputs``, ``dynamic_shapes``, ``input_size``, ``model``, ``layout``.
            Without an artifact also those of :func:`nalu_export.export`: ``weights``, ``compute``, and the options of
            the format, such as ``opset`` and ``part``.

    Returns:
        The report. ``report.missing`` lists the runtimes of ``"all"`` that could not run.

    Raises:
        ParityAssertionError: an output is wrong, or no output could be compared and ``allow_empty`` is not given. It is
            an :class:`AssertionError`, and its text says what is wrong where.
        RuntimeUnavailableError: a runtime is not available, or with ``"all"`` none of them is. What could not be
            checked never passes.
        unittest.SkipTest: the same with ``skip_missing``; in pytest the exception of ``pytest.skip``.
        InputError: a file or an option cannot be used.
        UnsupportedLayerError: a layer uses an operation that is not a primitive.
        OutOfMemoryError: the model or a runtime needs more memory than is available.
    """
    __tracebackhide__ = True
    try:
        outcome, files = _run(
            source, artifact, runtimes, format, save_to, replay, dict(options), skip_missing=skip_missing
        )
    except NaluExportError as error:
        # The text says everything that a user needs; the traceback would show frames of this package only.
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
            raise InputError("inputs and replay are both given; replay runs only the inputs of its file")
        options |= {"inputs": InputFile(read_inputs(replay), Path(replay).stem), "only_inputs": True}
    found = _exported(model, format_name, options) if artifact is None else _read(artifact, options)
    outcome = _check(model, found, runtimes, options, skip_missing=skip_missing)
    if outcome.report is None or outcome.report.accepted:
        return outcome, Files(None, None, None)
    return outcome, _save(outcome.report, model, found, folder, exported=artifact is None)


def _skip(reason: str) -> NoReturn:
    """Skip the running test, with the exception of pytest or of unittest."""
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
            raise InputError(
                f"{name} is given with an artifact; it is an option of the export, so leave out one of both"
            )
    return artifact if isinstance(artifact, Artifact) else read_artifact(artifact)


def _export_names() -> tuple[str, ...]:
    return (*EXPORT, *(field.name for _, field in formats.option_fields()))


def _exported(model: Source, format_name: FormatName | None, options: dict[str, Any]) -> Artifact:
    """Export the model in memory, give the artifact a file name, and remove the export's options from ``options``."""
    export_options = {name: options.pop(name) for name in _export_names() if name in options}
    export_options |= {name: options[name] for name in BOTH if name in options}
    artifact = export(model, None, format=format_name, check=False, **export_options)
    stem = type(model).__name__ if isinstance(model, nn.Module) else Path(model).stem
    return replace(artifact, path=Path(stem + formats.get(artifact.format).suffix))


def _check(
    model: Source,
    artifact: Artifact,
    runtimes: Sequence[str] | str | None,
    options: dict[str, Any],
    *,
    skip_missing: bool,
) -> Outcome:
    """Check the artifact in all requested runtimes that are available.

    Raises:
        RuntimeUnavailableError: a runtime is not available, and ``skip_missing`` is not given or all were requested.
    """
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
            # The message begins with the name of the runtime. If it does not, all that are left count as missing.
            absent = [name for name in left if str(error).startswith(f"{name}: ")] or left
            missing |= {name: str(error).removeprefix(f"{name}: ") for name in absent}


def _not_run(outcome: Outcome) -> str:
    parts = [f"{name}: {reason}" for name, reason in outcome.missing.items()]
    passed = [] if outcome.report is None else [runtime.name for runtime in outcome.report.runtimes]
    return f"not run: {'; '.join(parts)}" + (f" (passed: {', '.join(passed)})" if passed else "")


def _save(report: Report, model: Source, artifact: Artifact, folder: Path | None, *, exported: bool) -> Files:
    """Write the worst inputs, and the file if it was exported here, to ``folder``; return the paths for a replay."""
    source = None if isinstance(model, nn.Module) else Path(model)
    if folder is None:
        return Files(source, None if exported else artifact.path, None)
    path, original = artifact.path, artifact.path or Path(artifact.name)
    if exported:
        path = folder / original.name
        write_atomically(check_target(path, source), artifact.data)
    worst = None
    if report.worst:
        worst = folder / (original.stem + reports.get("worst").suffix)
        write_atomically(check_target(worst, source), reports.get("worst").render(report))
    return Files(source, path, worst)
