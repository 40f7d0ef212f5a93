"""nalu_export.graph.reading: effective weights, gates and ε of modules that somebody wrote by hand."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NALU, NALUCell
from nalu_export.graph.reading import Layer, Reading, read
from nalu_export.nn import ClampedNALUCell, NACExactCell
from nalu_export.nn.functional import effective_weight
from tests.captured import graph_of
from tests.handwritten import functions, gates, matrices, products, structures, vectors
from tests.handwritten.cells import CELL_SHAPE, CELLS

W_HAT, M_HAT = ("w_hat", "W_hat"), ("m_hat", "M_hat")


def reading_of(model: nn.Module, shape: tuple[int, ...] = CELL_SHAPE) -> Reading:
    (found,) = read(graph_of(model, shape))
    return found


def only(model: nn.Module, shape: tuple[int, ...] = CELL_SHAPE) -> tuple[Reading, Layer]:
    found = reading_of(model, shape)
    (layer,) = [layer for layer in found.layers if layer.weights or layer.gates or layer.epsilons]
    return found, layer


def test_every_spelling_of_one_weight_is_the_same_weight() -> None:
    """(out, in) and computed from both raw parameters, whichever way round they are stored and read."""
    value = effective_weight(*(CELLS["A"]().get_parameter(name).double() for name in ("w_hat", "m_hat")))
    for name in matrices.CELLS:
        reading, layer = only(CELLS[name]())
        (weight,) = layer.weights
        torch.testing.assert_close(weight.value(reading.form), value, msg=name)
        assert weight.sides == {"sum", "product"}, name
        raw = weight.raw(reading.form)
        assert raw is not None, name
        assert (raw[0] in W_HAT, raw[1] in M_HAT) == (True, True), name
        assert reading.tensor(weight) in ("w", "W"), name


def test_every_spelling_of_one_gate_is_the_same_gate() -> None:
    """Its shares of the sum and of the product add up to 1 and are those of σ(x Gᵀ + b)."""
    x = torch.rand(8, 3, dtype=torch.float64) * 4 - 2
    half = {"SoftplusGate"}
    for name in {**matrices.CELLS, **gates.CELLS, "StackSum": None, "ChunkOutputs": None, "ColumnVectors": None}:
        model = CELLS[name]()
        reading, layer = only(model)
        if name in half:
            assert layer.gates == ()
            continue
        (gate,) = layer.gates
        assert gate.sum is not None, name
        assert gate.product is not None, name
        assert (gate.others, gate.two, gate.hard) == ((), False, name == "HardGate"), name
        values = reading.form.run(x)
        g, h = (share.of(values[share.node]) for share in (gate.sum, gate.product))
        torch.testing.assert_close(g + h, torch.ones_like(g), msg=name)
        if name == "HardGate":
            assert set(g.flatten().tolist()) == {0.0, 1.0}
        elif name in matrices.CELLS:
            z = x @ CELLS["A"]().get_parameter("G").detach().double().T
            torch.testing.assert_close(g, torch.sigmoid(z), msg=name)


def test_a_gate_goes_with_its_bias() -> None:
    x = torch.rand(8, 3, dtype=torch.float64)
    for name in ("LinearGate", "ModuleForms", "WeightNormGate", "OldWeightNormGate"):
        model = CELLS[name]()
        reading, layer = only(model)
        share = layer.gates[0].sum
        assert share is not None
        expected = torch.sigmoid(model.gate(x.float())).double()  # type: ignore[operator]
        torch.testing.assert_close(reading.form.run(x)[share.node], expected, rtol=1e-5, atol=1e-6, msg=name)


class Switched(gates.LinearGate):
    """The gate weighs the product and what it leaves the sum."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        g = torch.sigmoid(self.gate(x))
        return (1 - g) * a + g * m


class Update(gates.LinearGate):
    """``(1 − g)·x + g·a``: two sums."""

    def forward(self, x: Tensor) -> Tensor:
        a, _ = self.sum_and_product(x)
        g = torch.sigmoid(self.gate(x))
        return (1 - g) * x + g * a


class Swish(gates.LinearGate):
    """``z·σ(z)`` is an activation."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        return F.silu(self.gate(x)) + a * m


class Quotient(gates.LinearGate):
    """``a / (1 + exp(z)) + σ(z)·m``: two spellings of the two shares of one gate."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        z = self.gate(x)
        return (1 / (1 + torch.exp(z))) * a + torch.sigmoid(z) * m


class AfterAProduct(gates.LinearGate):
    """A scaled input is a sum of one term, also where the input is a product."""

    def forward(self, x: Tensor) -> Tensor:
        _, m = self.sum_and_product(x)
        g = torch.sigmoid(self.gate(x))
        return g * (m * torch.tanh(self.gate.bias)) + (1 - g) * torch.exp(m)


def test_two_spellings_of_one_gate_and_a_product_that_is_scaled() -> None:
    for kind in (Quotient, AfterAProduct):
        _, layer = only(kind(3, 2).eval())
        (gate,) = layer.gates
        assert (gate.sum is not None, gate.product is not None, gate.two) == (True, True, False), kind


def test_which_side_a_gate_weighs() -> None:
    _, layer = only(Switched(3, 2).eval())
    (gate,) = layer.gates
    assert (gate.sum is not None, gate.product is not None, gate.others) == (True, True, ())
    assert gate.product is not None
    assert gate.product.node.name == "g"
    _, layer = only(Update(3, 3).eval())
    assert [(gate.sum, gate.product, len(gate.others)) for gate in layer.gates] == [(None, None, 2)]
    assert only(Swish(3, 2).eval())[1].gates == ()


class Shared(gates.LinearGate):
    """``σ(G)`` of each output, whatever x is, in another shape."""

    def forward(self, x: Tensor) -> Tensor:
        a, m = self.sum_and_product(x)
        g = torch.sigmoid(self.gate.bias).unsqueeze(0)
        return g * a + (1 - g) * m


def test_a_gate_of_parameters_alone_is_no_weight() -> None:
    reading, layer = only(Shared(3, 2).eval())
    (gate,) = layer.gates
    assert (gate.sum is not None, gate.product is not None, gate.source) == (True, True, None)
    assert [reading.tensor(weight) for weight in layer.weights] == ["w"]


def test_two_gates_and_a_number_for_a_gate() -> None:
    _, layer = only(NALUCell(3, 2, two_gates=True, gate_bias=True), (3,))
    (gate,) = layer.gates
    assert gate.two
    assert gate.source is not None
    assert [product.constant.target for product in gate.source.products] == ["G", "G_mul"]
    for model in (NALUCell(3, 2, gate="constant"), CELLS["NumberGate"]()):
        reading, layer = only(model)
        (gate,) = layer.gates
        assert gate.source is None
        assert [reading.tensor(weight).lower() for weight in layer.weights] == ["w"]


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("Nmu", {"W": ({"product"}, True)}),
        ("NmuGrouped", {"W": ({"product"}, True)}),
        ("Npu", {"g": ({"product"}, True), "W_re": ({"product"}, False), "bend": ({"product"}, False)}),
        ("Quotient", {"tanh": ({"sum"}, True), "abs_2": ({"sum"}, True)}),
        ("LogOnePlus", {"W": ({"sum"}, True), "W_2": ({"product"}, True)}),
        ("ChunkOutputs", {"cat[0:2]": ({"sum"}, True), "W": ({"product"}, True)}),
        ("Slices", {"W": ({"product"}, True), "W_2": ({"sum"}, True)}),
    ],
)
def test_weights_that_are_other_than_those_of_a_nalu(name: str, weights: dict[str, tuple[set[str], bool]]) -> None:
    reading, layer = only(CELLS[name]())
    found = {reading.tensor(weight): (set(weight.sides), weight.is_computed) for weight in layer.weights}
    assert found == weights


def test_an_input_first_factor_is_turned() -> None:
    reading, layer = only(products.NmuGrouped(2, 3).eval(), (2,))
    assert layer.weights[0].shape(reading.form) == (3, 2)


class Free(products.Nmu):
    """``Π (x·w + 1 − w)`` of weights that nothing bounds: what is added is made of the weight, and is no bias."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.prod(x.unsqueeze(1) * self.w + 1 - self.w, dim=-1)


def test_a_stored_factor() -> None:
    reading, layer = only(Free(3, 2).eval())
    (weight,) = layer.weights
    assert (reading.tensor(weight), weight.is_computed, set(weight.sides)) == ("w", False, {"product"})


class Mlp(nn.Module):
    """Linear layers, hand-written ones among them, norms, a temperature, and one exponential at the end."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.free, self.plain = nn.Linear(3, 4), nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False)
        self.V, self.b = nn.Parameter(torch.randn(4, 4)), nn.Parameter(torch.randn(4))
        self.hidden = nn.Parameter(torch.randn(4, 4))
        self.temperature, self.gamma = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(4))
        self.beta, self.var = nn.Parameter(torch.ones(4)), nn.Parameter(torch.ones(4))
        self.mean: Tensor
        self.register_buffer("mean", torch.ones(4))
        self.last = nn.Parameter(torch.randn(2, 4))

    def forward(self, x: Tensor) -> Tensor:
        h = F.relu(self.free(self.first(x)))
        h = torch.tanh(h @ self.hidden)
        h = (h @ self.V + self.b) * self.temperature
        h = h * self.gamma / (h * h).mean(-1, keepdim=True).sqrt()
        h = h * (self.gamma / torch.sqrt(self.var + 1e-5)) + self.beta
        return torch.exp(F.linear(self.plain(h * self.mean), self.last))


def test_what_is_no_effective_weight() -> None:
    """Those of nn.Linear, with a bias, before an activation, a single number, a constant: only the last is one."""
    reading, layer = only(Mlp().eval(), (3,))
    assert [reading.tensor(weight) for weight in layer.weights] == ["last"]
    assert not layer.weights[0].is_computed


def test_an_affine_cell_of_ours_has_none_and_its_gate_is_none() -> None:
    assert all(not layer.weights and not layer.gates for layer in reading_of(NACExactCell(3, 2)).layers)


def test_layers_go_by_their_module() -> None:
    found = reading_of(NALU(3, 4, 2))
    assert [(layer.path, layer.type.__name__) for layer in found.layers if layer.weights] == [
        ("layers.0", "NALUCell"),
        ("layers.1", "NALUCell"),
    ]
    found = reading_of(CELLS["Nested"]())
    assert {layer.path: (len(layer.weights), len(layer.gates), len(layer.epsilons)) for layer in found.layers} == {
        "": (0, 1, 1),
        "nac": (1, 0, 0),
    }
    assert found.layers[1].within("nac.W") == "W"
    assert found.layers[0].within("nac.W") == "nac.W"


def test_a_layer_that_is_called_twice_is_one() -> None:
    found = reading_of(vectors.Twice(), (4,))
    (cell,) = [layer for layer in found.layers if layer.weights]
    assert (len(cell.weights), len(cell.gates), len(cell.epsilons)) == (1, 1, 1)


def test_several_subgraphs_and_one_cut_out_of_its_model() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.head = nn.Conv1d(1, 2, 3), NALU(2, 3, 1)

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.head(self.conv(x).mean(-1))
            return y

    graph = graph_of(Net().eval(), (1, 5))
    (found,) = read(graph)
    assert [layer.path for layer in found.layers if layer.weights] == ["head.layers.0", "head.layers.1"]
    assert [found.tensor(weight) for layer in found.layers for weight in layer.weights] == [
        "head.layers.0.W",
        "head.layers.1.W",
    ]
    (alone,) = read(graph.isolated("head"))
    assert [layer.path for layer in alone.layers if layer.weights] == ["layers.0", "layers.1"]
    assert [alone.tensor(weight) for layer in alone.layers for weight in layer.weights] == ["layers.0.W", "layers.1.W"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EpsAdded", (1e-10, 0.0, False, None)),
        ("EpsClamp", (0.0, 1e-10, False, None)),
        ("EpsClampMin", (0.0, 1e-8, False, None)),
        ("EpsMaximum", (0.0, pytest.approx(1e-10), False, "eps")),
        ("EpsBuffer", (pytest.approx(1e-10), 0.0, False, "eps")),
        ("EpsWhere", (0.0, 1e-8, False, None)),
        ("EpsTwice", (1e-8, 1e-7, False, None)),
        ("EpsInside", (1e-16, 0.0, True, None)),
        ("PowTwo", (pytest.approx(1e-16), 0.0, True, None)),
        ("BaseTwo", (1e-8, 0.0, False, None)),
        ("Inverses", (1e-8, 0.0, False, None)),
        ("PowerProduct", (1e-7, 0.0, False, None)),
        ("Npu", (1e-7, 0.0, False, None)),
        ("LogOnePlus", None),
        ("SinhProduct", None),
        ("Nmu", None),
        ("Quotient", None),
    ],
)
def test_epsilon(name: str, expected: tuple[float, float, bool, str | None] | None) -> None:
    found = [epsilon for layer in reading_of(CELLS[name]()).layers for epsilon in layer.epsilons]
    assert [(each.added, each.floor, each.square, each.name) for each in found] == ([expected] if expected else [])


def test_epsilon_of_a_clamped_cell_and_of_a_bounded_value() -> None:
    (epsilon,) = only(ClampedNALUCell(3, 2))[1].epsilons
    assert (epsilon.added, epsilon.floor) == (1e-10, 1e-7)

    class Log(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.log(torch.clamp(x.sum(-1, keepdim=True), min=1e-6))

    (epsilon,) = only(Log())[1].epsilons
    assert (epsilon.added, epsilon.floor) == (0.0, 1e-6)


def test_a_reading_leaves_the_graph_alone() -> None:
    graph = graph_of(functions.Addcmul(3, 2).eval(), (3,))
    before = str(graph.subgraphs[""].module.graph)
    read(graph)
    assert str(graph.subgraphs[""].module.graph) == before


def test_a_stored_weight_is_told_from_a_computed_one() -> None:
    for model, stored in ((NALUCell(3, 2, stored=True), True), (NALUCell(3, 2), False), (structures.Cell(3, 2), False)):
        _, layer = only(model.eval())
        assert [weight.is_computed for weight in layer.weights] == [not stored]
