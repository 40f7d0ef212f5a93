"""formats._cpp_samples: shapes of one sample, and that whatever mixes samples is refused."""

import re
from collections.abc import Callable

import pytest
import torch
from torch import fx

from nalu_export import UnsupportedLayerError
from nalu_export.formats._cpp_planner import plan
from nalu_export.formats._cpp_samples import Samples, read_samples
from tests.formats.graphs import Drawing, Node

ACROSS = "computes across the samples of a batch, which a header cannot; an arithmetic layer treats every sample alone"
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
    text = "slice gives no numbers at all, which a header cannot hold"
    with pytest.raises(UnsupportedLayerError, match=f"^{text}$"):
        _read(lambda d, x: d("slice", x, 1, 2, 2, 1), 4)


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("true or false", lambda d, x: d("gt", x, 0.0)),
        ("the same for every input", lambda d, x: d.random(1, 4)),
    ],
)
def test_what_is_no_result_is_refused(kind: str, make: Make) -> None:
    text = f"the model gives what is {kind}; a header gives numbers computed from its input"
    with pytest.raises(UnsupportedLayerError, match=f"^{text}$"):
        plan(_form(make), [(4,)])


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
