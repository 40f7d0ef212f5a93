"""benchmarks/cpp: the programs compute what they time, what is wrong or missing is said, and the targets are judged."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from time import perf_counter

import numpy as np
import pytest
import torch

from benchmarks.cpp import building, floor, latency
from benchmarks.cpp.building import FASTEST, NO_COMPILER, Compiler, Workshop
from benchmarks.cpp.figures import digits, microseconds
from benchmarks.cpp.heads import EAGER, LIBTORCH, ORT_CPP, ORT_PYTHON, Head, make, tools
from benchmarks.cpp.sides import ROUNDS, Array, Call, Child, calls_within, interleave
from benchmarks.timing import Timing
from examples.cpp.build import MissingError

DIMS = (2, 1)
needs_compiler = pytest.mark.skipif(not building.compilers(), reason=NO_COMPILER)


@pytest.fixture(scope="module")
def shop() -> Iterator[Workshop]:
    """With the first compiler alone: what the others make of it is their makers' business."""
    with building.workshop() as found:
        yield Workshop(found.folder, found.compilers[:1])


@pytest.fixture(scope="module")
def head(shop: Workshop) -> Head:
    return make(DIMS, shop.folder)


@pytest.fixture
def header(shop: Workshop, head: Head) -> Iterator[Child]:
    with Child(shop.header(shop.compilers[0], head.file(".hpp"), FASTEST), head.file(".x")) as child:
        yield child


@pytest.fixture
def loops(shop: Workshop) -> Iterator[Child]:
    with Child(shop.floor(shop.compilers[0])) as child:
        if child.about == floor.NONE:
            pytest.skip("this machine has neither AVX-512 nor AVX2 with FMA")
        yield child


@pytest.fixture
def script(tmp_path: Path) -> Callable[[str], Path]:
    """A program in Python with these lines."""

    def write(text: str) -> Path:
        path = tmp_path / "program"
        path.write_text(f"#!{sys.executable}\n{text}\n")
        path.chmod(0o755)
        return path

    return write


class Clock:
    """A side of which a call takes always as long."""

    def __init__(self, name: str, seconds: float, asked: list[tuple[str, str, int]]) -> None:
        self._name, self._seconds, self._asked = name, seconds, asked

    def seconds(self, what: str, calls: int) -> float:
        self._asked.append((self._name, what, calls))
        return self._seconds

    def results(self, what: str) -> Array:
        return np.zeros(1, np.float32)


class Fixed:
    """A side with these results."""

    def __init__(self, results: list[float]) -> None:
        self._results = np.asarray(results, np.float32)

    def seconds(self, what: str, calls: int) -> float:
        return 1.0

    def results(self, what: str) -> Array:
        return self._results


def _timings(**seconds: float) -> dict[str, Timing]:
    return {name: Timing((value,)) for name, value in seconds.items()}


# Sides and rounds.


def test_every_round_begins_with_another_side() -> None:
    asked: list[tuple[str, str, int]] = []
    sides = {name: (Clock(name, 0.01, asked), f"what {name}") for name in "abc"}
    found = interleave(sides, 3, 0.02)
    turns = asked[3:]
    assert "".join(name for name, _, _ in turns) == "abc" + "bca" + "cab"
    assert {(name, what, calls) for name, what, calls in turns} == {(name, f"what {name}", 2) for name in "abc"}
    assert {name: timing.rounds for name, timing in found.items()} == dict.fromkeys("abc", (0.01, 0.01, 0.01))


@pytest.mark.parametrize(("seconds", "calls"), [(1e-9, 10_000_000), (0.003, 3), (0.5, 1)])
def test_a_turn_has_as_many_calls_as_fit(seconds: float, calls: int) -> None:
    asked: list[tuple[str, str, int]] = []
    assert calls_within(Clock("", seconds, asked), "1", 0.01) == calls
    # Short calls are timed by thousands.
    assert asked[-1][2] * seconds >= min(0.0025, seconds)


def test_a_call_from_python_sees_all_samples_in_turn() -> None:
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    seen: list[list[float]] = []

    def run(batch: Array) -> Array:
        seen.append(batch[:, 0].tolist())
        return batch[:, :1] + batch[:, 1:]

    call = Call(run, np.negative, x)
    assert call.results("2").tolist() == [-1, -5, -9, -13]
    seen.clear()
    assert call.seconds("2", 3) > 0
    assert seen == [[0, -2], [-4, -6], [0, -2]]


def test_a_program_answers(script: Callable[[str], Path]) -> None:
    program = script("print('ok it is me', flush=True)\nfor line in open(0): print('ok', len(line), flush=True)")
    with Child(program, "word") as child:
        assert child.about == "it is me"
        assert child.seconds("16", 100) == len("time 16 100\n")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("print('error it has no legs')", "program: it has no legs"),
        ("raise SystemExit(3)", "program: ended with exit code 3"),
    ],
)
def test_a_program_that_does_not_start(script: Callable[[str], Path], text: str, reason: str) -> None:
    with pytest.raises(RuntimeError, match=f"^{reason}$"):
        Child(script(text))


def test_a_program_that_goes_away(script: Callable[[str], Path]) -> None:
    with Child(script("print('ok', flush=True)\ninput()\nraise SystemExit(4)")) as child:
        for _ in range(2):
            with pytest.raises(RuntimeError, match=r"^program: ended with exit code 4$"):
                child.seconds("1", 1)


# What is compared before anything is timed.


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([1.0, 3.0, 2.0], "me of [2, 1], 16: 3 results instead of 2"),
        ([1.0, 2.01], "me of [2, 1], 16: result 1 is 2.00999999 instead of 2"),
        ([np.nan, 2.0], "me of [2, 1], 16: result 0 is nan instead of 1"),
        ([np.inf, 2.0], "me of [2, 1], 16: result 0 is inf instead of 1"),
    ],
)
def test_a_fast_wrong_answer_is_no_answer(found: list[float], text: str, tmp_path: Path) -> None:
    head = Head(DIMS, torch.nn.Identity(), np.ones((2, 2), np.float32), np.array([[1.0], [2.0]]), tmp_path)
    head.check("me", Fixed([1.0009, 1.9991]), "16")
    with pytest.raises(RuntimeError, match=f"^{re.escape(text)}$"):
        head.check("me", Fixed(found), "16")


def test_wide_heads_may_be_off_by_more(tmp_path: Path) -> None:
    head = Head((512, 1), torch.nn.Identity(), np.ones((1, 512), np.float32), np.array([[1.0]]), tmp_path)
    head.check("me", Fixed([1.019]), "1")
    with pytest.raises(RuntimeError, match=r"^me of \[512, 1\], 1: result 0 is 1\.02100003 instead of 1$"):
        head.check("me", Fixed([1.021]), "1")


# The programs.


@pytest.mark.quick(2)
@needs_compiler
@pytest.mark.parametrize("batch", ["1", "16", "1024"])
def test_the_header_computes_what_is_timed(header: Child, head: Head, batch: str) -> None:
    assert header.about.startswith("nalu_export ")
    head.check("header", header, batch)
    # Of one call, not of all of them.
    begun = perf_counter()
    assert 0 < 1000 * header.seconds(batch, 1000) < 2 * (perf_counter() - begun)


@needs_compiler
def test_a_program_refuses_what_it_cannot_do(header: Child, head: Head, shop: Workshop) -> None:
    name = f"head_2_1_{shop.compilers[0].name}_O3_march_native"
    for batch in ("0", "3"):
        with pytest.raises(RuntimeError, match=f"^{re.escape(name)}: the batches must fill the ring$"):
            header.seconds(batch, 1)
    with pytest.raises(RuntimeError, match=f"^{re.escape(name)}: not a number of calls: time 1 0$"):
        header.seconds("1", 0)
    results = shop.folder / f"{name}.results"
    results.mkdir()
    with pytest.raises(RuntimeError, match=f"^{re.escape(name)}: cannot write {re.escape(str(results))}$"):
        header.results("1")
    results.rmdir()
    head.check("and goes on", header, "1")
    with pytest.raises(RuntimeError, match=f"^{re.escape(name)}: cannot read {re.escape(str(shop.folder))}/none$"):
        Child(shop.folder / name, shop.folder / "none")
    done = subprocess.run(
        [shop.folder / name, head.file(".x")], input="sing\n", capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1:] == ["error not a request: sing"]


@needs_compiler
def test_a_source_that_does_not_compile(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, building.compilers()[:1])
    (tmp_path / "head.hpp").write_text("#error no head\n")
    with pytest.raises(RuntimeError, match=r"^\S+ does not compile header\.cpp: .*error: .*no head"):
        shop.header(shop.compilers[0], tmp_path / "head.hpp", ())


@needs_compiler
@pytest.mark.parametrize("loop", floor.LOOPS)
def test_the_loops_of_the_floor_are_right(loops: Child, loop: str) -> None:
    assert re.fullmatch(r"(AVX-512|AVX2) \d+ \d+ \d+", loops.about)
    assert 0 < floor.accuracy(loop, loops.results(loop), loops.about) < 2
    # Of one number, not of a pass over all of them.
    begun = perf_counter()
    assert 0 < 10**7 * loops.seconds(loop, 10**7) < 2 * (perf_counter() - begun)


@needs_compiler
def test_there_is_no_other_loop(loops: Child, shop: Workshop) -> None:
    name = f"floor_{shop.compilers[0].name}"
    for ask in (loops.results, partial(loops.seconds, calls=1)):
        with pytest.raises(RuntimeError, match=f"^{re.escape(name)}: no such loop: sqrt$"):
            ask("sqrt")


@pytest.mark.parametrize(
    ("loop", "results"),
    [
        ("exp", [0, 1, 1, np.e * (1 + 5e-7)]),
        ("log", [4, 2, np.log(4), 0.6931476]),
        ("log", [4, 2, np.log(4), np.nan]),
        # Two samples of one input, one output.
        ("fma", [2, 3, 5, 10, 15.00001]),
    ],
)
def test_a_loop_that_computes_something_else_is_no_floor(loop: str, results: list[float]) -> None:
    with pytest.raises(
        RuntimeError, match=rf"^the loop for {loop} is off by \S+ roundoffs: no floor for what is right$"
    ):
        floor.accuracy(loop, np.array(results, np.float32), "AVX2 1 1 2")


# What is missing.


def test_without_a_compiler_nothing_is_measured(tmp_path: Path) -> None:
    for benchmark in (latency.benchmark, floor.benchmark):
        section = benchmark(Workshop(tmp_path, ()), quick=True)
        assert section.method == "Nothing was measured: there is no C++ compiler here, neither g++ nor clang++."
        assert (section.rows, section.targets) == ((), ())


@needs_compiler
def test_without_vectors_there_is_no_floor(tmp_path: Path) -> None:
    shop = Workshop(tmp_path, building.compilers()[:1])
    # What every processor of the kind has.
    program = shop.build(shop.compilers[0], "floor.cpp", f"floor_{shop.compilers[0].name}", ("-std=c++17",))
    section = floor.benchmark(shop, quick=True)
    assert section.method == (
        "Nothing was measured: there is no floor for this machine: it has neither AVX-512 nor AVX2 with FMA."
    )
    assert section.rows == ()
    with Child(program) as child:
        for ask in (child.results, partial(child.seconds, calls=1)):
            with pytest.raises(RuntimeError, match=f"^{re.escape(program.name)}: no vectors$"):
                ask("exp")


def test_a_library_that_is_missing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> Path:
        raise MissingError(f"no {name}")

    monkeypatch.setattr("examples.cpp.build.package", refuse)
    found = tools(Workshop(tmp_path, (Compiler("g++", "1.2.3"),)))
    assert found.libraries == {}
    assert found.left_out == ("ONNX Runtime, C++: no onnxruntime", "libtorch: no torch")
    assert latency._method(found, quick=True).endswith(
        " Left out: ONNX Runtime, C++: no onnxruntime; libtorch: no torch."
    )


def test_a_torch_without_headers_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("examples.cpp.build.package", lambda name: tmp_path)
    with pytest.raises(MissingError, match=f"^{re.escape(str(tmp_path))} has no headers for C\\+\\+$"):
        Workshop(tmp_path, (Compiler("g++", "1.2.3"),)).libtorch()


# The tables.


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.02871, "0.0287"),
        (0.09996, "0.100"),
        (0.7244, "0.724"),
        (0.9996, "1.00"),
        (9.996, "10.0"),
        (99.96, "100"),
        (33994.6, "33,995"),
    ],
)
def test_three_digits(value: float, text: str) -> None:
    assert digits(value) == text
    assert microseconds(value / 1e6) == text


def test_counts_of_a_head() -> None:
    assert floor.counts((2, 1)) == (2, 3, 6)
    assert floor.counts((16, 32, 1)) == (16 + 32, 3 * (32 + 1), 3 * (16 * 32 + 32 * 1))


def test_the_floor_is_the_sum_of_the_fastest_loops() -> None:
    loops = {"log, a": 1e-9, "log, b": 2e-9, "exp, a": 4e-9, "exp, b": 3e-9, "fma, a": 5e-9, "fma, b": 5e-9}
    timings = _timings(**loops, **{"header, a": 1.0})
    assert floor.each(timings) == (1e-9, 3e-9, 5e-9)
    assert floor.floor((2, 1), timings) == pytest.approx(1024 * (2 * 1e-9 + 3 * 3e-9 + 6 * 5e-9))


@pytest.mark.parametrize(("times", "verdict"), [(1.99, "reached"), (2.01, "NOT reached")])
def test_the_header_is_to_be_within_twice_the_floor(times: float, verdict: str) -> None:
    loops = {"log, a": 1e-9, "exp, a": 1e-9, "fma, a": 1e-9}
    timings = _timings(**loops, header=times * 1024 * 11e-9)
    assert str(floor._target((2, 1), timings, "header")) == f"{verdict}: [2, 1]: within 2× of the floor ({times}×)"


def test_what_the_header_is_to_reach() -> None:
    first = _timings(**{"header": 1.0, ORT_CPP: 199.0, ORT_PYTHON: 201.0})
    found = {
        ((2, 1), 1): first,
        ((16, 32, 1), 1): _timings(**{"header": 1.0, ORT_PYTHON: 11.0}),
        ((16, 32, 1), 1024): _timings(**{"header": 1.25, ORT_CPP: 1.0, ORT_PYTHON: 2.5}),
        ((512, 512, 512), 1024): _timings(**{"header": 1.5, ORT_CPP: 1.0, ORT_PYTHON: 0.5}),
    }
    assert [str(target) for target in latency.targets(found, "header")] == [
        "NOT reached: [2, 1], batch 1: at least 200 times as fast as ONNX Runtime, C++ (199)",
        "reached: [2, 1], batch 1: at least 200 times as fast as ONNX Runtime, Python (201)",
        "reached: [16, 32, 1], batch 1: at least 10 times as fast as ONNX Runtime, Python (11.0)",
        "NOT reached: [16, 32, 1], batch 1024: no slower than ONNX Runtime, C++ (1.25×)",
        "reached: [16, 32, 1], batch 1024: no slower than ONNX Runtime, Python (0.500×)",
        "reached: [512, 512, 512], batch 1024: within 2× of ONNX Runtime, C++ (1.50×)",
        "NOT reached: [512, 512, 512], batch 1024: within 2× of ONNX Runtime, Python (3.00×)",
    ]
    assert latency.cells(first) == ["1,000,000", "199,000,000 (199×)", "201,000,000 (201×)"]


@pytest.mark.slow
@needs_compiler
def test_both_tables(shop: Workshop, loops: Child, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that is here runs the smallest head."""
    for module in (latency, floor):
        monkeypatch.setattr(module, "HEADS", (DIMS,))
    monkeypatch.setitem(ROUNDS, True, 1)
    compiler = shop.compilers[0]
    header = f"header, {compiler.name}"
    section = latency.benchmark(shop, quick=True)
    libraries = [name for name in (ORT_CPP, LIBTORCH) if f"Left out: {name}" not in section.method]
    assert section.header == ("head", "batch", header, f"{header} without -march", *libraries, ORT_PYTHON, EAGER)
    assert [row[:2] for row in section.rows] == [("[2, 1]", "1"), ("[2, 1]", "16"), ("[2, 1]", "1024")]
    for row in section.rows:
        assert re.fullmatch(r"[\d.,]+", row[2])
        assert all(re.fullmatch(r"[\d.,]+ \([\d.,]+×\)", cell) for cell in row[3:])
    assert f"({compiler.name} {compiler.version})" in section.method
    assert len(section.targets) == (4 if ORT_CPP in libraries else 2)
    section = floor.benchmark(shop, quick=True)
    assert section.header[-1] == header
    assert [row[:2] for row in section.rows] == [("[2, 1]", "2, 3, 6")]
    assert loops.about.split()[0] in section.method
    assert len(section.targets) == 1
