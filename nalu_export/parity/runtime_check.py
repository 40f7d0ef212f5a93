"""One runtime in a check: runs it, compares its outputs and keeps its worst inputs."""

import heapq
import re
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nalu_export.errors import InputError
from nalu_export.graph.interface import Interface, Sizes
from nalu_export.parity.batch import Batch
from nalu_export.parity.causes import causes
from nalu_export.parity.comparison import Comparison, Samples, Tolerance, compare_all, failed
from nalu_export.parity.curves import CurveBuilder
from nalu_export.parity.inputs import Draw
from nalu_export.parity.locate import IntermediateValues, compare_intermediate_values, of_output
from nalu_export.parity.ordering import in_order
from nalu_export.parity.reference import Expected, Reference
from nalu_export.parity.report import EVERY_INPUT, INTERMEDIATE, Curve, Divergence, Row, RuntimeInfo, Worst, merge
from nalu_export.parity.search import PARENTS
from nalu_export.parity.verdict import Status
from nalu_export.primitives.precision import Profile
from nalu_export.runtimes.base import Session

# Samples of each input distribution for which the reason of left-out outputs is looked up.
EXPLAINED = 4
FIXED = "the batch axis is fixed at 1"


class RuntimeCheck:
    """The results of one runtime.

    Attributes:
        name: name of the runtime.
        profile: the precision in which it computes.
        tolerance: the criterion of a pass.
        decisive: whether it decides the verdict.

    Args:
        name: see above.
        session: a session with the artifact loaded.
        profile: see above.
        tolerance: see above.
        decisive: see above.
        interface: the model's inputs and outputs.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        profile: Profile,
        tolerance: Tolerance,
        decisive: bool,
        interface: Interface,
    ) -> None:
        self.name, self.profile, self.tolerance, self.decisive = name, profile, tolerance, decisive
        self._session = in_order(session, interface)
        self._inputs = [port.name for port in interface.inputs]
        self._outputs = interface.outputs
        self._names = [port.name for port in interface.outputs]
        self._found: dict[str, list[Comparison]] = {}
        self._curve = CurveBuilder()
        self._best: list[tuple[float, int, Batch]] = []
        self._worst: Worst | None = None
        self._count = 0
        self._inside: IntermediateValues | None = None
        self._looked_at = 0
        self._remarks: tuple[str, ...] = ()
        self._left_out: dict[str, list[Batch]] = {}
        self._reasons: dict[str, Counter[str]] = {}

    @property
    def sizes(self) -> Sizes | None:
        """Shapes of the sample with the largest error/bound."""
        return None if self._worst is None else self._worst.batch.shapes

    @property
    def lost(self) -> bool:
        """Whether it has already failed in a way that no other input can make worse."""
        return any(part.problem or np.isinf(part.max_ratio) for parts in self._found.values() for part in parts)

    def compare(self, drawn: Draw, expected: Sequence[Expected]) -> NDArray[np.float64]:
        """Run and compare one draw; return error/bound of each sample."""
        out, problem = self._run(drawn)
        if out is None:
            found = failed(len(drawn.x), problem)
        else:
            found = compare_all(out, expected, self._names, self.tolerance)
        self._found.setdefault(drawn.distribution, []).append(found)
        if found.undetermined:
            kept = self._left_out.setdefault(drawn.distribution, [])
            kept += [*drawn.x[found.each.left_out]][: EXPLAINED - len(kept)]
        if out is not None and not found.problem:
            self._curve.add(drawn.x, found.each)
            self._remember(drawn, out, expected, found.each)
        return found.each.ratio

    def worst_inputs(self, sizes: Sizes) -> Batch | None:
        """Return the inputs of these shapes with the largest error/bound, worst first; ``None`` if there are none."""
        found = [x for _, _, x in sorted(self._best, key=lambda entry: -entry[0]) if x.shapes == sizes]
        return Batch.joined(found) if found else None

    def rows(self) -> list[Row]:
        """Return a row for each input distribution, in the order of the runs; rows with the same fault are merged."""
        groups: dict[str, list[Row]] = {}
        for distribution, parts in self._found.items():
            reasons = [reason for reason, _ in self._reasons.get(distribution, Counter()).most_common()]
            row = merge(self.name, distribution, parts, reasons, self._names)
            groups.setdefault(_fault(row) or f"inputs {distribution}", []).append(row)
        rows = [_one(group, len(self._found)) for group in groups.values()]
        inside = self._inside
        if inside is not None and inside.values:
            # If closeness to PyTorch's output decides, intermediate values are shown but do not decide.
            holds = inside.ratio <= 1.0 or self.tolerance.against_torch
            status = (Status.PASSED if holds else Status.FAILED) if inside.numbers else Status.NOTHING
            count = self._looked_at
            rows.append(Row(self.name, INTERMEDIATE, count, inside.numbers, inside.ratio, 0.0, 0, 0, 0, 0, 0, status))
        return rows

    def info(self) -> RuntimeInfo:
        """Return where it ran."""
        session = self._session
        remarks = session.remarks + self._remarks
        return RuntimeInfo(self.name, session.where, dict(session.details), self.decisive, remarks)

    def curve(self) -> Curve:
        """Return the error curve for the plot."""
        return self._curve.build(self.name)

    def worst(self) -> Worst | None:
        """Return the input with the largest error/bound."""
        return self._worst

    def explain(self, reference: Reference) -> None:
        """Find out why outputs were left out, on a few samples of each input distribution."""
        kept = [(distribution, x) for distribution, samples in self._left_out.items() for x in samples]
        for sizes in dict.fromkeys(x.shapes for _, x in kept):
            chosen = [(distribution, x) for distribution, x in kept if x.shapes == sizes]
            found = causes(reference, Batch.joined([x for _, x in chosen]), self.profile)
            for (distribution, _), cause in zip(chosen, found, strict=True):
                self._reasons.setdefault(distribution, Counter())[cause] += 1

    def compare_intermediate_values(self, reference: Reference, sizes: Sizes) -> None:
        """Compare the weights and intermediate values of the runtime, on its worst inputs, with their bounds."""
        worst = self.worst_inputs(sizes)
        if worst is not None:
            self._looked_at = len(worst)
            try:
                self._inside = compare_intermediate_values(reference, self._session, worst, self.profile, self.name)
            except InputError as error:
                # The outputs alone decide then, and the report says so.
                self._remarks += (f"its intermediate values cannot be read: {error}",)

    def locate(self, reference: Reference) -> Divergence | None:
        """Return the first divergence; ``None`` if there is none."""
        inside = self._inside
        if inside is not None and inside.first is not None:
            return inside.first
        if self._worst is None or not self._worst.ratio > 1.0:
            return None
        looked = inside is not None and inside.values > 0
        return of_output(reference, self._worst, self._names, self.profile, looked=looked)

    def _run(self, drawn: Draw) -> tuple[list[NDArray[np.generic]] | None, str]:
        """Run a draw; return the outputs, or ``None`` and the problem, because a runtime that rejects a batch fails."""
        batches: list[list[NDArray[np.generic]]] = []
        for x in drawn.batches:
            try:
                outs = list(self._session.run(x.arrays))
            except InputError as error:
                if self._runs_one_by_one(x):
                    return None, f"{FIXED}; a batch of {len(x)} is refused: {error}"
                return None, f"batch of {len(x)}: {error}"
            if len(outs) == len(self._outputs):
                problem = self._without_samples(outs, x)
                if problem:
                    return None, problem
                outs = self._per_sample(outs, len(x))
            batches.append(outs)
        parts = list(zip(*batches, strict=False))
        if any(len({out.shape[1:] for out in each}) > 1 for each in parts):
            return None, "the output's shape depends on the batch size"
        return [np.concatenate(each) if each[0].ndim else each[0] for each in parts], ""

    def _without_samples(self, outs: Sequence[NDArray[np.generic]], x: Batch) -> str:
        """Return what is wrong if an output has another number of samples than the input, else an empty string."""
        for port, out in zip(self._outputs, outs, strict=True):
            if port.batched and out.shape[:1] != (len(x),):
                which = "an output" if len(outs) == 1 else f"output {port.name}"
                given = f"a batch of {len(x)} gave {which} of shape {out.shape}"
                return f"{FIXED}; {given}" if out.shape[:1] == (1,) and self._runs_one_by_one(x) else given
        return ""

    def _per_sample(self, outs: Sequence[NDArray[np.generic]], count: int) -> list[NDArray[np.generic]]:
        """Repeat a constant output for each sample, as the reference does."""
        pairs = zip(self._outputs, outs, strict=True)
        repeated = [port.batched or out.shape == (count, *port.shape) for port, out in pairs]
        return [
            out if there else np.broadcast_to(out, (count, *out.shape))
            for there, out in zip(repeated, outs, strict=True)
        ]

    def _runs_one_by_one(self, x: Batch) -> bool:
        """Return whether each of two samples runs alone but the two together do not."""
        if len(x) < 2:
            return False
        try:
            if any(not self._has_samples(x[row : row + 1]) for row in (0, 1)):
                return False
        except InputError:
            return False
        try:
            return not self._has_samples(x[:2])
        except InputError:
            return True

    def _has_samples(self, x: Batch) -> bool:
        outs = self._session.run(x.arrays)
        pairs = zip(self._outputs, outs, strict=False)
        return all(out.shape[:1] == (len(x),) for port, out in pairs if port.batched)

    def _remember(
        self, drawn: Draw, outs: Sequence[NDArray[np.generic]], expected: Sequence[Expected], each: Samples
    ) -> None:
        """Keep the worst few inputs as starts for a search, and everything about the worst one."""
        for index in np.argsort(-each.ratio, kind="stable")[:PARENTS]:
            ratio = float(each.ratio[index])
            self._count += 1
            sample = drawn.x[slice(index, index + 1)]
            entry = (ratio, -self._count, sample)
            if len(self._best) < PARENTS * 4:
                heapq.heappush(self._best, entry)
            else:
                heapq.heappushpop(self._best, entry)
            if self._worst is None or ratio > self._worst.ratio:
                output = int(each.output[index])
                wanted = expected[output]
                self._worst = Worst(
                    self.name,
                    drawn.distribution,
                    ratio,
                    {name: np.asarray(array[0]) for name, array in zip(self._inputs, sample.arrays, strict=True)},
                    self._names[output],
                    np.asarray(outs[output][index]),
                    np.asarray(wanted.reference[index]),
                    np.asarray(wanted.bound[index]),
                    np.asarray(wanted.torch[index]),
                )


def _fault(row: Row) -> str:
    """Return a key for a fault that left no output; digits are masked, because they may differ between inputs."""
    return re.sub(r"\d+", "#", row.problem) if not row.outputs else ""


def _one(rows: list[Row], distributions: int) -> Row:
    """Merge rows with the same fault into one."""
    if len(rows) == 1:
        return rows[0]
    distribution = EVERY_INPUT if len(rows) == distributions else f"{rows[0].distribution} and {len(rows) - 1} more"
    return merge(rows[0].runtime, distribution, rows)
