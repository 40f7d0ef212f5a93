"""nalu_export.inputs.example: what a user says of the inputs of a model, as a call of it."""

import re
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from nalu_export import NALU, InputError, NALUCell
from nalu_export.graph import Example
from nalu_export.graph.interface import arguments_with
from nalu_export.graph.structure import MAX_NAME
from nalu_export.inputs.example import SAMPLES, example_of_given, seeded

INT, BOOL = torch.int64, torch.bool


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(3))
        self.W_hat = nn.Parameter(torch.ones(3))

    def forward(self, x: Tensor, ids: Tensor, state: Any = None, *, scale: float = 1.0) -> Tensor:
        y = torch.exp(x * self.weight * scale) * ids.unsqueeze(1)
        return y if state is None else y + state[0]


class _Any(nn.Module):
    def forward(self, *xs: Tensor, **named: Tensor) -> Tensor:
        return torch.exp(sum((*xs, *named.values()), torch.zeros(())))


X, IDS = torch.rand(2, 3), torch.tensor([4, 7])


def _named(example: Example) -> dict[str, str]:
    return {port.name: port.argument for port in example.inputs}


def test_one_tensor_is_called_input_in_a_file() -> None:
    x = torch.zeros(2, 7, 4)
    model = NALUCell(4, 2)
    for given in (x, x.double(), (x,), [x], {"x": x}, x.numpy()):
        example = example_of_given(model, given)
        (port,), (tensor,) = example.inputs, example.tensors
        assert (port.name, port.argument, port.shape, port.free) == ("input", "x", ("batch", 7, 4), {})
        assert tuple(tensor.shape) == (SAMPLES, 7, 4)
    assert example_of_given(model, torch.zeros(5)).inputs[0].shape == ("batch",)


def test_an_array_that_cannot_be_written_to_is_no_news(recwarn: pytest.WarningsRecorder) -> None:
    x = np.ones((2, 4), np.float32)
    x.setflags(write=False)
    example_of_given(NALUCell(4, 2), x)
    assert not list(recwarn)


def test_numbers_are_our_own_and_integers_the_users() -> None:
    """Floats are seeded, of the type of the model; the samples of others are repeated."""
    for model in (_Net(), _Net().double()):
        example = example_of_given(model, (X * 1e9, IDS))
        x, ids = example.tensors
        assert torch.equal(x, seeded((3,), model))
        assert x.dtype == model.weight.dtype
        assert 0.1 <= float(x.min()) <= float(x.max()) <= 1.0
        assert ids.tolist() == [4, 7, 4]
        assert example.samples == SAMPLES
        assert [port.dtype for port in example.inputs] == [model.weight.dtype, INT]


def test_arguments_are_bound_as_python_does() -> None:
    model = _Net()
    for given in ((X, IDS), {"ids": IDS, "x": X}, [X.numpy(), IDS.numpy()]):
        example = example_of_given(model, given)
        assert set(_named(example).items()) == {("x", "x"), ("ids", "ids")}
    named = example_of_given(model, {"x": X, "ids": IDS, "scale": 3.0})
    args, kwargs = arguments_with(named.arguments, named.tensors)
    assert args == ()
    assert kwargs["scale"] == 3.0
    assert kwargs["x"] is named.tensors[0]


class _State(NamedTuple):
    h: Tensor
    c: Tensor


def test_tensors_in_containers_are_inputs() -> None:
    model = _Net()
    example = example_of_given(model, (X, IDS, [X, (X, None, 2.0)]))
    assert _named(example) == {"x": "x", "ids": "ids", "state_0": "state[0]", "state_1_0": "state[1][0]"}
    state = arguments_with(example.arguments, example.tensors)[0][2]
    assert state[0] is example.tensors[2]
    assert state[1][1:] == (None, 2.0)
    example = example_of_given(model, (X, IDS, _State(X, X)))
    assert _named(example) == {"x": "x", "ids": "ids", "h": "state['h']", "c": "state['c']"}
    assert isinstance(arguments_with(example.arguments, example.tensors)[0][2], _State)
    example = example_of_given(model, {"x": X, "ids": IDS, "state": {"h": X, "c": X}})
    assert list(_named(example)) == ["x", "ids", "h", "c"]


def test_arguments_without_a_name_of_their_own() -> None:
    example = example_of_given(_Any(), (X, X))
    assert _named(example) == {"xs_0": "xs_0", "xs_1": "xs_1"}
    example = example_of_given(_Any(), {"first": X, "second": X})
    assert list(_named(example)) == ["first", "second"]


def test_names_of_the_users_own() -> None:
    example = example_of_given(_Net(), (X, IDS), input_names=["features", "the ids"], output_names=["y"])
    assert _named(example) == {"features": "x", "the ids": "ids"}
    assert example.output_names == ["y"]
    assert _named(example_of_given(NALUCell(3, 2), X, input_names="features")) == {"features": "x"}


def test_a_name_of_a_weight_is_left_to_the_weight() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = nn.Parameter(torch.ones(3))

        def forward(self, weight: Tensor, x: Tensor) -> Tensor:
            return torch.exp(weight * x * self.weight)

    assert list(_named(example_of_given(Net(), (X, X)))) == ["weight_input", "x"]


LONG = "n" * (MAX_NAME + 1)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (
            {"input_names": ["a"]},
            "input_names has 1 name; _Net.forward(x, ids, state=None, *, scale=1.0) is given 2 inputs",
        ),
        ({"input_names": ["a", "a"]}, "input_names are a, a; each name has to be different"),
        ({"input_names": ["a", ""]}, "input_names holds ''; expected printable names"),
        ({"input_names": ["a", "b\n"]}, "input_names holds "),
        ({"input_names": ["a", 3]}, "input_names holds 3; expected printable names"),
        ({"output_names": [LONG]}, "output_names holds 'nnnn"),
        ({"input_names": ["a", "weight"]}, "input_names holds 'weight', which is a weight or an input of the model"),
        ({"input_names": ["a", "W"]}, "input_names holds 'W', which is a weight or an input of the model"),
        ({"output_names": ["x"]}, "output_names holds 'x', which is a weight or an input of the model; choose another"),
    ],
)
def test_names_that_cannot_be_are_refused(options: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(text)}"):
        example_of_given(_Net(), (X, IDS), **options)


# Free axes ------------------------------------------------------------------------------------------------------------


def _free(example: Example) -> list[dict[int, str]]:
    return [port.free for port in example.inputs]


class _Sequences(nn.Module):
    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        return torch.exp(x) * mask.unsqueeze(-1)


SEQUENCE, MASK = torch.rand(2, 5, 3), torch.ones(2, 5, dtype=BOOL)


@pytest.mark.parametrize(
    "dynamic",
    [
        {"x": {1: "time"}, "mask": {1: "time"}},
        {"x": {0: "batch", 1: "time"}, "mask": {-1: "time"}},
        {"x": ("samples", "time", None), "mask": (None, "time")},
        [{1: "time"}, {1: "time"}],
        ({1: "time", 2: None}, ("n", "time")),
        {"x": {0: torch.export.Dim("b"), 1: torch.export.Dim("time")}, "mask": {1: torch.export.Dim("time")}},
    ],
)
def test_free_axes_by_name_or_place(dynamic: Any) -> None:
    example = example_of_given(_Sequences(), (SEQUENCE, MASK), dynamic)
    assert _free(example) == [{1: "time"}, {1: "time"}]
    assert [port.shape for port in example.inputs] == [("batch", "time", 3), ("batch", "time")]


def test_an_axis_without_a_name_has_that_of_its_input() -> None:
    dynamic = {"x": {1: torch.export.Dim.AUTO, 2: torch.export.Dim.STATIC}, "mask": {1: torch.export.Dim.DYNAMIC}}
    example = example_of_given(_Sequences(), (SEQUENCE, MASK), dynamic)
    assert _free(example) == [{1: "x_1"}, {1: "mask_1"}]


def test_height_and_width_of_images_are_free_unless_somebody_says() -> None:
    images = torch.rand(2, 1, 8, 9)
    model = _Any()
    assert _free(example_of_given(model, images)) == [{2: "height", 3: "width"}]
    assert _free(example_of_given(model, images, {})) == [{}]
    assert _free(example_of_given(model, images, {"xs_0": {3: "width"}})) == [{3: "width"}]
    assert _free(example_of_given(model, images.long())) == [{}]


@pytest.mark.parametrize(
    ("dynamic", "text"),
    [
        ({"z": {1: "time"}}, "dynamic_shapes names 'z', which is not an input; the inputs are: x, mask"),
        ({"x": {3: "time"}}, "dynamic_shapes of x has axis 3; the input has 3 axes"),
        ({"x": {"time": 1}}, "dynamic_shapes of x has axis 'time'; the input has 3 axes"),
        ({"x": {1: "batch"}}, "input x has a free axis called 'batch'; expected an identifier other than batch"),
        ({"x": {1: "a time"}}, "input x has a free axis called 'a time'; expected an identifier other than batch"),
        (
            {"x": {2: "time"}, "mask": {1: "time"}},
            "axis time is 3 in input x and 5 in mask; axes of one name have the same size",
        ),
    ],
)
def test_free_axes_that_cannot_be_are_refused(dynamic: Any, text: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(text)}$"):
        example_of_given(_Sequences(), (SEQUENCE, MASK), dynamic)


# What is no call ------------------------------------------------------------------------------------------------------

TAKES = "_Net.forward(x, ids, state=None, *, scale=1.0)"


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({}, f"example_inputs is {{}}; expected what {TAKES} takes: a tensor, a tuple or a dict"),
        ((), f"example_inputs is (); expected what {TAKES} takes: a tensor, a tuple or a dict"),
        ("x", f"example_inputs is a str without tensors; expected what {TAKES} takes: a tensor, a tuple or a dict"),
        ([[1.0, 2.0]], f"example_inputs is a list without tensors; expected what {TAKES} takes: a tensor"),
        (X, f"the inputs do not fit {TAKES}: missing a required argument: 'ids'"),
        ((X, IDS, X, X), f"the inputs do not fit {TAKES}: too many positional arguments"),
        ({"x": X, "ids": IDS, "y": X}, f"the inputs do not fit {TAKES}: it takes no y"),
        ((X, IDS[:1]), "inputs have different numbers of samples on their first axis: x 2, ids 1; expected the same"),
        ((torch.tensor(1.0), IDS), "input x is float32 of shape (); expected (samples, …)"),
        ((torch.zeros(2, 0), IDS), "input x is float32 of shape (2, 0); expected (samples, …)"),
        ((X.to_sparse(), IDS), "input x is sparse float32; expected dense real numbers, integers or bool"),
        ((X.to(torch.complex64), IDS), "input x is complex64; expected dense real numbers, integers or bool"),
        ((X, IDS, [X, X * 1j]), "input state[1] is complex64; expected dense real numbers, integers or bool"),
    ],
)
def test_an_example_that_is_none_is_refused(given: Any, text: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(text)}"):
        example_of_given(_Net(), given)


def test_a_model_of_one_input_names_what_it_takes() -> None:
    with pytest.raises(InputError, match=r"^the inputs do not fit NALU\.forward\(x\): too many positional arguments$"):
        example_of_given(NALU(3, 2), (X, X))
