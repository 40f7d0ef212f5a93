"""formats.cpp.samples: shapes of one sample, and that whatever mixes samples is refused."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import fx

from nalu_export import UnsupportedLayerError
from nalu_export.formats.cpp.planner import plan
from nalu_export.formats.cpp.samples import Samples, read_samples
from tests.formats.graphs import Drawing, Node

ACROSS = (
    "computes across the samples of a batch, which a C++ header cannot do; an arithmetic layer "
    "has to treat each sample "
    "separately"
)
Make = Callable[[Drawing, Node], Node]


def _form(make: Make) -> fx.GraphModule:
    drawing = Drawing()
    result = make(drawing, drawing.x)
    drawing.graph.output(result)
    return fx.GraphModule(drawing.root, drawing.graph)


def _read(make: Make, *features: int) -> tuple[Samples, Node]:
    form = _form(make)
    (result,) = next(node for node in form.graph.nodes if node.op == "output").args
    assert isinstance(result, fx.Node)
    return read_samples(form, [features]), result


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("prod", lambda d, x: d("prod", x, 0, True)),
        ("prod", lambda d, x: d("prod", x, -2, False)),
        ("sum", lambda d, x: d("sum", x, [0], True)),
        ("sum", lambda d, x: d("sum", x, [-2, -1], True)),
        ("mean", lambda d, x: d("mean", x, None, True)),
        ("amax", lambda d, x: d("amax", x, (), True)),
        ("transpose", lambda d, x: d("transpose", x, 0, 1)),
        ("permute", lambda d, x: d("permute", x, [1, 0])),
        ("reshape", lambda d, x: d("reshape", x, [-1])),
        ("reshape", lambda d, x: d("reshape", x, [2, -1])),
        ("flatten", lambda d, x: d("flatten", x, 0, -1)),
        ("unsqueeze", lambda d, x: d("unsqueeze", x, 0)),
        ("cat", lambda d, x: d("cat", [x, x], 0)),
        ("stack", lambda d, x: d("stack", [x, x], 0)),
        ("slice", lambda d, x: d("slice", x, 0, 1, None, 1)),
        ("select", lambda d, x: d("select", x, 0, 0)),
        ("cat", lambda d, x: d("cat", [x, d.random(3, 2)], 1)),
        ("add", lambda d, x: d("add", x, d.random(3, 4))),
        ("add", lambda d, x: d("add", x, d.random(1, 1, 4))),
        ("add", lambda d, x: d("add", x, d.random(5, 1, 4))),
        ("where", lambda d, x: d("where", d.constant(torch.ones(3, 4) > 0), x, 0.0)),
        ("mul", lambda d, x: d("mul", d("unsqueeze", x, -1), d("sum", x, [1], True))),
        ("linear", lambda d, x: d("linear", x, x, None)),
        ("matmul", lambda d, x: d("matmul", x, d("unsqueeze", x, -1))),
        ("matmul", lambda d, x: d("matmul", d.random(5, 3), x)),
        ("matmul", lambda d, x: d("matmul", d.random(3), x)),
        ("matmul", lambda d, x: d("matmul", d("unsqueeze", x, 1), d.random(3, 4, 2))),
        ("matmul", lambda d, x: d("matmul", x, d.random(2, 4, 2))),
    ],
)
def test_what_mixes_samples_is_refused(name: str, make: Make) -> None:
    with pytest.raises(UnsupportedLayerError, match=f"^{re.escape(f'{name} {ACROSS}')}$"):
        _read(make, 4)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda d, x: d("add", x, d.random(1, 4)), (4,)),
        (lambda d, x: d("add", x, d.random()), (4,)),
        (lambda d, x: d("add", d("unsqueeze", x, 1), d.random(3, 1)), (3, 4)),
        (lambda d, x: d("add", d("unsqueeze", x, 1), d.random(1, 3, 4)), (3, 4)),
        (lambda d, x: d("sum", x, [1], False), ()),
        (lambda d, x: d("matmul", x, d.random(4, 2)), (2,)),
        (lambda d, x: d("matmul", x, d.random(4)), ()),
        (lambda d, x: d("matmul", d("unsqueeze", x, 1), d.random(1, 4, 2)), (1, 2)),
        (lambda d, x: d("matmul", d("unsqueeze", x, 1), d("unsqueeze", x, 2)), (1, 1)),
        (lambda d, x: d("matmul", d.random(3, 4), d("unsqueeze", x, 2)), (3, 1)),
    ],
)
def test_shapes_of_one_sample(make: Make, shape: tuple[int, ...]) -> None:
    found, result = _read(make, 4)
    assert found.shapes[result] == shape


def test_masks() -> None:
    found, result = _read(lambda d, x: d("reshape", d("gt", x, 0.0), [-1, 2, 2]), 4)
    assert result in found.masks
    assert len(found.masks) == 2


def test_values_without_numbers_are_refused() -> None:
    text = "slice has no numbers; a C++ header needs at least one"
    with pytest.raises(UnsupportedLayerError, match=f"^{re.escape(text)}$"):
        _read(lambda d, x: d("slice", x, 1, 2, 2, 1), 4)


def test_a_constant_is_a_result_where_its_first_axis_is_1() -> None:
    for shape in ((), (1,), (1, 4), (1, 2, 3)):
        form = _form(lambda d, x, shape=shape: d.random(*shape))  # type: ignore[misc]
        assert plan(form, [(4,)]).outputs[0].shape == shape[1:]
    text = (
        "the model returns a constant of shape (3, 4), the same for every input; a C++ header returns numbers for each "
    )
    with pytest.raises(
        UnsupportedLayerError, match=f"^{re.escape(text)}sample, so the first axis of the constant has to be 1$"
    ):
        plan(_form(lambda d, x: d.random(3, 4)), [(4,)])


@pytest.mark.parametrize(
    ("features", "make", "shape"),
    [
        ((), lambda d, x: d("mul", x, d("exp", x)), ()),
        ((), lambda d, x: d("add", x, d.random()), ()),
        ((), lambda d, x: d("add", x, d.random(1)), ()),
        ((), lambda d, x: d("unsqueeze", x, 1), (1,)),
        ((), lambda d, x: d("linear", d("unsqueeze", x, 1), d.random(3, 1), None), (3,)),
        ((2, 3), lambda d, x: d("sum", x, [1], False), (3,)),
        ((2, 3), lambda d, x: d("linear", x, d.random(4, 3), None), (2, 4)),
        ((2, 3, 4), lambda d, x: d("amax", x, [1, 3], False), (3,)),
        ((2, 3, 4), lambda d, x: d("matmul", x, d.random(2, 4, 5)), (2, 3, 5)),
    ],
)
def test_samples_of_any_number_of_axes(features: tuple[int, ...], make: Make, shape: tuple[int, ...]) -> None:
    found, result = _read(make, *features)
    assert found.shapes[result] == shape


@pytest.mark.parametrize(
    ("name", "make"),
    [
        ("linear", lambda d, x: d("linear", x, d.random(3, 3), None)),
        ("matmul", lambda d, x: d("matmul", x, d.random(3, 3))),
        ("add", lambda d, x: d("add", x, d.random(3))),
        ("mul", lambda d, x: d("mul", x, d("unsqueeze", x, 1))),
        ("sum", lambda d, x: d("sum", x, [0], True)),
    ],
)
def test_samples_of_one_number_are_no_vector(name: str, make: Make) -> None:
    """Three of them look like one vector of three."""
    with pytest.raises(UnsupportedLayerError, match=f"^{name} {re.escape(ACROSS)}$"):
        _read(make)


def _integers(make: Make) -> fx.GraphModule:
    drawing = Drawing()
    result = make(drawing, drawing.given("n"))
    return drawing.giving(result)


@pytest.mark.parametrize(
    "make",
    [
        lambda d, n: d("cast", n, torch.float32),
        lambda d, n: d("cast", d("unsqueeze", n, 1), torch.float64),
        lambda d, n: n,
        lambda d, n: d("reshape", n, [-1, 2, 2]),
    ],
)
def test_integers_that_are_read_as_numbers_or_passed_on(make: Make) -> None:
    for dtype in ("int32", "int64"):
        plan(_integers(make), [(4,), (4,)], ["float32", dtype])


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (
            lambda d, n: d("mul", d.x, n),
            "mul reads input count as integers; a C++ header computes with floating point numbers; convert the "
            "integers first: count.float()",
        ),
        (
            lambda d, n: d("gt", d("slice", n, 1, 0, 2, 1), 1),
            "gt reads input count as integers; a C++ header computes with floating point numbers; convert the "
            "integers first: count.float()",
        ),
        (
            lambda d, n: d("slice", n, 1, 0, 2, 1),
            "the model returns the numbers of input count in another order, of type int64; a C++ header "
            "returns floating "
            "point numbers and bool",
        ),
        (
            lambda d, n: d("sum", d("gt", d.x, 0.0), [1], False),
            "the model returns an output of type int64; a C++ header returns floating point numbers and bool",
        ),
        (
            lambda d, n: d("cast", d.x, torch.int64),
            "a cast gives int64; a C++ header computes with floating point numbers",
        ),
    ],
)
def test_integers_that_are_refused(make: Make, text: str) -> None:
    with pytest.raises(UnsupportedLayerError, match=f"^{re.escape(text)}$"):
        plan(_integers(make), [(4,), (4,)], ["float32", "int64"], ["x", "count"])


def test_a_type_that_is_refused() -> None:
    text = "count is int16; a C++ header supports float32, float64, bool, int64 and int32"
    with pytest.raises(UnsupportedLayerError, match=f"^{re.escape(text)}$"):
        plan(_integers(lambda d, n: d.x), [(4,), (4,)], ["float32", "int16"], ["x", "count"])


def test_a_mask_that_is_given() -> None:
    drawing = Drawing()
    mask = drawing.given("mask")
    form = drawing.giving(drawing("where", mask, drawing.x, 0.0), drawing("logical_not", mask))
    found = plan(form, [(4,), (4,)], ["float32", "bool"])
    assert found.masks == {mask, found.results[1]}


def test_numbers_that_none_is_below() -> None:
    """ε keeps a value from zero in every spelling; a constant by its smallest number."""
    for make, least in (
        (lambda d, x: d("add", d("abs", x), 0.5), 0.5),
        (lambda d, x: d("maximum", d("abs", x), d.constant([0.25, 0.5, 1.0, 2.0])), 0.25),
        (lambda d, x: d("flatten", d("unsqueeze", d("clamp", x, 0.5, None), 1), 1, -1), 0.5),
        (lambda d, x: d("cat", [d("exp", x), d("add", d("abs", x), 1.0)], 1), 0.0),
        (lambda d, x: d("maximum", d("abs", x), d.constant([0.25, torch.nan, 1.0, 2.0])), 0.0),
        (lambda d, x: d("neg", x), -torch.inf),
    ):
        found, result = _read(make, 4)
        assert found.least[result] == pytest.approx(least, rel=1e-6)
