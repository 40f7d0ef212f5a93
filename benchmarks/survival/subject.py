"""The model that is exported, and the artifacts that must come out, made within this process."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from benchmarks.survival.scene import SOURCE, Subject
from nalu_export import NALU, export, save

# As options of the command; the same as keywords.
ONNX, SCRIPT = ("--format", "onnx"), ("--format", "torchscript")
UNCHECKED = (*ONNX, "--no-check")
# Eight exports of one model whose files all differ.
VARIANTS = tuple(
    (*ONNX, "--weights", weights, "--opset", opset)
    for opset in ("17", "18", "20", "21")
    for weights in ("folded", "live")
)


def make(size: int, root: Path, variants: int = len(VARIANTS)) -> Subject:
    """A NALU of ``size`` inputs, ``size`` hidden units and one output, seeded, with as many of ``VARIANTS``."""
    torch.manual_seed(0)
    root.mkdir()
    path = root / SOURCE
    save(NALU(size, size, 1), path)
    every: Iterable[tuple[str, ...]] = (ONNX, SCRIPT, UNCHECKED, *VARIANTS[:variants])
    artifacts = {options: _artifact(path, root / "out", options) for options in every}
    return Subject(path.read_bytes(), artifacts)


def _artifact(source: Path, target: Path, options: tuple[str, ...]) -> bytes:
    words = iter(options)
    named: dict[str, Any] = {name.removeprefix("--"): next(words) for name in words if name != "--no-check"}
    named |= {name: int(value) for name, value in named.items() if name == "opset"}
    # What was checked says so in its metadata.
    return export(source, target, check="--no-check" not in options, **named).data
