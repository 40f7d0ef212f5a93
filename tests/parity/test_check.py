"""nalu_export.parity.check: right files pass, wrong ones do not, and the same options give the same report.

Faults are planted by the dozen in test_faults.py.
"""

import math
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, InputError, NALUCell, RuntimeUnavailableError, runtimes
from nalu_export import formats as all_formats
from nalu_export.formats.base import EmitOptions
from nalu_export.graph.folding import COMPUTE, Compute, Weights
from nalu_export.parity import CheckOptions, CheckRequest, Report, check_bytes
from nalu_export.parity.batch import Batch
from nalu_export.parity.check import IMAGE_SAMPLES, IMAGE_SEARCH, SAMPLES, SEARCH, SEARCHED, SHOWN
from nalu_export.parity.inputs import DISTRIBUTIONS
from nalu_export.parity.report import INTERMEDIATE
from nalu_export.parity.request import Progress
from nalu_export.parity.search import SearchOptions
from tests.captured import graph_of
from tests.conftest import saturated
from tests.faults import edit, epsilon, outputs

OPTIONS = CheckOptions(samples=64, search=4)
FAST = CheckOptions(samples=16, search=0)


def _emitted(model: nn.Module, shape: tuple[int, ...] = (4,), name: str = "onnx", **options: Any) -> bytes:
    return all_formats.get(name).emit(graph_of(model, shape), EmitOptions(**options)).to_bytes({})


def _check(model: nn.Module, data: bytes, options: CheckOptions = OPTIONS, *names: str, **more: Any) -> Report:
    wanted = list(names) or ["onnxruntime-cpu"]
    return check_bytes(
        CheckRequest(graph_of(model), data, [((4,),)], more.pop("compute", "float32"), wanted, options, **more)
    )


def _cut(data: bytes, name: str, factor: float) -> bytes:
    """The file with one weight off."""
    proto = onnx.load_from_string(data)
    edit.change(proto, name, lambda value: value * factor)
    changed: bytes = proto.SerializeToString()
    return changed


@pytest.mark.quick(1)
@pytest.mark.parametrize("compute", COMPUTE)
@pytest.mark.parametrize(
    ("name", "weights"),
    [(name, weights) for name in all_formats.names() for weights in all_formats.get(name).weights],
)
def test_a_right_file_passes_in_every_distribution(nalu: NALU, name: str, weights: Weights, compute: Compute) -> None:
    kind = all_formats.get(name)
    data = _emitted(nalu, name=name, weights=weights, compute=compute)
    report = _check(nalu, data, CheckOptions(samples=200, search=4), kind.runtime, "torch", compute=compute)
    assert report.passed, report.summary()
    assert report.criterion == "bound"
    wanted = [*DISTRIBUTIONS, SEARCHED]
    assert [row.distribution for row in report.rows] == [*wanted, INTERMEDIATE, *wanted]
    assert {row.samples for row in report.rows if row.distribution in DISTRIBUTIONS} == {200}
    assert [row.samples for row in report.rows if row.distribution == SEARCHED] == [4 * SEARCH.width] * 2
    assert all(0 < row.max_ratio <= 1 for row in report.rows if row.distribution in ("1..10", "mixed 1e±7"))
    assert report.divergences == ()
    assert [worst.runtime for worst in report.worst] == [curve.runtime for curve in report.curves]
    assert [info.name for info in report.runtimes] == [kind.runtime, "torch"]


def _ended_early_at_most(samples: int, search: SearchOptions) -> None:
    """Whole generations, not fewer than it takes to see that the climb leads nowhere."""
    assert search.patience is not None
    generations, rest = divmod(samples, search.width)
    assert rest == 0
    assert search.patience < generations <= search.rounds


def test_a_number_of_generations_that_is_asked_for_is_run(nac: NAC) -> None:
    report = _check(nac, _emitted(nac), CheckOptions(samples=16, search=SEARCH.rounds))
    assert {row.distribution: row.samples for row in report.rows}[SEARCHED] == SEARCH.rounds * SEARCH.width


def test_defaults_are_more_samples_and_rounds(nac: NAC) -> None:
    report = _check(nac, _emitted(nac), CheckOptions())
    rows = {row.distribution: row.samples for row in report.rows}
    assert rows["ones"] == SAMPLES
    _ended_early_at_most(rows[SEARCHED], SEARCH)


@pytest.mark.slow
def test_images_are_checked_at_every_size_with_defaults_of_their_own(image_model: BackboneHead) -> None:
    data = _emitted(image_model, (1, 8, 8))
    sizes = [((1, 8, 8),), ((1, 9, 11),)]
    report = check_bytes(
        CheckRequest(graph_of(image_model), data, sizes, "float32", ["onnxruntime-cpu"], CheckOptions())
    )
    assert report.passed, report.summary()
    rows = {row.distribution: row.samples for row in report.rows}
    assert rows["ones"] == IMAGE_SAMPLES
    _ended_early_at_most(rows[SEARCHED], IMAGE_SEARCH)


@pytest.mark.quick(3)
@pytest.mark.parametrize("size", [2, 16, 64, 256])
def test_one_trained_cell_stays_within_five_roundoffs(size: int) -> None:
    """The project's figure: E ≤ 5 in float32 and ≤ 1 in float64, zeros included."""
    cell = saturated(NALUCell(size, 8))
    for compute, allowed in (("float32", 5.0), ("float64", 1.0)):
        data = _emitted(cell, (size,), compute=compute)
        options = CheckOptions(samples=512, search=0)
        report = check_bytes(CheckRequest(graph_of(cell), data, [((size,),)], compute, ["onnxruntime-cpu"], options))  # type: ignore[arg-type]
        assert report.passed, report.summary()
        rows = {row.distribution: row.max_e for row in report.rows}
        for distribution in ("0.1..1", "1..10", "1e3..1e4", "-10..10", "zeros"):
            assert rows[distribution] <= allowed, (size, compute, distribution)


def test_the_default_check_of_others_would_not_see_eps_deleted() -> None:
    """Why the distributions matter: on uniform random inputs the same fault passes."""
    report = epsilon.eps_deleted.plant().check(OPTIONS).report
    assert report is not None
    rows = {row.distribution: row.passed for row in report.rows}
    assert rows["0.1..1"]
    assert rows["1..10"]
    assert not rows["zeros"]
    assert report.divergences[0].value.endswith("add")


def test_a_frozen_image_size_is_found(image_model: BackboneHead) -> None:
    graph = graph_of(image_model, (1, 8, 8))
    fixed = graph.with_fixed(["height", "width"])
    data = all_formats.get("onnx").emit(fixed, EmitOptions()).to_bytes({})
    right = check_bytes(CheckRequest(graph, data, [((1, 8, 8),)], "float32", ["onnxruntime-cpu"], FAST))
    assert right.passed
    wrong = check_bytes(CheckRequest(graph, data, [((1, 8, 8),), ((1, 9, 8),)], "float32", ["onnxruntime-cpu"], FAST))
    assert not wrong.passed
    assert "batch of 1: onnxruntime" in wrong.summary()


def test_an_artifact_of_other_weights_fails(nac: NAC) -> None:
    data = _emitted(nac)
    torch.manual_seed(1)
    report = _check(NAC(4, 3, 2), data)
    assert not report.passed
    assert "; first divergence: layers.0.W[" in report.summary()


def test_a_weight_that_is_off_by_a_few_roundoffs_is_found_inside(nalu: NALU) -> None:
    report = _check(nalu, _cut(_emitted(nalu), "layers.0.W", 1 + 2.0**-21), FAST)
    assert not report.passed
    assert not {row.distribution: row.passed for row in report.rows}[INTERMEDIATE]
    assert report.divergences[0].value == "layers.0.W"


def test_tolerances_decide_instead_of_the_bound() -> None:
    scaled = outputs.output_scaled.plant()
    assert not scaled.check(OPTIONS).passed
    loose = scaled.check(CheckOptions(samples=16, rtol=1e-3, atol=1e-3)).report
    assert loose is not None
    assert loose.criterion == "rtol 0.001, atol 0.001 from PyTorch"
    distributions = {row.distribution: row.passed for row in loose.rows}
    assert distributions["0.1..1"]
    tight = scaled.check(CheckOptions(samples=16, rtol=1e-6))
    assert not tight.passed
    assert "ULP from PyTorch" in tight.text


def test_steps_from_pytorch_decide_where_they_are_asked_for(nac: NAC) -> None:
    data = _cut(_emitted(nac), "layers.1.W", 1 + 1e-4)
    options: dict[str, Any] = {
        "samples": 16,
        "search": 0,
        "inputs": {"own": Batch.of(np.ones((4, 4), np.float32))},
        "only_inputs": True,
    }
    assert _check(nac, data, CheckOptions(**options, max_ulp=10**6)).passed
    report = _check(nac, data, CheckOptions(**options, max_ulp=4))
    assert not report.passed
    assert report.criterion == "at most 4 ULP from PyTorch"


def test_a_seed_gives_the_same_report(nalu: NALU) -> None:
    data = _emitted(nalu)
    first, again = _check(nalu, data).to_dict(), _check(nalu, data).to_dict()
    assert first == again
    other = _check(nalu, data, CheckOptions(samples=64, search=4, seed=1)).to_dict()
    assert other["seed"] == 1
    assert other["worst"] != first["worst"]


@pytest.mark.parametrize("wrong", [False, True])
def test_a_replay_of_the_worst_input_gives_its_ratio_again(nalu: NALU, wrong: bool) -> None:
    data = _cut(_emitted(nalu), "layers.1.W", 1 + 1e-3) if wrong else _emitted(nalu)
    (worst,) = _check(nalu, data).worst
    report = _check(nalu, data, CheckOptions(inputs={worst.distribution: worst.batch}, only_inputs=True))
    (again,) = report.worst
    assert report.passed is not wrong
    assert again.ratio == pytest.approx(worst.ratio, rel=0.05)  # a batch of one may sum in another order
    np.testing.assert_array_equal(again.inputs["input"], worst.inputs["input"])
    np.testing.assert_allclose(again.bound, worst.bound, rtol=1e-9)
    assert [row.distribution for row in report.rows] == [worst.distribution, INTERMEDIATE]


def test_inputs_of_the_user_s_own_come_after_the_distributions(nac: NAC) -> None:
    own = {"mine": Batch.of(np.ones((3, 4), np.float32)), "more": Batch.of(np.zeros((2, 4), np.float32))}
    report = _check(nac, _emitted(nac), CheckOptions(samples=4, search=0, inputs=own, ranges=[(2.0, 3.0)]))
    rows = {row.distribution: row.samples for row in report.rows}
    assert list(rows) == [*DISTRIBUTIONS, "2..3", "mine", "more", INTERMEDIATE]
    assert (rows["mine"], rows["more"], rows["2..3"]) == (3, 2, 4)


def test_the_search_finds_what_the_distributions_do_not_hold(nac: NAC, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two inputs are equal and large: no distribution has that, and a check without a search passes it."""
    runtime = runtimes.get("onnxruntime-cpu")
    load = runtime.load

    def faulty(*args: Any) -> Any:
        session = load(*args)
        run = session.run

        def wrong(inputs: Any) -> Any:
            (x,), (out,) = inputs, run(inputs)
            large = (np.abs(x).max(axis=1) > 20) & (x[:, 0] == x[:, 1]) & (np.abs(x[:, 0]) > 20)
            out[large] *= 1.5
            return [out]

        monkeypatch.setattr(session, "run", wrong)
        return session

    monkeypatch.setattr(runtime, "load", faulty)
    assert _check(nac, _emitted(nac), CheckOptions(samples=200, search=0)).passed
    report = _check(nac, _emitted(nac), CheckOptions(samples=200, search=100))
    assert not report.passed
    assert [row.distribution for row in report.rows if not row.passed] == [SEARCHED]
    assert report.worst[0].distribution == SEARCHED
    assert report.worst[0].ratio > 100


def _steps(model: nn.Module, options: CheckOptions) -> list[tuple[str, int, int]]:
    seen: list[tuple[str, int, int]] = []
    progress: Progress = lambda text, done, total: seen.append((text, done, total))  # noqa: E731
    _check(model, _emitted(model), options, "onnxruntime-cpu", "torch", progress=progress, decisive=["onnxruntime-cpu"])
    return seen


def test_progress_counts_up_to_its_total(nac: NAC) -> None:
    seen = _steps(nac, OPTIONS)
    done, totals = [step for _, step, _ in seen], {total for _, _, total in seen}
    assert totals == {len(DISTRIBUTIONS) + 4}
    assert done == sorted(done)
    # A head's distributions are run together.
    assert done == [0, *range(len(DISTRIBUTIONS), len(DISTRIBUTIONS) + 4 + 1)]
    texts, last = [text for text, _, _ in seen], "comparing the intermediate values of onnxruntime-cpu"
    assert texts[0] == "checking distribution 0.1..1"
    assert texts[-2:] == ["searching for the largest error of onnxruntime-cpu", last]


def test_only_what_decides_is_searched_and_looked_into(nac: NAC) -> None:
    report = _check(nac, _emitted(nac), OPTIONS, "onnxruntime-cpu", "torch", decisive=["onnxruntime-cpu"])
    assert {row.runtime for row in report.rows if row.distribution in (SEARCHED, INTERMEDIATE)} == {"onnxruntime-cpu"}
    assert [info.decisive for info in report.runtimes] == [True, False]
    samples = {(row.runtime, row.samples) for row in report.rows if row.distribution in DISTRIBUTIONS}
    assert samples == {("onnxruntime-cpu", OPTIONS.samples), ("torch", SHOWN)}
    torch.manual_seed(1)
    other = _check(NAC(4, 3, 2), _emitted(nac), FAST, "onnxruntime-cpu", "torch", decisive=["torch"])
    assert other.passed  # PyTorch is right about itself
    assert not all(row.passed for row in other.rows)


# Runtimes that are not there --------------------------------------------------------------------------------------


@pytest.fixture
def gone(monkeypatch: pytest.MonkeyPatch) -> None:
    def load(*_: Any) -> Any:
        raise RuntimeUnavailableError("torchscript: not today; wait")

    monkeypatch.setattr(runtimes.get("torchscript"), "load", load)


@pytest.mark.usefixtures("gone")
def test_a_runtime_that_is_not_there_is_listed_or_an_error(nac: NAC) -> None:
    names = ("onnxruntime-cpu", "torchscript")
    report = _check(nac, _emitted(nac), FAST, *names, skip_missing=True)
    assert report.missing == {"torchscript": "not today; wait"}
    assert report.passed
    assert [info.name for info in report.runtimes] == ["onnxruntime-cpu"]
    with pytest.raises(RuntimeUnavailableError, match=r"^torchscript: not today; wait$"):
        _check(nac, _emitted(nac), FAST, *names)
    with pytest.raises(RuntimeUnavailableError, match=r"^no runtime can run the file: not today; wait$") as error:
        _check(nac, _emitted(nac), FAST, "torchscript", skip_missing=True)
    assert error.value.exit_code == 3


def test_a_runtime_without_float64_is_missing_for_a_file_that_has_it(nac: NAC, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(type(runtimes.get("onnxruntime-cpu")), "float64", False)
    data = _emitted(nac, compute="float64")
    report = _check(nac, data, FAST, "onnxruntime-cpu", "torch", compute="float64", skip_missing=True)
    assert report.missing == {"onnxruntime-cpu": "it computes float64 in float32, but this file needs float64"}
    assert [info.name for info in report.runtimes] == ["torch"]


def test_cuda_that_is_not_there_is_never_a_pass(nalu: NALU) -> None:
    import onnxruntime

    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("onnxruntime-gpu is installed; test_cuda_device.py covers it")
    with pytest.raises(RuntimeUnavailableError, match=r"no CUDAExecutionProvider; pip uninstall onnxruntime") as error:
        _check(nalu, _emitted(nalu), FAST, "onnxruntime-cuda")
    assert error.value.exit_code == 3


def test_an_unknown_runtime_is_refused_with_the_list(nalu: NALU) -> None:
    with pytest.raises(InputError, match=r"runtime is 'abacus'; allowed: .*onnxruntime-cpu, onnxruntime-cuda"):
        _check(nalu, b"", FAST, "abacus")


def test_inputs_that_the_model_does_not_take_are_refused(nalu: NALU) -> None:
    wrong = CheckOptions(inputs={"own": Batch.of(np.ones((3, 5), np.float32))}, only_inputs=True)
    with pytest.raises(InputError, match=r"the model does not run on inputs of shape \(\d+, 5\): "):
        _check(nalu, _emitted(nalu), wrong)


def test_torch_has_its_threads_back(nac: NAC) -> None:
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        _check(nac, _emitted(nac), FAST)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


OWN = {"own": Batch.of(np.zeros((1, 2), np.float32))}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 0}, "samples is 0; it must be from 1 to 1000000"),
        ({"samples": 10**7}, "samples is 10000000; it must be from 1 to 1000000"),
        ({"search": -1}, "search is -1; it must be from 0 to 100000"),
        ({"search": 10**6}, "search is 1000000; it must be from 0 to 100000"),
        ({"max_ulp": -1}, "max_ulp is -1; it must be from 0 to 4294967296"),
        ({"max_ulp": 4, "rtol": 1e-3}, "max_ulp is given with rtol or atol; give one or the other"),
        ({"max_ulp": 0, "atol": 0.0}, "max_ulp is given with rtol or atol; give one or the other"),
        ({"seed": -1}, "seed is -1; it must be from 0 to 4294967295"),
        ({"seed": 2**70}, "it must be from 0 to 4294967295"),
        ({"rtol": -1.0}, r"rtol is -1.0; it must be a number of at least 0"),
        ({"atol": float("nan")}, "atol is nan; it must be a number of at least 0"),
        ({"rtol": float("inf")}, "rtol is inf; it must be a number of at least 0"),
        ({"ranges": [(1.0, 0.0)]}, "ranges is 1 to 0; it must be two float32 numbers in order"),
        ({"ranges": [(0.0, 1.0), (0.0, math.inf)]}, "ranges is 0 to inf; it must be two float32 numbers in order"),
        ({"ranges": [(math.nan, 1.0)]}, "ranges is nan to 1; it must be two float32 numbers in order"),
        ({"ranges": [(-1e39, 1.0)]}, r"ranges is -1e\+39 to 1; it must be two float32 numbers in order"),
        ({"only_inputs": True}, "only_inputs is given without inputs; give both"),
    ],
)
def test_wrong_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=f"{message}$"):
        CheckOptions(**options)


@pytest.mark.parametrize(
    "options",
    [
        {"samples": 1, "search": 0, "seed": 2**32 - 1}, {"max_ulp": 0}, {"rtol": 0.0, "atol": 1e9},
        {"ranges": [(1, 1)]}, {"inputs": OWN, "only_inputs": True},
    ],
)  # fmt: skip
def test_the_ends_of_what_is_allowed_are_allowed(options: dict[str, Any]) -> None:
    CheckOptions(**options)
