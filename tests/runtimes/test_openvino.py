"""OpenVINO: nothing less than float32, no telemetry, and a word about float64."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from nalu_export import NALU, InputError, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.parity import CheckOptions, CheckRequest, check_bytes
from nalu_export.runtimes.base import RunOptions, Session
from tests.alone import run_one
from tests.captured import graph_of


def test_it_computes_in_float32_whatever_the_cpu_has(nalu: NALU, load: Callable[..., Session]) -> None:
    session = load("openvino", nalu)
    options = session.details["options"].split(", ")
    assert options == [
        "CPU_DENORMALS_OPTIMIZATION=False",
        "EXECUTION_MODE_HINT=ACCURACY",
        "INFERENCE_PRECISION_HINT=f32",
    ]
    assert (session.details["provider"], session.details["threads"]) == ("CPU", "1")
    assert session.details["device"]


def test_threads_are_its_own_unless_given(nalu: NALU) -> None:
    data = formats.get("onnx").emit(graph_of(nalu), EmitOptions()).to_bytes({})
    session = runtimes.get("openvino").load(nalu, data, RunOptions())
    assert int(session.details["threads"]) >= 0


def test_float64_is_float32_there_and_it_says_so(nalu: NALU, load: Callable[..., Session]) -> None:
    assert not runtimes.get("openvino").float64
    session = load("openvino", nalu, (4,), "float64")
    assert [remark.split(" ")[0] for remark in session.remarks] == ["Exp", "computes"]
    assert session.remarks[1].startswith("computes float64 in float32: ")
    assert session.lowers_float64
    data = formats.get("onnx").emit(graph_of(nalu), EmitOptions(compute="float64")).to_bytes({})
    assert not check_bytes(
        CheckRequest(graph_of(nalu), data, [((4,),)], "float64", ["openvino"], CheckOptions())
    ).passed
    float32 = formats.get("onnx").emit(graph_of(nalu), EmitOptions()).to_bytes({})
    assert check_bytes(CheckRequest(graph_of(nalu), float32, [((4,),)], "float32", ["openvino"], CheckOptions())).passed


def test_its_exp_is_not_the_functions(onnx_file: Callable[..., bytes], nalu: NALU) -> None:
    """github.com/openvinotoolkit/openvino/issues/35685; float32 overflows past 88.7228."""
    session = runtimes.get("openvino").load(nalu, onnx_file("y", op="Exp"), RunOptions())
    x = np.array([88.37, 88.38, 88.7, np.nan, -87.5], np.float32)
    out = run_one(session, x)
    np.testing.assert_array_equal(np.isinf(out), [False, True, True, True, False])
    assert out[-1] == 0  # a subnormal result is flushed


def test_the_reason_is_what_it_says_not_where(nalu: NALU, load: Callable[..., Session]) -> None:
    with pytest.raises(InputError, match=r"^openvino: (?!Exception from)(?!Check ')"):
        load("openvino", nalu).run([np.zeros((1, 7), np.float32)])


def test_nothing_is_sent_home_and_nothing_printed(nalu: NALU, batch: NDArray[np.float32]) -> None:
    data = formats.get("onnx").emit(graph_of(nalu), EmitOptions()).to_bytes({})
    script = (
        "import sys, threading, numpy as np\n"
        "from nalu_export import runtimes\n"
        "from nalu_export.runtimes.base import RunOptions\n"
        "session = runtimes.get('openvino').load(None, sys.stdin.buffer.read(), RunOptions())\n"
        "session.run([np.ones((1, 4), np.float32)])\n"
        "assert not [name for name in sys.modules if name.startswith('openvino_telemetry')]\n"
        "assert threading.active_count() == 1\n"
        "import openvino_telemetry\n"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", script], input=data, capture_output=True, check=False)
    assert (run.returncode, run.stdout, run.stderr) == (0, b"", b"")
