"""``nalu-export check MODEL ARTIFACT``."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nalu_export import reports, runtimes
from nalu_export.cli.assumed import say_assumed
from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.devices import device_options
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import FILE, FILE_OR_DASH, MODEL, capture_options, read_options, reading, seed_option
from nalu_export.errors import EXIT_PARITY_FAILED, InputError
from nalu_export.io.targets import check_target, write_atomically
from nalu_export.io.text import printable

if TYPE_CHECKING:
    from nalu_export.parity import Report

REPORTS = ("json", "junit", "html")


@click.command()
@click.argument("model", type=MODEL)
@click.argument("artifact", type=FILE)
@click.option(
    "--runtime",
    "names",
    type=click.Choice((*runtimes.names(), "all")),
    metavar="NAME",
    multiple=True,
    help="What runs it; may be given several times. By default the one that checked the export. all: whatever is "
    f"installed and runs this format; what is not is listed. NAME is one of {', '.join(runtimes.names())}, all.",
)
@click.option("--rtol", type=float, help="Pass by nearness to PyTorch's float32 output instead: relative part.")
@click.option("--atol", type=float, help="The same, absolute part.")
@click.option("--max-ulp", type=click.IntRange(min=0), help="Pass by nearness to PyTorch's output in float32 steps.")
@click.option(
    "--samples",
    type=click.IntRange(1, 10**6),
    help="Samples of each input distribution; by default 128, fewer for wide layers, for images 24.",
)
@click.option(
    "--range",
    "ranges",
    type=(float, float),
    multiple=True,
    metavar="LO HI",
    help="One more input distribution, uniform from LO to HI; may be given several times.",
)
@click.option(
    "--inputs",
    "inputs_file",
    type=FILE,
    help="More input distributions from a .npz file, one for each array of shape (samples, ...).",
)
@click.option(
    "--replay",
    "replay_file",
    type=FILE,
    help="Run only the inputs of this .npz file, such as the .worst.npz of an earlier check.",
)
@click.option(
    "--search",
    type=click.IntRange(0, 10**5),
    help="Generations of the search for the largest error over its bound; by default 16, for images 6; 0 for none.",
)
@seed_option
@capture_options
@read_options
@budget_options
@device_options
@click.option(
    "--allow-empty",
    is_flag=True,
    help="Exit with 0 where no output could be compared; without it that exits with 1, like a failure.",
)
@click.option(
    "--json",
    "json_file",
    type=FILE_OR_DASH,
    help="Also write the report as JSON; - is stdout.",
)
@click.option(
    "--junit",
    "junit_file",
    type=FILE,
    help="Also write the report as JUnit XML, for a CI system.",
)
@click.option(
    "--html",
    "html_file",
    type=FILE,
    help="Also write the report as one self-contained web page.",
)
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
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
    quiet: bool,
    **options: Any,
) -> None:
    """Check that ARTIFACT computes what MODEL (model.pt) computes.

    It is run on inputs from the training range to 1e7, negatives, exact zeros and subnormals, then on those that a
    search finds worst, and every output must be within the bound of a correct evaluation. With reports, the worst
    inputs are saved beside the first of them, as REPORT.worst.npz.

    A TorchScript ARTIFACT is run to be checked, a C++ header compiled and run, and so is code that somebody put in.
    """
    files = {name: path for name in REPORTS if (path := options.pop(f"{name}_file")) is not None}
    to_stdout = str(files.get("json")) == "-"
    if to_stdout:
        del files["json"]
    if inputs_file is not None and replay_file is not None:
        raise InputError("--inputs and --replay are both given; --replay runs the inputs of one file alone")
    for path in files.values():
        check_target(path, None)
    targets = _targets(files)
    places = {name: check_target(path, None) for name, path in targets.items()}
    _refuse_overwriting(
        targets, places, model, artifact, *(file for file in (inputs_file, replay_file) if file is not None)
    )
    with lean_imports():
        from nalu_export.api.check import check as run
        from nalu_export.cli.progress import stages
        from nalu_export.io.input_files import read_inputs
        from nalu_export.parity.real_inputs import InputFile
        from nalu_export.reports.terminal.lines import console
        from nalu_export.reports.terminal.report import show_report, show_verdict

    options = keep_memory(options, cuda=any("cuda" in name or name == "all" for name in names))
    given = replay_file or inputs_file
    if given is not None:
        options |= {"inputs": InputFile(read_inputs(given), given.stem), "only_inputs": replay_file is not None}
    with stages(quiet=quiet or to_stdout) as tell:
        tell("reading", 0, 0)
        report = run(
            model,
            artifact,
            names,
            input_size=input_size,
            progress=tell,
            **reading(options),
        )
    written = _write(report, targets, places)
    if to_stdout:
        click.echo(reports.get("json").render(report), nl=False)
    elif not quiet:
        out = console()
        show_report(out, report)
        for path in written:
            out.print(f"written: {printable(str(path))}", markup=False, soft_wrap=True)
        show_verdict(out, report)
    if quiet or to_stdout:
        say_assumed(report.assumptions)
    if not report.accepted:
        if quiet or to_stdout:
            click.echo(f"nalu-export: {printable(report.summary())}", err=True)
        context.exit(EXIT_PARITY_FAILED)


def _targets(files: dict[str, Path]) -> dict[str, Path]:
    """The reports, and the worst inputs beside the first of them."""
    if not files:
        return {}
    first = next(iter(files.values()))
    return files | {"worst": first.with_name(first.stem + reports.get("worst").suffix)}


def _refuse_overwriting(targets: dict[str, Path], places: dict[str, Path], *files: Path) -> None:
    """Before the work: a report goes to a place of its own."""
    for name, target in targets.items():
        for file in files:
            try:
                same = target.samefile(file)
            except OSError:  # one of them is not there
                continue
            if same and name == "worst":
                raise InputError(
                    f"{target}: is {file} itself, and the worst inputs go there; choose another report path"
                )
            if same:
                raise InputError(f"{target}: is {file} itself; choose another path for the report")
    if len({place.parent.resolve() / place.name for place in places.values()}) < len(places):
        raise InputError("two reports, or a report and its .worst.npz, have the same path; choose one for each")


def _write(report: "Report", targets: dict[str, Path], places: dict[str, Path]) -> list[Path]:
    """All of them are made before the first is written."""
    made = {name: reports.get(name).render(report) for name in targets if name != "worst" or report.worst}
    for name, data in made.items():
        write_atomically(places[name], data)
    return [targets[name] for name in made]
