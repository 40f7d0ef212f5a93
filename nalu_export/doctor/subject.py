"""The model under examination: the tensors of its file, and its arithmetic with the names used in the file."""

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
# Path of the CNN in the module that holds a CNN and the arithmetic subgraph behind it.
_BACKBONE = "backbone."


class Place(NamedTuple):
    """The position of a layer in a file: the prefix of its keys, and the file's names of its parameters."""

    prefix: str
    leaves: Mapping[str, str]


@dataclass(frozen=True)
class Keys:
    """Names in the file, where they differ from those in the module.

    Attributes:
        places: positions of layers in the file, by path in the module.
    """

    places: Mapping[str, Place]

    def layer(self, path: str) -> str:
        """Return the prefix of a layer's keys in the file, or ``"(model)"``."""
        prefix = self.places[path].prefix if path in self.places else path
        return prefix.removesuffix(".") or WHOLE

    def parameter(self, name: str) -> str:
        """Return the key of a parameter."""
        path, _, own = name.rpartition(".")
        if path not in self.places:
            return name
        place = self.places[path]
        return place.prefix + place.leaves.get(own, own)


@dataclass(frozen=True)
class Cell:
    """A layer with its name in the file.

    Attributes:
        where: prefix of its keys in the file, or ``"(model)"``.
        layer: its weights, gates and ε.
        form: the graph that holds their nodes.
        keys: names in the file.
        path: path of the captured module in the model, empty if it is the whole model.
    """

    where: str
    layer: Layer
    form: Form
    keys: Keys
    path: str

    def key(self, name: str) -> str:
        """Return the file's key of a parameter of the graph."""
        return self.keys.parameter(join(self.path, name))

    def called(self, weight: Weight) -> str:
        """Return a weight's name for the user: its parameter's key, or its name in a folded file if it is computed."""
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
        parameters: the file's keys of all parameters that it reads.
    """

    where: str
    form: Form
    cells: tuple[Cell, ...]
    parameters: frozenset[str]


@dataclass(frozen=True)
class Subject:
    """A model under examination.

    Attributes:
        heads: its arithmetic subgraphs.
        state: every tensor of the file or module.
        captured: its captured graphs.
        read: keys of all parameters that the captured graphs read; ``None`` if the model is captured only in part.
        fit: how a public layout explains the tensors; ``None`` for others.
        path: path of the file.
        sha256: digest of the file.
        notes: how the model was read.
        assumptions: facts that determine what the model computes and that the file does not hold.
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

    @property
    def unread(self) -> list[str]:
        """Keys of the parameters that nothing reads, Ŵ before M̂ in each pair of a public layout."""
        if self.fit is not None:
            return [own + leaf for own in self.fit.prefixes for leaf, key in self.fit.unit.keys.items() if key.unread]
        return [] if self.read is None else [key for key in self.state if key not in self.read]


def from_module(module: nn.Module, options: SourceOptions) -> Subject:
    """Return a model in memory as a subject; the module is not changed."""
    module, _ = unwrapped(module)
    state = {key: value.detach().cpu() for key, value in module.state_dict().items() if isinstance(value, Tensor)}
    return _subject(module, state, Keys({}), options)


def from_file(path: str | os.PathLike[str], options: SourceOptions) -> Subject:
    """Read a file, also one that an export refuses: names of one parameter disagree, or the code of the CNN is missing.

    Raises:
        InputError: it cannot be read.
    """
    opened = open_checkpoint(path, options)
    try:
        if opened.recognised is None:
            # Strictness affects the findings, not the reading.
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
    """Return a file that was read already, with the model built from it, as a subject."""
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
    """Return the positions of a public layout's layers in its file, by their path in our module."""
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
    """Build the module of a public layout; only its arithmetic if the code of the CNN before it is not given."""
    notes = []
    backbone = None if options.backbone is None else from_factory(options.backbone, "backbone")
    if fit.unit.around is not None and backbone is None:
        keys = f"{fit.unit.around.backbone}*"
        notes.append(f"only the head is examined, because the file does not hold the code of the CNN (keys {keys})")
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
    """Return keys of the tensors that a model's graph reads; a torch layer reads all of its tensors."""
    found: set[str] = set()
    flat = whole.graph.flat
    for node in flat.graph.nodes:
        target = str(node.target)
        if node.op == "get_attr":
            found.add(keys.parameter(target))
        elif node.op == "call_module":
            found |= {keys.parameter(f"{target}.{name}") for name in flat.get_submodule(target).state_dict()}
    # A parameter with two names is read under one of them; the other name counts as read too.
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
