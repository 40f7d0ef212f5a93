"""tract: files only, symbolic sizes, and its Tanh."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx.parser
import pytest

from nalu_export import NALU, InputError, runtimes
from nalu_export.runtimes import _tract_program
from nalu_export.runtimes.base import RunOptions, Session
from tests.alone import run_one


def test_it_leaves_no_file_behind(
    nalu: NALU, load: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    load("tract", nalu).values([np.ones((1, 4), np.float32)], ["layers.0.m"])
    with pytest.raises(InputError, match=r"^tract refuses the file: "):
        runtimes.get("tract").load(nalu, b"garbage", RunOptions())
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_runs(nalu: NALU, load: Callable[..., Session]) -> None:
    session = load("tract", nalu)
    assert session.where == f"{session.details['library']}, CPU"
    assert (session.details["provider"], session.details["threads"]) == ("default", "1")


def test_its_tanh_is_within_what_any_of_its_kernels_gives(nalu: NALU, onnx_file: Callable[..., bytes]) -> None:
    """Which kernel runs depends on the processor: see the class. Small arguments give themselves or 0."""
    session = runtimes.get("tract").load(nalu, onnx_file("y", op="Tanh"), RunOptions())
    moderate = np.array([1e-30, -1e-10, 1e-3, -0.5, 5.0], np.float32)
    np.testing.assert_allclose(
        run_one(session, moderate).astype(np.float64), np.tanh(moderate.astype(np.float64)), rtol=1e-6
    )
    tiny = np.array([1e-45, -1e-40, 1e-38, -1e-37, 1e-36], np.float32)
    found = run_one(session, tiny)
    assert ((found == 0) | np.isclose(found, tiny, rtol=1e-6, atol=0)).all()
    ends = run_one(session, np.array([20.0, 3e38, -20.0, -3e38], np.float32)).astype(np.float64)
    assert (np.abs(ends) <= 1).all()
    np.testing.assert_allclose(ends, [1, 1, -1, -1], atol=2e-6)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("one line", "one line"),
        ("Parsing\n\nCaused by:\n    0: inner\n    1: what is wrong\n\nStack backtrace:\n  0: main\n", "what is wrong"),
        ("", "ValueError"),
    ],
)
def test_the_reason_is_the_last_cause(text: str, reason: str) -> None:
    assert _tract_program.reason(ValueError(text)) == reason


def test_a_panic_ends_its_own_process_alone(nalu: NALU) -> None:
    """A place that is computed beyond its axis: tract does not look, and its C interface aborts."""
    model = onnx.parser.parse_model(
        '<ir_version: 8, opset_import: ["" : 17]>'
        "g (float[n, 4] x) => (float[4] y) <int64 i = {1000000000}> { y = Gather(x, i) }"
    )
    file = model.SerializeToString()
    session = runtimes.get("tract").load(nalu, file, RunOptions())
    with pytest.raises(InputError, match=r"^tract: tract ended with signal 6: .* out of range for slice of length 4"):
        session.run([np.ones((1, 4), np.float32)])
