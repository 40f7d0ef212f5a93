"""What a layout is: how one public implementation names, shapes and means the tensors of its units."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from nalu_export.nn import ArithmeticLayer

Shape = tuple[int, ...]

# Where cells are found: one alone, or in a Sequential of the user's; and in a stack that the owner calls ``model``.
CELL = ("", "{}.")
MODEL = ("model.{}.",)


@dataclass(frozen=True)
class Key:
    """One tensor of a unit.

    Attributes:
        shape: sizes by letter: ``o`` outputs, ``i`` inputs, ``1`` one; ``"io"`` is stored the other way round and
            ``"11"`` holds one number. ``None``: of any shape, in units that are known but not read.
        target: parameter of our cell that it becomes; empty where nothing reads it.
        twin: leaf of the key that it must equal, because the implementation registers the same parameter twice.
        argument: constructor argument of our cell that its one number becomes.
        linear: whether it is the weight of an ``nn.Linear``, which torch stores outputs first whoever wrote the rest.
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
    """A tensor that computes."""
    return Key(shape, target)


def linear(target: str) -> Key:
    """The weight of an ``nn.Linear``."""
    return Key("oi", target, linear=True)


def stale(shape: str = "oi") -> Key:
    """A raw parameter beside the stored weight that was once computed from it: using it would give other numbers."""
    return Key(shape)


def twin(leaf: str, shape: str) -> Key:
    """A second name of a parameter."""
    return Key(shape, twin=leaf)


def argument(name: str) -> Key:
    """A number that the file stores as a 0-d tensor."""
    return Key("", argument=name)


def hats(
    prefix: str = "", shape: str = "oi", suffix: str = "", names: tuple[str, str] = ("W_hat", "M_hat")
) -> dict[str, Key]:
    """The raw parameters of a weight ``tanh(Ŵ)·σ(M̂)``, called ``names`` in the file."""
    ours = ("W_hat", "M_hat")
    return {prefix + name: weight(own + suffix, shape) for name, own in zip(names, ours, strict=True)}


def stored(
    leaf: str, target: str = "W", shape: str = "oi", names: tuple[str, str] = ("W_hat", "M_hat")
) -> dict[str, Key]:
    """A stored weight with the raw parameters beside it that it was computed from once, and that never trained."""
    prefix = leaf.rpartition(".")[0]
    prefix = f"{prefix}." if prefix else ""
    return {prefix + name: stale(shape) for name in names} | {leaf: weight(target, shape)}


def faux(raw: str = "W_hat and M_hat", weight: str = "W") -> str:
    """The quirk of units whose weight is stored."""
    return f"{weight} was computed once and stored: a faux NAC, {raw} never trained"


@dataclass(frozen=True)
class Around:
    """A CNN around the head.

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
        name: as ``--layout OWNER:NAME`` takes it.
        cell: our layer that computes the same; ``None`` for a unit that is known, so that it is not taken for another,
            but not read in this release.
        keys: every tensor of one layer, by its name in the file.
        options: constructor arguments of ``cell``.
        eps: the published ε, ``None`` for a unit without.
        places: prefixes under which its layers stand; ``{}`` is the number of the layer in a stack.
        first: number of a stack's first layer.
        square: why only layers with as many outputs as inputs work; empty where any do.
        around: what surrounds it in a CNN.
        quirks: what a user of its files should know, one line each.
        by_intent: whether a stored weight is what the layer is meant to have, and no faux NAC.
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
    """A unit that is told from others by its keys and not read in this release."""
    return Unit(name, None, {leaf: Key(None) for leaf in leaves}, **options)


@dataclass(frozen=True)
class Layout:
    """A public implementation.

    Attributes:
        owner: GitHub name of its owner, in lower case, as ``--layout`` takes it.
        source: repository and, where it matters, the versions meant.
        units: its kinds of layers.
    """

    owner: str
    source: str
    units: tuple[Unit, ...]


def pattern(place: str) -> re.Pattern[str]:
    """Splits a key at a place into the number of its layer (``None`` for a cell alone) and its leaf."""
    before, numbered, after = place.partition("{}")
    number = "(0|[1-9][0-9]{0,5})" if numbered else "()"
    return re.compile(re.escape(before) + number + re.escape(after) + "(.+)", re.DOTALL)
