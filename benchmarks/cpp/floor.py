"""How near the header comes to what loops with vectors by hand take for the same exp, log and multiply-add."""

from collections.abc import Mapping
from contextlib import ExitStack
from itertools import pairwise

import numpy as np

from benchmarks.cpp.building import FASTEST, NO_COMPILER, Workshop
from benchmarks.cpp.figures import digits, microseconds
from benchmarks.cpp.heads import HEADS, Dims, header_name, make
from benchmarks.cpp.sides import ROUNDS, TURN, Array, Child, Side, interleave
from benchmarks.report import Section, Target
from benchmarks.timing import Timing

TITLE = "C++: the header against a floor for its exp, log and multiply-add, batch 1024"
BATCH = 1024
AT_MOST = 2.0
LOOPS = ("log", "exp", "fma")
# What the program says of itself where it has no vectors.
NONE = "none"
ROUNDOFF = 2.0**-24
# Roundoffs that a loop may be off by: exp and log of their result, a sum of products of the sum of their sizes.
ACCURATE = 4.0

Found = dict[Dims, dict[str, Timing]]


def benchmark(shop: Workshop, *, quick: bool) -> Section:
    """The header's time and the floor's, by head."""
    if not shop.compilers:
        return _nothing(NO_COMPILER)
    with ExitStack() as stack:
        running = {compiler.name: stack.enter_context(Child(shop.floor(compiler))) for compiler in shop.compilers}
        if any(child.about == NONE for child in running.values()):
            return _nothing("there is no floor for this machine: it has neither AVX-512 nor AVX2 with FMA")
        errors = {
            loop: max(accuracy(loop, child.results(loop), child.about) for child in running.values()) for loop in LOOPS
        }
        found = measure(shop, running, quick=quick)
        vectors = next(iter(running.values())).about.split()[0]
    names = [header_name(compiler) for compiler in shop.compilers]
    return Section(
        title=TITLE,
        method=_method(vectors, errors, quick=quick),
        header=("head", "log, exp, multiply-add of a sample", "ns for one of each", "floor µs", *names),
        rows=tuple(_row(dims, timings, names) for dims, timings in found.items()),
        targets=tuple(_target(dims, timings, names[0]) for dims, timings in found.items()),
    )


def _nothing(reason: str) -> Section:
    return Section(TITLE, f"Nothing was measured: {reason}.", ("head",), ())


def measure(shop: Workshop, running: Mapping[str, Child], *, quick: bool) -> Found:
    """Alternating rounds of the header and of the loops, for every compiler."""
    found: Found = {}
    for dims in HEADS[:2] if quick else HEADS:
        head = make(dims, shop.folder)
        with ExitStack() as stack:
            asked: dict[str, tuple[Side, str]] = {}
            for compiler in shop.compilers:
                program = shop.header(compiler, head.file(".hpp"), FASTEST)
                child = stack.enter_context(Child(program, head.file(".x")))
                head.check(header_name(compiler), child, str(BATCH))
                asked[header_name(compiler)] = child, str(BATCH)
            asked |= {f"{loop}, {name}": (child, loop) for name, child in running.items() for loop in LOOPS}
            found[dims] = interleave(asked, ROUNDS[quick], TURN[quick])
    return found


def counts(dims: Dims) -> tuple[int, int, int]:
    """Logarithms, exponentials and multiply-adds of a sample.

    A NALU cell takes the logarithm of each input; for each output the exponential of the product path and one for
    each of the two gates; and three products with a matrix: both paths and the gate.
    """
    layers = list(pairwise(dims))
    return (
        sum(inputs for inputs, _ in layers),
        3 * sum(outputs for _, outputs in layers),
        3 * sum(inputs * outputs for inputs, outputs in layers),
    )


def each(timings: Mapping[str, Timing]) -> tuple[float, ...]:
    """Seconds of one of each loop: of the compiler whose loop is the fastest."""
    return tuple(
        min(timing.median for name, timing in timings.items() if name.startswith(f"{loop}, ")) for loop in LOOPS
    )


def floor(dims: Dims, timings: Mapping[str, Timing]) -> float:
    """Seconds that a batch takes at least."""
    return BATCH * sum(count * seconds for count, seconds in zip(counts(dims), each(timings), strict=True))


def accuracy(loop: str, results: Array, about: str) -> float:
    """The largest error of a loop in roundoffs: one that computes something else is no floor.

    Args:
        loop: its name.
        results: what it was given, and what it made of it.
        about: instruction set; outputs, inputs and samples of the product.

    Raises:
        RuntimeError: it is not as accurate as float32 can be.
    """
    numbers = results.astype(np.float64)
    if loop == "fma":
        rows, inputs, samples = map(int, about.split()[1:])
        x, w, found = np.split(numbers, np.cumsum((inputs * samples, inputs * rows)))
        x, w = x.reshape(inputs, samples), w.reshape(inputs, rows)
        wanted, scale = (w.T @ x).ravel(), (np.abs(w).T @ np.abs(x)).ravel()
    else:
        arguments, found = np.split(numbers, 2)
        wanted = np.exp(arguments) if loop == "exp" else np.log(arguments)
        scale = np.abs(wanted)
    worst = float(np.max(np.abs(found - wanted) / (scale * ROUNDOFF)))
    if not worst <= ACCURATE:
        raise RuntimeError(f"the loop for {loop} is off by {worst:.3g} roundoffs: no floor for what is right")
    return worst


def _row(dims: Dims, timings: Mapping[str, Timing], names: list[str]) -> tuple[str, ...]:
    least = floor(dims, timings)
    return (
        str(list(dims)),
        ", ".join(f"{count:,}" for count in counts(dims)),
        ", ".join(digits(seconds * 1e9) for seconds in each(timings)),
        microseconds(least),
        *(f"{microseconds(timings[name].median)} ({digits(timings[name].median / least)}×)" for name in names),
    )


def _target(dims: Dims, timings: Mapping[str, Timing], name: str) -> Target:
    times = timings[name].median / floor(dims, timings)
    return Target(f"{list(dims)}: within {AT_MOST:g}× of the floor ({digits(times)}×)", times <= AT_MOST)


def _method(vectors: str, errors: Mapping[str, float], *, quick: bool) -> str:
    return (
        "The floor: how many logarithms, exponentials and multiply-adds a sample takes, times what one of them takes "
        f"in a loop with {vectors} intrinsics over data in the first cache (`benchmarks/cpp/floor.cpp`, `-O3 "
        "-march=native`, the faster of the compilers' loops): for log and exp range reduction and a polynomial, "
        "without special cases; for the multiply-adds a product of matrices with all sums in registers. It has "
        "nothing else: no |x| + ε, no division of a gate, no weight from beyond the first cache. Largest error against "
        f"float64: log {errors['log']:.1f} and exp {errors['exp']:.1f} roundoffs (2⁻²⁴) of the result, multiply-add "
        f"{errors['fma']:.1f} of the sum of the sizes. Medians of {ROUNDS[quick]} alternating rounds of header and "
        f"loops, about {TURN[quick] * 1000:g} ms for each; in brackets the time over the floor, and the targets are "
        "about the first compiler."
    )
