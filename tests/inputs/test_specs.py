"""nalu_export.inputs.specs: inputs as the command line and the metadata of a file describe them."""

import re
from typing import Any

import pytest
import torch

from nalu_export import InputError
from nalu_export.inputs.expected import LENGTH
from nalu_export.inputs.specs import MAX_NUMBERS, TYPES, Described, described, inputs_like


def test_inputs_are_made_as_described() -> None:
    for text, name, shape, dtype in (
        ("x=batch,7,3", "x", (1, 7, 3), torch.float32),
        ("x=batch,16:float32", "x", (1, 16), torch.float32),
        ("ids=batch,4:int64", "ids", (1, 4), torch.int64),
        ("mask=batch,2:bool", "mask", (1, 2), torch.bool),
        ("the input=batch", "the input", (1,), torch.float32),
    ):
        found = inputs_like([text])
        assert list(found["example_inputs"]) == [name]
        made = found["example_inputs"][name]
        assert (tuple(made.shape), made.dtype) == (shape, dtype)
        assert found["dynamic_shapes"] == {name: {}}


def test_a_name_is_a_free_axis() -> None:
    found = inputs_like(["x=batch,time,3", "ids=batch,time:int64", "y=batch,2,rows=5,1"])
    assert isinstance(found["example_inputs"], Described)
    assert [tuple(x.shape) for x in found["example_inputs"].values()] == [(1, LENGTH, 3), (1, LENGTH), (1, 2, 5, 1)]
    assert found["dynamic_shapes"] == {"x": {1: "time"}, "ids": {1: "time"}, "y": {2: "rows"}}


EXPECTED = "expected NAME=batch,SIZE,…[:TYPE] such as x=batch,16 or ids=batch,time:int64"
ALL_TYPES = ", ".join(TYPES)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", f"input is ''; {EXPECTED}"),
        ("batch,7", f"input is 'batch,7'; {EXPECTED}"),
        ("x=7,3", f"input is 'x=7,3'; {EXPECTED}"),
        ("x=batch,-7", f"input is 'x=batch,-7'; {EXPECTED}"),
        ("x=batch,7.5", f"input is 'x=batch,7.5'; {EXPECTED}"),
        ("x=batch,a time,3", f"input is 'x=batch,a time,3'; {EXPECTED}"),
        ("x=batch,batch", f"input is 'x=batch,batch'; {EXPECTED}"),
        ("x=batch,7,", f"input is 'x=batch,7,'; {EXPECTED}"),
        ("x=batch,7:", f"input is 'x=batch,7:'; {EXPECTED}"),
        ("x=batch,time=", f"input is 'x=batch,time='; {EXPECTED}"),
        ("x=batch,7:complex64", f"input x is complex64; expected {ALL_TYPES}"),
        ("x=batch,7:float16", f"input x is float16; expected {ALL_TYPES}"),
        ("x=batch," + "9" * 5000, f"input is '{'x=batch,' + '9' * 52}'; {EXPECTED}"),
        ("x=batch,0", "a size of input x is 0; expected at least 1"),
        ("x=batch,time=0", "a size of input x is 0; expected at least 1"),
        ("x=batch,8192,8192", f"input x has 67,108,864 numbers; at most {MAX_NUMBERS:,} are allowed"),
    ],
)
def test_a_description_of_none_is_refused(text: str, message: str) -> None:
    with pytest.raises(InputError, match=f"^{re.escape(message)}$"):
        inputs_like([text])


def test_an_input_is_described_once() -> None:
    with pytest.raises(InputError, match=r"^input x is given twice; give it once$"):
        inputs_like(["x=batch,3", "y=batch", "x=batch,3"])


def _row(name: str, dtype: str, *shape: int | str) -> dict[str, Any]:
    return {"name": name, "dtype": dtype, "shape": ["batch", *shape]}


def test_metadata_describes_the_inputs_of_a_file() -> None:
    found = described(
        {"inputs": [_row("x", "float32", "time", 3), _row("ids", "int64")], "outputs": [_row("y", "bool")]}
    )
    assert found is not None
    assert [(tuple(x.shape), x.dtype) for x in found["example_inputs"]] == [
        ((1, LENGTH, 3), torch.float32),
        ((1,), torch.int64),
    ]
    assert found["dynamic_shapes"] == [{1: "time"}, {}]
    assert (found["input_names"], found["output_names"]) == (["x", "ids"], ["y"])


@pytest.mark.parametrize(
    "rows",
    [
        [],
        None,
        [_row("x", "complex64", 3)],
        [_row("x", "float32", 0)],
        [_row("x", "float32", 2**13, 2**13)],
        # The layers of the model tell better with which size images run.
        [_row("x", "float32", 1, "height", "width")],
    ],
)
def test_metadata_that_does_not_tell(rows: Any) -> None:
    assert described({"inputs": rows}) is None
    assert described({}) is None
