"""Runs a model and its artifact over the input distributions and compares their outputs."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from nalu_export import runtimes
from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.graph.folding import Compute
from nalu_export.graph.interface import Port, Sizes
from nalu_export.parity.batch import Batch
from nalu_export.parity.comparison import Tolerance
from nalu_export.parity.inputs import DISTRIBUTIONS, Draw, draw
from nalu_export.parity.reference import Reference
from nalu_export.parity.report import Report
from nalu_export.parity.request import CheckRequest
from nalu_export.parity.row import titled
from nalu_export.parity.runtime_check import RuntimeCheck
from nalu_export.parity.search import SearchOptions, climb
from nalu_export.primitives.precision import Profile
from nalu_export.runtimes.base import RunOptions, Runtime, Session

SAMPLES = 128
IMAGE_SAMPLES = 24
# Weights of the largest layer times samples, and the fewest samples of each input distribution.
WORK = 2**22
WIDE_SAMPLES = 64
SEARCH = SearchOptions(rounds=16, width=192, patience=2)
IMAGE_SEARCH = SearchOptions(rounds=6, width=8, patience=3)
# Samples on which the error of opaque ops is measured.
CALIBRATION = 8
# A check runs on one thread if a sample has at most this many numbers.
SMALL = 2**11
# Samples of each input distribution for a runtime that is shown for comparison only.
SHOWN, SHOWN_IMAGES = 32, 2
# How often a lone replayed sample is repeated, so that it runs in batches of 1, 2 and a power of two.
REPLAYED = 67
# Numbers in the inputs of one call of the reference.
GROUP = 2**17
# Size of a freed block after which glibc keeps smaller blocks; more than 32 MiB have no effect.
LARGE = 31 * 2**20
SEARCHED = "search"


def check_bytes(request: CheckRequest) -> Report:
    """Check the bytes of an artifact.

    Raises:
        RuntimeUnavailableError: a runtime is absent, or all of them are.
        InputError: a runtime rejects the file, or the model rejects the shapes.
    """
    # glibc returns memory to the system after each tensor, and faults it in again for the next one, until a program has
    # freed something large (M_MMAP_THRESHOLD in mallopt(3)). That is half of the time of a check.
    torch.empty(LARGE, dtype=torch.uint8)
    # For little work, threads spend more time waiting for each other than they save, above all on a busy machine. A
    # process that leaves torch one thread, as a worker of a sweep does, leaves the runtimes one as well.
    alone = numbers_in(request.sizes[0]) <= SMALL or torch.get_num_threads() == 1
    with torch_threads(1 if alone else None) as threads:
        check = _Check(request)
        check.load(request.options.running(threads))
        check.run()
        return check.report()


def profile_of(runtime: Runtime, session: Session, compute: Compute, *, tf32: bool = False) -> Profile:
    """Return the precision in which a runtime computes an artifact whose arithmetic type is ``compute``."""
    # Eager PyTorch is float32 whatever the artifact computes in. A runtime without float64 computes the weights of a
    # live file in float32 as well.
    own: Compute = "float32" if runtime.own_weights else compute
    own_weights = runtime.own_weights or (session.lowers_float64 and own == "float32")
    written = runtime.own_weights
    cuda = runtime.cuda
    limit = session.exp_limit
    return Profile(own, own_weights, tf32=tf32 and cuda, exp_limit=limit, as_written=written, tiles=cuda)


class _Check:
    """The state of one check: the loaded sessions and the results so far."""

    def __init__(self, request: CheckRequest) -> None:
        self._request, self._missing = request, dict[str, str]()
        self._sizes, self._options = list(request.sizes), request.options
        self._ports = request.graph.interface.inputs
        self._images = any(len(shape) == 3 for shape in self._sizes[0])
        self._reference = Reference(request.graph, calibration(self._ports, self._sizes))
        self._checks: list[RuntimeCheck] = []

    def load(self, run: RunOptions) -> None:
        """Load a session for each runtime; with ``skip_missing``, record absent runtimes instead of raising."""
        missing, asked = self._missing, self._request
        for name in asked.runtimes:
            runtime = runtimes.get(name)
            if asked.skip_missing and asked.compute == "float64" and not runtime.float64:
                missing[name] = "it computes float64 in float32, but this file needs float64"
                continue
            try:
                session = runtime.load(self._reference.single, asked.data, run)
            except RuntimeUnavailableError as error:
                if not asked.skip_missing:
                    raise
                missing[name] = str(error).removeprefix(f"{name}: ")
                continue
            except InputError as error:
                if not asked.skip_missing or not runtime.partial:
                    raise
                missing[name] = str(error).removeprefix(f"{name} ")
                continue
            profile = profile_of(runtime, session, asked.compute, tf32=run.tf32)
            tolerance = Tolerance(profile.compute, self._options.rtol, self._options.atol, self._options.max_ulp)
            decides = asked.decisive is None or name in asked.decisive
            self._checks.append(RuntimeCheck(name, session, profile, tolerance, decides, asked.graph.interface))
        if not self._checks:
            raise RuntimeUnavailableError(f"no runtime can run the file: {'; '.join(missing.values())}")

    def run(self) -> None:
        """Run the input distributions, then a search from the worst inputs found in them."""
        search = self._search()
        searching = [check for check in self._checks if check.decisive] if search.rounds else []
        distributions = 0 if self._options.only_inputs else len(DISTRIBUTIONS) + len(self._options.ranges)
        draws = distributions * min(len(self._sizes), 2) + len(self._options.inputs)
        steps = draws + len(searching) * search.rounds
        done = 0
        # Runtimes shown for comparison have a bound of their own, which costs as much as that of the deciding runtimes.
        shown, few = SHOWN_IMAGES if self._images else SHOWN, list[Draw]()
        for together in _together(self._draws()):
            self._request.progress(f"checking {titled(together[0].distribution)}", done, steps)
            self._compare(together, [check for check in self._checks if check.decisive])
            kept = [drawn for drawn in together if drawn.x.shapes == self._sizes[0]]
            few += [Draw(drawn.distribution, drawn.x[:shown].copy(), at_once=True) for drawn in kept]
            done += len(together)
        for together in _together(few):
            self._compare(together, [check for check in self._checks if not check.decisive])
        for check in searching:
            start = check.worst_inputs(self._sizes[0])
            if check.lost or start is None or check not in self._checks:
                continue

            def score(x: Batch, check: RuntimeCheck = check) -> NDArray[np.float64]:
                nonlocal done
                self._request.progress(f"searching for the largest error of {check.name}", done, steps)
                done += 1
                return self._compare([Draw(SEARCHED, x)], [check])

            climb(score, self._ports, start, search, self._options.seed)
        for check in self._checks:
            if check.decisive:
                self._request.progress(f"comparing the intermediate values of {check.name}", steps, steps)
                check.compare_intermediate_values(self._reference, check.sizes or self._sizes[0])
            check.explain(self._reference)

    def report(self) -> Report:
        """Return the results; for a failed runtime also the first value that leaves its bound."""
        return Report(
            rows=tuple(row for check in self._checks for row in check.rows()),
            runtimes=tuple(check.info() for check in self._checks),
            criterion=str(self._checks[0].tolerance),
            seed=self._options.seed,
            missing=self._missing,
            worst=tuple(worst for check in self._checks if (worst := check.worst()) is not None),
            divergences=tuple(found for check in self._checks if (found := check.locate(self._reference)) is not None),
            curves=tuple(check.curve() for check in self._checks),
            notes=self._reference.notes,
            allow_empty=self._options.allow_empty,
        )

    def _draws(self) -> Iterator[Draw]:
        options = self._options
        if not options.only_inputs:
            samples = options.samples or self._samples()
            yield from draw(self._ports, self._sizes, samples, options.seed, options.ranges)
        for distribution, x in options.inputs.items():
            # A matrix product may round a lone row differently from the same row within a batch.
            alone = options.only_inputs and len(x) == 1 and not self._images
            yield Draw(distribution, x.repeated(REPLAYED) if alone else x)

    def _samples(self) -> int:
        """Return the default number of samples: a wide layer costs more per sample and has more outputs."""
        if self._images:
            return IMAGE_SAMPLES
        widest: int = max((value.numel() for value in self._request.graph.module.state_dict().values()), default=1)
        return max(WIDE_SAMPLES, min(SAMPLES, WORK // max(1, widest)))

    def _search(self) -> SearchOptions:
        default = IMAGE_SEARCH
        if not self._images:
            default = replace(SEARCH, width=SEARCH.width * self._samples() // SAMPLES)
        if self._options.only_inputs:
            return SearchOptions(0, default.width)
        rounds = default.rounds if self._options.search is None else self._options.search
        # An explicit number of generations is always run in full.
        return SearchOptions(rounds, default.width, default.patience if self._options.search is None else None)

    def _compare(self, draws: Sequence[Draw], checks: Sequence[RuntimeCheck]) -> NDArray[np.float64]:
        """Return error/bound of each sample of the last draw, for the last of the runtimes."""
        if not checks:
            return np.zeros(0)
        x = Batch.joined([drawn.x for drawn in draws])
        # Closeness to PyTorch's float32 is judged in the same batches, because PyTorch may round differently in others.
        near = any(check.tolerance.against_torch for check in checks)
        batches = [batch for drawn in draws for batch in drawn.batches] if near else []
        expected = self._reference(x, list(dict.fromkeys(check.profile for check in checks)), batches)
        ratios = np.zeros(len(draws[-1].x))
        start = 0
        for drawn in draws:
            rows = slice(start, start + len(drawn.x))
            start += len(drawn.x)
            for check in [check for check in checks if check in self._checks]:
                try:
                    ratios = check.compare(drawn, [each.of(rows) for each in expected[check.profile]])
                except RuntimeUnavailableError as error:
                    self._drop(check, error)
        return ratios

    def _drop(self, check: RuntimeCheck, error: RuntimeUnavailableError) -> None:
        """Continue without a runtime whose device failed during the check, if missing runtimes are skipped."""
        if not self._request.skip_missing or len(self._checks) == 1:
            raise error
        self._checks.remove(check)
        self._missing[check.name] = str(error).removeprefix(f"{check.name}: ")


def _together(draws: Iterable[Draw]) -> Iterator[list[Draw]]:
    """Group draws of one shape, because a call of the reference costs as much as many small samples."""
    groups: dict[Sizes, list[Draw]] = {}
    for drawn in draws:
        group = groups.setdefault(drawn.x.shapes, [])
        if group and sum(other.x.numbers for other in group) + drawn.x.numbers > GROUP:
            yield group
            group = groups[drawn.x.shapes] = []
        group.append(drawn)
    yield from groups.values()


def calibration(ports: Sequence[Port], sizes: Sequence[Sizes]) -> Iterator[Batch]:
    """Yield inputs of the first sizes, on which a :class:`Reference` measures the error of opaque ops."""
    for drawn in draw(ports, sizes[:1], CALIBRATION, 0):
        yield drawn.x


def numbers_in(sizes: Sizes) -> int:
    """Return how many numbers one sample of all inputs holds."""
    return sum(math.prod(shape) for shape in sizes)


@contextmanager
def torch_threads(count: int | None) -> Iterator[int | None]:
    """Let torch compute with ``count`` threads in this context; ``None`` changes nothing."""
    before = torch.get_num_threads()
    if count is not None:
        torch.set_num_threads(count)
    try:
        yield count
    finally:
        torch.set_num_threads(before)
