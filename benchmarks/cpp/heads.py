"""A head with the same weights in every way that is timed."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import nalu_export
from benchmarks.cpp.building import FASTEST, Compiler, Workshop
from benchmarks.cpp.sides import Array, Call, Child, Side
from benchmarks.running import onnxruntime_cpu
from benchmarks.usual_nalu import UsualNALU
from examples.cpp.build import MissingError
from nalu_export import NALU

Dims = tuple[int, ...]
HEADS: tuple[Dims, ...] = ((2, 1), (16, 32, 1), (64, 64, 10), (512, 512, 512))
SAMPLES = 1024
# Results within this times 1 + |value| are right. Between wide layers some values are near 0 by cancellation, and their
# logarithms carry the roundoffs of float32 on: no side comes within 1e-3 of float64 at the widest head.
TOLERANCE, WIDE_TOLERANCE = 1e-3, 1e-2
WIDE = 512

ORT_CPP = "ONNX Runtime, C++"
ORT_PYTHON = "ONNX Runtime, Python"
LIBTORCH = "libtorch"
EAGER = "eager PyTorch"


@dataclass(frozen=True)
class Head:
    """A head, its samples and its files.

    Attributes:
        dims: ``(16, 32, 1)``.
        usual: the usual NALU.
        x: samples of 0.5..2.
        reference: what the usual NALU computes from them in float64.
        folder: where its files are.
    """

    dims: Dims
    usual: nn.Module
    x: Array
    reference: NDArray[np.float64]
    folder: Path

    def file(self, suffix: str) -> Path:
        """The samples, ``.x``, or the model in a format."""
        return self.folder / ("head_" + "_".join(map(str, self.dims)) + suffix)

    def check(self, name: str, side: Side, what: str) -> None:
        """A fast wrong answer is no answer.

        Raises:
            RuntimeError: the side computes something else than the reference.
        """
        found = side.results(what)
        wanted = self.reference.ravel()
        if found.shape != wanted.shape:
            raise RuntimeError(f"{name} of {list(self.dims)}, {what}: {found.size} results instead of {wanted.size}")
        tolerance = WIDE_TOLERANCE if max(self.dims) >= WIDE else TOLERANCE
        right = np.abs(found - wanted) <= tolerance * (1 + np.abs(wanted))
        if not right.all():
            first = int(np.argmin(right))
            shown = f"result {first} is {found[first]:.9g} instead of {wanted[first]:.9g}"
            raise RuntimeError(f"{name} of {list(self.dims)}, {what}: {shown}")


def make(dims: Dims, folder: Path) -> Head:
    """Weights as initialised, in every format; always the same, so that files that are there stay."""
    torch.manual_seed(0)
    usual, ours = UsualNALU(*dims).eval(), NALU(*dims).eval()
    ours.load_state_dict(usual.state_dict())
    x = np.random.default_rng(0).uniform(0.5, 2.0, (SAMPLES, dims[0])).astype(np.float32)
    with torch.no_grad():
        reference = deepcopy(usual).double()(torch.from_numpy(x).double()).numpy()
    head = Head(dims, usual, x, reference, folder)
    head.file(".x").write_bytes(x.tobytes())
    for suffix in (".onnx", ".torchscript.pt", ".hpp"):
        if not head.file(suffix).exists():
            nalu_export.export(ours, head.file(suffix), check=False)
    return head


@dataclass(frozen=True)
class Tools:
    """What is here to run a head.

    Attributes:
        shop: the compilers.
        libraries: the programs for ONNX Runtime and libtorch.
        left_out: what is not here, and why.
    """

    shop: Workshop
    libraries: dict[str, Path]
    left_out: tuple[str, ...]


def tools(shop: Workshop) -> Tools:
    """Build the programs that serve every head."""
    libraries: dict[str, Path] = {}
    left_out: list[str] = []
    for name, build in ((ORT_CPP, shop.onnxruntime), (LIBTORCH, shop.libtorch)):
        try:
            libraries[name] = build()
        except MissingError as error:
            left_out.append(f"{name}: {error}")
    return Tools(shop, libraries, tuple(left_out))


def header_name(compiler: Compiler) -> str:
    """The column of the header, compiled for this machine."""
    return f"header, {compiler.name}"


def headers(shop: Workshop) -> Iterator[tuple[str, Compiler, tuple[str, ...]]]:
    """Every way of compiling the header, by the name of its column."""
    for compiler in shop.compilers:
        yield header_name(compiler), compiler, FASTEST
    for compiler in shop.compilers[:1]:
        yield f"{header_name(compiler)} without -march", compiler, FASTEST[:1]


@contextmanager
def sides(head: Head, found: Tools) -> Iterator[dict[str, Side]]:
    """Everything that runs a head, the header first."""
    with ExitStack() as stack:
        running: dict[str, Side] = {}
        for name, compiler, flags in headers(found.shop):
            program = found.shop.header(compiler, head.file(".hpp"), flags)
            running[name] = stack.enter_context(Child(program, head.file(".x")))
        for name, suffix in ((ORT_CPP, ".onnx"), (LIBTORCH, ".torchscript.pt")):
            if name in found.libraries:
                words = (head.file(".x"), str(head.dims[0]), head.file(suffix))
                running[name] = stack.enter_context(Child(found.libraries[name], *words))
        running[ORT_PYTHON] = Call(onnxruntime_cpu(head.file(".onnx"), threads=1), np.ascontiguousarray, head.x)
        running[EAGER] = Call(_eager(head.usual), torch.from_numpy, head.x)
        yield running


def _eager(module: nn.Module) -> Callable[[Tensor], Tensor]:
    def run(x: Tensor) -> Tensor:
        with torch.inference_mode():
            result: Tensor = module(x)
        return result

    return run
