"""The program behind :mod:`nalu_export.runtimes.tract`; it speaks the protocol of :mod:`nalu_export.runtimes._program`.

tract is written in Rust and panics on some files. Its C interface does not pass a panic on; it aborts the process
(``panic = "abort"`` of an ``extern "C"`` function). So it runs in a separate process, without torch.
"""

import importlib
import json
import os
import re
import struct
import sys
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.io.arrays import TYPES, code_of, packed, packed_shape, unpacked

REFUSED, UNAVAILABLE = 1, 2
_NUMBER = re.compile(r"^\d+: ")


def main() -> None:
    """Run the file that the first argument names, until the input ends."""
    answers = os.fdopen(os.dup(1), "wb")
    # Text that a library prints must not mix with the answers, so stdout becomes stderr.
    os.dup2(2, 1)
    try:
        tract: Any = importlib.import_module("tract")
    except ImportError:
        _say(answers, UNAVAILABLE, "tract is not installed; pip install 'nalu_export[tract]'")
        return
    try:
        model = tract.onnx().load(sys.argv[1])
        inputs = [model.input_name(place) for place in range(model.input_count())]
        outputs = [model.output_name(place) for place in range(model.output_count())]
        runnable = model.into_model().into_runnable()
    except tract.TractError as error:
        _say(answers, REFUSED, reason(error))
        return
    said = {
        "library": f"tract {tract.version()}",
        "device": "CPU",
        "provider": "default",
        "options": "",
        "threads": "1",
        "inputs": json.dumps(inputs),
        "outputs": json.dumps(outputs),
    }
    _say(answers, 0, "\n".join(f"{key}\t{value}" for key, value in said.items()))
    while (given := _request(sys.stdin.buffer)) is not None:
        try:
            results = [np.asarray(result.to_numpy()) for result in runnable.run(given)]
        except tract.TractError as error:
            _say(answers, REFUSED, reason(error))
            continue
        odd = next((result.dtype for result in results if code_of(result.dtype) is None), None)
        if odd is not None:
            _say(answers, REFUSED, f"the file gives an output of type {odd}")
            continue
        answers.write(struct.pack("<II", 0, len(results)))
        for result in results:
            _write(answers, result)
        answers.flush()


def _request(requests: IO[bytes]) -> list[NDArray[Any]] | None:
    """Read the inputs of a batch; ``None`` at the end of the input."""
    head = requests.read(4)
    if len(head) < 4:
        return None
    return [_read(requests) for _ in range(struct.unpack("<I", head)[0])]


def _read(requests: IO[bytes]) -> NDArray[Any]:
    code, rank = struct.unpack("<II", requests.read(8))
    shape = struct.unpack(f"<{rank}Q", requests.read(8 * rank))
    dtype = TYPES[code]
    return unpacked(requests.read(dtype.itemsize * int(np.prod(shape, dtype=np.int64))), dtype, shape)


def _write(answers: IO[bytes], array: NDArray[Any]) -> None:
    code = code_of(array.dtype)
    assert code is not None
    answers.write(struct.pack("<I", code) + packed_shape(array.shape))
    answers.write(packed(array, TYPES[code]))


def _say(answers: IO[bytes], status: int, text: str) -> None:
    data = text.encode("utf-8", "replace")
    answers.write(struct.pack("<II", status, len(data)) + data)
    answers.flush()


def reason(error: BaseException) -> str:
    """Return the last cause of a tract error: its text is a chain of causes, followed by a backtrace."""
    causes = str(error).partition("Stack backtrace:")[0]
    lines = [line.strip() for line in causes.splitlines() if line.strip()]
    return _NUMBER.sub("", lines[-1]) if lines else type(error).__name__
