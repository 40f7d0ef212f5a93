"""``nalu-export check MODEL ARTIFACT``."""

from pathlib import Path
from typing import Any

import click

from nalu_export import reports
from nalu_export.cli.assumed import say_assumed
from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.checking import check_options, uses_cuda
from nalu_export.cli.devices import device_options
from nalu_export.cli.headed import option
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import FILE, MODEL, capture_options, read_options, reading
from nalu_export.cli.results import ResultCommand, Results, quiet_option, report_files, written
from nalu_export.errors import EXIT_PARITY_FAILED, InputError
from nalu_export.io.text import printable

EXAMPLES = (
    ("nalu-export check model.pt model.onnx", "Holds the file against the model in the runtime of its format."),
    (
        "nalu-export check model.pt model.onnx --runtime all --html report.html",
        "The same in every runtime that is installed, with a report as a web page.",
    ),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Hold an exported file against its model.")
@click.argument("model", type=MODEL)
@click.argument("artifact", type=FILE)
@check_options
@option(
    "--rtol",
    type=float,
    metavar="X",
    heading="Check",
    help="Pass by nearness to PyTorch's float32 output instead: relative part.",
)
@option("--atol", type=float, metavar="X", heading="Check", help="The same, absolute part.")
@option(
    "--max-ulp",
    type=click.IntRange(min=0),
    heading="Check",
    help="Pass by nearness to PyTorch's output in float32 steps.",
)
@option(
    "--range",
    "ranges",
    type=(float, float),
    multiple=True,
    metavar="LO HI",
    heading="Check",
    help="One more input distribution, uniform from LO to HI; may be given several times.",
)
@option(
    "--inputs",
    "inputs_file",
    type=FILE,
    metavar="PATH",
    heading="Check",
    help="More input distributions from a .npz file, one for each array of shape (samples, ...).",
)
@option(
    "--replay",
    "replay_file",
    type=FILE,
    metavar="PATH",
    heading="Check",
    help="Run only the inputs of this .npz file, such as the .worst.npz of an earlier check.",
)
@option(
    "--search",
    type=click.IntRange(0, 10**5),
    heading="Check",
    default_text="16, for images 6",
    help="Generations of the search for the largest error over its bound; 0 for none.",
)
@option(
    "--allow-empty",
    is_flag=True,
    heading="Check",
    help="Exit with 0 where no output could be compared; without it that exits with 1, like a failure.",
)
@capture_options
@read_options
@budget_options
@device_options
@quiet_option
@click.pass_context
def check(
    context: click.Context,
    /,
    model: Path,
    artifact: Path,
    names: tuple[str, ...],
    input_size: tuple[int, int] | None,
    inputs_file: Path | None,
    replay_file: Path | None,
    json_path: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Check that ARTIFACT computes what MODEL (model.pt) computes.

    It is run on inputs from the training range to 1e7, negatives, exact zeros and subnormals, then on those that a
    search finds worst, and every output must be within the bound of a correct evaluation. With a report, the worst
    inputs are saved beside the first of them, as REPORT.worst.npz.

    A TorchScript ARTIFACT is run to be checked, a C++ header compiled and run, and so is code that somebody put in.
    """
    results = Results(json_path, quiet=quiet, files=report_files(options))
    if inputs_file is not None and replay_file is not None:
        raise InputError("--inputs and --replay are both given; --replay runs the inputs of one file alone")
    results.refuse_overwriting(model, artifact, inputs_file, replay_file)
    with lean_imports():
        from nalu_export.api.check import check as run
        from nalu_export.cli.progress import stages
        from nalu_export.io.input_files import read_inputs
        from nalu_export.parity.real_inputs import InputFile
        from nalu_export.reports.terminal.lines import console
        from nalu_export.reports.terminal.report import show_report, show_verdict

    options = keep_memory(options, cuda=uses_cuda(names))
    given = replay_file or inputs_file
    if given is not None:
        options |= {"inputs": InputFile(read_inputs(given), given.stem), "only_inputs": replay_file is not None}
    with stages(quiet=not results.shows) as tell:
        tell("reading", 0, 0)
        report = run(
            model,
            artifact,
            names,
            input_size=input_size,
            progress=tell,
            **reading(options),
        )
    paths = results.write(reports.get("json").render(report), report)
    if results.shows:
        out = console()
        show_report(out, report)
        written(out, paths)
        show_verdict(out, report)
    else:
        say_assumed(report.assumptions)
    if not report.accepted:
        if not results.shows:
            click.echo(f"nalu-export: {printable(report.summary())}", err=True)
        context.exit(EXIT_PARITY_FAILED)
