"""The command ``nalu-export convert MODEL -o OUTPUT``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, output_option, read_options, reading
from nalu_export.cli.results import ResultCommand, Results, finish, json_option, quiet_option

EXAMPLES = (
    ("nalu-export convert checkpoint.pth -o own.pt", "Write a file that describes its model, as torch.save does."),
    (
        "nalu-export convert checkpoint.pth -o own.safetensors --layout OWNER",
        "Write a safetensors file, from a checkpoint that fits several layouts.",
    ),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Convert a checkpoint to one self-contained file.")
@click.argument("model", type=MODEL)
@output_option(
    "Path of the file; - is standard output. The suffix .safetensors gives that format, any other the format of "
    "torch.save."
)
@read_options
@budget_options
@json_option
@quiet_option
def convert(model: Path, output: Path, json_path: Path | None, quiet: bool, **options: Any) -> None:
    """Convert MODEL, a checkpoint in any public layout, to one self-contained file of this package's own format.

    The file contains the layers as data, every weight with all its bits, and the SHA-256 of MODEL. MODEL is not
    changed.
    """
    results = Results(json_path, quiet=quiet, output=output).refuse_overwriting(model, output)
    with lean_imports():
        from rich.console import Console

        from nalu_export.api.convert import convert as run
        from nalu_export.reports.terminal.lines import say, say_all

    found = run(model, output, **reading(keep_memory(options)))

    def show(out: Console) -> None:
        say_all(out, found.notes, found.assumptions)
        if not found.self_contained:
            why = "because the model has layers of your own"
            say(out, f"note: the file contains weights only, {why}; read it with --model")
        say(out, f"written: {found.path}, from the file with SHA-256 {found.source_sha256}")

    finish(results, lambda: {**asdict(found), "path": str(found.path)}, show, found.assumptions)
