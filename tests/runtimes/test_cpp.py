"""runtimes.cpp: a header is compiled, run, and held to its own promises."""

import gc
import os
import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from nalu_export import NAC, NALU, InputError, RuntimeUnavailableError, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.folding import Compute
from nalu_export.nn.functional import effective_weight
from nalu_export.parity import CheckOptions, CheckRequest, Report, check_bytes
from nalu_export.runtimes.base import RunOptions
from nalu_export.runtimes.cpp import CppSession, find_compiler
from tests.captured import graph_of

pytestmark = pytest.mark.skipif(
    not any(map(shutil.which, ("c++", "g++", "clang++"))), reason="no C++ compiler; apt-get install g++"
)
BATCH = np.array([[1.5, -2.0], [0.0, 3.0], [1e6, 1e-6]], np.float32)


@pytest.fixture
def model() -> NALU:
    torch.manual_seed(3)
    return NALU(2, 3, 1)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    place = tmp_path / "temporary"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def header(model: torch.nn.Module, features: int = 2, compute: Compute = "float32") -> bytes:
    return formats.get("cpp").emit(graph_of(model, (features,)), EmitOptions(compute=compute)).to_bytes({})


def edited(data: bytes, old: str, new: str) -> bytes:
    """The header with one place changed; the place has to be there."""
    assert old.encode() in data
    return data.replace(old.encode(), new.encode(), 1)


def load(data: bytes) -> CppSession:
    session = runtimes.get("cpp").load(NAC(1, 1), data, RunOptions())
    assert isinstance(session, CppSession)
    return session


def check(model: torch.nn.Module, data: bytes, compute: Compute = "float32") -> Report:
    return check_bytes(
        CheckRequest(graph_of(model), data, [((2,),)], compute, ["cpp"], CheckOptions(samples=32, search=2))
    )


class TestRunning:
    @pytest.mark.slow
    def test_it_gives_what_the_model_gives_and_says_where(self, model: NALU) -> None:
        session = load(header(model))
        (found,) = session.run([BATCH])
        assert found.dtype == np.float32
        assert found.shape == (3, 1)
        np.testing.assert_allclose(found.astype(np.float64), model(torch.from_numpy(BATCH)).detach(), rtol=1e-4)
        assert session.run([BATCH[:0]])[0].shape == (0, 1)
        assert session.where.endswith(" -O3 and -O0, CPU")
        assert session.details["options"] == "-std=c++17 -O3 -O0"
        assert set(session.details) == {"library", "device", "provider", "options", "threads"}

    @pytest.mark.quick(1)
    @pytest.mark.parametrize("compute", ["float32", "float64"])
    def test_a_right_file_passes(self, model: NALU, compute: Compute) -> None:
        report = check(model, header(model, compute=compute), compute)
        assert report.passed, report.summary()
        assert "intermediate values" in {row.distribution for row in report.rows}

    def test_it_shows_the_weights_that_are_in_the_file(self, model: NALU) -> None:
        session = load(header(model))
        weight = effective_weight(*(model.get_parameter(f"layers.0.{name}") for name in ("W_hat", "M_hat"))).detach()
        found = session.values([BATCH], ["layers.0.W", "layers.0.a"])
        assert list(found) == ["layers.0.W"]
        np.testing.assert_allclose(found["layers.0.W"].astype(np.float64), weight, rtol=1e-6)

    @pytest.mark.slow
    @pytest.mark.parametrize("shape", [(3, 2), (2, 1, 2)])
    def test_samples_of_several_axes(self, model: NALU, shape: tuple[int, ...]) -> None:
        """They come out in the shape that the header says."""
        data = formats.get("cpp").emit(graph_of(model, shape), EmitOptions()).to_bytes({})
        x = np.random.default_rng(0).standard_normal((5, *shape)).astype(np.float32)
        (found,) = load(data).run([x])
        assert found.shape == (5, *shape[:-1], 1)
        np.testing.assert_allclose(found.astype(np.float64), model(torch.from_numpy(x)).detach(), rtol=1e-4)

    def test_nothing_is_left(self, model: NALU, folders: Path) -> None:
        session = load(header(model))
        programs = [program._process for program in session._programs]
        # A program that runs needs its file no longer.
        assert not list(folders.iterdir())
        assert [program.poll() for program in programs] == [None, None]
        del session
        gc.collect()
        assert [program.poll() for program in programs] == [0, 0]


FAULTS = {
    "a gate the wrong way round": ("v_neg = M::neg(v_layers_1_z)", "v_neg = v_layers_1_z"),
    "no epsilon": ("v_layers_0_abs + M::splat(0x1.b7cdfep-34f)", "v_layers_0_abs"),
    "a lost sum": ("sum[k] = sum[k] + other[k]", "sum[k] = other[k]"),
    "exp of less accuracy": ("splat(0x1.12397cp-7f)", "splat(0x1.8p-7f)"),
    "log of less accuracy": ("splat(-0x1.38c9dep-4f)", "splat(-0x1.3p-3f)"),
}


class TestFaultsAreFound:
    @pytest.mark.slow
    @pytest.mark.parametrize("fault", FAULTS)
    def test_in_the_arithmetic(self, fault: str) -> None:
        torch.manual_seed(5)
        # Nine inputs: more than one block of a sum.
        model = NALU(9, 3, 1)
        data = header(model, 9)
        old, new = FAULTS[fault]
        if "v_neg" in old:
            old = next(line.strip() for line in data.decode().splitlines() if "v_neg" in line and "M::neg(" in line)
            new = old.replace("M::neg(", "(")
        report = check_bytes(
            CheckRequest(
                graph_of(model), edited(data, old, new), [((9,),)], "float32", ["cpp"], CheckOptions(samples=64)
            )
        )
        assert not report.passed

    @pytest.mark.slow
    def test_a_weight_that_is_off_in_its_last_digits(self, model: NALU) -> None:
        data = header(model).decode()
        line = data[data.index("p_layers_0_W[") :].splitlines()[1].strip()
        first = line.split(",")[0]
        value = float.fromhex(first.rstrip("f"))
        off = np.nextafter(np.float32(value), np.float32(9))
        report = check(model, edited(data.encode(), first, f"{float(off).hex()}f"))
        assert not report.passed
        assert report.divergences[0].value == "layers.0.W"

    @pytest.mark.slow
    def test_a_batch_that_is_computed_otherwise_than_its_samples(self, model: NALU) -> None:
        data = edited(header(model), "run<1>(x, 1, y); }", "run<1>(x, 1, y); y[0] += y[0] * 0x1p-23f; }")
        with pytest.raises(InputError, match=r"^cpp: 3 of 3 samples give something else alone than in their batch$"):
            load(data).run([BATCH])
        report = check(model, data)
        assert not report.passed
        assert "samples give something else alone than in their batch" in report.summary()

    @pytest.mark.slow
    def test_another_result_at_another_level(self, model: NALU) -> None:
        plant = "template <std::size_t S>\ninline void run("
        late = "#ifdef __OPTIMIZE__\n#define LATE 1.0f\n#else\n#define LATE 2.0f\n#endif\n"
        data = edited(header(model), plant, late + plant)
        data = edited(data, "y[s * N + i] = static_cast<float>(", "y[s * N + i] = LATE_OR_NOT(")
        data = edited(
            data, "// ---- The arithmetic", "#define LATE_OR_NOT(V) static_cast<float>(LATE * V)\n// ---- The"
        )
        data = data.replace(late.encode(), b"").replace(
            b"#ifndef NALU_EXPORT_HEADER", late.encode() + b"#ifndef NALU_EXPORT_HEADER", 1
        )
        with pytest.raises(InputError, match=r"^cpp: -O3 and -O0 differ in 3 of 3 samples$"):
            load(data).run([BATCH])

    @pytest.mark.slow
    def test_a_program_that_crashes(self, model: NALU) -> None:
        data = edited(header(model), "run<1>(x, 1, y); }", "run<1>(x, 1, y); __builtin_trap(); }")
        with pytest.raises(InputError, match=r"^cpp: .*ended with signal"):
            load(data).run([BATCH])

    @pytest.mark.slow
    def test_a_file_that_does_not_compile(self, model: NALU, folders: Path) -> None:
        with pytest.raises(InputError, match=r"^cpp: \S+ refuses the file: .*strct.*does not name a type"):
            load(edited(header(model), "\nstruct Model", "\nstrct Model"))
        with pytest.raises(InputError, match=r"^cpp: \S+ refuses the file: \S*nothing\.h: No such file or directory$"):
            load(edited(header(model), "#include <cmath>", "#include <nothing.h>"))
        text = "cpp refuses the file: its second line does not name its struct; export it again"
        with pytest.raises(InputError, match=f"^{text}$"):
            load(edited(header(model), "// nalu::Model: ", "// a::b; c: "))
        assert not list(folders.iterdir())


class TestCompilers:
    @pytest.mark.slow
    def test_the_environment_chooses(self, model: NALU, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        compiler = tmp_path / "my compiler"
        compiler.write_text(f'#!/bin/sh\necho "$@" >> "{tmp_path}/asked"\nexec {find_compiler()[0]} "$@"\n')
        compiler.chmod(0o755)
        monkeypatch.setenv("CXX", f"'{compiler}' -DONE='1 2'")
        monkeypatch.setenv("CXXFLAGS", "-DTWO -g0")
        session = load(header(model))
        assert session.run([BATCH])[0].shape == (3, 1)
        asked = (tmp_path / "asked").read_text().splitlines()
        for level in ("-O3", "-O0"):
            assert any({"-DTWO", "-g0", "-std=c++17", level} <= set(line.split()) for line in asked)
        assert all("-DONE=1 2" in line for line in asked if "-DTWO" in line)
        assert session.where.startswith("my compiler ")
        assert session.details["options"] == "-DONE=1 2 -std=c++17 -DTWO -g0 -O3 -O0"

    def test_none(self, model: NALU, monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
        monkeypatch.setenv("PATH", str(folders))
        text = r"^cpp: none of c\+\+, g\+\+, clang\+\+ was found; install a C\+\+17 compiler, or set CXX to one$"
        with pytest.raises(RuntimeUnavailableError, match=text):
            load(header(model))
        monkeypatch.setenv("CXX", "icpc -fast")
        text = r"^cpp: CXX is icpc, which was not found; install a C\+\+17 compiler, or set CXX to one$"
        with pytest.raises(RuntimeUnavailableError, match=text):
            load(header(model))

    def test_one_that_is_no_program(self, model: NALU, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
        compiler = tmp_path / "broken"
        compiler.write_text("this is no program\n")
        compiler.chmod(0o755)
        monkeypatch.setenv("CXX", str(compiler))
        if os.access(compiler, os.X_OK):
            with pytest.raises(RuntimeUnavailableError, match=r"^cpp: broken cannot be run: Exec format error$"):
                load(header(model))
