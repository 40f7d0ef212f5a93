"""The expected outputs of an artifact: the untouched model in float64, its error bounds, and PyTorch's own float32."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, fx

from nalu_export.errors import InputError, UnsupportedLayerError, first_line, no_memory
from nalu_export.graph import ModelGraph, label_of, part_of
from nalu_export.graph.evaluation import constant, result_nodes
from nalu_export.graph.example import widened
from nalu_export.graph.folding import fold
from nalu_export.graph.loops import loops_of, over_bodies
from nalu_export.graph.rewrites import without_cancellation
from nalu_export.modules.copying import copied, in_double, in_single
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.parity.batch import Batch
from nalu_export.parity.portions import Portions
from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.precision import Profile

Double = NDArray[np.float64]
# A difference from the module of up to this share of a bound changes no verdict.
NEGLIGIBLE = 2.0**-16
# The module and the graph are both evaluated in float64, each within its bound; the bound also leaves out the roundings
# of the analysis itself.
BOTH = 4.0
# Everything in float64, as the module computes in the reference.
AS_WRITTEN = Profile("float64", own_weights=True, as_written=True, all_double=True)
# Float32, as eager PyTorch computes.
EAGER = Profile(own_weights=True, as_written=True)


@dataclass(frozen=True)
class Expected:
    """The expected outputs of one batch.

    Attributes:
        reference: the model in float64 on the float32 inputs.
        bound: largest error of a correct evaluation, for each output, in the unit of the output.
        unit: ``u·D`` for each output, the unit of E.
        overflow: 1 where an intermediate value is too large for float32, 2 where it is too large for float64, else 0.
        zero: 1 where the output is surely ``+0``, −1 where it is surely ``−0``, else 0.
        torch: the model in float32 as PyTorch runs it.
    """

    reference: Double
    bound: Double
    unit: Double
    overflow: NDArray[np.int8]
    zero: NDArray[np.int8]
    torch: NDArray[np.generic]

    def of(self, rows: slice) -> "Expected":
        """Return the expectation for some of the samples."""
        return Expected(*(getattr(self, field.name)[rows] for field in fields(self)))

    @staticmethod
    def joined(parts: Sequence["Expected"]) -> "Expected":
        """Concatenate the expectations of several portions of the samples."""
        if len(parts) == 1:
            return parts[0]
        names = [field.name for field in fields(Expected)]
        return Expected(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


class Reference:
    """Runs a model in float64 and float32 and analyses its error; the model itself is not changed.

    The proof that a file computes the user's module has three steps. The module in float64 is within the float64 error
    bound of the captured graph as it is written; this proves the capture, on every input. The graph as it is written
    and the well-conditioned one are the same function by identities (:mod:`nalu_export.graph.rewrites`). A file is
    within its own bound of the well-conditioned graph. Where no rewrite applies and float64 does not cancel, the
    reference is the module's own output.

    Where the module computes with float32 tensors that it makes itself, the captured graph in float64 takes its place.

    Attributes:
        single: a copy of the module in float32, as PyTorch runs it.
        notes: how this reference deviates from the above, one line each.
        portions: cuts batches into portions that are analysed at once.

    Args:
        graph: a captured model.
        calibration: inputs on which the error of opaque ops is measured; drawn only if an opaque op has to be measured.
    """

    def __init__(self, graph: ModelGraph, calibration: Iterable[Batch] = ()) -> None:
        self.single = graph.called(in_single(graph.module)).eval()
        self._double = graph.called(in_double(graph.module)).eval()
        self._written = graph.flat_in_double
        conditioned = copied(self._written)
        self._rewritten = without_cancellation(conditioned, _is_arithmetic)
        for _, loop in loops_of(conditioned):
            self._rewritten |= without_cancellation(loop.body)
        self._conditioned = conditioned
        # A copy: folding changes the graph that it is given.
        folded = fold(copied(conditioned))
        over_bodies(folded, fold)
        self._folded = ErrorAnalysis(folded)
        self.portions = Portions(folded)
        self.notes: tuple[str, ...] = ()
        self._batched = [port.batched for port in graph.interface.outputs]
        self._runs_in_double = self._tried(widened(graph.example))
        self._calibrate(widened(graph.example), calibration)

    def _calibrate(self, example: Sequence[Tensor], inputs: Iterable[Batch]) -> None:
        """Measure the opaque ops that have no analytic rule, if there are any."""
        opaque = self._folded.opaque
        with torch.no_grad():
            if opaque.present:
                self._folded(example, Profile())
            if opaque.measures:
                with opaque.calibrating():
                    for batch in inputs:
                        for rows in self.portions(batch):
                            self._folded(batch[rows].tensors(double=True), Profile())

    def _tried(self, example: Sequence[Tensor]) -> bool:
        """Return whether the module runs in float64 throughout; a module that makes float32 tensors does not."""
        try:
            with torch.no_grad():
                results = self._double(*example)
        except (RuntimeError, ValueError, TypeError):
            results = None
        kinds = zip(results or (), self._batched, strict=False)
        if results and all(y.dtype != torch.float32 for y, batched in kinds if batched):
            return True
        self._leave_double("does not run in float64")
        return False

    def _leave_double(self, why: str) -> None:
        self._runs_in_double = False
        self.notes += (
            f"the module {why}; the reference is its captured graph in float64, which was compared with the module in "
            "float32 on a few samples",
        )

    @functools.cached_property
    def _live(self) -> ErrorAnalysis:
        """The analysis with raw parameters, for runtimes that compute the effective weights themselves."""
        return ErrorAnalysis(self._conditioned, self._folded.opaque)

    @functools.cached_property
    def _as_written(self) -> ErrorAnalysis:
        """The analysis with the source's own gates, for PyTorch itself and for the proof of the capture."""
        return ErrorAnalysis(self._written, self._folded.opaque) if self._rewritten else self._live

    def _analysis(self, profile: Profile) -> ErrorAnalysis:
        if profile.as_written:
            return self._as_written
        return self._live if profile.own_weights or profile.live else self._folded

    def __call__(
        self, x: Batch, profiles: Sequence[Profile], batches: Sequence[Batch] = ()
    ) -> dict[Profile, tuple[Expected, ...]]:
        """Return the expectation of some samples in each precision, as one entry per output.

        Args:
            x: the samples.
            profiles: the precisions.
            batches: the same samples in the batches in which PyTorch's own float32 runs them, because a matrix product
                may round differently in another batch; by default one batch.

        Raises:
            InputError: the model does not run on an input of this shape.
            UnsupportedLayerError: the captured graph does not compute what the module computes.
        """
        try:
            with torch.no_grad():
                own = [self._samples(self.single(*batch.tensors()), len(batch)) for batch in batches or [x]]
                single = [torch.cat(parts) for parts in zip(*own, strict=True)]
                parts = [self._portion(x[rows], profiles, [y[rows] for y in single]) for rows in self.portions(x)]
        except InputError:
            raise
        except (RuntimeError, ValueError, IndexError) as error:
            shapes = " and ".join(str(tuple(array.shape)) for array in x.arrays)
            said = f"the model does not run on inputs of shape {shapes}: {first_line(error)}"
            raise no_memory(error) or InputError(said) from error
        return {
            profile: tuple(map(Expected.joined, zip(*(p[profile] for p in parts), strict=True))) for profile in parts[0]
        }

    def _portion(self, x: Batch, profiles: Sequence[Profile], own: list[Tensor]) -> dict[Profile, tuple[Expected, ...]]:
        double = x.tensors(double=True)
        found = {profile: self._analysis(profile)(double, profile) for profile in profiles}
        module = self._samples(self._double(*double), len(x)) if self._runs_in_double else None
        return {profile: self._expected(double, conditioned, module, own) for profile, conditioned in found.items()}

    def _samples(self, results: Sequence[Tensor], count: int) -> list[Tensor]:
        """Detach the results of a model and repeat a constant result for each sample."""
        pairs = zip(results, self._batched, strict=True)
        return [y.detach() if batched else y.detach().expand(count, *y.shape) for y, batched in pairs]

    def _expected(
        self, x: Sequence[Tensor], conditioned: Sequence[Conditioned], module: list[Tensor] | None, own: list[Tensor]
    ) -> tuple[Expected, ...]:
        values = [c.value.expand(y.shape) for c, y in zip(conditioned, own, strict=True)]
        bounds = [
            torch.where(c.lost > 0, torch.inf, c.radius).expand(y.shape) for c, y in zip(conditioned, own, strict=True)
        ]
        references = values if module is None else self._linked(x, module, own, values, bounds)
        return tuple(
            Expected(
                reference=reference.numpy(),
                bound=bound.numpy(),
                unit=(ROUNDOFF * c.error).expand(y.shape).numpy(),
                overflow=c.overflow.expand(y.shape).numpy(),
                zero=c.zero.expand(y.shape).numpy(),
                torch=y.numpy(),
            )
            for reference, bound, c, y in zip(references, bounds, conditioned, own, strict=True)
        )

    def _linked(
        self,
        x: Sequence[Tensor],
        module: list[Tensor],
        own: list[Tensor],
        values: list[Tensor],
        bounds: list[Tensor],
    ) -> list[Tensor]:
        """Return the module's own outputs, or those of the well-conditioned graph where float64 cancels in the module.

        A module that makes float32 tensors computes with them in float32 whatever its type. Such a module is compared
        with the graph in float32 instead.

        Raises:
            UnsupportedLayerError: the module is not within the float64 bound of the graph, nor within the float32 one.
        """
        module = [y.double() for y in module]
        far = [_far(y, value, bound) for y, value, bound in zip(module, values, bounds, strict=True)]
        rows = torch.stack([f.reshape(len(f), -1).any(dim=1) for f in far]).any(dim=0)
        if not bool(rows.any()):
            return module
        wrong = self._wrong([t[rows] for t in x], [y[rows] for y in module], AS_WRITTEN, [f[rows] for f in far])
        if not wrong:
            return [torch.where(f, value, y) for f, value, y in zip(far, values, module, strict=True)]
        if self._wrong(x, [y.double() for y in own], EAGER):
            raise UnsupportedLayerError(
                f"the captured graph gives {wrong[0]:.9g} where the module gives {wrong[1]:.9g} in float64; please "
                "report this module"
            )
        self._leave_double("computes in float32 even where its type is float64")
        return values

    def _wrong(
        self, x: Sequence[Tensor], found: list[Tensor], profile: Profile, where: list[Tensor] | None = None
    ) -> tuple[float, float] | None:
        """Return the values of the graph as it is written and of the module at the first place where they disagree."""
        with torch.no_grad():
            written = self._samples_of(self._as_written(x, profile), found)
        for place, (c, y) in enumerate(zip(written, found, strict=True)):
            beyond = ~((y - c.value).abs() <= BOTH * c.radius) & ~_equal(y, c.value)
            # A float64 module can hold values that overflow float32.
            beyond &= (c.lost == 0) & (profile.all_double | (c.overflow == 0))
            beyond &= where[place] if where is not None else True
            if bool(beyond.any()):
                return float(c.value[beyond][0]), float(y[beyond][0])
        return None

    @staticmethod
    def _samples_of(written: Sequence[Conditioned], found: list[Tensor]) -> list[Conditioned]:
        names = ("value", "radius", "lost", "overflow")
        return [
            replace(c, **{name: getattr(c, name).expand(y.shape) for name in names})
            for c, y in zip(written, found, strict=True)
        ]

    @functools.cached_property
    def raw_parameters(self) -> dict[str, Tensor]:
        """Parameters from which weights are computed, by name: a live file has them, a folded file does not."""
        raw = _tensors(self._conditioned)
        folded = _tensors(self._folded.graph_module)
        return {name: value for name, value in raw.items() if name not in folded or not _same(value, folded[name])}

    def is_live(self, found: Mapping[str, NDArray[np.generic]]) -> bool:
        """Return whether values of a file, by name, are the raw parameters."""
        raw = self.raw_parameters
        shared = found.keys() & raw.keys()
        return any(_same(raw[name], torch.from_numpy(np.array(found[name]))) for name in shared)

    def values(self, x: Batch, profile: Profile) -> list[tuple[fx.Node, Conditioned]]:
        """Return every value of the graph with its error bound, in the order of computation."""
        with torch.no_grad():
            return list(self._analysis(profile).walk(x.tensors(double=True), profile))

    def outputs(self, x: Batch, profile: Profile) -> list[tuple[fx.Node, Conditioned]]:
        """Return the node that computes each output, with the output's value and error bound."""
        analysis = self._analysis(profile)
        with torch.no_grad():
            found = analysis(x.tensors(double=True), profile)
        return list(zip(result_nodes(analysis.graph_module.graph), found, strict=True))


def _far(module: Tensor, value: Tensor, bound: Tensor) -> Tensor:
    """Return where the module and the graph differ by enough to change a verdict."""
    return ~((module - value).abs() <= NEGLIGIBLE * bound) & ~_equal(module, value) & bound.isfinite()


def _is_arithmetic(node: fx.Node) -> bool:
    """Return whether a node belongs to an arithmetic subgraph; other nodes are left as written."""
    return part_of(node) is not None or label_of(node) is not None


def _equal(a: Tensor, b: Tensor) -> Tensor:
    return (a == b) | (a.isnan() & b.isnan())


def _tensors(graph_module: fx.GraphModule) -> dict[str, Tensor]:
    """Return the tensors that the nodes of a graph read, by name."""
    targets = {str(node.target) for node in graph_module.graph.nodes if node.op == "get_attr"}
    return {target: constant(graph_module, target).detach() for target in sorted(targets)}


def _same(a: Tensor, b: Tensor) -> bool:
    return a.shape == b.shape and bool((a.double() == b.double()).all())
