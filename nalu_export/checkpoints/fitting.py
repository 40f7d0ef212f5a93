"""Finds out whether the tensors of a file are layers of one unit of a layout, and of which sizes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nalu_export.checkpoints.layouts.base import Key, Shape, Unit, pattern
from nalu_export.io.text import short

Shapes = Mapping[str, Shape]


# Nearness of a misfit where all names fit, but a shape or the numbering of the layers does not.
NAMED = 1.0


@dataclass(frozen=True)
class Fit:
    """A unit that explains every tensor of a file.

    Attributes:
        owner: owner of the layout.
        unit: unit of the layout.
        place: pattern of the prefix of its layers, see :data:`Unit.places`.
        prefixes: prefix of the keys of each layer, in the order of the layers.
        dims: sizes from the input to the output.
        surroundings: keys of the CNN around the head.
    """

    owner: str
    unit: Unit
    place: str
    prefixes: tuple[str, ...]
    dims: tuple[int, ...]
    surroundings: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The name that ``--layout`` takes."""
        return f"{self.owner}:{self.unit.name}"

    def function(self, eps: float | None = None) -> str:
        """Return a text that says what the layers compute: fits with the same text are the same model.

        Args:
            eps: ε instead of the published one.
        """
        unit = self.unit
        if unit.cell is None:
            return self.name
        single = all(size == 1 for size in self.dims)
        usual = {"tied": True, "gate": "matrix"}
        options = {
            name: value for name, value in unit.options.items() if value is not False and value != usual.get(name)
        }
        if options.get("gate") == "row" and all(size == 1 for size in self.dims[1:]):
            del options["gate"]  # a row for one output is a matrix of one row
        moves = sorted(
            # A 1×1 matrix is its own transpose.
            (leaf, key.target, key.argument, _turned(key) and not single)
            for leaf, key in unit.keys.items()
            if key.target or key.argument
        )
        epsilon = unit.eps if unit.eps is None or eps is None else eps
        return repr((unit.cell, sorted(options.items()), epsilon, self.place.count("{}"), moves, unit.around))


@dataclass(frozen=True)
class Misfit:
    """The reason why a unit does not explain a file.

    Attributes:
        nearness: share of the keys that fit; :data:`NAMED` or more if all names fit.
        reason: the reason, for the user.
    """

    nearness: float
    reason: str


def _turned(key: Key) -> bool:
    return key.shape in ("io", "i1")


def turn(key: Key, value: Any) -> Any:
    """Return a tensor of the file in the shape that our cell has, transposed if the file stores it transposed."""
    if _turned(key):
        return value.T.contiguous()
    return value.reshape(-1) if key.shape == "11" else value


def fit(owner: str, unit: Unit, place: str, shapes: Shapes) -> Fit | Misfit:
    """Try one unit at one place.

    Every tensor must have a role. An extra key, a missing key or a wrong shape is a misfit.
    """
    name = f"{owner}:{unit.name}"
    inner, surroundings = _split(unit, shapes)
    split = pattern(place)
    layers: dict[int, dict[str, Shape]] = {}
    prefixes: dict[int, str] = {}
    unknown = []
    for key, shape in inner.items():
        match = split.fullmatch(key)
        if match is None or match[2] not in unit.keys:
            unknown.append(key)
            continue
        index = int(match[1]) if match[1] else unit.first
        layers.setdefault(index, {})[match[2]] = shape
        prefixes[index] = key.removesuffix(match[2])
    lacking = [prefixes[index] + leaf for index, own in sorted(layers.items()) for leaf in unit.keys if leaf not in own]
    if unknown or lacking or not layers:
        known = len(inner) - len(unknown)
        nearness = known / (len(inner) + len(lacking)) if known else 0.0
        parts = [f"has {some(unknown)}, which {name} does not have"] if unknown else []
        parts += [f"lacks {some(lacking)}"] if lacking else []
        return Misfit(nearness, " and ".join(parts) + f"; {name} has {', '.join(unit.keys)} in each layer")
    numbers = sorted(layers)
    gap = next((index for index in range(unit.first, numbers[-1]) if index not in layers), None)
    if gap is not None:
        lost = prefixes[numbers[-1]].replace(str(numbers[-1]), str(gap))
        return Misfit(
            NAMED, f"has {short(prefixes[numbers[-1]])} but not {short(lost)}; {name} needs every layer of a stack"
        )
    if unit.cell is None:
        # The shapes of an unread unit are not checked. It is here so that a file of it is not taken for another unit.
        return Fit(owner, unit, place, tuple(prefixes[n] for n in numbers), (), tuple(surroundings))
    dims: list[int] = []
    for index in numbers:
        found = _sizes(name, unit, prefixes[index], layers[index])
        if isinstance(found, Misfit):
            return found
        inputs, outputs = found
        if dims and inputs != dims[-1]:
            leaf = next(leaf for leaf, key in unit.keys.items() if "i" in (key.shape or ""))
            shape = layers[index][leaf]
            return Misfit(
                NAMED + 1.0,
                f"has {short(prefixes[index] + leaf)} of shape {shape}, which {name} reads as {inputs} inputs, "
                f"but the layer before has {dims[-1]} outputs; expected equal numbers",
            )
        dims = [*(dims or [inputs]), outputs]
    return Fit(owner, unit, place, tuple(prefixes[n] for n in numbers), tuple(dims), tuple(surroundings))


def _split(unit: Unit, shapes: Shapes) -> tuple[Shapes, list[str]]:
    """Return the tensors of the head, and the keys of the CNN around it."""
    if unit.around is None:
        return shapes, []
    outside = (unit.around.backbone, unit.around.reduce)
    around = [key for key in shapes if key.startswith(outside)]
    if not any(key.startswith(unit.around.reduce) for key in around):
        return {}, []
    return {key: shape for key, shape in shapes.items() if not key.startswith(outside)}, around


def _sizes(name: str, unit: Unit, prefix: str, shapes: Mapping[str, Shape]) -> tuple[int, int] | Misfit:
    """Return the numbers of inputs and outputs of one layer, if all its shapes agree."""
    sizes, first, wrong = {"1": 1}, "", []
    for leaf, key in sorted(unit.keys.items(), key=lambda item: not {"o", "i"} <= set(item[1].shape or "")):
        expected, shape = key.shape or "", shapes[leaf]
        where = short(prefix + leaf)
        if len(shape) != len(expected) or 0 in shape:
            axes = ", ".join({"o": "outputs", "i": "inputs", "1": "1"}[letter] for letter in expected)
            wrong.append(f"has {where} of shape {shape}; {name} expects ({axes})")
            continue
        wanted = tuple(sizes.get(letter, size) for letter, size in zip(expected, shape, strict=True))
        if wanted != shape:
            wrong.append(f"has {where} of shape {shape}; {name} expects {wanted}{first}")
            continue
        first = first or f", by the shape of {where}"
        sizes |= dict(zip(expected, shape, strict=True))
    if wrong:
        return Misfit(NAMED + 1.0 - len(wrong) / len(unit.keys), wrong[0])
    if unit.square and sizes["i"] != sizes["o"]:
        return Misfit(
            NAMED + 1.0,
            f"has a layer {sizes['i']} → {sizes['o']} at {short(prefix) if prefix else 'its top'}; "
            f"{name} has square layers only, because {unit.square}",
        )
    return sizes["i"], sizes["o"]


def some(names: list[str]) -> str:
    """Write a few names for a message, and how many more there are."""
    shown = ", ".join(map(short, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3} more"
