"""What is expected of an artifact: the untouched model in float64, its bounds, and PyTorch's own float32."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from nalu_export.errors import InputError, UnsupportedLayerError, first_line
from nalu_export.graph import ModelGraph, label_of, part_of
from nalu_export.graph.copying import copied, in_double, in_single
from nalu_export.graph.evaluation import constant
from nalu_export.graph.rewrites import without_cancellation
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.precision import Profile
from nalu_export.weights import fold

Double = NDArray[np.float64]
# A difference from the module that is this share of a bound decides nothing.
NEGLIGIBLE = 2.0**-16
# Two evaluations in float64, each within its bound, and what the bound leaves out: the roundings of the analysis.
BOTH = 4.0
# Everything in float64, as the module itself computes in the reference.
AS_WRITTEN = Profile("float64", own_weights=True, as_written=True, all_double=True)
# As PyTorch computes it.
EAGER = Profile(own_weights=True, as_written=True)


@dataclass(frozen=True)
class Expected:
    """What one batch should give.

    Attributes:
        reference: the model in float64 on the float32 inputs.
        bound: largest error of a correct evaluation, for each output, in the unit of the output.
        unit: ``u·D`` for each output, the unit of E.
        overflow: 1 where a value on the way is too large for float32, 2 where it is too large for float64, else 0.
        zero: 1 where the output is surely ``+0``, −1 where it is surely ``−0``, else 0.
        torch: the model in float32 as PyTorch runs it.
    """

    reference: Double
    bound: Double
    unit: Double
    overflow: NDArray[np.int8]
    zero: NDArray[np.int8]
    torch: NDArray[np.float32]

    def of(self, rows: slice) -> "Expected":
        """The same for some of the samples."""
        return Expected(*(getattr(self, field.name)[rows] for field in fields(self)))


class Reference:
    """Runs a model in float64 and float32 and analyses its error; the model itself is not changed.

    The chain from the user's module to a file has three links. The module in float64 is within the float64 error bound
    of the captured graph as it is written; this is what proves the capture, on every input. The graph as it is written
    and the well-conditioned one are the same function by identities (:mod:`nalu_export.graph.rewrites`). A file is
    within its own bound of the latter. Where no rewrite applies and float64 does not cancel, the reference is the
    module's own output.

    Where it computes with float32 tensors of its own the graph takes its place.

    Attributes:
        single: a copy of the module in float32, as PyTorch runs it.
        notes: what had to be done otherwise, one line each.

    Args:
        graph: a captured model.
        calibration: inputs on which the error of what is not arithmetic is measured; a head alone draws none of them.
    """

    def __init__(self, graph: ModelGraph, calibration: Iterable[NDArray[np.float32]] = ()) -> None:
        self.single = in_single(graph.module).eval()
        self._double = in_double(graph.module).eval()
        self._written = graph.flat_in_double
        conditioned = copied(self._written)
        self._rewritten = without_cancellation(conditioned, _is_arithmetic)
        self._conditioned = conditioned
        # A copy: folding changes the graph that it is given.
        self._folded = ErrorAnalysis(fold(copied(conditioned)))
        self.notes: tuple[str, ...] = ()
        self._runs_in_double = self._tried(graph.example)
        self._calibrate(graph.example, calibration)

    def _calibrate(self, example: Tensor, inputs: Iterable[NDArray[np.float32]]) -> None:
        """Measure the calls that no rule knows, where there are any."""
        opaque = self._folded.opaque
        with torch.no_grad():
            if opaque.present:
                self._folded(example.double(), Profile())
            if opaque.measures:
                with opaque.calibrating():
                    for x in inputs:
                        self._folded(torch.from_numpy(x).double(), Profile())

    def _tried(self, example: Tensor) -> bool:
        """Whether the module runs in float64 all through; what makes float32 tensors of its own does not."""
        try:
            with torch.no_grad():
                result = self._double(example.double())
        except (RuntimeError, ValueError, TypeError):
            result = None
        if isinstance(result, Tensor) and result.dtype == torch.float64:
            return True
        self._leave_double("does not run in float64")
        return False

    def _leave_double(self, why: str) -> None:
        self._runs_in_double = False
        self.notes += (
            f"the module {why}; the reference is its captured graph in float64, which was held against the module in "
            "float32 on a few samples",
        )

    @functools.cached_property
    def _live(self) -> ErrorAnalysis:
        """The same with the raw parameters, for runtimes that compute the effective weights themselves."""
        return ErrorAnalysis(self._conditioned, self._folded.opaque)

    @functools.cached_property
    def _as_written(self) -> ErrorAnalysis:
        """With the source's own gates, for PyTorch itself and for the proof of the capture."""
        return ErrorAnalysis(self._written, self._folded.opaque) if self._rewritten else self._live

    def _analysis(self, profile: Profile) -> ErrorAnalysis:
        if profile.as_written:
            return self._as_written
        return self._live if profile.own_weights or profile.live else self._folded

    def __call__(
        self, x: NDArray[np.float32], profiles: Sequence[Profile], batches: Sequence[NDArray[np.float32]] = ()
    ) -> dict[Profile, Expected]:
        """The expectation for some samples, for each precision that is asked for.

        Args:
            x: the samples.
            profiles: the precisions.
            batches: the same samples as PyTorch's own float32 is to run them, because a matrix product may round
                otherwise in another batch; by default all at once.

        Raises:
            InputError: the model does not run on an input of this shape.
            UnsupportedLayerError: the captured graph does not compute what the module computes.
        """
        double = torch.from_numpy(x).double()
        try:
            with torch.no_grad():
                own = torch.cat([self.single(torch.from_numpy(batch)) for batch in batches or [x]]).detach()
                found = {profile: self._analysis(profile)(double, profile) for profile in profiles}
                module = self._double(double).detach() if self._runs_in_double else None
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"the model does not run on inputs of shape {tuple(x.shape)}: {first_line(error)}"
            ) from error
        return {profile: self._expected(double, conditioned, module, own) for profile, conditioned in found.items()}

    def _expected(self, x: Tensor, conditioned: Conditioned, module: Tensor | None, own: Tensor) -> Expected:
        value = conditioned.value.expand(own.shape)
        bound = torch.where(conditioned.lost > 0, torch.inf, conditioned.radius).expand(own.shape)
        reference = value if module is None else self._linked(x, module, own, value, bound)
        return Expected(
            reference=reference.numpy(),
            bound=bound.numpy(),
            unit=(ROUNDOFF * conditioned.error).expand(own.shape).numpy(),
            overflow=conditioned.overflow.expand(own.shape).numpy(),
            zero=conditioned.zero.expand(own.shape).numpy(),
            torch=own.numpy(),
        )

    def _linked(self, x: Tensor, module: Tensor, own: Tensor, value: Tensor, bound: Tensor) -> Tensor:
        """The module's own output; that of the well-conditioned graph where float64 cancels in the module.

        A module that makes float32 tensors computes with them in float32 whatever its type; then it is held to the
        graph in float32.

        Raises:
            UnsupportedLayerError: the module is not within the float64 bound of the graph, nor within the float32 one.
        """
        far = ~((module - value).abs() <= NEGLIGIBLE * bound) & ~_equal(module, value) & bound.isfinite()
        rows = far.reshape(len(far), -1).any(dim=1)
        if not bool(rows.any()):
            return module
        expected, beyond = self._beyond(x[rows], module[rows], AS_WRITTEN)
        beyond &= far[rows]
        if not bool(beyond.any()):
            return torch.where(far, value, module)
        if bool(self._beyond(x, own.double(), EAGER)[1].any()):
            place = tuple(int(index) for index in beyond.nonzero()[0])
            raise UnsupportedLayerError(
                f"the captured graph gives {float(expected[place]):.9g} where the module gives "
                f"{float(module[rows][place]):.9g} in float64; please report this module"
            )
        self._leave_double("computes in float32 whatever its type")
        return value

    def _beyond(self, x: Tensor, found: Tensor, profile: Profile) -> tuple[Tensor, Tensor]:
        """What the graph as it is written gives, and where the module's output is further off than both may be."""
        with torch.no_grad():
            written = self._as_written(x, profile)
        expected, radius = written.value.expand(found.shape), written.radius.expand(found.shape)
        beyond = ~((found - expected).abs() <= BOTH * radius) & ~_equal(found, expected)
        # What float32 cannot hold, a float64 module can.
        known = (written.lost == 0) & (profile.all_double | (written.overflow == 0))
        return expected, beyond & known.expand(found.shape)

    @functools.cached_property
    def raw_parameters(self) -> dict[str, Tensor]:
        """Parameters that weights are computed from, by name: a live file has them, a folded one has not."""
        raw = _tensors(self._conditioned)
        folded = _tensors(self._folded.graph_module)
        return {name: value for name, value in raw.items() if name not in folded or not _same(value, folded[name])}

    def is_live(self, found: Mapping[str, NDArray[np.generic]]) -> bool:
        """Whether values of a file, by name, are the raw parameters."""
        raw = self.raw_parameters
        shared = found.keys() & raw.keys()
        return any(_same(raw[name], torch.from_numpy(np.array(found[name]))) for name in shared)

    def values(self, x: NDArray[np.float32], profile: Profile) -> list[tuple[fx.Node, Conditioned]]:
        """Every tensor on the way to the output, in the order of computation; the last one is the output."""
        with torch.no_grad():
            return list(self._analysis(profile).walk(torch.from_numpy(x).double(), profile))


def _is_arithmetic(node: fx.Node) -> bool:
    """Whether a node is lowered by us; what is outside is left as it is written."""
    return part_of(node) is not None or label_of(node) is not None


def _equal(a: Tensor, b: Tensor) -> Tensor:
    return (a == b) | (a.isnan() & b.isnan())


def _tensors(graph_module: fx.GraphModule) -> dict[str, Tensor]:
    """What the nodes of a graph read, by name."""
    targets = {str(node.target) for node in graph_module.graph.nodes if node.op == "get_attr"}
    return {target: constant(graph_module, target).detach() for target in sorted(targets)}


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a.double() == b.double()).all())
