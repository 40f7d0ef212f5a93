"""Runs a model and its artifact over the input families and says whether they agree."""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nalu_export import runtimes
from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.graph import ModelGraph
from nalu_export.graph.interface import Port, Sizes
from nalu_export.parity.batch import Batch
from nalu_export.parity.comparison import Tolerance
from nalu_export.parity.inputs import FAMILIES, Draw, draw
from nalu_export.parity.reference import Reference
from nalu_export.parity.report import Report
from nalu_export.parity.search import SearchOptions, climb
from nalu_export.parity.watch import Watch
from nalu_export.primitives.precision import Profile
from nalu_export.runtimes.base import RunOptions, Runtime, Session
from nalu_export.weights import Compute

SAMPLES = 128
IMAGE_SAMPLES = 24
# Weights of the largest layer times samples, and the fewest samples of each family.
WORK = 2**22
WIDE_SAMPLES = 64
SEARCH = SearchOptions(rounds=16, width=192, patience=4)
IMAGE_SEARCH = SearchOptions(rounds=6, width=8, patience=3)
# Samples on which the error of a backbone is measured.
CALIBRATION = 8
# Numbers in a sample up to which one thread runs it.
SMALL = 2**11
# Samples of each input distribution for a runtime that does not decide.
SHOWN, SHOWN_IMAGES = 32, 2
# Rows that a sample is replayed as: batches of 1, 2 and a power of two.
REPLAYED = 67
# Numbers in the inputs of one call of the reference.
GROUP = 2**17
# Bytes after whose release glibc keeps whatever is smaller; more than 32 MiB have no effect.
LARGE = 31 * 2**20
MAX_SAMPLES = 10**6
MAX_SEARCH = 10**5
MAX_SEED = 2**32 - 1
SEARCHED = "search"

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class CheckOptions:
    """How to check.

    Attributes:
        samples: of each input family; by default 128, down to 64 for layers of 2¹⁶ weights, for images 24.
        seed: of the inputs and the search.
        search: generations of the directed search for the largest error over its bound, 0 for none; by default 16
            for heads, 6 for images.
        rtol: pass by nearness to PyTorch's float32 output instead of the bound, relative part.
        atol: the same, absolute part in the unit of the output.
        max_ulp: pass by nearness to PyTorch's float32 output instead of the bound, in float32 steps.
        tf32: let a CUDA runtime use TF32, and widen its bound accordingly.
        ranges: more families, uniform from low to high.
        inputs: more families by name, such as real data; each a batch of every input.
        only_inputs: run ``inputs`` alone, without families and search, to replay what an earlier check found.
        allow_empty: accept a check in which no output could be compared. Its verdict stays ``nothing compared``.
    """

    samples: int | None = None
    seed: int = 0
    search: int | None = None
    rtol: float | None = None
    atol: float | None = None
    max_ulp: int | None = None
    tf32: bool = False
    ranges: Sequence[tuple[float, float]] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    only_inputs: bool = False
    allow_empty: bool = False

    def __post_init__(self) -> None:
        for name, value in (("rtol", self.rtol), ("atol", self.atol)):
            if value is not None and not 0 <= value < float("inf"):
                raise InputError(f"{name} is {value}; it must be a number of at least 0")
        if self.max_ulp is not None and (self.rtol, self.atol) != (None, None):
            raise InputError("max_ulp is given with rtol or atol; give one or the other")
        for name, number, low, high in (
            ("samples", self.samples, 1, MAX_SAMPLES),
            ("search", self.search, 0, MAX_SEARCH),
            ("max_ulp", self.max_ulp, 0, 2**32),
            ("seed", self.seed, 0, MAX_SEED),
        ):
            if number is not None and not low <= number <= high:
                raise InputError(f"{name} is {number}; it must be from {low} to {high}")
        largest = float(np.finfo(np.float32).max)
        for low_end, high_end in self.ranges:
            if not -largest <= low_end <= high_end <= largest:
                raise InputError(f"range is {low_end:g} to {high_end:g}; it must be two float32 numbers in order")
        if self.only_inputs and not self.inputs:
            raise InputError("only_inputs is given without inputs")


def check_bytes(
    graph: ModelGraph,
    data: bytes,
    sizes: Sequence[Sizes],
    compute: Compute,
    names: Sequence[str],
    options: CheckOptions,
    *,
    decisive: Sequence[str] | None = None,
    skip_missing: bool = False,
    progress: Progress | None = None,
) -> Report:
    """Check the bytes of an artifact.

    Args:
        graph: the source, captured.
        data: the artifact.
        sizes: shapes of one sample of each input to run, several where axes are free.
        compute: type of the artifact's arithmetic part.
        names: runtimes to run, in order.
        options: how.
        decisive: the runtimes that decide; by default all of them.
        skip_missing: list a runtime that is not there in ``report.missing`` instead of raising.
        progress: called with a text, the steps done and their number.

    Raises:
        RuntimeUnavailableError: a runtime is not there, or none of them is.
        InputError: a runtime does not take the file, or the model not the shapes.
    """
    # glibc returns memory to the system after each tensor, and faults it in anew for the next one, until a program has
    # freed something large (M_MMAP_THRESHOLD in mallopt(3)). That is half of the time of a check.
    torch.empty(LARGE, dtype=torch.uint8)
    # Threads that wait for each other take longer than little work, and much longer on a busy machine.
    with torch_threads(1 if numbers_in(sizes[0]) <= SMALL else None) as threads:
        check = _Check(graph, sizes, compute, options, progress or (lambda *_: None))
        missing = check.load(data, names, RunOptions(tf32=options.tf32, threads=threads), decisive, skip=skip_missing)
        check.run()
        return check.report(missing)


def profile_of(runtime: Runtime, session: Session, compute: Compute, *, tf32: bool = False) -> Profile:
    """The precision in which a runtime computes an artifact whose arithmetic part is ``compute``."""
    # Eager PyTorch is float32 whatever the artifact computes in; a runtime without float64 can only compute the weights
    # of a live file the same way.
    own: Compute = "float32" if runtime.own_weights else compute
    own_weights = runtime.own_weights or (session.narrows and own == "float32")
    written = runtime.own_weights
    return Profile(own, own_weights, tf32=tf32 and runtime.tf32, exp_limit=session.exp_limit, as_written=written)


class _Check:
    """One check: what was loaded, and what was seen of it so far."""

    def __init__(
        self,
        graph: ModelGraph,
        sizes: Sequence[Sizes],
        compute: Compute,
        options: CheckOptions,
        progress: Progress,
    ) -> None:
        self._graph, self._sizes, self._compute, self._options = graph, list(sizes), compute, options
        self._progress = progress
        self._ports = graph.interface.inputs
        self._images = any(len(shape) == 3 for shape in sizes[0])
        self._reference = Reference(graph, calibration(self._ports, self._sizes))
        self._watches: list[Watch] = []

    def load(
        self, data: bytes, names: Sequence[str], run: RunOptions, decisive: Sequence[str] | None, *, skip: bool
    ) -> dict[str, str]:
        """A session for each runtime; those that are not there, with the reason, where that is no error."""
        missing: dict[str, str] = {}
        for name in names:
            runtime = runtimes.get(name)
            if skip and self._compute == "float64" and not runtime.float64:
                missing[name] = "computes float64 in float32, which the file does not allow"
                continue
            try:
                session = runtime.load(self._reference.single, data, run)
            except RuntimeUnavailableError as error:
                if not skip:
                    raise
                missing[name] = str(error).removeprefix(f"{name}: ")
                continue
            except InputError as error:
                if not skip or not runtime.partial:
                    raise
                missing[name] = str(error).removeprefix(f"{name} ")
                continue
            profile = profile_of(runtime, session, self._compute, tf32=run.tf32)
            tolerance = Tolerance(profile.compute, self._options.rtol, self._options.atol, self._options.max_ulp)
            decides = decisive is None or name in decisive
            self._watches.append(Watch(name, session, profile, tolerance, decides, self._graph.interface))
        if not self._watches:
            raise RuntimeUnavailableError(f"no runtime is there: {'; '.join(missing.values())}")
        return missing

    def run(self) -> None:
        """The families, then the search from what was worst in them."""
        search = self._search()
        searching = [watch for watch in self._watches if watch.decisive] if search.rounds else []
        families = 0 if self._options.only_inputs else len(FAMILIES) + len(self._options.ranges)
        draws = families * min(len(self._sizes), 2) + len(self._options.inputs)
        steps = draws + len(searching) * search.rounds
        done = 0
        # What is shown for comparison has a bound of its own, which costs as much as that of what decides.
        shown, few = SHOWN_IMAGES if self._images else SHOWN, list[Draw]()
        for together in _together(self._draws()):
            self._progress(f"checking inputs {together[0].family}", done, steps)
            self._compare(together, [watch for watch in self._watches if watch.decisive])
            kept = [drawn for drawn in together if drawn.x.shapes == self._sizes[0]]
            few += [Draw(drawn.family, drawn.x[:shown].copy(), at_once=True) for drawn in kept]
            done += len(together)
        for together in _together(few):
            self._compare(together, [watch for watch in self._watches if not watch.decisive])
        for watch in searching:
            start = watch.worst_inputs(self._sizes[0])
            if watch.lost or start is None:
                continue

            def score(x: Batch, watch: Watch = watch) -> NDArray[np.float64]:
                nonlocal done
                self._progress(f"searching for the largest error of {watch.name}", done, steps)
                done += 1
                return self._compare([Draw(SEARCHED, x)], [watch])

            climb(score, self._ports, start, search, self._options.seed)
        for watch in self._watches:
            if watch.decisive:
                self._progress(f"comparing the intermediate values of {watch.name}", steps, steps)
                watch.look_inside(self._reference, watch.sizes or self._sizes[0])
            watch.explain(self._reference)

    def report(self, missing: dict[str, str]) -> Report:
        """What was found; where a runtime failed, also where its values leave their bounds."""
        return Report(
            rows=tuple(row for watch in self._watches for row in watch.rows()),
            runtimes=tuple(watch.info() for watch in self._watches),
            verdict=str(self._watches[0].tolerance),
            seed=self._options.seed,
            missing=missing,
            worst=tuple(worst for watch in self._watches if (worst := watch.worst()) is not None),
            breaks=tuple(found for watch in self._watches if (found := watch.locate(self._reference)) is not None),
            curves=tuple(watch.curve() for watch in self._watches),
            notes=self._reference.notes,
            allow_empty=self._options.allow_empty,
        )

    def _draws(self) -> Iterator[Draw]:
        options = self._options
        if not options.only_inputs:
            samples = options.samples or self._samples()
            yield from draw(self._ports, self._sizes, samples, options.seed, options.ranges)
        for family, x in options.inputs.items():
            # A lone row of a matrix product may be rounded otherwise than the same row within a batch.
            alone = options.only_inputs and len(x) == 1 and not self._images
            yield Draw(family, x.repeated(REPLAYED) if alone else x)

    def _samples(self) -> int:
        """A wide layer costs more for each sample, and has more outputs in each."""
        if self._images:
            return IMAGE_SAMPLES
        widest: int = max((value.numel() for value in self._graph.module.state_dict().values()), default=1)
        return max(WIDE_SAMPLES, min(SAMPLES, WORK // max(1, widest)))

    def _search(self) -> SearchOptions:
        default = IMAGE_SEARCH
        if not self._images:
            default = replace(SEARCH, width=SEARCH.width * self._samples() // SAMPLES)
        if self._options.only_inputs:
            return SearchOptions(0, default.width)
        rounds = default.rounds if self._options.search is None else self._options.search
        # Who asks for a number of generations gets them all.
        return SearchOptions(rounds, default.width, default.patience if self._options.search is None else None)

    def _compare(self, draws: Sequence[Draw], watches: Sequence[Watch]) -> NDArray[np.float64]:
        """Error over bound of each sample of the last draw, of the last of the runtimes."""
        if not watches:
            return np.zeros(0)
        x = Batch.joined([drawn.x for drawn in draws])
        # Nearness to PyTorch's float32 is judged by its outputs for the same batches; it may round otherwise in others.
        near = any(watch.tolerance.against_torch for watch in watches)
        batches = [batch for drawn in draws for batch in drawn.batches] if near else []
        expected = self._reference(x, list(dict.fromkeys(watch.profile for watch in watches)), batches)
        ratios = np.zeros(0)
        start = 0
        for drawn in draws:
            rows = slice(start, start + len(drawn.x))
            start += len(drawn.x)
            for watch in watches:
                ratios = watch.compare(drawn, [each.of(rows) for each in expected[watch.profile]])
        return ratios


def _together(draws: Iterable[Draw]) -> Iterator[list[Draw]]:
    """Draws of one shape in groups, because the reference costs as much for a call as for many small samples."""
    groups: dict[Sizes, list[Draw]] = {}
    for drawn in draws:
        group = groups.setdefault(drawn.x.shapes, [])
        if group and sum(other.x.numbers for other in group) + drawn.x.numbers > GROUP:
            yield group
            group = groups[drawn.x.shapes] = []
        group.append(drawn)
    yield from groups.values()


def calibration(ports: Sequence[Port], sizes: Sequence[Sizes]) -> Iterator[Batch]:
    """Inputs on which a :class:`Reference` measures the error of what is not arithmetic, of the first sizes."""
    for drawn in draw(ports, sizes[:1], CALIBRATION, 0):
        yield drawn.x


def numbers_in(sizes: Sizes) -> int:
    """How many numbers one sample of all inputs holds."""
    return sum(math.prod(shape) for shape in sizes)


@contextmanager
def torch_threads(count: int | None) -> Iterator[int | None]:
    """Let torch compute with ``count`` threads for a while, ``None`` for as many as it has."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield count
    finally:
        torch.set_num_threads(before)
