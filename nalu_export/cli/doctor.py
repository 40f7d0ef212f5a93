"""``nalu-export doctor MODEL``."""

from pathlib import Path
from typing import Any

import click

from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, capture_options, read_options, reading
from nalu_export.io.text import to_json

EXIT_FOUND = 1


@click.command()
@click.argument("model", type=MODEL)
@click.option(
    "--compute",
    type=click.Choice(["float32", "float64", "float16"]),
    default="float32",
    show_default=True,
    help="Type of the arithmetic that is to run it: eps must survive in it.",
)
@click.option(
    "--range",
    "range",
    type=(float, float),
    default=(0.1, 1.0),
    show_default=True,
    metavar="LO HI",
    help="Inputs like those of training; weights and gates are judged on them and on 1000 times as large ones.",
)
@read_options
@budget_options
@capture_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
@click.pass_context
def doctor(context: click.Context, /, model: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Examine MODEL (model.pt): is it what its owner believes, and will it extrapolate?

    Finds faux NACs, whose raw parameters never trained; weights that are stored, outside -1..1, far from -1, 0 and
    1, or as initialised; gates that are undecided, dead or change sides; an eps that the type of the arithmetic
    loses; NaN and infinity. Each finding says what follows and what to do. With --strict every faux NAC is an error.

    The exit code is 1 if one finding is an error.
    """
    with lean_imports():
        from nalu_export.doctor import diagnose
        from nalu_export.reports.terminal.diagnosis import show_diagnosis
        from nalu_export.reports.terminal.lines import console

    found = diagnose(model, **reading(keep_memory(options)))
    if as_json:
        click.echo(to_json(found.to_dict()))
    elif not quiet:
        show_diagnosis(console(), found)
    if found.failed:
        context.exit(EXIT_FOUND)
