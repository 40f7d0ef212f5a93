"""Statistics of an exported file, from its layer table and its tensors, neither of which is trusted."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nalu_export.doctor.statistics._earlier import upgraded
from nalu_export.doctor.statistics._numbers import GATE_NUMBERS, inputs_of_gate, nearness, saturation
from nalu_export.errors import InputError, first_line
from nalu_export.graph.naming import free_name
from nalu_export.graph.reading import RecipeError, compute
from nalu_export.io.text import plain, short

# Limits for an exported file, whose metadata is not trusted.
MAX_LAYERS = 1000
MAX_ENTRIES = 64
_ROWS = re.compile(r"(.+)\[(\d{1,18}):(\d{1,18})\]")

Tensors = Callable[[str], Tensor | None]


def artifact_statistics(
    layers: list[dict[str, Any]], tensors: Mapping[Any, NDArray[np.generic]], *, folded: bool
) -> dict[str, dict[str, Any]]:
    """Return :func:`weight_statistics` of an exported file.

    A folded file holds effective weights under the names in the layer table. For a live file they are computed by the
    formulas in the layer table.

    Args:
        layers: the layer table.
        tensors: all tensors of the file, by name.
        folded: whether it holds effective weights.

    Raises:
        InputError: the tensors of a layer are not in the file, or do not fit the layer table.
    """
    if len(layers) > MAX_LAYERS:
        raise InputError(f"its metadata lists {len(layers):,} layers; at most {MAX_LAYERS:,} are shown")
    table: dict[str, dict[str, Any]] = {}
    for row in layers:
        name = short(row["path"] or row["type"])
        if row["path"] in table:
            raise InputError(f"its metadata lists the layer {name} twice; export it again")
        layer = _Layer(upgraded(row, tensors), tensors, folded=folded)
        try:
            table[row["path"]] = layer.statistics()
        except RecipeError as error:
            if layer.lost and not layer.found:
                raise InputError(f"the file has no tensors of its layer {name}; export it again") from error
            raise InputError(
                f"the tensors of its layer {name} do not fit its metadata: {error}; export it again"
            ) from error
    return table


class _Layer:
    """One row of a layer table with the tensors of the file.

    Attributes:
        found: how many of its tensors were in the file.
        lost: how many were not.
    """

    def __init__(self, row: dict[str, Any], tensors: Mapping[Any, NDArray[np.generic]], *, folded: bool) -> None:
        self._row, self._tensors, self._folded = row, tensors, folded
        self._prefix = f"{row['path']}." if row["path"] else ""
        self.found = self.lost = 0

    def statistics(self) -> dict[str, Any]:
        """Return the statistics of its weights and gates."""
        weights, gates = self._row.get("weights"), self._row.get("gates")
        weights = weights if isinstance(weights, dict) else {}
        gates = [gate for gate in gates if isinstance(gate, dict)] if isinstance(gates, list) else []
        if max(len(weights), len(gates)) > MAX_ENTRIES:
            raise RecipeError(f"it lists {max(len(weights), len(gates)):,} weights; at most {MAX_ENTRIES} are shown")
        found: dict[str, Any] = {}
        for place, (name, recipe) in enumerate(weights.items()):
            value = self._weight(name, recipe)
            if value is not None:
                self._refuse_other_sizes(name, value if place == 0 else None)
                found[name] = nearness(value)
        for gate in gates:
            shares = self._gate(gate)
            if shares:
                found[free_name("gate", found)] = saturation(shares)
        return found

    def _weight(self, name: str, recipe: Any) -> Tensor | None:
        """Return an effective weight; ``None`` if a live file has no formula for it."""
        value = self._constant(name, recipe)
        if value is None:
            if self._folded or isinstance(recipe, str):
                raise RecipeError(f"the file has no tensor {short(name)}")
            return None
        if not value.numel():
            raise RecipeError(f"{plain(name)} is empty")
        return value

    def _refuse_other_sizes(self, name: str, value: Tensor | None) -> None:
        """Raise if the first weight of a layer has other sizes than its row says."""
        sizes = (self._row.get("out_features"), self._row.get("in_features"))
        known = value is not None and value.ndim == 2 and all(type(size) is int for size in sizes)
        if value is not None and known and tuple(value.shape) not in (sizes, sizes[::-1]):
            raise RecipeError(f"{plain(name)} has shape {tuple(value.shape)}; expected {sizes}")

    def _constant(self, name: str, recipe: Any) -> Tensor | None:
        if not self._folded and isinstance(recipe, str):
            return compute(recipe, self._tensor)
        rows = _ROWS.fullmatch(name)
        if rows is None:
            return self._tensor(name)
        whole = self._tensor(rows[1])
        return whole if whole is None or not whole.ndim else whole[int(rows[2]) : int(rows[3])]

    def _gate(self, gate: dict[str, Any]) -> dict[str, Tensor]:
        """Return the gate value of each path; empty if the file does not hold its formula."""
        formulas = {name: text for name, text in gate.items() if name in ("sum", "product") or name.startswith("other")}
        if not formulas or not all(isinstance(text, str) for text in formulas.values()):
            return {}
        constants = gate.get("constants")
        constants = constants if isinstance(constants, dict) else {}
        if not self._folded and not all(isinstance(text, str) for text in constants.values()):
            return {}
        literal = "inputs" not in gate and constants and self._folded
        if literal and all(self._tensor(name) is None for name in constants):
            return {}  # the gate of a C++ header has literal numbers instead of named constants
        units = self._row.get("out_features")
        data = inputs_of_gate(self._inputs(gate), units if type(units) is int else 1)

        def tensor(name: str) -> Tensor | None:
            return data[name] if name in data else self._constant(name, constants.get(name))

        return {name: compute(text, tensor).double() for name, text in formulas.items()}

    def _inputs(self, gate: dict[str, Any]) -> dict[str, list[int]]:
        inputs = gate.get("inputs", {})
        sizes = [size for shape in inputs.values() for size in shape] if _is_table(inputs) else [-1]
        known = len(sizes) <= MAX_ENTRIES and all(type(size) is int and 0 < size <= GATE_NUMBERS for size in sizes)
        if not known or math.prod(sizes) > GATE_NUMBERS:
            raise RecipeError("it does not give the sizes of the inputs of a gate")
        return dict(inputs)

    def _tensor(self, name: str) -> Tensor | None:
        """Return the tensor with a name, relative to the layer's path or in full."""
        found = next((self._tensors[full] for full in self._names(name) if full in self._tensors), None)
        if found is None:
            self.lost += 1
            return None
        self.found += 1
        try:
            value = torch.from_numpy(np.array(found))
        except TypeError as error:  # a type that torch does not have
            raise RecipeError(first_line(error)) from error
        if not value.is_floating_point():
            raise RecipeError(f"{plain(name)} holds {found.dtype.name}; expected floating point numbers")
        return value.double()

    def _names(self, name: str) -> Iterator[str]:
        """Yield the names that a tensor may have in the file."""
        yield f"{self._prefix}{name}"
        yield name
        region = self._row.get("region")
        if isinstance(region, str):
            within = region.rpartition(".")[0]
            yield f"{region}.{f'{self._prefix}{name}'.removeprefix(f'{within}.' if within else '')}"


def _is_table(inputs: Any) -> bool:
    return isinstance(inputs, dict) and all(isinstance(shape, list) for shape in inputs.values())
