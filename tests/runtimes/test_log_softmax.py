"""The remark about LogSoftmax: made where it is needed, tried out and not believed."""

from collections.abc import Callable

import numpy as np
import pytest

from nalu_export import NALU, runtimes
from nalu_export.runtimes._log_softmax import log_softmax_remarks
from nalu_export.runtimes._onnx_values import Loaded
from nalu_export.runtimes.base import Arrays, RunOptions
from tests.alone import run_one


def _load(lowest: float) -> Callable[[bytes], Loaded]:
    def run(inputs: Arrays) -> Arrays:
        return [np.array([[0.0, lowest]], np.float32)]

    return lambda data: Loaded(run, ["x"], ["y"])


def test_it_is_made_only_where_it_holds() -> None:
    assert log_softmax_remarks(b"no such operator", _load(-np.inf), "here") == ()
    assert log_softmax_remarks(b"a LogSoftmax", _load(-200.0), "here") == ()
    (remark,) = log_softmax_remarks(b"a LogSoftmax", _load(-np.inf), "here")
    assert remark == "computes LogSoftmax as log(Softmax), which is −inf where the Softmax underflows (here)"


@pytest.mark.parametrize("name", ["onnx-reference", "tract"])
def test_the_remark_tells_the_truth(name: str, nalu: NALU, onnx_file: Callable[..., bytes]) -> None:
    session = runtimes.get(name).load(nalu, onnx_file("y", op="LogSoftmax"), RunOptions())
    finite = bool(np.isfinite(run_one(session, np.array([0, -200], np.float32))).all())
    assert finite == (session.remarks == ())
    assert all(remark.startswith("computes LogSoftmax as log(Softmax)") for remark in session.remarks)
