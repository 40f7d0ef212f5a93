"""The promise of the design: a new primitive is one record and an emitter for each format; all else reads the record.

TorchScript needs no emitter: it runs the torch function of the record.
"""

import math
from collections.abc import Iterator
from pathlib import Path
from unittest.mock import patch

import onnx
import pytest
import torch
from torch import Tensor, fx, nn

import nalu_export
from nalu_export import ParityError, UnsupportedLayerError
from nalu_export.api.inspect import inspect
from nalu_export.formats import FormatName
from nalu_export.formats.cpp.primitives import EXPRESSIONS, Spelling
from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.primitives import EMITTERS
from nalu_export.graph import primitive_of
from nalu_export.graph.folding import COMPUTE, Compute
from nalu_export.primitives import BY_FUNCTION, BY_NAME, PRIMITIVES, Primitive
from nalu_export.primitives.operands import Operand, Pair, ball, exact, zero_at_least
from nalu_export.primitives.precision import SQRT, Precision
from nalu_export.primitives.records import records
from nalu_export.primitives.tables import enter
from tests.captured import graph_of, primitives_of

# Two squares, their sum and a root.
ROUNDOFFS = 2.0 + SQRT


def _unit(value: Tensor, x: Operand, other: Operand) -> Pair:
    return value.abs(), torch.maximum(exact(x).error + exact(other).error, value.abs())


def _radius(p: Precision, value: Tensor, x: Operand, other: Operand) -> Tensor:
    a, b = ball(p, x), ball(p, other)
    radius = p.rounded(value, a.radius + b.radius, ROUNDOFFS)
    # The square of a small number may be flushed to zero, and that of a large one overflows.
    radius = radius + torch.where(a.reach + b.reach > 0, 2.0 * math.sqrt(p.tiny), 0.0)
    return torch.where(torch.maximum(a.reach, b.reach) > math.sqrt(p.largest / 2), torch.inf, radius)


HYPOT = Primitive(
    "hypot",
    torch.hypot,
    ("input", "other"),
    names=("hypot",),
    unit=_unit,
    radius=_radius,
    zero=lambda x, other: torch.ones(()),
    least=zero_at_least,
    delicate=True,
)


def _in_onnx(build: Builder, x: Value, other: Value) -> Value:
    return build.op("Sqrt", build.op("Add", build.op("Mul", x, x), build.op("Mul", other, other)))


def _in_cpp(node: fx.Node, spell: Spelling) -> str:
    x, other = map(spell.of, node.args)
    return f"M::sqrt(M::fma({x}, {x}, M::mul({other}, {other})))"


@pytest.fixture
def hypot() -> Iterator[None]:
    """The record and the two emitters, as if they were in their files."""
    with patch.dict(PRIMITIVES), patch.dict(BY_NAME), patch.dict(BY_FUNCTION):
        enter(HYPOT)
        with patch.dict(EMITTERS, hypot=_in_onnx), patch.dict(EXPRESSIONS, hypot=_in_cpp):
            yield


class Distance(nn.Module):
    """``√((W x)² + (V x)²)``, as a user writes it."""

    def __init__(self) -> None:
        super().__init__()
        self.W = nn.Parameter(torch.randn(3, 4))
        self.V = nn.Parameter(torch.randn(3, 4))

    def forward(self, x: Tensor) -> Tensor:
        w, v = nn.functional.linear(x, self.W), nn.functional.linear(x, self.V)
        return torch.hypot(w, v)


EXAMPLE = torch.ones(2, 4)
CPP = pytest.param("cpp", marks=pytest.mark.slow)


@pytest.mark.usefixtures("hypot")
def test_capture_knows_it() -> None:
    nodes = primitives_of(Distance(), (4,)).graph.nodes
    assert [primitive.name for node in nodes if (primitive := primitive_of(node))] == ["linear", "linear", "hypot"]
    (layer,) = inspect(Distance())["layers"]
    assert layer["weights"].keys() == {"W", "V"}


@pytest.mark.usefixtures("hypot")
@pytest.mark.parametrize("name", ["onnx", "torchscript", CPP])
@pytest.mark.parametrize("compute", COMPUTE)
def test_a_module_that_calls_it_is_exported_and_checked(tmp_path: Path, name: FormatName, compute: Compute) -> None:
    artifact = nalu_export.export(
        Distance(), tmp_path / "distance", format=name, compute=compute, example_inputs=EXAMPLE
    )
    assert artifact.report.passed
    ratios = [row.max_ratio for row in artifact.report.decisive if row.passed]
    assert 0 < max(ratios) <= 1
    assert not nalu_export.check(Distance(), artifact, example_inputs=EXAMPLE).passed


@pytest.mark.usefixtures("hypot")
def test_each_file_has_what_its_emitter_writes() -> None:
    model = Distance()
    data = nalu_export.export(model, format="onnx", check=False, example_inputs=EXAMPLE).data
    assert [node.op_type for node in onnx.load_from_string(data).graph.node][-4:] == ["Mul", "Mul", "Add", "Sqrt"]
    header = nalu_export.export(model, format="cpp", check=False, example_inputs=EXAMPLE).data.decode()
    assert "M::sqrt(M::fma(" in header


def _forgetful_onnx(build: Builder, x: Value, other: Value) -> Value:
    return build.op("Sqrt", build.op("Mul", x, x))


def _forgetful_cpp(node: fx.Node, spell: Spelling) -> str:
    return f"M::sqrt(M::mul({spell.of(node.args[0])}, {spell.of(node.args[0])}))"


@pytest.mark.usefixtures("hypot")
@pytest.mark.parametrize("name", ["onnx", CPP])
def test_a_fault_in_an_emitter_is_caught(tmp_path: Path, name: FormatName, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EMITTERS, "hypot", _forgetful_onnx)
    monkeypatch.setitem(EXPRESSIONS, "hypot", _forgetful_cpp)
    with pytest.raises(ParityError, match=r"first divergence: output\[\d\] = hypot\(linear, linear_2\) is"):
        nalu_export.export(Distance(), tmp_path / "distance", format=name, example_inputs=EXAMPLE)
    assert not [*tmp_path.iterdir()]


def test_without_the_record_it_is_no_arithmetic() -> None:
    assert graph_of(Distance(), (4,)).whole is None
    with pytest.raises(
        UnsupportedLayerError, match=r"^Distance calls torch\.hypot, which is not a primitive; write it with"
    ):
        nalu_export.export(Distance(), check=False, example_inputs=EXAMPLE, arithmetic=[""])


def test_every_file_of_records_is_found() -> None:
    assert {primitive.name for primitive in records()} == PRIMITIVES.keys()
