"""nalu_export.parity.runtime_check: one runtime is run, compared, and what was worst about it is kept."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nalu_export import NAC, InputError, NACCell
from nalu_export.nn.functional import effective_weight
from nalu_export.parity.batch import Batch
from nalu_export.parity.comparison import Tolerance
from nalu_export.parity.inputs import Draw
from nalu_export.parity.reference import Reference
from nalu_export.parity.report import EVERY_INPUT, INTERMEDIATE
from nalu_export.parity.runtime_check import EXPLAINED, FIXED, RuntimeCheck
from nalu_export.parity.search import PARENTS
from nalu_export.parity.verdict import Status
from nalu_export.primitives.precision import Profile
from nalu_export.runtimes.base import Arrays, Session
from tests.alone import array_of, expected_of
from tests.captured import graph_of

Array = NDArray[np.float32]
Run = Callable[[Array], NDArray[Any]]
PROFILE = Profile()
SIZES = ((3,),)


class _Session(Session):
    """What a function does, with intermediate values where they are given."""

    where = "here"
    details = {"library": "l 1"}  # noqa: RUF012
    remarks = ("a remark",)

    def __init__(
        self, run: Run, inside: Callable[[Array, Sequence[str]], dict[str, NDArray[Any]]] | None = None
    ) -> None:
        self._run, self._inside = run, inside
        self.batches: list[int] = []

    def run(self, inputs: Arrays) -> Arrays:
        (x,) = inputs
        self.batches.append(len(x))
        return [self._run(x.astype(np.float32))]

    def values(self, inputs: Arrays, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        return self._inside(inputs[0].astype(np.float32), names) if self._inside else {}


def _model() -> NAC:
    torch.manual_seed(0)
    return NAC(3, 2)


GRAPH = graph_of(_model())
REFERENCE = Reference(GRAPH)


def _right(x: Array) -> Array:
    found: Array = expected_of(REFERENCE, x, [PROFILE])[PROFILE].reference.astype(np.float32)
    return found


def _x(count: int = 20, seed: int = 0) -> Array:
    found: Array = np.random.default_rng(seed).uniform(1, 9, (count, 3)).astype(np.float32)
    return found


def _check(run: Run, inside: Any = None, **tolerance: Any) -> tuple[RuntimeCheck, _Session]:
    session = _Session(run, inside)
    return RuntimeCheck("r", session, PROFILE, Tolerance(**tolerance), True, GRAPH.interface), session


def _compare(check: RuntimeCheck, x: Array, distribution: str = "f") -> NDArray[np.float64]:
    batch = Batch.of(x)
    return check.compare(Draw(distribution, batch), REFERENCE(batch, [PROFILE])[PROFILE])


def _worst_inputs(check: RuntimeCheck) -> Array:
    found = check.worst_inputs(SIZES)
    assert found is not None
    return array_of(found)


def _off_at(index: int, by: float = 1.0) -> Run:
    """Wrong where the first feature is that of sample ``index``."""

    def run(x: Array) -> Array:
        out = _right(x)
        out[x[:, 0] == _x()[index, 0], 1] += by
        return out

    return run


def test_a_right_runtime_passes_in_batches_of_one_two_and_the_rest() -> None:
    check, session = _check(_right)
    ratios = _compare(check, _x())
    assert session.batches == [1, 2, 17]
    assert ratios.shape == (20,)
    assert (ratios <= 1).all()
    (row,) = check.rows()
    assert (row.runtime, row.distribution, row.samples, row.outputs, row.passed, row.problem) == (
        "r",
        "f",
        20,
        40,
        True,
        "",
    )
    assert not check.lost
    assert check.locate(REFERENCE) is None
    info = check.info()
    assert (info.name, info.where, info.details, info.decisive, info.remarks) == (
        "r", "here", {"library": "l 1"}, True, ("a remark",),
    )  # fmt: skip


def test_a_runtime_that_cannot_be_looked_into_says_so() -> None:
    def refused(x: Array, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        raise InputError("no such value")

    check, _ = _check(_right, refused)
    _compare(check, _x())
    check.compare_intermediate_values(REFERENCE, SIZES)
    assert check.info().remarks == ("a remark", "its intermediate values cannot be read: no such value")
    assert all(row.passed for row in check.rows())


def test_distributions_are_rows_and_shapes_of_one_distribution_are_one() -> None:
    check, _ = _check(_right)
    for distribution, seed in (("a", 0), ("b", 1), ("a", 2)):
        _compare(check, _x(5, seed), distribution)
    assert [(row.distribution, row.samples) for row in check.rows()] == [("a", 10), ("b", 5)]


def test_the_worst_input_is_kept_with_all_that_belongs_to_it() -> None:
    check, _ = _check(_off_at(7))
    _compare(check, _x(5, 3), "before")
    ratios = _compare(check, _x())
    _compare(check, _x(5, 4), "after")
    worst = check.worst()
    assert worst is not None
    assert (worst.runtime, worst.distribution, worst.ratio) == ("r", "f", ratios.max())
    assert int(ratios.argmax()) == 7
    assert (list(worst.inputs), worst.output) == (["input"], "output")
    np.testing.assert_array_equal(worst.inputs["input"], _x()[7])
    np.testing.assert_allclose(worst.out.astype(np.float64) - worst.reference, [0, 1], atol=1e-5)
    np.testing.assert_allclose(worst.torch.astype(np.float64), worst.reference, rtol=1e-5)
    assert (worst.bound > 0).all()
    assert check.sizes == SIZES
    np.testing.assert_array_equal(_worst_inputs(check)[0], _x()[7])


def test_of_the_worst_inputs_the_first_is_the_worst() -> None:
    check, _ = _check(lambda x: _right(x) * np.float32(1 + 3e-7))
    scores: dict[tuple[Any, ...], float] = {}
    for seed in range(8):
        x = _x(30, seed)
        scores |= dict(zip((tuple(row) for row in x), _compare(check, x), strict=True))
    found = [scores[tuple(row)] for row in _worst_inputs(check)]
    assert found == sorted(found, reverse=True)
    assert len(found) >= PARENTS
    assert found[0] == max(scores.values())
    assert check.worst_inputs(((4,),)) is None


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (lambda x: _right(x)[:1].repeat(2, 0), r"a batch of 1 gave an output of shape (2, 2)"),
        (lambda x: np.zeros((len(x), 2 + len(x) // 2), np.float32), "the output's shape depends on the batch size"),
        (lambda x: _right(x).astype(np.float64), "output is float64 (20, 2), expected float32 (20, 2)"),
        (lambda x: _right(x)[:, :1], "output is float32 (20, 1), expected float32 (20, 2)"),
    ],
)
def test_an_output_of_another_shape_is_a_problem(run: Run, problem: str) -> None:
    check, _ = _check(run)
    assert np.isinf(_compare(check, _x())).all()
    (row,) = check.rows()
    assert (row.passed, row.problem, row.outputs) == (False, problem, 0)
    assert check.lost
    assert check.worst() is None
    assert check.locate(REFERENCE) is None
    assert check.curve().magnitude == ()


def test_a_batch_that_is_refused_fails_the_check() -> None:
    def run(x: Array) -> Array:
        if len(x) > 2:
            raise InputError("too many")
        return _right(x)

    check, _ = _check(run)
    _compare(check, _x())
    assert check.rows()[0].problem == "batch of 17: too many"
    assert not check.rows()[0].passed


def _fixed(x: Array) -> Array:
    if len(x) != 1:
        raise InputError(f"index 0 got {len(x)}, expected 1")
    return _right(x)


def _repeats_the_first(x: Array) -> Array:
    return _right(x)[:1]


@pytest.mark.parametrize(
    ("run", "problem"),
    [
        (_fixed, f"{FIXED}; a batch of 2 is refused: index 0 got 2, expected 1"),
        (_repeats_the_first, f"{FIXED}; a batch of 2 gave an output of shape (1, 2)"),
    ],
)
def test_one_fault_is_one_row_that_says_where_the_batch_is_fixed(run: Run, problem: str) -> None:
    check, _ = _check(run)
    for distribution in ("a", "b", "c"):
        _compare(check, _x(20), distribution)
    (row,) = check.rows()
    assert (row.distribution, row.samples, row.outputs, row.status, row.problem) == (
        EVERY_INPUT,
        60,
        0,
        "failed",
        problem,
    )


def test_the_batch_is_not_called_fixed_where_another_batch_runs() -> None:
    def run(x: Array) -> Array:
        if len(x) > 2:
            raise InputError("too many")
        return _right(x)

    def never(x: Array) -> Array:
        raise InputError("out of order")

    for runs, problem in ((run, "batch of 17: too many"), (never, "batch of 1: out of order")):
        check, _ = _check(runs)
        _compare(check, _x())
        assert check.rows()[0].problem == problem


def test_faults_of_some_inputs_are_one_row_beside_the_others() -> None:
    def run(x: Array) -> Array:
        if (x < 2).any():
            raise InputError(f"{x.size} values, some small")
        return _right(x)

    check, _ = _check(run)
    for distribution, count, offset in (("a", 20, 0), ("b", 20, 2), ("c", 30, 0), ("d", 20, 2)):
        _compare(check, _x(count) + np.float32(offset), distribution)
    assert [(row.distribution, row.samples, row.status) for row in check.rows()] == [
        ("a and 1 more", 50, "failed"),
        ("b", 20, "passed"),
        ("d", 20, "passed"),
    ]


def test_a_row_says_why_outputs_are_left_out() -> None:
    model = _model()
    raw = dict(model.named_parameters())
    with torch.no_grad():
        raw["layers.0.W_hat"].copy_(torch.tensor([[9.0, -9.0, 9.0], [-9.0, 9.0, -9.0]]))
        raw["layers.0.M_hat"].fill_(9.0)
    reference = Reference(graph_of(model))
    check, _ = _check(lambda x: np.ones((len(x), 2), np.float32))
    x = _x(40)
    x[:30] = 3e38
    for distribution, given in (("some", x), ("all", x[:8]), ("none", _x())):
        batch = Batch.of(given)
        check.compare(Draw(distribution, batch), reference(batch, [PROFILE])[PROFILE])
    assert [(row.status, row.undetermined) for row in check.rows()] == [
        (Status.FAILED, 60), (Status.NOTHING, 16), (Status.FAILED, 0),
    ]  # fmt: skip
    check.explain(reference)
    reason = "layers.0.y = linear(x, W) may leave the range of float32"
    assert [row.reasons for row in check.rows()] == [(reason,), (reason,), ()]
    assert [len(kept) for kept in check._left_out.values()] == [EXPLAINED, EXPLAINED]


def test_an_infinite_ratio_is_lost() -> None:
    check, _ = _check(_off_at(3, float("nan")))
    _compare(check, _x())
    assert check.lost
    found = check.locate(REFERENCE)
    assert found is not None
    assert (found.value, found.index) == ("output", (1,))
    assert found.reason == "the intermediate values cannot be read or have other names"


def _inside(factor: float) -> Callable[[Array, Sequence[str]], dict[str, NDArray[Any]]]:
    cell = _model().double().layers[0]
    assert isinstance(cell, NACCell)
    weight = effective_weight(cell.W_hat, cell.M_hat).detach().float().numpy()

    def values(x: Array, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        held = {"layers.0.W": weight * np.float32(factor), "layers.0.y": _right(x)}
        return {name: held[name] for name in names if name in held}

    return values


def test_intermediate_values_are_a_row_of_their_own() -> None:
    check, _ = _check(_right, _inside(1.0))
    _compare(check, _x())
    assert len(check.rows()) == 1
    check.compare_intermediate_values(REFERENCE, SIZES)
    row = check.rows()[-1]
    count = len(_worst_inputs(check))
    assert (row.distribution, row.samples, row.outputs, row.passed) == (INTERMEDIATE, count, 6 + 2 * count, True)
    assert 0 <= row.max_ratio <= 1


def test_a_wrong_intermediate_value_fails_although_the_outputs_hold() -> None:
    check, _ = _check(_right, _inside(1.01))
    _compare(check, _x())
    check.compare_intermediate_values(REFERENCE, SIZES)
    assert [row.passed for row in check.rows()] == [True, False]
    found = check.locate(REFERENCE)
    assert found is not None
    assert (found.value, found.formula) == ("layers.0.W", "weight")


def test_nearness_to_pytorch_lets_the_intermediate_values_pass() -> None:
    check, _ = _check(_right, _inside(1.01), rtol=1e-3)
    _compare(check, _x())
    check.compare_intermediate_values(REFERENCE, SIZES)
    assert [row.passed for row in check.rows()] == [True, True]


def test_an_output_that_is_wrong_although_all_inside_holds() -> None:
    check, _ = _check(_off_at(7), _inside(1.0))
    _compare(check, _x())
    check.compare_intermediate_values(REFERENCE, SIZES)
    found = check.locate(REFERENCE)
    assert found is not None
    assert (found.value, found.index, found.reason) == ("output", (1,), "")


def test_nothing_to_look_at_is_no_row() -> None:
    check, _ = _check(_right, _inside(1.0))
    check.compare_intermediate_values(REFERENCE, SIZES)
    assert (check.rows(), check.worst(), check.sizes) == ([], None, None)
    plain, _ = _check(_right)
    _compare(plain, _x())
    plain.compare_intermediate_values(REFERENCE, SIZES)
    assert len(plain.rows()) == 1


def test_a_runtime_that_refuses_to_be_looked_into_is_judged_by_its_outputs() -> None:
    def refuses(x: Array, names: Sequence[str]) -> dict[str, NDArray[Any]]:
        raise InputError("not this file")

    check, _ = _check(_right, refuses)
    _compare(check, _x())
    check.compare_intermediate_values(REFERENCE, SIZES)
    assert [row.passed for row in check.rows()] == [True]


def test_the_curve_is_of_all_that_was_compared() -> None:
    check, _ = _check(_right)
    _compare(check, _x())
    _compare(check, _x() * np.float32(1000))
    curve = check.curve()
    assert curve.runtime == "r"
    assert curve.magnitude[0] < 10
    assert curve.magnitude[-1] > 1000
