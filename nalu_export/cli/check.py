"""``nalu-export check MODEL ARTIFACT``."""

from pathlib import Path
from typing import Any

import click

from nalu_export import runtimes
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import model_option, seed_option, size_option
from nalu_export.cli.text import printable, to_json
from nalu_export.errors import EXIT_PARITY_FAILED, InputError


@click.command()
@click.argument("model", type=click.Path(path_type=Path))
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option(
    "--runtime",
    "names",
    type=click.Choice(runtimes.names()),
    multiple=True,
    help="What runs it; may be given several times. By default the one that checked the export.",
)
@click.option("--rtol", type=float, help="Pass by nearness to PyTorch's float32 output instead: relative part.")
@click.option("--atol", type=float, help="The same, absolute part.")
@click.option(
    "--samples",
    type=click.IntRange(1, 10**6),
    help="Samples of each input family; by default 1024, for images 48.",
)
@seed_option
@size_option
@model_option
@click.option("--tf32", is_flag=True, help="Let a CUDA runtime use TF32.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, allow_dash=True),
    help="Also write the report here; - is stdout.",
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
    factory: str | None,
    json_file: Path | None,
    quiet: bool,
    **options: Any,
) -> None:
    """Check that ARTIFACT computes what MODEL (model.pt) computes.

    A TorchScript ARTIFACT is run to be checked, and so is code that somebody put into it.
    """
    if json_file is not None:
        _refuse_overwriting(json_file, model, artifact)
    with lean_imports():
        from nalu_export.checking import check as run
        from nalu_export.cli.progress import stages
        from nalu_export.cli.show import console, show_report

    to_stdout = json_file is not None and str(json_file) == "-"
    with stages(quiet=quiet or to_stdout) as tell:
        tell("checking")
        report = run(model, artifact, names, input_size=input_size, model=factory, **options)
    if json_file is not None:
        text = to_json(report.to_dict())
        if to_stdout:
            click.echo(text)
        else:
            _write(json_file, text)
    if not quiet and not to_stdout:
        out = console()
        show_report(out, report)
        verdict = "passed" if report.passed else "FAILED"
        out.print(f"{verdict}: {printable(report.summary())}", markup=False, soft_wrap=True)
    if not report.passed:
        if quiet or to_stdout:
            click.echo(f"nalu-export: {printable(report.summary())}", err=True)
        context.exit(EXIT_PARITY_FAILED)


def _refuse_overwriting(report: Path, *files: Path) -> None:
    for file in files:
        try:
            same = report.samefile(file)
        except OSError:  # one of them is not there
            continue
        if same:
            raise InputError(f"{report}: is {file} itself; choose another path for the report")


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text + "\n", encoding="utf-8")
    except OSError as error:
        raise InputError(f"{path}: cannot be written: {error.strerror}") from error
