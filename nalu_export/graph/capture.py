"""Captures a model: traces it into one flat graph, finds the arithmetic subgraphs and builds the host model.

The flat graph consists of primitives and opaque ops. An opaque op is a call that is not written with primitives, such
as a convolution. The host model is the model with one module in place of each arithmetic subgraph.
"""

import functools
import os
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePath
from typing import Literal

import torch
from torch import Tensor, fx, nn

from nalu_export.errors import InputError, NaluExportError, UnsupportedLayerError, first_line, no_memory
from nalu_export.graph.cost import refuse_costly
from nalu_export.graph.evaluation import Values, result_nodes, results_of, run
from nalu_export.graph.example import INPUT, OUTPUT, Example, widened
from nalu_export.graph.exported import exported
from nalu_export.graph.hosting import host_of
from nalu_export.graph.interface import BATCH, Called, Interface, Port, Shape, positional
from nalu_export.graph.loop_subgraphs import loop_subgraphs
from nalu_export.graph.loops import bring_loops
from nalu_export.graph.module import with_double
from nalu_export.graph.naming import numbered
from nalu_export.graph.outputs import outputs_of
from nalu_export.graph.randomness import refuse_random
from nalu_export.graph.regions import Finder, Target
from nalu_export.graph.results import hold_constants
from nalu_export.graph.sharing import share_constants
from nalu_export.graph.signature import shown
from nalu_export.graph.spelling import canonicalise
from nalu_export.graph.subgraphs import Spec, Subgraph, extracted
from nalu_export.graph.tracing import traced
from nalu_export.modules.copying import copied, in_double, type_of

How = Literal["torch.fx", "torch.export"]
# Largest relative difference in float64 between a module and its captured graph. Roundings stay below it; the error of
# a wrong graph exceeds it.
SAME = 1e-6


@dataclass(frozen=True, eq=False)
class ModelGraph:
    """A captured model; two are equal only if they are the same object.

    Attributes:
        module: the model itself, float32 or float64, unchanged. It is the reference of every file.
        interface: its inputs and outputs.
        flat: the whole model as one graph of the same type, as the source writes it: primitives where possible, opaque
            ops elsewhere. It takes the inputs as positional arguments. A node of an arithmetic subgraph has a label
            (the name of its value) and the name of the subgraph.
        host: the host model as a graph; ``None`` if the whole model is one subgraph or there is no subgraph.
        subgraphs: the arithmetic subgraphs by name, in the order of computation; ``""`` is the whole model.
        how: the tool that captured it.
        example: the batch of each input that it was captured with; floats have the model's type.
        result: the outputs for the example.
    """

    module: nn.Module
    interface: Interface
    flat: fx.GraphModule
    host: fx.GraphModule | None
    subgraphs: Mapping[str, Subgraph]
    how: How
    example: tuple[Tensor, ...]
    result: tuple[Tensor, ...]

    @functools.cached_property
    def flat_in_double(self) -> fx.GraphModule:
        """``flat`` in float64, with the same graph; callers must not change it."""
        return with_double(self.flat)

    @property
    def whole(self) -> Subgraph | None:
        """The subgraph that is the whole model, or ``None``."""
        return self.subgraphs.get("")

    @property
    def sizes(self) -> tuple[Shape, ...]:
        """Shape of one sample of each input, as captured."""
        return tuple(tuple(x.shape[1:]) for x in self.example)

    @property
    def dtype(self) -> torch.dtype:
        """Type of the model: float64 or float32."""
        return type_of(self.module)

    def called(self, module: nn.Module) -> Called:
        """Wrap the model, or a copy of it, as a module that takes positional tensors and returns a tuple of tensors."""
        return Called(module, self.interface.arguments)

    def with_fixed(self, axes: Sequence[str]) -> "ModelGraph":
        """Return the model with the free axes ``axes`` fixed at their captured sizes."""

        def fixed(port: Port, x: Tensor) -> Port:
            sizes = (
                size if place and free in axes else free
                for place, (free, size) in enumerate(zip(port.shape, x.shape, strict=True))
            )
            return replace(port, shape=tuple(sizes))

        interface = replace(
            self.interface,
            inputs=tuple(map(fixed, self.interface.inputs, self.example)),
            outputs=tuple(map(fixed, self.interface.outputs, self.result)),
        )
        if not interface.free:
            outputs = tuple(port.fixed(y.shape) for port, y in zip(interface.outputs, self.result, strict=True))
            interface = replace(interface, outputs=outputs)
        found = replace(self, interface=interface)
        if "flat_in_double" in vars(self):
            vars(found)["flat_in_double"] = self.flat_in_double
        return found

    def subgraph(self, name: str) -> Subgraph:
        """Return the arithmetic subgraph ``name``.

        Raises:
            InputError: there is no such subgraph; the message lists the existing ones.
        """
        if name not in self.subgraphs:
            there = "the only one is the model itself"
            if self.whole is None:
                there = f"expected one of {', '.join(map(ascii, self.subgraphs))}"
            raise InputError(f"part is {name!a}, which is not an arithmetic subgraph of the model; {there}")
        return self.subgraphs[name]

    def isolated(self, name: str) -> "ModelGraph":
        """Return an isolated subgraph: the arithmetic subgraph ``name`` as a model of its own.

        Its module is the user's module if the subgraph is one, with one input and one output; else it is the graph.

        Raises:
            InputError: there is no such subgraph.
        """
        if not name:
            return self
        subgraph = self.subgraph(name)
        flat = copied(subgraph.module)
        for node in flat.graph.nodes:
            if node.op == "call_function":
                node.meta["part"] = ""
        single = len(subgraph.inputs) == len(subgraph.outputs) == 1
        module = self.module.get_submodule(subgraph.path) if single and subgraph.path is not None else subgraph.module
        rng = torch.Generator().manual_seed(0)
        example = tuple(x.drawn(rng, 0.0).to(x.dtype) for x in subgraph.inputs)
        result = tuple(results_of(flat, *example))
        ports = (_ports(subgraph.inputs, INPUT, "x"), _ports(subgraph.outputs, OUTPUT, "y"))
        interface = Interface(*ports, positional(len(example)))
        alone = replace(subgraph, name="", namespace="", calls=1, foreign=frozenset(), outer=subgraph.namespace)
        return ModelGraph(module, interface, flat, None, {"": alone}, self.how, example, result)


def _ports(values: Sequence[Spec], alone: str, short: str) -> tuple[Port, ...]:
    """Return the inputs or outputs of an isolated subgraph; the first axis of each is that of the samples."""
    names = [alone] if len(values) == 1 else [numbered(short, place) for place in range(len(values))]
    return tuple(Port(n, n, x.dtype, (BATCH, *x.shape[1:])) for n, x in zip(names, values, strict=True))


def capture(model: nn.Module, example: Example, arithmetic: Sequence[Target] = ()) -> ModelGraph:
    """Capture a model with ``torch.fx``, or with ``torch.export`` if fx cannot follow its code.

    Args:
        model: float32 or float64, in ``eval()`` mode; it is not changed.
        example: a call of the model.
        arithmetic: modules to use as arithmetic subgraphs, by class or path; by default they are found.

    Raises:
        UnsupportedLayerError: neither tool can capture the model, or it returns something other than tensors with the
            samples first, or a module in ``arithmetic`` is not made of primitives.
        InputError: the model fails on the example, or gives other outputs when it runs again, or ``arithmetic`` names
            a module that does not run.
    """
    outputs = _refuse_what_fails(model, example)
    interface = Interface(example.inputs, outputs, example.arguments)
    failures: list[Exception] = []
    for how in _WAYS:
        try:
            flat, values = _primitives(model, example, how)
        except UnsupportedLayerError:
            raise
        except Exception as error:  # noqa: BLE001
            # forward is user code. Any exception on a symbolic input means that this tool cannot capture it.
            failures.append(error)
            continue
        return _found(model, flat, values, how, example, interface, arithmetic)
    raise UnsupportedLayerError(_failure(model, failures[-1]))


def _refuse_what_fails(model: nn.Module, example: Example) -> tuple[Port, ...]:
    """Return the outputs of the model; refuse a model that is too costly, fails, or gives other outputs when rerun."""
    refuse_costly(Called(model, example.arguments), example.tensors)
    try:
        found = outputs_of(copied(model), example)
        refuse_random(model, example)
        return found
    except NaluExportError:
        raise
    except (Exception, SystemExit) as error:
        if (fault := no_memory(error)) is not None:
            raise fault from error
        what = f"{type(error).__name__}: {first_line(error)}"
        given = ", ".join(_said(port, x) for port, x in zip(example.inputs, example.tensors, strict=True))
        raise InputError(f"{shown(model)} does not run on {given}: {what}{_where(error)}") from error


def _said(port: Port, x: Tensor) -> str:
    """Return the text ``ids int64 (3, 6)``: argument, type and shape of an input."""
    return f"{port.argument} {str(x.dtype).removeprefix('torch.')} {tuple(x.shape)}"


_WAYS: tuple[How, ...] = ("torch.fx", "torch.export")


def _primitives(model: nn.Module, example: Example, how: How) -> tuple[fx.GraphModule, Values]:
    work = copied(model)
    flat = traced(work, example) if how == "torch.fx" else exported(work, example)
    hold_constants(flat)
    bring_loops(flat, example.tensors)
    values = run(flat, *example.tensors)
    canonicalise(flat, values)
    share_constants(flat)
    for node in values.keys() - set(flat.graph.nodes):
        del values[node]
    if not proved(model, flat, example):
        raise ValueError("the captured graph does not compute what the module computes")
    return flat, values


def proved(model: nn.Module, flat: fx.GraphModule, example: Example) -> bool:
    """Return whether the graph computes what the module computes in float64, to roundings, on a few samples.

    fx wrongly traces code that asks for the type of its input.
    """
    probe = _probe(example)
    try:
        with torch.no_grad():
            expected = Called(in_double(model), example.arguments)(*widened(probe))
        found = results_of(with_double(flat), *widened(probe))
    except RuntimeError:  # the model creates float32 tensors of its own
        with torch.no_grad():
            expected = Called(model, example.arguments)(*probe)
        found = results_of(flat, *probe)
    return len(found) == len(expected) and all(map(_near, found, expected))


def _near(found: Tensor, expected: Tensor) -> bool:
    if found.shape != expected.shape or found.is_floating_point() != expected.is_floating_point():
        return False
    if not expected.is_floating_point():
        # A rounding may decide a tie (argmax). Other differences are found later: a check compares every sample.
        return not expected.numel() or float((found == expected).double().mean()) >= 0.5
    scale = expected.abs() + SAME * expected.abs().amax() if expected.numel() else expected
    far = (found - expected).abs() > SAME * scale
    return not bool((far & expected.isfinite()).any())


def _probe(example: Example) -> list[Tensor]:
    """Return inputs that tell formulas apart: floats of both signs, small and larger ones."""
    rng = torch.Generator().manual_seed(0)

    def probed(given: Tensor) -> Tensor:
        if not given.is_floating_point():
            return given
        x = torch.rand(given.shape, generator=rng) * 0.9 + 0.1
        signs = torch.randint(0, 2, given.shape, generator=rng) * 2 - 1
        scale = torch.arange(len(given)).reshape(-1, *[1] * (given.ndim - 1)) % 3
        return torch.where(scale == 0, x, x * signs * (1.0 + 3.0 * scale)).to(given.dtype)

    return [probed(given) for given in example.tensors]


def _found(
    model: nn.Module,
    flat: fx.GraphModule,
    values: Values,
    how: How,
    example: Example,
    interface: Interface,
    arithmetic: Sequence[Target],
) -> ModelGraph:
    finder = Finder(flat, values)
    regions = finder.chosen(arithmetic) if arithmetic else finder.find()
    taken = [port.name for port in (*interface.inputs, *interface.outputs)]
    parts = extracted(flat, regions, values, taken)
    subgraphs = {part.subgraph.name: part.subgraph for part in parts}
    subgraphs |= loop_subgraphs(flat, values, subgraphs)
    host = None if "" in subgraphs or not subgraphs else host_of(flat, parts)
    result = tuple(values[node] for node in result_nodes(flat.graph))
    return ModelGraph(model, interface, flat, host, subgraphs, how, example.tensors, result)


def _failure(model: nn.Module, error: Exception) -> str:
    return f"{type(model).__name__} cannot be captured: {first_line(error)}{_where(error)}"


def _where(error: BaseException) -> str:
    """Return the user's file, line and call where an error was raised; empty if it was not raised in user code."""
    own = [frame for frame in traceback.extract_tb(error.__traceback__) if _is_users(frame.filename)]
    if not own:
        return ""
    frame = own[-1]
    where = f"{PurePath(frame.filename).name}, line {frame.lineno}, in {frame.name}"
    return f"; at {where}: {(frame.line or '').strip()}"


# Folders of this package and of torch.
_NOT_USERS = tuple(f"{Path(file).resolve().parents[up]}{os.sep}" for file, up in ((__file__, 1), (torch.__file__, 0)))


def _is_users(file: str) -> bool:
    return not file.startswith("<") and not str(Path(file).resolve()).startswith(_NOT_USERS)
