from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, ArithmeticLayer, BackboneHead, InputError, NACCell, build_head
from nalu_export.checkpoints.description import MAX_DEPTH, MAX_NODES, STOCK, build, describe
from tests.checkpoints import files
from tests.checkpoints.layers import CASES, STOCK_CASES, Model, randomised


def rebuilt(model: nn.Module) -> nn.Module:
    """The model from its description and its weights."""
    description = describe(model)
    assert description is not None
    built = build(description)
    assert all(value.is_meta for value in built.state_dict().values())
    built.load_state_dict(model.state_dict(), assign=True)
    return built.eval()


def assert_plain(value: Any) -> None:
    if isinstance(value, dict):
        for key, item in value.items():
            assert type(key) is str
            assert_plain(item)
    elif isinstance(value, list):
        for item in value:
            assert_plain(item)
    else:
        assert value is None or type(value) in (bool, int, float, str)


def test_every_listed_layer_has_a_case() -> None:
    assert STOCK_CASES.keys() == STOCK.keys()
    assert all(STOCK[name].__name__ == name for name in STOCK)


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_round_trip(make: Model, shape: tuple[int, ...]) -> None:
    model = randomised(make())
    assert_plain(describe(model))
    copied = rebuilt(model)
    assert repr(copied) == repr(model)
    x = torch.randn(shape)
    assert torch.equal(copied(x), model(x))


@pytest.mark.parametrize(("make", "shape"), CASES)
def test_the_case_tells_the_arguments_apart(make: Model, shape: tuple[int, ...]) -> None:
    """A layer that was rebuilt with its defaults would differ from at least one of its cases."""
    model = make()
    description = describe(model)
    assert description is not None
    assert description["type"] == type(model).__name__


def test_nested_sequential_keeps_names_and_order() -> None:
    model = nn.Sequential()
    model.add_module("second", nn.Linear(4, 3))
    model.add_module("first", nn.Sequential(nn.ReLU(), NAC(3, 2)))
    copied = rebuilt(model)
    assert list(copied.state_dict()) == list(model.state_dict())
    x = torch.randn(5, 4)
    assert torch.equal(copied(x), model(x))


def test_a_module_that_is_used_twice_is_there_twice() -> None:
    """named_children() leaves the second place out, and the file would compute something else."""
    relu, layer = nn.ReLU(), nn.Linear(3, 3)
    model = nn.Sequential(nn.Linear(2, 3), relu, layer, relu, layer, relu, NAC(3, 1))
    copied = rebuilt(model)
    assert isinstance(copied, nn.Sequential)
    assert len(copied) == 7
    x = torch.randn(50, 2)
    assert torch.equal(copied(x), model(x))


class Doubling(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x * 2.0


class MyLinear(nn.Linear):
    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x) * 2.0


class MySequential(nn.Sequential):
    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = super().forward(x)  # type: ignore[no-untyped-call]
        return result * 2.0


def mutated_eps() -> nn.Module:
    model = NALU(2, 1)
    model.layers[0].eps = 1e-3  # type: ignore[assignment]
    return model


def mutated_head() -> nn.Module:
    model = build_head(nn.Conv2d(1, 2, 3), 2, [3], "classification", 4)
    model.head = NALU(3, 4, eps=1e-2)
    return model


def weight_normed() -> nn.Module:
    model = nn.Linear(2, 2)
    torch.nn.utils.parametrizations.weight_norm(model)
    return model


UNDESCRIBED: dict[str, Model] = {
    "own module": Doubling,
    "own module inside": lambda: nn.Sequential(NAC(2, 1), Doubling()),
    "subclass of a listed layer": lambda: MyLinear(2, 2),
    "subclass of Sequential": lambda: MySequential(NAC(2, 1)),
    "own backbone": lambda: build_head(Doubling(), 2, [3], "classification", 4),
    "parametrised": weight_normed,
    "not a listed layer": lambda: nn.Bilinear(2, 2, 2),
    "module list": lambda: nn.ModuleList([NAC(2, 1)]),
    "argument changed afterwards": mutated_eps,
    "part changed afterwards": mutated_head,
    "replaced by nothing": lambda: nn.Sequential(nn.Linear(2, 2), None),  # type: ignore[call-overload]
    "argument that is not plain": lambda: nn.ELU(torch.tensor([0.5, 0.6])),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("case", UNDESCRIBED)
def test_what_is_not_described(case: str) -> None:
    """``None`` makes the reader ask for the user's code; a description of something else would be silent."""
    assert describe(UNDESCRIBED[case]()) is None


@pytest.fixture
def _own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ArithmeticLayer, "registry", dict(ArithmeticLayer.registry))


@pytest.mark.usefixtures("_own_registry")
def test_an_arithmetic_layer_of_the_user() -> None:
    class Scaled(ArithmeticLayer):
        def __init__(self, features: int, scale: float = 1.0) -> None:
            super().__init__()
            self.features, self.scale = features, scale
            self.weight = nn.Parameter(torch.ones(features))

        def forward(self, x: Tensor) -> Tensor:
            return x * self.weight * self.scale

    model = nn.Sequential(Scaled(3, 2.5), NAC(3, 1))
    x = torch.randn(4, 3)
    assert torch.equal(rebuilt(model)(x), model(x))


@pytest.mark.usefixtures("_own_registry")
@pytest.mark.parametrize("kind", ["buffer", "attribute"])
def test_a_tensor_outside_the_state_dict_cannot_be_rebuilt(kind: str) -> None:
    class Shifted(ArithmeticLayer):
        def __init__(self) -> None:
            super().__init__()
            if kind == "buffer":
                self.register_buffer("shift", torch.ones(3), persistent=False)
            else:
                self.shift = torch.ones(3)

        def forward(self, x: Tensor) -> Tensor:
            return x + self.shift

    assert describe(Shifted()) is None


@pytest.mark.usefixtures("_own_registry")
def test_a_class_of_the_user_with_a_name_of_the_package_is_not_described() -> None:
    other = type("NACCell", (NACCell,), {"__module__": "elsewhere"})
    assert describe(other(2, 1)) is None
    assert type(rebuilt(NACCell(2, 1))) is NACCell


FLATTEN = {"type": "Flatten", "args": {"start_dim": [1] * (MAX_NODES // 50)}}

HOSTILE: dict[str, tuple[Any, str]] = {
    "none": (None, "its model description has None where a layer should be"),
    "text": ("NAC", "its model description has 'NAC' where a layer should be"),
    "list": ([1], "its model description has a value of type list where a layer should be"),
    "no type": ({"args": {}}, "its model description has a value of type dict where a layer should be"),
    "type is a list": ({"type": []}, "its model description has a value of type dict where a layer should be"),
    "unknown layer": (
        {"type": "Transformer", "args": {}},
        "its model description names the layer 'Transformer', which this release does not know; "
        "give model='FILE.py:NAME' to build the model",
    ),
    "a module path": (
        {"type": "os.system", "args": {}},
        "its model description names the layer 'os.system', which this release does not know; "
        "give model='FILE.py:NAME' to build the model",
    ),
    "line feed in the type": (
        {"type": "NAC\nNALU"},
        "its model description names the layer 'NAC\\\\nNALU', which this release does not know; "
        "give model='FILE.py:NAME' to build the model",
    ),
    "args is a list": (
        {"type": "Linear", "args": [2, 2]},
        "its model description gives Linear a value of type list as arguments; expected a dict",
    ),
    "no children": ({"type": "Sequential"}, "its model description has a Sequential without children"),
    "children is a list": (
        {"type": "Sequential", "children": [files.linear()]},
        "its model description has a Sequential without children",
    ),
    "child is text": (
        {"type": "Sequential", "children": {"0": "ReLU"}},
        "its model description has 'ReLU' where a layer should be",
    ),
    "child with a dot": (
        {"type": "Sequential", "children": {"a.b": files.linear()}},
        "its model description has a layer named 'a.b'; expected letters, digits, _ and -, and no keyword of Python",
    ),
    "child without a name": (
        {"type": "Sequential", "children": {"": files.linear()}},
        "its model description has a layer named ''; expected letters, digits, _ and -, and no keyword of Python",
    ),
    "child with a number": (
        {"type": "Sequential", "children": {10**5000: files.linear()}},
        "its model description gives Sequential the argument a value of type int, which no file may set",
    ),
    "argument with a number": (
        {"type": "ReLU", "args": {3: True}},
        "its model description gives ReLU the argument 3, which no file may set",
    ),
    "device": (
        files.linear(device="cpu"),
        "its model description gives Linear the argument 'device', which no file may set",
    ),
    "dtype": (
        files.linear(dtype="float64"),
        "its model description gives Linear the argument 'dtype', which no file may set",
    ),
    "unknown argument": (
        files.linear(colour=1),
        "its model description: Linear: .*unexpected keyword argument 'colour'",
    ),
    "self": (files.linear(self=1), "its model description: Linear: .*multiple values for argument 'self'"),
    "missing argument": ({"type": "Linear"}, "its model description: Linear: .*missing 2 required positional .*"),
    "negative size": (files.linear(in_features=-1), "its model description: Linear: .*negative dimension -1.*"),
    "negative size of ours": (
        {"type": "NAC", "args": {"dims": [2, -3]}},
        r"its model description: NAC: dims\[1\] is -3; it must be an integer of at least 1",
    ),
    "text for a size": (files.linear(in_features="2"), "its model description: Linear: .+"),
    "tensor for a size": (
        files.linear(in_features=torch.zeros(2, 2)),
        "its model description gives Linear the argument a value of type Tensor",
    ),
    "endless integer": (
        files.linear(in_features=10**5000),
        "its model description gives Linear the argument a value of type int",
    ),
    "size beyond int32": (
        files.linear(in_features=2**31),
        "its model description gives Linear the argument 2147483648",
    ),
    "size beyond memory": (files.linear(in_features=10**9, out_features=10**9), "(built)"),
    "a layer for a size": (files.linear(in_features=files.linear()), "its model description: Linear: .+"),
    "the base of the stacks": (
        {"type": "_Stack", "args": {"dims": [2, 2]}},
        "its model description: _Stack: .+",
    ),
    "eps out of range": (
        {"type": "NALU", "args": {"dims": [2, 1], "eps": 0.0}},
        "its model description: NALU: eps is 0.0; it must be a number from 1e-30 to 1",
    ),
    "backbone is text": (
        {
            "type": "BackboneHead",
            "args": {
                "backbone": "x",
                "out_channels": 1,
                "hidden_dims": [1],
                "task": "regression",
                "num_outputs": 1,
            },
        },
        "its model description: BackboneHead: backbone is a str; it must be a torch.nn.Module",
    ),
    "nested 1000 deep": (
        files.nested_sequential(1000),
        f"its model description is deeper than {MAX_DEPTH} or larger than {MAX_NODES} entries",
    ),
    "list nested 1000 deep": (
        files.linear(in_features=files.nested_list(1000)),
        f"its model description is deeper than {MAX_DEPTH} or larger than {MAX_NODES} entries",
    ),
    "list of 10^18 entries": (
        files.linear(in_features=files.billion_laughs()),
        f"its model description is deeper than {MAX_DEPTH} or larger than {MAX_NODES} entries",
    ),
    "many layers": (
        {"type": "Sequential", "children": {str(index): {"type": "ReLU"} for index in range(MAX_NODES + 1)}},
        f"its model description is deeper than {MAX_DEPTH} or larger than {MAX_NODES} entries",
    ),
    "the same layer often": (
        {
            "type": "Sequential",
            "children": {str(index): FLATTEN for index in range(MAX_NODES // 100)},
        },
        f"its model description is deeper than {MAX_DEPTH} or larger than {MAX_NODES} entries",
    ),
}


@pytest.mark.parametrize("case", HOSTILE)
def test_hostile_description(case: str) -> None:
    description, text = HOSTILE[case]
    with files.time_limit(30):
        if text == "(built)":
            assert all(value.is_meta for value in build(description).state_dict().values())
        else:
            with pytest.raises(InputError, match=f"^{text}$") as caught:
                build(description)
            assert "\n" not in str(caught.value)


def test_as_deep_as_allowed() -> None:
    assert build(files.nested_sequential(MAX_DEPTH - 2))


def test_a_head_cannot_claim_an_unknown_class() -> None:
    assert not isinstance(build(files.linear()), BackboneHead)
