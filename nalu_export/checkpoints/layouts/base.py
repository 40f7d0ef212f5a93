"""The data of a layout: the names, shapes and meanings of the tensors in one public implementation."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nalu_export.nn import ArithmeticLayer

Shape = tuple[int, ...]

# Prefixes of cells: a cell alone, or in the user's Sequential; and in a stack that the owner calls ``model``.
CELL = ("", "{}.")
MODEL = ("model.{}.",)


@dataclass(frozen=True)
class Key:
    """One tensor of a unit.

    Attributes:
        shape: a letter for the size of each axis: ``o`` outputs, ``i`` inputs, ``1`` one. ``"oi"`` is the usual order,
            ``"io"`` is transposed, and ``"11"`` holds one number. ``None``: any shape, in units that are known but not
            read.
        target: parameter of our cell that the tensor becomes; empty if it becomes none.
        twin: leaf of the key that it must equal, because the implementation registers the same parameter twice.
        argument: constructor argument of our cell that its number becomes.
        linear: whether it is the weight of an ``nn.Linear``, which torch always stores with the outputs first.
    """

    shape: str | None
    target: str = ""
    twin: str = ""
    argument: str = ""
    linear: bool = False

    @property
    def unread(self) -> bool:
        """Whether it is a raw parameter that nothing reads."""
        return self.shape is not None and not (self.target or self.twin or self.argument)


def weight(target: str, shape: str = "oi") -> Key:
    """Return the key of a tensor that becomes a parameter of our cell."""
    return Key(shape, target)


def linear(target: str) -> Key:
    """Return the key of the weight of an ``nn.Linear``."""
    return Key("oi", target, linear=True)


def stale(shape: str = "oi") -> Key:
    """Return the key of a raw parameter that the layer does not read, so that using it would give different results.

    Usually a weight was computed from it once, and the layer reads the stored weight.
    """
    return Key(shape)


def twin(leaf: str, shape: str) -> Key:
    """Return the key of a second name of a parameter."""
    return Key(shape, twin=leaf)


def argument(name: str) -> Key:
    """Return the key of a constructor argument that the file stores as a 0-d tensor."""
    return Key("", argument=name)


def hats(
    prefix: str = "", shape: str = "oi", suffix: str = "", names: tuple[str, str] = ("W_hat", "M_hat")
) -> dict[str, Key]:
    """Return the keys of the raw parameters of a weight ``tanh(Ŵ)·σ(M̂)``, called ``names`` in the file."""
    ours = ("W_hat", "M_hat")
    return {prefix + name: weight(own + suffix, shape) for name, own in zip(names, ours, strict=True)}


def stored(
    leaf: str, target: str = "W", shape: str = "oi", names: tuple[str, str] = ("W_hat", "M_hat")
) -> dict[str, Key]:
    """Return the keys of a stored weight and of the raw parameters that it was computed from once.

    These raw parameters were never trained.
    """
    prefix = leaf.rpartition(".")[0]
    prefix = f"{prefix}." if prefix else ""
    return {prefix + name: stale(shape) for name in names} | {leaf: weight(target, shape)}


def faux(raw: str = "W_hat and M_hat", weight: str = "W") -> str:
    """Return the line for the ``quirks`` of a unit whose weight is stored."""
    return f"{weight} was computed once and stored: a faux NAC, so {raw} were never trained"


@dataclass(frozen=True)
class Around:
    """The prefixes of a CNN around a head.

    Attributes:
        backbone: prefix of the keys of the user's own CNN, whose code no file holds.
        reduce: prefix of the 1×1 convolution between CNN and head.
    """

    backbone: str
    reduce: str


@dataclass(frozen=True)
class Unit:
    """One kind of layer of an implementation.

    Attributes:
        name: name of the unit in ``--layout OWNER:NAME``.
        cell: our layer that computes the same; ``None`` for a unit that is known but not read in this release, so that
            its files are not taken for those of another unit.
        keys: every tensor of one layer, by its name in the file.
        options: constructor arguments of ``cell``.
        eps: the published ε; ``None`` for a unit without ε.
        places: prefixes of its layers; ``{}`` is the number of the layer in a stack.
        first: number of a stack's first layer.
        square: why only layers with as many outputs as inputs work; empty if all sizes work.
        around: the CNN around it, if any.
        quirks: what a user of its files should know, one line each.
        by_intent: whether the layer stores its weight by design and is not a faux NAC.
    """

    name: str
    cell: type[ArithmeticLayer] | None
    keys: Mapping[str, Key]
    options: Mapping[str, Any] = field(default_factory=dict)
    eps: float | None = None
    places: tuple[str, ...] = CELL
    first: int = 0
    square: str = ""
    around: Around | None = None
    quirks: tuple[str, ...] = ()
    by_intent: bool = False


def known(name: str, *leaves: str, **options: Any) -> Unit:
    """Return a unit that is recognised by its keys and not read in this release."""
    return Unit(name, None, {leaf: Key(None) for leaf in leaves}, **options)


@dataclass(frozen=True)
class Layout:
    """A public implementation.

    Attributes:
        owner: GitHub name of its owner in lower case (or a made-up name if the owner is not known), as ``--layout``
            takes it.
        source: repository and, where it matters, its versions.
        units: its kinds of layers.
    """

    owner: str
    source: str
    units: tuple[Unit, ...]


def pattern(place: str) -> re.Pattern[str]:
    """Return a pattern that splits a key into the number of its layer (empty for a cell alone) and its leaf."""
    before, numbered, after = place.partition("{}")
    number = "(0|[1-9][0-9]{0,5})" if numbered else "()"
    return re.compile(re.escape(before) + number + re.escape(after) + "(.+)", re.DOTALL)
