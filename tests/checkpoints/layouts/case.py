"""What a published layout is: keys in order, shapes, orientation, ε, and what it computes.

Each tensor is drawn by itself, so that raw parameters beside a stored W are as stale as in a real file.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from tests.checkpoints.layouts import formulas as f
from tests.checkpoints.layouts.arithmetic import Value, exact

State = dict[str, Tensor]

# A size of its own for each letter that a shape is written in; "e" is the stored ε of a/m/g v3.
_SHAPES = {"oi": (1, 0), "io": (0, 1), "1i": (2, 0), "i1": (0, 2), "11": (2, 2), "o": (1,), "e": ()}
STORED_EPS = 3e-8


@dataclass(frozen=True)
class Published:
    """One layout at one place.

    Attributes:
        layout: ``owner:unit``, as ``--layout`` takes it.
        keys: of a cell, in published order, with a shape: ``oi`` is (outputs, inputs), ``1i`` one row, ``o`` a vector.
        formula: what a cell computes.
        eps: published ε, None where the formula has none.
        place: what stands before the keys; ``{}`` is the number of the layer in a stack.
        same: other names for the same function of the same keys.
        rivals: layouts with the same keys and shapes that compute something else.
        square: whether only cells with as many inputs as outputs run in the original.
        aliases: keys that share the storage of another key.
        unread: keys that nothing reads, beside others of the same kind that compute.
        hats: keys that are raw parameters in spite of a name that says a weight.
        one_way: whether only nn.Linear holds its matrices, so that their orientation is known.
        gate_of_one: whether a gate for one input has the shape of a gate that sees none, of another layout.
        scales: of tensors that have to be small for the formula to stay finite.
    """

    layout: str
    keys: Mapping[str, str]
    formula: f.Formula
    eps: float | None = None
    place: str = "model.{}."
    same: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    square: bool = False
    aliases: Mapping[str, str] = field(default_factory=dict)
    unread: tuple[str, ...] = ()
    hats: tuple[str, ...] = ()
    one_way: bool = False
    gate_of_one: bool = False
    scales: Mapping[str, float] = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.layout} {self.place}{next(iter(self.keys))}"

    def option(self, dims: tuple[int, ...]) -> str | None:
        """What ``--layout`` has to say, None where keys and shapes tell: square layers may be stored either way."""
        square = len(set(dims)) == 1 and dims[0] > 1 and not self.one_way
        narrow = self.gate_of_one and set(dims[:-1]) == {1}
        return self.layout if self.rivals or square or narrow else None

    @property
    def stacks(self) -> bool:
        """Whether more than one layer can stand at this place."""
        return "{}" in self.place

    @property
    def computing(self) -> set[str]:
        """Keys of the tensors that the formula uses: a stored W wins over the raw parameters beside it."""
        unused = {*self.aliases, *self.unread}
        return {key for key in self.keys if not (self.faux and _is_raw(key)) and key not in unused}

    @property
    def faux(self) -> bool:
        """Whether a stored W computes."""
        return any(_is_stored(key) for key in self.keys if key not in self.hats)

    def prefixes(self, layers: int) -> list[str]:
        """What stands before the keys of each layer; stable-nalu counts from 1."""
        first = 1 if self.place.startswith("layer_") else 0
        return [self.place.format(first + index) for index in range(layers)]

    def state(self, rng: np.random.Generator, dims: tuple[int, ...], dtype: torch.dtype = torch.float32) -> State:
        """A state_dict of this layout with random tensors of a precision."""
        found: State = {}
        for prefix, (inputs, outputs) in zip(self.prefixes(len(dims) - 1), pairwise(dims), strict=True):
            drawn = {key: _drawn(rng, key, shape, inputs, outputs) for key, shape in self.keys.items()}
            cell = {key: (value * self.scales.get(key, 1.0)).to(dtype) for key, value in drawn.items()}
            cell |= {key: cell[source] for key, source in self.aliases.items()}
            found |= {prefix + key: cell[key] for key in self.keys}
        return found

    def reference(self, state: State, x: npt.NDArray[np.float64] | Value, eps: float | None = None) -> Value:
        """The formula in extended precision, and the size of what float64 may lose on the way."""
        layers = len(state) // len(self.keys)
        value = x if isinstance(x, Value) else exact(x)
        for prefix in self.prefixes(layers):
            cell = {key: state[prefix + key].double().numpy().astype(np.longdouble) for key in self.keys}
            default = float(cell["eps"]) if "eps" in cell else self.eps or 0.0
            value = self.formula(cell, value, default if eps is None else eps)
        return value


def _is_stored(key: str) -> bool:
    return key.endswith(("W", "weights"))


def _is_raw(key: str) -> bool:
    return key.endswith(("W_hat", "M_hat", "W_", "M_", "W1", "W2", "w_hat", "m_hat"))


def _drawn(rng: np.random.Generator, key: str, shape: str, inputs: int, outputs: int) -> Tensor:
    if shape == "e":
        return torch.tensor(STORED_EPS)
    sizes = (inputs, outputs, 1)
    spread = 1.5 if _is_raw(key) else 0.5  # tanh·σ brings the wide ones down
    drawn = rng.normal(0.0, spread, [sizes[axis] for axis in _SHAPES[shape]])
    if _is_stored(key):
        drawn.flat[0] = -1.25  # a stored W is not held inside [−1, 1], as tanh·σ is
    return torch.from_numpy(drawn.astype(np.float32))


def oi(*keys: str) -> dict[str, str]:
    return dict.fromkeys(keys, "oi")


def io(*keys: str) -> dict[str, str]:
    return dict.fromkeys(keys, "io")
