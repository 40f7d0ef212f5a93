"""examples/cpp/serve.hpp: the two programs as services on pipes."""

import io
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray

from nalu_export.api.golden import read_golden
from nalu_export.modules import jit
from tests.examples.programs import Programs
from tests.goldens import TYPES, shape_bytes

MODELS = {"onnxruntime_infer": "head.onnx", "libtorch_infer": "head.torchscript.pt"}
ARRAY = NDArray[np.float32]


def request(*inputs: NDArray[Any]) -> bytes:
    """A batch as the protocol has it."""
    pieces = [struct.pack("<I", len(inputs))]
    for x in inputs:
        pieces += [struct.pack("<I", TYPES[str(x.dtype)]), shape_bytes(x.shape), x.tobytes()]
    return b"".join(pieces)


def served(programs: Programs, name: str, words: list[str], data: bytes) -> tuple[int, io.BytesIO, str]:
    """The exit code, what came on stdout, and stderr, of one service that gets ``data`` and then the end."""
    command = [str(programs.folder / name), *words, "--serve"]
    done = subprocess.run(command, input=data, capture_output=True, timeout=120, check=False)
    return done.returncode, io.BytesIO(done.stdout), done.stderr.decode()


def text(out: io.BytesIO) -> tuple[int, str]:
    """The next frame, which holds a text."""
    status, size = struct.unpack("<II", out.read(8))
    return status, out.read(size).decode()


def arrays(out: io.BytesIO) -> list[NDArray[Any]]:
    """The next frame, which holds arrays."""
    status, count = struct.unpack("<II", out.read(8))
    assert status == 0
    found = []
    for _ in range(count):
        code, rank = struct.unpack("<II", out.read(8))
        shape = struct.unpack(f"<{rank}Q", out.read(8 * rank))
        dtype = np.dtype(next(name for name, number in TYPES.items() if number == code))
        found.append(np.frombuffer(out.read(dtype.itemsize * int(np.prod(shape))), dtype).reshape(shape))
    return found


def array(out: io.BytesIO) -> NDArray[Any]:
    """The next frame, which holds one array."""
    (found,) = arrays(out)
    return found


def in_python(programs: Programs, name: str, x: ARRAY) -> ARRAY:
    """The same file in the same library, called from Python, on one thread."""
    path = programs.file(MODELS[name])
    if name == "libtorch_infer":
        found: ARRAY = jit.load(path.read_bytes())(torch.from_numpy(x)).numpy()
        return found
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    result: ARRAY = session.run(None, {"input": x})[0]
    return result


@pytest.fixture(scope="module")
def x(programs: Programs) -> ARRAY:
    found: ARRAY = read_golden(programs.file("head.bin")).inputs[0].values
    return found


@pytest.mark.parametrize("name", MODELS)
def test_batches_are_answered_bad_ones_are_refused_and_it_goes_on(name: str, programs: Programs, x: ARRAY) -> None:
    batches = [x[:1], x[:7], x, x[:, :3], np.zeros((), np.float32), x[:0], x[3:5]]
    data = b"".join(map(request, batches))
    code, out, err = served(programs, name, [str(programs.file(MODELS[name])), "--threads", "1"], data)
    assert (code, err) == (0, "")
    status, hello = text(out)
    assert (status, hello.endswith("\n")) == (0, True)
    facts = dict(line.split("\t") for line in hello.splitlines())
    if name == "onnxruntime_infer":
        library, provider = f"onnxruntime {onnxruntime.__version__}", "CPUExecutionProvider"
    else:
        library, provider = f"libtorch {torch.__version__.partition('+')[0]}", "TorchScript"
    assert facts == {"library": library, "device": "CPU", "provider": provider, "options": "", "threads": "1"}
    for batch in batches:
        if batch.shape[1:] == (16,):
            np.testing.assert_array_equal(array(out), in_python(programs, name, batch), strict=True)
        else:
            status, reason = text(out)
            assert status == 1
            assert reason
            assert "\n" not in reason
    assert out.read() == b""


@pytest.mark.parametrize("name", MODELS)
def test_answers_come_one_by_one(name: str, programs: Programs, x: ARRAY) -> None:
    command = [str(programs.folder / name), str(programs.file(MODELS[name])), "--serve"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert struct.unpack("<I", process.stdout.read(4)) == (0,)
        process.stdout.read(*struct.unpack("<I", process.stdout.read(4)))
        for _ in range(2):
            process.stdin.write(request(x[:2]))
            process.stdin.flush()
            head = struct.pack("<IIIIQQ", 0, 1, 1, 2, 2, 1)
            assert process.stdout.read(len(head) + 8)[: len(head)] == head
        process.stdin.close()
        assert process.wait(60) == 0


@pytest.mark.parametrize("name", MODELS)
def test_a_file_that_cannot_be_served_is_a_frame_too(name: str, programs: Programs, tmp_path: Path) -> None:
    (tmp_path / "m").write_bytes(b"not a model")
    os.mkfifo(tmp_path / "f")
    code, out, err = served(programs, name, [str(tmp_path / "m")], b"")
    status, said = text(out)
    assert (code, status, err, out.read()) == (2, 1, "", b"")
    assert f" refuses {tmp_path / 'm'}: " in said
    for file in ("f", "none"):
        code, out, err = served(programs, name, [str(tmp_path / file)], b"")
        assert (code, text(out), err, out.read()) == (2, (1, f"{tmp_path / file} is not a file"), "", b"")


@pytest.mark.skipif(
    torch.cuda.is_available() or "CUDAExecutionProvider" in onnxruntime.get_available_providers(),
    reason="there is CUDA here",
)
@pytest.mark.parametrize("name", MODELS)
def test_a_device_that_is_not_there_is_status_2(name: str, programs: Programs) -> None:
    option = "--provider" if name == "onnxruntime_infer" else "--device"
    code, out, err = served(programs, name, [str(programs.file(MODELS[name])), option, "cuda"], b"")
    status, said = text(out)
    assert (code, status, err, out.read()) == (3, 2, "", b"")
    assert "CUDA" in said


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x01", "stdin ended within a request"),
        (struct.pack("<IIIQ", 1, 1, 2, 1), "stdin ended within a request"),
        (struct.pack("<IIIQQ", 1, 1, 2, 1, 16) + bytes(63), "stdin ended within a request"),
        (request(np.ones((1, 16)))[:-1], "stdin ended within a request"),
        (struct.pack("<II", 2, 1) + shape_bytes((1,)) + bytes(4), "stdin ended within a request"),
        (struct.pack("<I", 65), "a request has 65 inputs; 0 to 64 is expected"),
        (struct.pack("<II", 1, 0), "a request has type 0; 1 to 5 is expected"),
        (struct.pack("<II", 1, 6), "a request has type 6; 1 to 5 is expected"),
        (struct.pack("<III", 1, 1, 17), "a request has rank 17; 0 to 16 is expected"),
        (struct.pack("<IIIQQ", 1, 1, 2, 2**32, 2**32), "a request has more numbers than fit into memory"),
        (struct.pack("<IIIQQ", 1, 4, 2, 2**17, 2**17) + bytes(99), "stdin ended within a request"),
        (request(np.array([True]))[:-1] + b"\2", "a request has a truth value that is neither 0 nor 1"),
    ],
    ids=[
        "number cut",
        "shape cut",
        "numbers cut",
        "float64 cut",
        "second cut",
        "inputs",
        "type 0",
        "type 6",
        "rank",
        "too large",
        "claims 128 GiB",
        "no truth",
    ],
)
def test_what_is_no_request_ends_it(data: bytes, said: str, name: str, programs: Programs, x: ARRAY) -> None:
    code, out, err = served(programs, name, [str(programs.file(MODELS[name]))], request(x[:1]) + data)
    assert (code, err) == (2, f"{name}: {said}\n")
    assert text(out)[0] == 0
    assert array(out).shape == (1, 1)
    assert out.read() == b""


@pytest.mark.parametrize("name", MODELS)
def test_a_batch_in_several_pieces_is_whole(name: str, programs: Programs) -> None:
    batch = np.random.default_rng(0).random((2**16 + 5, 16), np.float32)
    code, out, err = served(programs, name, [str(programs.file(MODELS[name])), "--threads", "1"], request(batch))
    assert text(out)[0] == 0
    np.testing.assert_array_equal(array(out), in_python(programs, name, batch), strict=True)
    assert (code, out.read(), err) == (0, b"", "")


def test_what_a_model_prints_stays_out_of_the_answers(programs: Programs, tmp_path: Path) -> None:
    class Talking(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            print("computing")  # noqa: T201
            return x

    module = jit.script_or_trace(Talking(), (torch.zeros(1, 2),))[0]
    (tmp_path / "m.pt").write_bytes(jit.save(module, {}))
    batch = np.ones((1, 2), np.float32)
    code, out, err = served(programs, "libtorch_infer", [str(tmp_path / "m.pt")], request(batch))
    assert text(out)[0] == 0
    np.testing.assert_array_equal(array(out), batch, strict=True)
    assert (code, out.read(), err) == (0, b"", "computing\n")
