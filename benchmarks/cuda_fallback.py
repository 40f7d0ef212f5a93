"""A session that would fall back to the CPU: what onnxruntime does by itself, and that this project refuses it.

Run as a script with names of runtimes, it prints as JSON what becomes of each in a process of its own.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    # In place of this folder, whose names would hide others.
    sys.path[0] = str(ROOT)

import onnx  # noqa: E402
from onnx import TensorProto, helper  # noqa: E402

from benchmarks.cuda_setup import Setup, brief, missing  # noqa: E402
from benchmarks.graphs import graph_of  # noqa: E402
from benchmarks.report import Section, Target  # noqa: E402
from nalu_export import NAC, formats, runtimes  # noqa: E402
from nalu_export.errors import RuntimeUnavailableError  # noqa: E402
from nalu_export.formats.base import EmitOptions  # noqa: E402
from nalu_export.runtimes.base import RunOptions  # noqa: E402

NO_KERNEL = "a node without a CUDA kernel (Det)"
NO_DEVICE = "no device visible (CUDA_VISIBLE_DEVICES=-1)"
PLAIN = "plain onnxruntime"
TIMEOUT = 120


@dataclass(frozen=True)
class Refusal:
    """What became of a session that would fall back.

    Attributes:
        how: it was provoked.
        runtime: its name.
        refused: whether it was refused as a runtime that is not there.
        text: the error, or what it did instead.
    """

    how: str
    runtime: str
    refused: bool
    text: str


def det_file() -> bytes:
    """A file with one node that only the CPU provider has."""
    x = helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 2])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [])
    graph = helper.make_graph([helper.make_node("Det", ["x"], ["y"])], "g", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    onnx.checker.check_model(proto)
    data: bytes = proto.SerializeToString()
    return data


def plain(provider: str, data: bytes) -> str:
    """The providers of a session made the way a user makes it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    providers = list(dict.fromkeys((provider, "CPUExecutionProvider")))
    with contextlib.redirect_stdout(io.StringIO()):
        session = onnxruntime.InferenceSession(data, options, providers=providers)
    return f"loads without an error; its providers: {', '.join(session.get_providers())}"


def without_kernel(setup: Setup) -> list[Refusal]:
    """A file that the provider cannot run whole."""
    data = det_file()
    return [_plain(NO_KERNEL, lambda: plain(setup.provider, data)), *(_refusal(name, data) for name in setup.onnx)]


def without_device(setup: Setup) -> list[Refusal]:
    """The runtimes in a process that sees no device."""
    command = [sys.executable, str(Path(__file__).resolve()), setup.provider, *setup.names]
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "-1"}
    try:
        done = subprocess.run(
            command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT, check=True
        )
        found = json.loads(done.stdout.splitlines()[-1])
    except Exception as error:  # noqa: BLE001  a failing item is a line of the table
        return [Refusal(NO_DEVICE, name, False, brief(error)) for name in setup.names]
    refused = [Refusal(NO_DEVICE, PLAIN, True, found["plain"])]
    for name in setup.names:
        text = found["missing"].get(name, "")
        # A RuntimeUnavailableError begins with the name; anything else is not the refusal that is wanted.
        refused.append(Refusal(NO_DEVICE, name, text.startswith(f"{name}: "), text or "it ran"))
    return refused


def _plain(how: str, load: Callable[[], str]) -> Refusal:
    """The comparison; it decides nothing."""
    try:
        return Refusal(how, PLAIN, True, load())
    except Exception as error:  # noqa: BLE001
        return Refusal(how, PLAIN, True, brief(error))


def _refusal(name: str, data: bytes) -> Refusal:
    try:
        session = runtimes.get(name).load(NAC(1, 1), data, RunOptions())
    except RuntimeUnavailableError as error:
        return Refusal(NO_KERNEL, name, "cannot run on" in str(error), brief(error))
    except Exception as error:  # noqa: BLE001  another error is not the refusal that is wanted
        return Refusal(NO_KERNEL, name, False, brief(error))
    return Refusal(NO_KERNEL, name, False, f"it loads: {session.where}")


def measure(setup: Setup) -> list[Refusal]:
    """Both ways of provoking it."""
    setup.progress(f"fallback: {NO_KERNEL}")
    found = without_kernel(setup)
    setup.progress(f"fallback: {NO_DEVICE}")
    return found + without_device(setup)


def section(found: Sequence[Refusal]) -> Section:
    """The table."""
    ours = [refusal for refusal in found if refusal.runtime != PLAIN]
    return Section(
        title="Fallback to the CPU",
        method=(
            "Each session would compute on the CPU, wholly or in part. The plain one is "
            "`InferenceSession(file, providers=[CUDA, CPU])`; ours must be refused with exit code 3."
        ),
        header=("how it was provoked", "runtime", "verdict", "what it says"),
        rows=tuple(
            (
                refusal.how,
                refusal.runtime,
                "–" if refusal.runtime == PLAIN else "refused" if refusal.refused else "NOT refused",
                refusal.text,
            )
            for refusal in found
        ),
        targets=(
            Target(
                "every session that would fall back to the CPU is refused",
                bool(ours) and all(refusal.refused for refusal in ours),
            ),
        ),
    )


def main(provider: str, names: Sequence[str]) -> None:
    """What becomes of the runtimes, and of a plain session, as one line of JSON."""
    data = formats.get("onnx").emit(graph_of(NAC(1, 1)), EmitOptions()).to_bytes({})
    refusal = _plain(NO_DEVICE, lambda: plain(provider, data))
    print(json.dumps({"plain": refusal.text, "missing": missing(names)}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
