"""Every primitive in a header gives what torch gives, in every build the same bits, whatever shapes it goes through."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from nalu_export.formats.base import TensorSpec
from nalu_export.formats.cpp.header import Header, code
from nalu_export.formats.cpp.names import CppNames
from nalu_export.formats.cpp.planner import plan
from nalu_export.graph.folding import COMPUTE, Compute
from nalu_export.primitives import PRIMITIVES
from tests.formats import graphs
from tests.formats.programs import WARNINGS, Array, Build, inputs, numbers, run, side_by_side

SIZES = (1, 2, 7, 33)
STANDARD = ("-std=c++17", *WARNINGS)
#: Builds that have to give the same bits: those that cannot fuse a product and a sum, and those that can.
PLAIN = (
    Build("g++", (*STANDARD, "-O0")),
    Build("g++", (*STANDARD, "-O0", "-DNALU_EXPORT_NO_SIMD")),
    Build("clang++", (*STANDARD, "-O2")),
)
FUSED = (
    Build("g++", (*STANDARD, "-O2", "-march=native")),
    Build("clang++", (*STANDARD, "-O0", "-march=native", "-DNALU_EXPORT_NO_SIMD")),
)
BUILDS: dict[Compute, tuple[Build, ...]] = {"float32": (*PLAIN, *FUSED), "float64": PLAIN[:1]}
Results = dict[Compute, dict[Build, Array]]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> Results:
    """What each build gives for a batch of each size; the program compares every sample with the same one alone."""
    found: Results = {}
    for compute in COMPUTE:
        folder = tmp_path_factory.mktemp(compute)
        form, _ = graphs.together(compute)
        planned = plan(form, [(graphs.FEATURES,)])
        specs = [
            (TensorSpec("", "float32", ("batch", value.count)),) for value in (planned.inputs[0], planned.outputs[0])
        ]
        made = Header(planned, CppNames("nalu", "Model"), compute, False, *specs)
        text = re.sub("@[a-z0-9_]+@", '""', code(made).replace("@hash@", "0" * 16))
        (folder / "all.hpp").write_text(f"{text}\n#define MODELS RUN(nalu::Model)\n", encoding="ascii")
        source = folder / "models.cpp"
        source.write_bytes((Path(__file__).parents[1] / "models.cpp").read_bytes())
        flags = ('-DHEADERS="all.hpp"', f"-DSIZES={','.join(map(str, SIZES))}")
        programs = side_by_side(source, BUILDS[compute], folder, *flags)
        if not programs:
            pytest.skip("there is no compiler here")
        given = _samples().tobytes()
        found[compute] = {build: numbers(run(program, given)) for build, program in programs.items()}
    return found


def _samples() -> Array:
    return inputs(sum(SIZES), graphs.FEATURES)


def _expected() -> tuple[Array, dict[str, slice]]:
    """In float64, rounded."""
    form, parts = graphs.together("float64")
    with torch.no_grad():
        return form(torch.from_numpy(_samples())).numpy(), parts


def test_every_primitive_is_in_a_graph() -> None:
    """The well-conditioned form has no ``sigmoid``."""
    form, _ = graphs.together("float64")
    called = {node.target for node in form.graph.nodes}
    assert {name for name, record in PRIMITIVES.items() if record.function not in called} == {"sigmoid"}


@pytest.mark.slow
@pytest.mark.parametrize("compute", COMPUTE)
def test_every_case_gives_what_torch_gives(results: Results, compute: Compute) -> None:
    """NaN and infinities in the same places; what is computed in float32 is held to what the inputs' size allows."""
    expected, parts = _expected()
    for build, found in results[compute].items():
        got = found.reshape(expected.shape)
        for name, part in parts.items():
            assert np.isfinite(expected[:, part]).mean() > 0.4, name
            wrong = _wrong(got[:, part], expected[:, part], compute)
            assert not wrong.any(), f"{name}: {build} is wrong in {int(wrong.sum())} of {wrong.size} numbers"


def _wrong(got: Array, expected: Array, compute: Compute) -> np.ndarray:
    # Sums of a sample cancel, by as much as its largest number is larger than the sum.
    scale = np.maximum(
        np.abs(expected), np.where(np.isfinite(expected), np.abs(expected), 0).max(axis=1, keepdims=True)
    )
    with np.errstate(invalid="ignore"):
        if compute == "float64":
            near = np.abs(got - expected) <= 1e-6 * np.abs(expected) + 1e-30
        else:
            near = np.abs(got - expected) <= 4e-6 * scale
    wrong: np.ndarray = ~(near | (got == expected) | (np.isnan(got) & np.isnan(expected)))
    return wrong


@pytest.mark.slow
def test_the_same_bits(results: Results) -> None:
    for builds in (PLAIN, FUSED):
        found = [results["float32"][build].tobytes() for build in builds if build in results["float32"]]
        assert len(set(found)) <= 1


@pytest.mark.slow
def test_a_wrong_number_is_seen(results: Results) -> None:
    """The comparison of the tests above."""
    expected, parts = _expected()
    got = next(iter(results["float64"].values())).reshape(expected.shape).copy()
    for name, part in parts.items():
        row, column = np.argwhere(np.isfinite(expected[:, part]) & (expected[:, part] != 0))[0]
        changed = got[:, part].copy()
        changed[row, column] *= np.float32(1.00001)
        assert _wrong(changed, expected[:, part], "float64").sum() == 1, name
