"""What a primitive of the arithmetic graph is: one record that holds everything known of it.

The rules of a record take the arguments of the primitive as :class:`Conditioned` (or numbers), all in float64.

*Value.* The function itself, on the values of its arguments.

*Radius.* A bound by ball arithmetic: no correct evaluation is further from the value. See docs/parity.md.

*Unit D.* With ``u = 2⁻²⁴``, a backward-stable float32 evaluation is off by a few ``u·D``; first order, after Higham,
*Accuracy and Stability of Numerical Algorithms* (2002), chapter 3.

*Sign of zero.* ``x·W`` of zero inputs is a sum of ``±0``. With one ``+0`` among them it is ``+0`` in any order; with
``−0`` alone it is ``−0``, or ``+0`` where the sum starts from ``+0``. So a rule says ``+1``, ``−1`` or, where it is not
sure, 0.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from nalu_export.primitives.conditioned import Conditioned, settle
from nalu_export.primitives.operands import Pair
from nalu_export.primitives.precision import Precision

Kind = Literal["elementwise", "reduction", "linear", "shape", "cast"]
Unit = Callable[..., Pair]
Radius = Callable[..., Tensor]
Zero = Callable[..., Tensor]


@dataclass(frozen=True)
class Primitive:
    """One primitive: a torch function with positional arguments only.

    Tracing turns ``a * b``, ``torch.mul(a, b)`` and ``a.mul(b)`` into the same node, so that a format needs one emitter
    for each primitive.

    Attributes:
        name: what formats call it.
        function: the torch function that defines it.
        parameters: names of its arguments, in the order in which a node holds them.
        defaults: values of the trailing arguments that may be left out.
        names: its names in ``torch``, ``torch.nn.functional``, ``operator``, ``Tensor`` and ``torch.ops.aten``.
        unit: size and ``D`` of the result, from its value and the arguments.
        radius: of the result, from the precision, its value and the arguments.
        zero: sign of each result that is exactly zero, from the arguments; ``None`` where it is never known.
        kind: ``"elementwise"``, ``"reduction"``, ``"linear"`` (sums of products), ``"shape"`` (moves numbers without
            computing) or ``"cast"`` (keeps them, in another type).
    """

    name: str
    function: Callable[..., Any]
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    unit: Unit | None = None
    radius: Radius | None = None
    zero: Zero | None = None
    kind: Kind = "elementwise"

    def bind(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[Any, ...] | None:
        """The arguments in the order of ``parameters``, or ``None`` where the call has one that is not known."""
        if "self" in kwargs and "self" not in self.parameters:
            kwargs = {"input" if name == "self" else name: value for name, value in kwargs.items()}
        if len(args) > len(self.parameters) or not set(kwargs) <= set(self.parameters):
            return None
        bound = dict(self.defaults) | dict(zip(self.parameters, args, strict=False)) | kwargs
        if set(bound) != set(self.parameters):
            return None
        return tuple(bound[name] for name in self.parameters)

    def conditioned(self, precision: Precision, *arguments: Any) -> Conditioned:
        """The result of one node with its ``D``, radius and signs of zeros.

        Args:
            precision: the arithmetic of the evaluation.
            arguments: in the order of ``parameters``.
        """
        if self.kind == "cast":
            # The analysis stays in float64; where a file converts is known from its mode.
            given: Conditioned = arguments[0]
            return given
        if self.kind == "shape":
            return Conditioned(*(self._of_field(name, arguments) for name in Conditioned.__dataclass_fields__))
        assert self.unit is not None
        assert self.radius is not None
        value: Tensor = self._of_field("value", arguments)
        size, error = self.unit(value, *arguments)
        radius = self.radius(precision, value, *arguments)
        zero = self._signs(value, radius, arguments)
        return settle(value, size, error, radius, arguments, elementwise=self.kind == "elementwise", zero=zero)

    def _of_field(self, name: str, arguments: tuple[Any, ...]) -> Any:
        """The function of one attribute of every argument."""
        return self.function(*(getattr(x, name) if isinstance(x, Conditioned) else x for x in arguments))

    def _signs(self, value: Tensor, radius: Tensor, arguments: tuple[Any, ...]) -> Tensor:
        exact = (value == 0) & (radius == 0)
        if self.zero is None or not bool(exact.any()):
            return torch.zeros_like(value, dtype=torch.int8)
        return torch.where(exact, self.zero(*arguments), 0).to(torch.int8)
