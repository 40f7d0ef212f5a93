"""How long one call takes: the exported header against every other way of running the same head."""

import torch

from benchmarks.cpp.building import NO_COMPILER, Workshop
from benchmarks.cpp.figures import digits, microseconds
from benchmarks.cpp.heads import (
    HEADS,
    ORT_CPP,
    ORT_PYTHON,
    TOLERANCE,
    WIDE,
    WIDE_TOLERANCE,
    Dims,
    Tools,
    header_name,
    make,
    sides,
    tools,
)
from benchmarks.cpp.sides import ROUNDS, TURN, interleave
from benchmarks.report import Section, Target
from benchmarks.timing import Timing

BATCHES = (1, 16, 1024)
TITLE = "C++: one call of the header, of ONNX Runtime, of libtorch and of PyTorch, µs"
# At batch 1, the header is at least so many times as fast as ONNX Runtime.
FASTER: dict[Dims, float] = {(2, 1): 200, (16, 32, 1): 10}
# At batch 1024, it takes at most so many times as long.
AT_MOST: dict[Dims, float] = {(2, 1): 1, (16, 32, 1): 1, (64, 64, 10): 1, (512, 512, 512): 2}

Found = dict[tuple[Dims, int], dict[str, Timing]]


def benchmark(shop: Workshop, *, quick: bool) -> Section:
    """Latency by head and batch."""
    if not shop.compilers:
        return Section(TITLE, f"Nothing was measured: {NO_COMPILER}.", ("head",), ())
    here = tools(shop)
    found = measure(here, quick=quick)
    names = list(next(iter(found.values())))
    return Section(
        title=TITLE,
        method=_method(here, quick=quick),
        header=("head", "batch", *names),
        rows=tuple((str(list(dims)), str(batch), *cells(timings)) for (dims, batch), timings in found.items()),
        targets=targets(found, header_name(shop.compilers[0])),
    )


def measure(here: Tools, *, quick: bool) -> Found:
    """Alternating rounds of every side over the same samples."""
    found: Found = {}
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        for dims in HEADS[:2] if quick else HEADS:
            head = make(dims, here.shop.folder)
            with sides(head, here) as running:
                for batch in BATCHES:
                    for name, side in running.items():
                        head.check(name, side, str(batch))
                    asked = {name: (side, str(batch)) for name, side in running.items()}
                    found[dims, batch] = interleave(asked, ROUNDS[quick], TURN[quick])
    finally:
        torch.set_num_threads(before)
    return found


def cells(timings: dict[str, Timing]) -> list[str]:
    """Microseconds; behind the first also how many times as long as the first."""
    first, *others = timings.values()
    return [
        microseconds(first.median),
        *(f"{microseconds(other.median)} ({digits(other.median / first.median)}×)" for other in others),
    ]


def targets(found: Found, header: str) -> tuple[Target, ...]:
    """What the header is to reach, of the heads that were measured; for a call from C++ and for one from Python."""
    claims: list[Target] = []
    for dims, least in FASTER.items():
        for name, times in _against(found, dims, 1, header):
            claim = f"at least {least:g} times as fast as {name} ({digits(1 / times)})"
            claims.append(Target(f"{list(dims)}, batch 1: {claim}", 1 / times >= least))
    for dims, most in AT_MOST.items():
        for name, times in _against(found, dims, 1024, header):
            claim = f"{'no slower than' if most == 1 else f'within {most:g}× of'} {name} ({digits(times)}×)"
            claims.append(Target(f"{list(dims)}, batch 1024: {claim}", times <= most))
    return tuple(claims)


def _against(found: Found, dims: Dims, batch: int, header: str) -> list[tuple[str, float]]:
    """The header's time over that of ONNX Runtime, for each way of calling it that was measured."""
    timings = found.get((dims, batch), {})
    return [(name, timings[header].median / timings[name].median) for name in (ORT_CPP, ORT_PYTHON) if name in timings]


def _method(here: Tools, *, quick: bool) -> str:
    compilers = ", ".join(f"{compiler.name} {compiler.version}" for compiler in here.shop.compilers)
    left_out = f" Left out: {'; '.join(here.left_out)}." if here.left_out else ""
    return (
        "One thread, the same weights on all sides, as initialised; inputs 0.5..2. Header: `-O3 -march=native`, and "
        f"`-O3` alone where the column says so ({compilers}); batch 1 is `predict(x, y)`, more is `predict(x, y, n)`. "
        "ONNX Runtime: our folded file, in C++ with input and output tensors made beforehand. libtorch: our "
        "TorchScript file, in `InferenceMode`. Eager PyTorch: the usual NALU. Calls go around a ring of 1024 samples; "
        f"programs in C++ stay up and time themselves. Medians of {ROUNDS[quick]} alternating rounds, about "
        f"{TURN[quick] * 1000:g} ms for each side; in brackets the time over that of the first column, which the "
        f"targets are about. Before, all results of each side were within {TOLERANCE:g}·(1 + |value|), of widths "
        f"from {WIDE} on {WIDE_TOLERANCE:g}·(1 + |value|), of the usual NALU in float64.{left_out}"
    )
