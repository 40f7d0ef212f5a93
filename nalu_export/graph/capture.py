"""Captures a model once: its flat graph in primitives, the arithmetic subgraphs in it, and what is around them."""

import functools
import os
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Any, Literal

import torch
from torch import Tensor, fx, nn

from nalu_export.errors import InputError, NaluExportError, UnsupportedLayerError, first_line
from nalu_export.graph.copying import copied, in_double
from nalu_export.graph.evaluation import Values, result_of, run
from nalu_export.graph.exported import exported
from nalu_export.graph.hosting import host_of
from nalu_export.graph.randomness import refuse_random
from nalu_export.graph.regions import Finder, Target
from nalu_export.graph.sharing import share_constants
from nalu_export.graph.spelling import canonicalise
from nalu_export.graph.subgraphs import Subgraph, extracted
from nalu_export.graph.tracing import traced
from nalu_export.text import plain

How = Literal["torch.fx", "torch.export"]
# A captured graph and its module differ by roundings in float64; a wrong graph by more than this share.
SAME = 1e-6


@dataclass(frozen=True)
class ModelGraph:
    """A model, captured.

    Attributes:
        module: the model itself, float32 or float64, untouched: what it computes is what every file is held to.
        flat: all of it as one graph, of the same type, as it is written: primitives where it is made of them, opaque
            calls elsewhere. Nodes of arithmetic subgraphs have a label and the name of the subgraph.
        host: the same with one module in place of each subgraph; ``None`` where the model is one subgraph.
        subgraphs: the arithmetic subgraphs by name, in the order of computation; ``""`` is the whole model.
        how: what captured it.
        example: a batch that it ran on, of its type.
        result: what it gave for that.
    """

    module: nn.Module
    flat: fx.GraphModule
    host: fx.GraphModule | None
    subgraphs: Mapping[str, Subgraph]
    how: How
    example: Tensor
    result: Tensor

    @functools.cached_property
    def flat_in_double(self) -> fx.GraphModule:
        """A copy of ``flat`` in float64, for whoever only reads it."""
        return in_double(self.flat)

    @property
    def whole(self) -> Subgraph | None:
        """The subgraph that is the whole model, if one is."""
        return self.subgraphs.get("")

    def subgraph(self, name: str) -> Subgraph:
        """The arithmetic subgraph of that name.

        Raises:
            InputError: there is none; the text lists those there are.
        """
        if name not in self.subgraphs:
            there = ", ".join(map(ascii, self.subgraphs)) if self.whole is None else "none but the model itself"
            raise InputError(f"part is {name!a}, which is no arithmetic subgraph of the model; there is: {there}")
        return self.subgraphs[name]

    def isolated(self, name: str) -> "ModelGraph":
        """A subgraph as a model of its own: the module that it is, or its graph where it is part of a forward.

        Raises:
            InputError: there is none of that name, or it takes or gives several tensors.
        """
        if not name:
            return self
        subgraph = self.subgraph(name)
        if len(subgraph.input_shapes) != 1 or len(subgraph.output_shapes) != 1:
            raise InputError(
                f"{plain(name)} takes {len(subgraph.input_shapes)} tensors and gives {len(subgraph.output_shapes)}, "
                "and cannot stand alone"
            )
        flat = copied(subgraph.module)
        for node in flat.graph.nodes:
            if node.op == "call_function":
                node.meta["part"] = ""
        module = subgraph.module if subgraph.path is None else self.module.get_submodule(subgraph.path)
        example = torch.rand(subgraph.input_shapes[0], generator=torch.Generator().manual_seed(0))
        alone = replace(subgraph, name="", namespace="", calls=1, foreign=frozenset(), outer=subgraph.namespace)
        example = example.to(self.example.dtype)
        return ModelGraph(module, flat, None, {"": alone}, self.how, example, result_of(flat, example))


def capture(model: nn.Module, example: Tensor, arithmetic: Sequence[Target] = ()) -> ModelGraph:
    """Capture a model by ``torch.fx``, or by ``torch.export`` where fx cannot follow its code.

    Args:
        model: float32 or float64, in ``eval()`` mode; it is not changed.
        example: a batch of its one input, of its type and at least two samples.
        arithmetic: modules that are to be the arithmetic subgraphs, by class or path; by default they are found.

    Raises:
        UnsupportedLayerError: neither can capture it, or it is not a function from one tensor to one tensor; the text
            names the user's line.
        InputError: it does not run on the example, or gives other outputs when it runs again, or ``arithmetic`` names
            no module that is made of primitives.
    """
    _refuse_what_fails(model, example)
    failures: list[Exception] = []
    for how in _WAYS:
        try:
            flat, values = _primitives(model, example, how)
        except UnsupportedLayerError:
            raise
        except Exception as error:  # noqa: BLE001
            # forward is user code: whatever it raises on a symbolic input means that this way does not capture it.
            failures.append(error)
            continue
        return _found(model, flat, values, how, example, arithmetic)
    raise UnsupportedLayerError(_failure(model, failures[-1]))


def _refuse_what_fails(model: nn.Module, example: Tensor) -> None:
    try:
        refuse_random(model, example)
    except NaluExportError:
        raise
    except (Exception, SystemExit) as error:
        what = f"{type(error).__name__}: {first_line(error)}"
        raise InputError(
            f"{type(model).__name__} does not run on inputs of shape {tuple(example.shape)}: {what}{_where(error)}"
        ) from error


_WAYS: tuple[How, ...] = ("torch.fx", "torch.export")


def _primitives(model: nn.Module, example: Tensor, how: How) -> tuple[fx.GraphModule, Values]:
    work = copied(model)
    flat = traced(work) if how == "torch.fx" else exported(work, example)
    values = run(flat, example)
    _refuse_result(model, values[flat.graph.output_node()], len(example))
    canonicalise(flat, values)
    share_constants(flat)
    for node in values.keys() - set(flat.graph.nodes):
        del values[node]
    _prove(model, flat, example)
    return flat, values


def _refuse_result(model: nn.Module, result: Any, samples: int) -> None:
    name = type(model).__name__
    if isinstance(result, Tensor):
        if not result.is_floating_point():
            kind = str(result.dtype).removeprefix("torch.")
            raise UnsupportedLayerError(f"{name} returns {kind}; a model that returns float32 can be exported")
        if result.ndim == 0 or result.shape[0] != samples:
            raise UnsupportedLayerError(
                f"{name} returns a tensor of shape {tuple(result.shape)} for {samples} samples; the first axis of the "
                "result has to be that of the samples"
            )
        return
    several = isinstance(result, (tuple, list, dict))
    kind = "dict" if isinstance(result, dict) else type(result).__name__.removeprefix("immutable_")
    count = f"{len(result)} output{'' if len(result) == 1 else 's'}" if several else ""
    given = f"a {kind} of {count}" if several else f"a {kind}"
    raise UnsupportedLayerError(f"{name} returns {given}; a model that returns one tensor can be exported")


def _prove(model: nn.Module, flat: fx.GraphModule, example: Tensor) -> None:
    """Hold the graph against the module in float64: fx follows code that asks for the type of its input wrongly.

    Raises:
        ValueError: they differ by more than roundings.
    """
    probe = _probe(example)
    try:
        with torch.no_grad():
            expected = in_double(model)(probe.double())
        found = result_of(in_double(flat), probe.double())
    except RuntimeError:  # it makes float32 tensors of its own
        with torch.no_grad():
            expected = model(probe)
        found = result_of(flat, probe)
    scale = expected.abs() + SAME * expected.abs().amax() if expected.numel() else expected
    far = (found - expected).abs() > SAME * scale
    if found.shape != expected.shape or bool((far & expected.isfinite()).any()):
        raise ValueError("the captured graph does not compute what the module computes")


def _probe(example: Tensor) -> Tensor:
    """Inputs at which formulas differ: of both signs, some small, some not."""
    rng = torch.Generator().manual_seed(0)
    x = torch.rand(example.shape, generator=rng) * 0.9 + 0.1
    signs = torch.randint(0, 2, example.shape, generator=rng) * 2 - 1
    scale = torch.arange(len(example)).reshape(-1, *[1] * (example.ndim - 1)) % 3
    return torch.where(scale == 0, x, x * signs * (1.0 + 3.0 * scale))


def _found(
    model: nn.Module, flat: fx.GraphModule, values: Values, how: How, example: Tensor, arithmetic: Sequence[Target]
) -> ModelGraph:
    finder = Finder(flat, values)
    regions = finder.chosen(arithmetic) if arithmetic else finder.find()
    parts = extracted(flat, regions, values)
    subgraphs = {part.subgraph.name: part.subgraph for part in parts}
    host = None if "" in subgraphs or not parts else host_of(flat, parts)
    return ModelGraph(model, flat, host, subgraphs, how, example, values[flat.graph.output_node()])


def _failure(model: nn.Module, error: Exception) -> str:
    return f"{type(model).__name__} cannot be captured: {first_line(error)}{_where(error)}"


def _where(error: BaseException) -> str:
    """The user's file, line and call where an error was raised, empty where it was in no code of theirs."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    if not own:
        return ""
    frame = own[-1]
    where = f"{PurePath(frame.filename).name}, line {frame.lineno}, in {frame.name}"
    return f"; at {where}: {(frame.line or '').strip()}"


# This package and torch.
_NOT_USERS = tuple(f"{Path(file).resolve().parents[up]}{os.sep}" for file, up in ((__file__, 1), (torch.__file__, 0)))


def _is_users(file: str) -> bool:
    return not file.startswith("<") and not str(Path(file).resolve()).startswith(_NOT_USERS)
