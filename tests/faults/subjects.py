"""The models and files that faults are planted into, each right as it is, all seeded."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import nn

from benchmarks.graphs import graph_of
from benchmarks.silence import silence
from nalu_export import NAC, NALU, build_head, formats
from nalu_export.formats.base import EmitOptions
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import Compute, Weights
from tests.faults.planted import Planted

# A head has one shape; the image model is checked at two sizes, one of them not square.
HEAD, SQUARE, EIGHT, WIDE = ((4,),), ((3,),), ((8,),), ((16,),)
IMAGES = ((1, 8, 8), (1, 9, 7))
SEED = 0


@dataclass(frozen=True)
class Subject:
    """A model and how it is exported."""

    model: Callable[[], nn.Module]
    shapes: tuple[tuple[int, ...], ...] = HEAD
    weights: Weights = "folded"
    compute: Compute = "float32"
    format: str = "onnx"

    @property
    def input_size(self) -> tuple[int, int] | None:
        """Of images; what is planted into a model may hide it from its layers."""
        shape = self.shapes[0]
        return (shape[1], shape[2]) if len(shape) == 3 else None


def _grown(model: nn.Module, factor: float = 3.0) -> nn.Module:
    """Larger parameters than an initialisation gives: gates on both sides, weights of both signs, some near ±1."""
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(factor)
    return model


def _cell() -> nn.Module:
    return _grown(NALU(4, 2))


def _overflowing() -> nn.Module:
    """Eight weights of 1: the product of eight inputs leaves float32's range from 1e5 on."""
    model = NALU(8, 2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(20.0) if name.endswith("_hat") else parameter.mul_(1e-3)
    return model


def _closed() -> nn.Module:
    """A weight that training has switched off by ``M_hat``, small but not 0, under inputs of any size."""
    model = NAC(4, 2)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.fill_(-18.0) if name.endswith("M_hat") else parameter.fill_(3.0)
    return model


def _image_model() -> nn.Module:
    """A small CNN with batch norm and a NALU head."""
    norm = nn.BatchNorm2d(4)
    assert norm.running_mean is not None
    norm.running_mean.uniform_(-0.5, 0.5)
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), norm, nn.ReLU(), nn.MaxPool2d(2))
    return build_head(backbone, 4, [6], "classification", 3, pool="sum")


SUBJECTS: dict[str, Subject] = {
    "cell": Subject(_cell),
    "live": Subject(_cell, weights="live"),
    "float64": Subject(_cell, compute="float64"),
    "script": Subject(_cell, format="torchscript"),
    "untied": Subject(lambda: _grown(NALU(4, 2, tied=False))),
    "square": Subject(lambda: _grown(NALU(3, 3)), SQUARE),
    "stack": Subject(lambda: NALU(3, 3, 3), SQUARE),
    "nac": Subject(lambda: _grown(NAC(4, 2))),
    "wide": Subject(lambda: _grown(NALU(16, 8)), WIDE),
    "wide nac": Subject(lambda: _grown(NAC(16, 8)), WIDE),
    "overflowing": Subject(_overflowing, EIGHT),
    "closed, live": Subject(_closed, weights="live"),
    "image": Subject(_image_model, IMAGES),
}


@cache
def right(name: str) -> Planted:
    """The subject of that name with nothing planted."""
    subject = SUBJECTS[name]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        model = subject.model().eval()
    graph = graph_of(model, subject.input_size)
    return Planted(graph, _file(subject, graph), subject.shapes, subject.compute, formats.get(subject.format).runtime)


def emit(name: str, model: nn.Module) -> bytes:
    """``model`` as the subject's file: the subject's own, or one that was changed before the export."""
    subject = SUBJECTS[name]
    return _file(subject, graph_of(model, subject.input_size))


def _file(subject: Subject, graph: ModelGraph) -> bytes:
    options = EmitOptions(subject.weights, subject.compute)
    with silence():
        return formats.get(subject.format).emit(graph, options).to_bytes({})
