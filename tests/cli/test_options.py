from dataclasses import fields
from pathlib import Path

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result

from nalu_export.cli.options import capture_options, read_options, reading, seed_option
from nalu_export.errors import InputError
from nalu_export.source.preparing import SourceOptions


@click.command()
@capture_options
@read_options
@seed_option
def echo(**options: object) -> None:
    click.echo(repr({name: value for name, value in sorted(options.items()) if value is not None}))


def given(*arguments: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(echo, list(arguments))


def test_defaults() -> None:
    assert given().stdout == "{'arithmetic': (), 'input_shapes': (), 'seed': 0, 'strict': False, 'trust': False}\n"


def test_values() -> None:
    result = given("--input-size", "8", "24", "--model", "package.module:factory", "--seed", str(2**32 - 1))
    assert result.stdout == (
        "{'arithmetic': (), 'factory': 'package.module:factory', 'input_shapes': (), 'input_size': (8, 24), "
        "'seed': 4294967295, 'strict': False, 'trust': False}\n"
    )


def test_how_a_file_is_read() -> None:
    chosen = ["--layout", "goddoe:NALU", "--eps", "1e-5", "--prefix", "head.", "--key", "ema", "--backbone", "a:b"]
    result = given(*chosen, "--task", "regression", "--trust", "--strict")
    assert result.stdout == (
        "{'arithmetic': (), 'backbone': 'a:b', 'eps': 1e-05, 'input_shapes': (), 'key': 'ema', "
        "'layout': 'goddoe:NALU', "
        "'prefix': 'head.', 'seed': 0, 'strict': True, 'task': 'regression', 'trust': True}\n"
    )


def test_every_way_to_read_and_to_capture_is_an_option() -> None:
    names = {parameter.name for parameter in echo.params} - {"seed"}
    given: dict[str, object] = dict.fromkeys(filter(None, names))
    found = reading(given | {"input_shapes": ("x=batch,2",), "arithmetic": ()})
    assert set(found) == {field.name for field in fields(SourceOptions)}


def test_what_the_model_takes_and_what_of_it_is_arithmetic() -> None:
    assert "'arithmetic': ('head.0', 'tail')" in given("--arithmetic", "head.0", "--arithmetic", "tail").stdout
    shapes = ("x=batch,7,3", "ids=batch,time:int64")
    assert f"'input_shapes': {shapes}" in given("--input", shapes[0], "--input", shapes[1]).stdout
    found = reading({"input_shapes": shapes, "arithmetic": ("head.0", "tail"), "seed": 1})
    assert {name: tuple(x.shape) for name, x in found["example_inputs"].items()} == {"x": (1, 7, 3), "ids": (1, 16)}
    assert found["dynamic_shapes"] == {"x": {}, "ids": {1: "time"}}
    assert found["arithmetic"] == ["head.0", "tail"]
    assert set(found) == {"example_inputs", "dynamic_shapes", "arithmetic", "seed"}
    assert reading({"input_shapes": (), "arithmetic": ()}) == {"arithmetic": None}
    with pytest.raises(InputError, match="input is 'x=7,3'; expected NAME=batch,SIZE"):
        reading({"input_shapes": ("x=7,3",)})


def test_an_example_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "batch.npz"
    np.savez(path, x=np.ones((2, 3)), ids=np.array([1, 2]))
    assert f"'example': {path!r}" in given("--example", str(path)).stdout
    found = reading({"example": path})
    assert set(found) == {"example_inputs"}
    assert list(found["example_inputs"]) == ["x", "ids"]
    np.save(tmp_path / "alone.npy", np.ones((2, 3)))
    np.testing.assert_array_equal(reading({"example": tmp_path / "alone.npy"})["example_inputs"], np.ones((2, 3)))
    with pytest.raises(
        InputError, match=r"^--input and --example are both given; an example has shapes and types already$"
    ):
        reading({"example": path, "input_shapes": ("x=batch,3",)})
    with pytest.raises(InputError, match=r"none\.npz"):
        reading({"example": tmp_path / "none.npz"})


def test_names_are_separated_by_commas() -> None:
    assert "'input_names': 'x,ids'" in given("--input-names", "x,ids").stdout
    found = reading({"input_names": "x,the ids", "output_names": "y"})
    assert found == {"input_names": ["x", "the ids"], "output_names": ["y"]}
    assert reading({"input_names": None}) == {"input_names": None}


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--input-size", "8"], "requires 2 arguments"),
        (["--input-size", "8", "0"], "0 is not in the range x>=1"),
        (["--input-size", "8", "8.5"], "'8.5' is not a valid integer"),
        (["--input"], "requires an argument"),
        (["--example"], "requires an argument"),
        (["--output-names"], "requires an argument"),
        (["--arithmetic"], "requires an argument"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--seed", str(2**32)], "4294967296 is not in the range"),
        (["--model"], "requires an argument"),
        (["--eps", "small"], "'small' is not a valid float"),
        (["--task", "ranking"], "'ranking' is not one of 'classification', 'regression'"),
    ],
)
def test_refused(arguments: list[str], text: str) -> None:
    result = given(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr
