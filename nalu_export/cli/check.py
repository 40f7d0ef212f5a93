"""The command ``nalu-export check MODEL ARTIFACT``."""

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
    ("nalu-export check model.pt model.onnx", "Check the file in ONNX Runtime, the runtime of its format."),
    (
        "nalu-export check model.pt model.onnx --runtime all --html report.html",
        "Check it in every installed runtime of the format, and write a report as a web page.",
    ),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Check an exported file against its model.")
@click.argument("model", type=MODEL)
@click.argument("artifact", type=FILE)
@check_options
@option(
    "--rtol",
    type=float,
    metavar="X",
    heading="Check",
    help="In place of the error bound: relative tolerance to PyTorch's float32 output.",
)
@option(
    "--atol",
    type=float,
    metavar="X",
    heading="Check",
    help="In place of the error bound: absolute tolerance to PyTorch's float32 output.",
)
@option(
    "--max-ulp",
    type=click.IntRange(min=0),
    heading="Check",
    help="In place of the error bound: largest distance to PyTorch's float32 output, in float32 steps (ULP).",
)
@option(
    "--range",
    "ranges",
    type=(float, float),
    multiple=True,
    metavar="LO HI",
    heading="Check",
    help="Add an input distribution that is uniform from LO to HI; may be given several times.",
)
@option(
    "--inputs",
    "inputs_file",
    type=FILE,
    metavar="PATH",
    heading="Check",
    help="Add input distributions from a .npz file: one for each array of shape (samples, ...).",
)
@option(
    "--replay",
    "replay_file",
    type=FILE,
    metavar="PATH",
    heading="Check",
    help="Run only the inputs of this .npz file, such as REPORT.worst.npz of an earlier check.",
)
@option(
    "--search",
    type=click.IntRange(0, 10**5),
    heading="Check",
    default_text="16; 6 for images",
    help="Number of generations of the search for the input with the largest error/bound; 0 for no search.",
)
@option(
    "--allow-empty",
    is_flag=True,
    heading="Check",
    help="Exit with 0 if no output could be compared. Otherwise the exit code is 1, as for a failure.",
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
    """Check that ARTIFACT, an exported file, computes what MODEL computes. MODEL is a checkpoint such as model.pt.

    Every output must be within its error bound: the largest error that a correct evaluation may have. ARTIFACT is run
    on inputs from the training range to 1e7, negatives, exact zeros and subnormals, then on inputs from a search for
    the largest error/bound.

    With --json PATH, --junit or --html, the worst inputs are saved too: as REPORT.worst.npz, beside the first of these
    reports.

    The check runs a TorchScript ARTIFACT, and it compiles and runs a C++ header. Any code that somebody put into the
    file runs too.
    """
    results = Results(json_path, quiet=quiet, files=report_files(options))
    if inputs_file is not None and replay_file is not None:
        raise InputError("--inputs and --replay are both given; --replay runs only the inputs of its own file")
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
