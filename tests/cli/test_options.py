import click
import pytest
from click.testing import CliRunner, Result

from nalu_export.cli.options import model_option, seed_option, size_option


@click.command()
@size_option
@model_option
@seed_option
def echo(**options: object) -> None:
    click.echo(repr(sorted(options.items())))


def given(*arguments: str) -> Result:
    return CliRunner(catch_exceptions=False).invoke(echo, list(arguments))


def test_defaults() -> None:
    assert given().stdout == "[('factory', None), ('input_size', None), ('seed', 0)]\n"


def test_values() -> None:
    result = given("--input-size", "8", "24", "--model", "package.module:factory", "--seed", str(2**32 - 1))
    assert result.stdout == ("[('factory', 'package.module:factory'), ('input_size', (8, 24)), ('seed', 4294967295)]\n")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--input-size", "8"], "requires 2 arguments"),
        (["--input-size", "8", "0"], "0 is not in the range x>=1"),
        (["--input-size", "8", "8.5"], "'8.5' is not a valid integer"),
        (["--seed", "-1"], "-1 is not in the range"),
        (["--seed", str(2**32)], "4294967296 is not in the range"),
        (["--model"], "requires an argument"),
    ],
)
def test_refused(arguments: list[str], text: str) -> None:
    result = given(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert text in result.stderr
