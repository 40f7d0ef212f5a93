"""What is examined: the tensors of a file, and the arithmetic of its model, with the names that it has there."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from torch import Tensor, nn

from nalu_export.checkpoints.assumptions import of_layout
from nalu_export.checkpoints.building import Surroundings, build_layout
from nalu_export.checkpoints.factory import from_factory
from nalu_export.checkpoints.fitting import Fit
from nalu_export.checkpoints.options import ReadOptions
from nalu_export.checkpoints.read import Checkpoint, Opened, build, layout_notes, open_checkpoint
from nalu_export.doctor.capturing import Captured, Part, capture_what_can_be
from nalu_export.errors import InputError
from nalu_export.graph.naming import join
from nalu_export.graph.reading import Form, Layer, Reading, Weight
from nalu_export.io.assumption import Assumption
from nalu_export.nn.parts import arithmetic_layers
from nalu_export.source import unwrapped
from nalu_export.source.preparing import SourceOptions

WHOLE = "(model)"
# Where the module of a head with its CNN has the latter.
_BACKBONE = "backbone."


class Place(NamedTuple):
    """Where a layer stands in a file: what is before its keys, and what its parameters are called there."""

    prefix: str
    leaves: Mapping[str, str]


@dataclass(frozen=True)
class Keys:
    """Names in the file, where these are others than in the module.

    Attributes:
        places: of layers, by path.
    """

    places: Mapping[str, Place]

    def layer(self, path: str) -> str:
        """What stands before the keys of a layer in the file, or ``"(model)"``."""
        prefix = self.places[path].prefix if path in self.places else path
        return prefix.removesuffix(".") or WHOLE

    def parameter(self, name: str) -> str:
        """The key of a parameter."""
        path, _, own = name.rpartition(".")
        if path not in self.places:
            return name
        place = self.places[path]
        return place.prefix + place.leaves.get(own, own)


@dataclass(frozen=True)
class Cell:
    """A layer with its name in the file.

    Attributes:
        where: what stands before its keys in the file, or ``"(model)"``.
        layer: its weights, gates and ε.
        form: the graph that these are nodes of.
        keys: names in the file.
        path: what stands before the names of its graph in the module, where that is a part of a model.
    """

    where: str
    layer: Layer
    form: Form
    keys: Keys
    path: str

    def key(self, name: str) -> str:
        """The key in the file of a parameter of the graph."""
        return self.keys.parameter(join(self.path, name))

    def called(self, weight: Weight) -> str:
        """What a weight is called for its owner: the key of the parameter that it is, else as a folded file has it."""
        name = self.layer.within(self.form.names[weight.product.read])
        if not weight.is_computed:
            name = self.key(self.form.parameters(weight.node)[0])
        return name.removeprefix(f"{self.where}.")


@dataclass(frozen=True)
class Head:
    """An arithmetic subgraph of the model.

    Attributes:
        where: its path, or ``"(model)"``.
        form: its graph.
        cells: its layers, in order of computation.
        parameters: keys in the file of all that it reads.
    """

    where: str
    form: Form
    cells: tuple[Cell, ...]
    parameters: frozenset[str]


@dataclass(frozen=True)
class Subject:
    """A model to examine.

    Attributes:
        heads: its arithmetic subgraphs.
        state: every tensor of the file or module.
        captured: the graphs of it.
        read: keys of all parameters that the captured graphs read; ``None`` where not all of the model is captured.
        fit: how a public layout explains them; ``None`` for others.
        path: of the file.
        sha256: of the file.
        notes: what was seen and done.
        assumptions: what decides what it computes and is not in the file.
    """

    heads: tuple[Head, ...]
    state: Mapping[str, Tensor]
    captured: Captured
    read: frozenset[str] | None = None
    fit: Fit | None = None
    path: str | None = None
    sha256: str | None = None
    notes: tuple[str, ...] = field(default=())
    assumptions: tuple[Assumption, ...] = ()


def from_module(module: nn.Module, options: SourceOptions) -> Subject:
    """A model in memory, which stays as it is."""
    module, _ = unwrapped(module)
    state = {key: value.detach().cpu() for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    return _subject(module, state, Keys({}), options)


def from_file(path: str | os.PathLike[str], options: SourceOptions) -> Subject:
    """A file, also one that no export takes: whose twins disagree, or a head without the code of its CNN.

    Raises:
        InputError: it cannot be read.
    """
    opened = open_checkpoint(path, options)
    try:
        if opened.recognised is None:
            # Whether it is strict is for the findings to say.
            return of_checkpoint(path, opened, build(opened, replace(options, strict=False)), options)
        module, notes = _built(opened.recognised.fit, opened, options)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error
    notes = (*opened.notes, *layout_notes(opened.recognised), *notes)
    fit = opened.recognised.fit
    assumed = of_layout(opened.recognised, options)
    return of_checkpoint(path, opened, Checkpoint(module, opened.sha256, notes, fit.name, assumed), options)


def of_checkpoint(
    path: str | os.PathLike[str], opened: Opened, built: Checkpoint, options: SourceOptions | None = None
) -> Subject:
    """A file that was read already, with the model that was made of it."""
    fit = None if opened.recognised is None else opened.recognised.fit
    keys = Keys({} if fit is None else _places(fit, built.model))
    found = _subject(built.model, opened.state, keys, options or SourceOptions())
    notes = (*built.notes, *found.notes)
    return replace(
        found,
        fit=fit,
        path=os.fspath(path),
        sha256=opened.sha256,
        notes=notes,
        assumptions=built.assumptions,
    )


def _places(fit: Fit, module: nn.Module) -> dict[str, Place]:
    """Where the layers of a public layout stand in its file, by their path in our module."""
    leaves = {key.target: leaf for leaf, key in fit.unit.keys.items()}
    own = iter(fit.prefixes)
    outside = "" if fit.unit.around is None else fit.unit.around.backbone
    return {
        path: Place(f"{outside}{path.removeprefix(_BACKBONE)}.", {})
        if path.startswith(_BACKBONE)
        else Place(next(own), leaves)
        for path in arithmetic_layers(module)
    }


def _built(fit: Fit, opened: Opened, options: ReadOptions) -> tuple[nn.Module, tuple[str, ...]]:
    """The module of a public layout, of its head alone where the code of the CNN before it was not given."""
    notes = []
    backbone = None if options.backbone is None else from_factory(options.backbone, "backbone")
    if fit.unit.around is not None and backbone is None:
        notes.append(f"the head alone is examined, as the file does not hold the code of {fit.unit.around.backbone}*")
        fit = replace(fit, unit=replace(fit.unit, around=None), surroundings=())
        options = replace(options, task=None)
    module, state = build_layout(fit, opened.state, options.eps, Surroundings(backbone, options.task))
    module.load_state_dict(state, assign=True)
    return module.eval(), tuple(notes)


def _subject(module: nn.Module, state: Mapping[str, Tensor], keys: Keys, options: SourceOptions) -> Subject:
    captured = capture_what_can_be(module, options)
    heads = tuple(_head(part, reading, keys) for part in captured.parts for reading in part.readings)
    whole = next((part for part in captured.parts if not part.path), None)
    read = None if whole is None else _read(whole, keys, state)
    return Subject(heads, state, captured, read, notes=captured.notes)


def _read(whole: Part, keys: Keys, state: Mapping[str, Tensor]) -> frozenset[str]:
    """Keys of the tensors that the graph of a model reads; what a layer of torch holds is read by it."""
    found: set[str] = set()
    flat = whole.graph.flat
    for node in flat.graph.nodes:
        target = str(node.target)
        if node.op == "get_attr":
            found.add(keys.parameter(target))
        elif node.op == "call_module":
            found |= {keys.parameter(f"{target}.{name}") for name in flat.get_submodule(target).state_dict()}
    # One parameter under two names is read under one of them.
    places = {state[key].data_ptr() for key in found if key in state and state[key].numel()}
    return frozenset(found | {key for key, value in state.items() if value.numel() and value.data_ptr() in places})


def _head(part: Part, reading: Reading, keys: Keys) -> Head:
    form = reading.form
    cells = tuple(
        Cell(keys.layer(join(part.path, layer.path) if layer.path else part.path), layer, form, keys, part.path)
        for layer in reading.layers
        if layer.weights or layer.gates or layer.epsilons
    )
    constants = [node for node in form.graph.nodes if form.is_constant(node)]
    parameters = {name for node in constants for name in form.parameters(node)}
    return Head(
        join(part.path, reading.name) if reading.name else part.path or WHOLE,
        form,
        cells,
        frozenset(keys.parameter(join(part.path, name)) for name in parameters),
    )
