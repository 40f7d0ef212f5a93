"""The command ``nalu-export doctor MODEL``."""

from pathlib import Path
from typing import Any

import click

from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.headed import option
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, capture_options, compute_option, read_options, reading
from nalu_export.cli.results import ResultCommand, Results, finish, json_option, quiet_option

EXIT_FOUND = 1
EXAMPLES = (
    ("nalu-export doctor model.pt", "Examine a model that was trained on inputs from 0.1 to 1."),
    ("nalu-export doctor model.pt --training-range 1 100", "Examine a model that was trained on inputs from 1 to 100."),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Find what is wrong with a trained model.")
@click.argument("model", type=MODEL)
@compute_option("float32", "float64", "float16", what="An eps that is lost in this type is reported.")
@option(
    "--training-range",
    type=(float, float),
    default=(0.1, 1.0),
    metavar="LO HI",
    default_text="0.1 1",
    help="Range of the inputs in training. Weights and gates are judged on inputs from this range and from 1000 times "
    "this range.",
)
@read_options
@budget_options
@capture_options
@json_option
@quiet_option
@click.pass_context
def doctor(context: click.Context, /, model: Path, json_path: Path | None, quiet: bool, **options: Any) -> None:
    """Examine MODEL, a checkpoint such as model.pt: does it compute what you expect, and will it extrapolate?

    The doctor finds faux NACs, whose raw parameters never trained; weights that are stored, outside -1..1, far from
    -1, 0 and 1, or still as initialised; gates that are undecided, dead or change sides; an eps that is lost in the
    type of the arithmetic; NaN and infinity. Each finding has an effect and a remedy.

    The exit code is 1 if a finding is an error. With --strict every faux NAC is an error, and assumptions are
    reported, not refused.
    """
    results = Results(json_path, quiet=quiet).refuse_overwriting(model)
    with lean_imports():
        from nalu_export.doctor import diagnose
        from nalu_export.reports.terminal.diagnosis import show_diagnosis

    found = diagnose(model, **reading(keep_memory(options)))
    finish(results, found.to_dict, lambda out: show_diagnosis(out, found), found.assumptions)
    if found.failed:
        context.exit(EXIT_FOUND)
