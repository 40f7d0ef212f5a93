"""tract: files only, symbolic sizes, and its Tanh."""

import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from nalu_export import NALU, InputError, runtimes
from nalu_export.runtimes import tract
from nalu_export.runtimes.base import RunOptions, Session


def test_it_leaves_no_file_behind(
    nalu: NALU, load: Callable[..., Session], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    load("tract", nalu).values(np.ones((1, 4), np.float32), ["layers.0.m"])
    with pytest.raises(InputError, match=r"^tract refuses the file: "):
        runtimes.get("tract").load(nalu, b"garbage", RunOptions())
    assert list(tmp_path.iterdir()) == []


def test_it_says_what_runs(nalu: NALU, load: Callable[..., Session]) -> None:
    session = load("tract", nalu)
    assert session.where == f"{session.details['library']}, CPU"
    assert (session.details["provider"], session.details["threads"]) == ("default", "1")


def test_its_tanh_is_not_the_functions(nalu: NALU, onnx_file: Callable[..., bytes]) -> None:
    """Small arguments give 0, NaN gives −1 and large ones not quite 1: why folded weights are the safer file there."""
    session = runtimes.get("tract").load(nalu, onnx_file("y", op="Tanh"), RunOptions())
    out = session.run(np.array([1e-37, 1e-30, np.nan, 20.0], np.float32)).astype(np.float64)
    assert out[0] == 0
    assert out[1] == pytest.approx(1e-30)
    assert -1 <= out[2] < -0.999
    assert 0.999 < out[3] < 1


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("one line", "one line"),
        ("Parsing\n\nCaused by:\n    0: inner\n    1: what is wrong\n\nStack backtrace:\n  0: main\n", "what is wrong"),
        ("", "ValueError"),
    ],
)
def test_the_reason_is_the_last_cause(text: str, reason: str) -> None:
    assert tract._reason(ValueError(text)) == reason
