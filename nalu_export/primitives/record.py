"""The record of a primitive: its names in torch, its value and its error rules.

The rules of a record take the arguments of the primitive as :class:`Conditioned` values (or numbers), in float64.

*Value.* The function itself, applied to the values of its arguments.

*Radius.* An error bound by ball arithmetic: no correct evaluation is further from the value. See docs/parity.md.

*Unit D.* With ``u = 2⁻²⁴``, a backward-stable float32 evaluation is off by a few ``u·D``; first order, after Higham,
*Accuracy and Stability of Numerical Algorithms* (2002), chapter 3.

*Sign of zero.* ``x·W`` of zero inputs is a sum of ``±0``. With at least one ``+0`` the sum is ``+0`` in any order. With
only ``−0`` it is ``−0``, or ``+0`` if the runtime starts the sum from ``+0``. So a rule returns ``+1``, ``−1``, or 0
where the sign is unknown.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Tensor

from nalu_export.primitives.binding import bound
from nalu_export.primitives.conditioned import Conditioned, no_flags, settle
from nalu_export.primitives.operands import Pair, attribute, known, least_of, same_element
from nalu_export.primitives.precision import Precision

Kind = Literal["elementwise", "reduction", "linear", "shape", "cast"]
Unit = Callable[..., Pair]
Rule = Callable[..., Tensor]

_FIELDS = ("value", "size", "error", "radius", "overflow", "lost", "zero")


@dataclass(frozen=True)
class Primitive:
    """One primitive: a torch function that is called with positional arguments only.

    Capture turns ``a * b``, ``torch.mul(a, b)`` and ``a.mul(b)`` into the same node, so a format needs one emitter for
    each primitive.

    Attributes:
        name: the name that formats use.
        function: the torch function that defines it.
        parameters: names of its arguments, in the order in which a node holds them.
        defaults: values of the optional trailing arguments.
        names: its names in ``torch``, ``torch.nn.functional``, ``operator``, ``Tensor`` and ``torch.ops.aten``.
        unit: ``(value, *arguments)`` → size and ``D`` of the result.
        radius: ``(precision, value, *arguments)`` → radius of the result.
        zero: ``(*arguments)`` → sign of each result that is exactly zero; ``None`` if the sign is never known.
        kind: ``"elementwise"``, ``"reduction"``, ``"linear"`` (sums of products), ``"shape"`` (moves numbers without
            computing) or ``"cast"`` (converts numbers to another type).
        spread: ``(flag, value, *arguments)`` → flag of each element of the result, from the flags of the arguments.
        least: ``(precision, *arguments)`` → lower bound of every evaluation of the result; ``None``: unknown.
        neutral: keyword arguments of torch that the primitive lacks, each with the value that changes nothing.
        delicate: whether a general optimizer or kernel gets its rounding, range or ε wrong if it acts on data; such a
            call makes the code around it arithmetic.
        evaluate: computes the value in float64 if ``function`` cannot (truth values are 0 and 1 there).
    """

    name: str
    function: Callable[..., Any]
    parameters: tuple[str, ...]
    defaults: Mapping[str, Any] = field(default_factory=dict)
    names: tuple[str, ...] = ()
    unit: Unit | None = None
    radius: Rule | None = None
    zero: Rule | None = None
    kind: Kind = "elementwise"
    spread: Rule = same_element
    least: Callable[..., float] | None = None
    neutral: Mapping[str, Any] = field(default_factory=dict)
    delicate: bool = False
    evaluate: Callable[..., Any] | None = None

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the arguments in the order of ``parameters``, or ``None`` if one is missing or unknown."""
        return bound(self.parameters, self.defaults, self.neutral, args, kwargs)

    def conditioned(self, precision: Precision, *arguments: Any) -> Conditioned:
        """Return the result of one node with its ``D``, radius and signs of zeros.

        Args:
            precision: the arithmetic of the evaluation.
            arguments: in the order of ``parameters``: :class:`Conditioned` values, numbers, exact tensors, and lists of
                these, with the shapes that the function expects.
        """
        given = [known(precision, argument) for argument in arguments]
        if self.kind == "cast":
            # The analysis stays in float64. The caller, which knows the compute mode, accounts for conversions.
            result: Conditioned = given[0]
            return result
        if self.kind == "shape":
            return self._moved(precision, given)
        assert self.unit is not None
        assert self.radius is not None
        value = self._value(given)
        size, error = self.unit(value, *given)
        radius = self.radius(precision, value, *given)
        return settle(
            value,
            size,
            error,
            radius,
            given,
            spread=lambda flag: self.spread(flag, value, *given),
            zero=self._signs(value, radius, given),
            least=-math.inf if self.least is None else self.least(precision, *given),
        )

    def _moved(self, precision: Precision, given: list[Any]) -> Conditioned:
        moved = {name: self.function(*(attribute(name, x) for x in given)) for name in _FIELDS}
        return Conditioned(**moved, least=_least_of_all(precision, given[0]))

    def _value(self, given: list[Any]) -> Tensor:
        found = (self.evaluate or self.function)(*(attribute("value", x) for x in given))
        assert isinstance(found, Tensor)
        return found.double() if found.dtype == torch.bool else found

    def _signs(self, value: Tensor, radius: Tensor, given: list[Any]) -> Tensor:
        # The usual case first: nothing is exactly zero without a radius.
        if self.zero is None or not value.numel() or float(radius.amin()) > 0:
            return no_flags(value)
        exact = (value == 0) & (radius == 0)
        return torch.where(exact, self.zero(*given), 0).to(torch.int8) if bool(exact.any()) else no_flags(value)


def _least_of_all(precision: Precision, argument: Any) -> float:
    parts = argument if isinstance(argument, list) else [argument]
    return min((least_of(precision, part) for part in parts), default=-math.inf)
