"""Models and artifacts that take too much when they are run, and what each command says of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import onnx
import onnx.parser
import torch
from torch import Tensor, nn

from nalu_export import NALU, build_head, export, save
from nalu_export.formats.cpp.format import FORMAT as CPP
from nalu_export.modules import jit

SECONDS, MEMORY = 8, "1GiB"
TIME = f"not finished within {SECONDS} seconds, the limit of --timeout"
NO_MEMORY = "needs more memory than there is, or than --max-memory allows"
RUNNING = ("export", "golden", "inspect", "doctor")

_CLASS = """
import os, time
import torch
from torch import nn
from nalu_export import NAC

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.head = NAC(2, 1)

    def forward(self, x):
{body}
        return self.head(x)
"""


@dataclass(frozen=True)
class Bomb:
    """One of them.

    Attributes:
        make: writes its files into a folder.
        commands: that are run there.
        code: what each ends with.
        says: what the only line on stderr ends with, or what stands in the report.
    """

    make: Callable[[Path], object]
    commands: tuple[tuple[str, ...], ...]
    code: int
    says: str


def _good(folder: Path) -> Path:
    torch.manual_seed(0)
    save(NALU(2, 1), folder / "model.pt")
    return folder / "model.pt"


def _code(body: str) -> Callable[[Path], object]:
    """A module of one's own, whose ``forward`` does this first."""

    def make(folder: Path) -> None:
        lines = "\n".join(f"        {line}" for line in body.splitlines())
        (folder / "net.py").write_text(_CLASS.format(body=lines), encoding="utf-8")
        torch.save(
            {"head.layers.0.W_hat": torch.zeros(1, 2), "head.layers.0.M_hat": torch.zeros(1, 2)}, folder / "model.pt"
        )

    return make


def _own(*verbs: str) -> tuple[tuple[str, ...], ...]:
    options = ("--model", "net.py:Net", "--input", "x=batch,2")
    return tuple((*_verb(verb), *options) for verb in verbs)


def _verb(verb: str) -> tuple[str, ...]:
    more = {"export": ("-f", "onnx", "-o", "written"), "golden": ("-o", "written.npz")}
    return (verb, "model.pt", *more.get(verb, ()))


def _padding(folder: Path) -> None:
    """A model of our own, of 2 kB, whose convolution pads with 30,000 zeros on each side."""
    backbone = nn.Sequential(nn.Conv2d(1, 1, 1, padding=30_000), nn.ReLU())
    save(build_head(backbone, 1, [1], "regression", 1), folder / "model.pt")


def _onnx(text: str) -> Callable[[Path], object]:
    """An exported file whose graph is another one."""

    def make(folder: Path) -> None:
        export(_good(folder), folder / "artifact", format="onnx", check=False)
        proto = onnx.load_from_string((folder / "artifact").read_bytes())
        graph = onnx.parser.parse_graph(f"g (float[batch, 2] input) => (float[batch, 1] output) {text}")
        proto.graph.CopyFrom(graph)
        (folder / "artifact").write_bytes(proto.SerializeToString())

    return make


_LOOP = """<bool go = {{1}}, float[2, 1] w = {{1, 1}}> {{
    y = MatMul(input, w)
    z = Loop<body = b (int64 i, bool before, float[n, 1] v) => (bool after, float[m, 1] u)
        {{ after = Identity(before) u = {step} }}>("", go, y)
    output = {last}
}}"""


class Spins(nn.Module):
    """Never ends."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        i = 0
        while i >= 0:
            i = (i + 1) % 7
        return x


class Grows(nn.Module):
    """Takes twice as much each time."""

    def forward(self, x: Tensor) -> Tensor:
        """See the class."""
        while x.numel() > 0:
            x = torch.cat([x, x])
        return x


def _script(module: nn.Module) -> Callable[[Path], object]:
    """A TorchScript archive with the metadata of a right one."""

    def make(folder: Path) -> None:
        _good(folder)
        with jit.quiet():
            torch.jit.save(torch.jit.script(module), folder / "artifact")

    return make


def _header(folder: Path) -> None:
    """A C++ header whose function never returns."""
    export(_good(folder), folder / "artifact", format="cpp", check=False)
    text = (folder / "artifact").read_text(encoding="utf-8")
    assert CPP.opened(text.encode()) is not None
    place = text.index("{", text.index("run("))
    (folder / "artifact").write_text(
        f"{text[:place]}{{ for (volatile int i = 0;; ++i) {{}} {text[place + 1 :]}", encoding="utf-8"
    )


CHECK = (("check", "model.pt", "artifact"),)
_WANTS = "would take at least {} bytes of memory in one run, and the limit is 1,073,741,824"

BOMBS: dict[str, Bomb] = {
    "a huge padding": Bomb(_padding, tuple(map(_verb, ("export", "golden"))), 2, "; give smaller inputs"),
    "a huge padding, examined": Bomb(_padding, tuple(map(_verb, ("inspect", "doctor"))), 0, ""),
    "a huge tensor": Bomb(_code("x.new_zeros(10**11)"), _own("export", "golden"), 2, _WANTS.format("400,000,000,000")),
    "a huge tensor by its numbers": Bomb(
        _code("torch.ones(10**11 * int(x.sum() > -1e30))"), _own("export", "golden"), 2, NO_MEMORY
    ),
    "a huge list": Bomb(_code("[0] * 10**11"), _own("export", "golden"), 2, NO_MEMORY),
    "tensors that double": Bomb(
        _code("for _ in range(40): x = torch.cat([x, x], -1)"),
        _own("export", "golden"),
        2,
        "; give smaller",
    ),
    "without end": Bomb(_code("while True: pass"), _own(*RUNNING), 2, TIME),
    "sleeps through signals": Bomb(
        _code("while True:\n    try: time.sleep(100)\n    except BaseException: pass"), _own("export"), 2, TIME
    ),
    "ends the process": Bomb(
        _code("os._exit(0)"),
        _own(*RUNNING),
        70,
        "code of the model or of a library ended the process; there is no verdict",
    ),
    "ONNX without end": Bomb(_onnx(_LOOP.format(step="Abs(v)", last="Identity(z)")), CHECK, 2, TIME),
    "ONNX that doubles": Bomb(
        _onnx(_LOOP.format(step="Concat<axis = 0>(v, v)", last="ReduceSum(z)")),
        (*CHECK, (*CHECK[0], "--runtime", "onnx-reference")),
        2,
        f"artifact: {NO_MEMORY}",
    ),
    "ONNX, a huge constant": Bomb(
        _onnx("<int64[1] n = {1000000000}> { c = ConstantOfShape(n) s = ReduceSum(c) output = Add(input, s) }"),
        tuple((*CHECK[0], "--runtime", name) for name in ("onnxruntime-cpu", "onnx-reference", "tract")),
        2,
        f"artifact: {NO_MEMORY}",
    ),
    "TorchScript without end": Bomb(_script(Spins()), CHECK, 2, TIME),
    "TorchScript that doubles": Bomb(_script(Grows()), CHECK, 2, f"artifact: {NO_MEMORY}"),
    "a header without end": Bomb(_header, CHECK, 2, TIME),
}
