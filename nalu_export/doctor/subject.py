"""What is examined: the tensors of a file, and the layers of its model in float64, with the names they have there."""

import copy
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from torch import Tensor, nn

from nalu_export.checkpoints.building import Surroundings, build_layout
from nalu_export.checkpoints.factory import from_factory
from nalu_export.checkpoints.fitting import Fit
from nalu_export.checkpoints.read import Checkpoint, Opened, ReadOptions, build, layout_notes, open_checkpoint
from nalu_export.errors import InputError
from nalu_export.nn import ArithmeticLayer
from nalu_export.nn.parts import arithmetic_layers, arithmetic_parts

WHOLE = "(model)"
# Where the module of a head with its CNN has the latter.
_BACKBONE = "backbone."


class Place(NamedTuple):
    """Where a layer stands in a file: what is before its keys, and what its parameters are called there."""

    prefix: str
    leaves: Mapping[str, str]


@dataclass(frozen=True)
class Cell:
    """One arithmetic layer with parameters.

    Attributes:
        where: what stands before its keys in the file, or ``"(model)"``.
        layer: in float64.
        keys: names of its parameters in the file, by the names that they have in the layer.
    """

    where: str
    layer: ArithmeticLayer
    keys: Mapping[str, str]


@dataclass(frozen=True)
class Head:
    """An arithmetic part of the model: its cells run one after the other.

    Attributes:
        where: its path, or ``"(model)"``.
        module: all of it, in float64.
        cells: in the order of the model.
    """

    where: str
    module: nn.Module
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Subject:
    """A model to examine.

    Attributes:
        heads: its arithmetic parts.
        state: every tensor of the file or module.
        fit: how a public layout explains them; ``None`` for others.
        path: of the file.
        sha256: of the file.
        notes: what had to be assumed.
    """

    heads: tuple[Head, ...]
    state: Mapping[str, Tensor]
    fit: Fit | None = None
    path: str | None = None
    sha256: str | None = None
    notes: tuple[str, ...] = field(default=())


def from_module(module: nn.Module) -> Subject:
    """A model in memory, which stays as it is."""
    state = {key: value.detach().cpu() for key, value in module.state_dict().items()}
    return Subject(_heads(module, {}), state)


def from_file(path: str | os.PathLike[str], options: ReadOptions) -> Subject:
    """A file, also one that no export takes: whose twins disagree, or a head without the code of its CNN.

    Raises:
        InputError: it cannot be read.
    """
    opened = open_checkpoint(path, options)
    try:
        if opened.recognised is None:
            # Whether it is strict is for the findings to say.
            return of_checkpoint(path, opened, build(opened, replace(options, strict=False)))
        module, notes = _built(opened.recognised.fit, opened, options)
    except InputError as error:
        raise InputError(f"{os.fspath(path)}: {error}") from error
    notes = (*opened.notes, *layout_notes(opened.recognised, options), *notes)
    return of_checkpoint(path, opened, Checkpoint(module, opened.sha256, notes))


def of_checkpoint(path: str | os.PathLike[str], opened: Opened, built: Checkpoint) -> Subject:
    """A file that was read already, with the model that was made of it."""
    fit = None if opened.recognised is None else opened.recognised.fit
    places = {} if fit is None else _places(fit, built.model)
    return Subject(_heads(built.model, places), opened.state, fit, os.fspath(path), opened.sha256, built.notes)


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
    backbone = None if options.backbone is None else from_factory(options.backbone, "--backbone")
    if fit.unit.around is not None and backbone is None:
        notes.append(f"the head alone is examined, as the file does not hold the code of {fit.unit.around.backbone}*")
        fit = replace(fit, unit=replace(fit.unit, around=None), surroundings=())
        options = replace(options, task=None)
    module, state = build_layout(fit, opened.state, options.eps, Surroundings(backbone, options.task))
    module.load_state_dict(state, assign=True)
    return module.eval(), tuple(notes)


def _heads(module: nn.Module, places: Mapping[str, Place]) -> tuple[Head, ...]:
    """The arithmetic parts of a module, copied in float64.

    Args:
        module: any.
        places: of its layers in the file, by path, where they are called otherwise there.
    """
    heads = []
    for path, part in arithmetic_parts(module).items():
        twin = copy.deepcopy(part).cpu().double().eval().requires_grad_(False)
        cells = []
        for inner, layer in arithmetic_layers(twin).items():
            full = ".".join(filter(None, (path, inner)))
            prefix, leaves = places.get(full, Place(f"{full}." if full else "", {}))
            keys = {own: prefix + leaves.get(own, own) for own, _ in layer.named_parameters(recurse=False)}
            cells.append(Cell(prefix.removesuffix(".") or WHOLE, layer, keys))
        heads.append(Head(path or WHOLE, twin, tuple(cells)))
    return tuple(heads)
