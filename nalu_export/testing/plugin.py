"""The pytest plugin: the fixture ``parity``, its options, and a section with the whole table for a failed assertion.

Torch is imported when a test first calls the fixture, not when pytest starts.
"""

import io
from collections.abc import Generator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import pytest

from nalu_export.testing.errors import ParityAssertionError

if TYPE_CHECKING:
    import os

    from nalu_export.api.artifact import Artifact
    from nalu_export.parity import Report
    from nalu_export.testing.assertion import FixtureArguments, Source

OPTIONS = {
    "seed": (0, 2**32 - 1, "Seed of the inputs of the fixture parity; by default 0."),
    "samples": (
        1,
        10**6,
        "Samples of each input distribution of the fixture parity; by default 128, fewer for wide layers.",
    ),
}
WIDTH = 100


class Parity:
    """The value of the fixture: :func:`nalu_export.testing.assert_parity` with the defaults of this test run."""

    def __init__(self, folder: Path, defaults: dict[str, int]) -> None:
        self._folder, self._defaults = folder, defaults

    def __call__(
        self,
        source: "Source",
        artifact: "Artifact | str | os.PathLike[str] | None" = None,
        /,
        runtimes: Sequence[str] | str | None = None,
        **options: "Unpack[FixtureArguments]",
    ) -> "Report":
        """Assert parity: call :func:`nalu_export.testing.assert_parity` with the same arguments.

        The worst inputs are written to the ``tmp_path`` of the test unless ``save_to`` is given.
        """
        __tracebackhide__ = True
        from nalu_export.testing.assertion import assert_parity

        settings: dict[str, Any] = {"save_to": self._folder} | self._defaults | options
        return assert_parity(source, artifact, runtimes, **settings)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--parity-seed`` and ``--parity-samples``, and the ini options ``parity_seed`` and ``parity_samples``."""
    group = parser.getgroup("parity", "parity of exported models (nalu_export)")
    for name, (_, _, text) in OPTIONS.items():
        group.addoption(f"--parity-{name}", metavar="N", help=text)
        parser.addini(f"parity_{name}", text)


def pytest_configure(config: pytest.Config) -> None:
    """Refuse a wrong option before the first test.

    Raises:
        pytest.UsageError: an option is not a number in its range.
    """
    _defaults(config)


def _defaults(config: pytest.Config) -> dict[str, int]:
    """Return the options that are given; the command line has priority over the ini file."""
    found: dict[str, int] = {}
    for name, (low, high, _) in OPTIONS.items():
        text = config.getoption(f"parity_{name}")
        where = f"--parity-{name}"
        if text is None:
            text, where = config.getini(f"parity_{name}"), f"parity_{name}"
        if text in (None, ""):
            continue
        if not str(text).isdecimal() or not low <= int(text) <= high:
            raise pytest.UsageError(f"{where} is {text!r}; it must be a number from {low} to {high}")
        found[name] = int(text)
    return found


@pytest.fixture
def parity(tmp_path: Path, pytestconfig: pytest.Config) -> Parity:
    """Assert that an exported file computes what a model computes: ``parity(model)``, ``parity(model, "model.onnx")``.

    The arguments are those of ``nalu_export.testing.assert_parity``. The worst inputs of a failure are written to
    ``tmp_path``. Default seed and samples come from ``--parity-seed`` and ``--parity-samples``.
    """
    return Parity(tmp_path, _defaults(pytestconfig))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add a section with the table of all runtimes and input distributions to the report of a failed assertion."""
    report = yield
    if call.excinfo is not None and isinstance(call.excinfo.value, ParityAssertionError):
        report.sections.append(("parity", _table(call.excinfo.value.report)))
    return report


def _table(report: "Report") -> str:
    from rich.console import Console

    from nalu_export.reports.terminal.report import show_report

    text = io.StringIO()
    show_report(Console(file=text, width=WIDTH, no_color=True, highlight=False, emoji=False), report)
    return text.getvalue()
