"""``nalu-export convert MODEL -o OUTPUT``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, output_option, read_options, reading
from nalu_export.cli.results import ResultCommand, Results, finish, json_option, quiet_option

EXAMPLES = (
    ("nalu-export convert checkpoint.pth -o own.pt", "One file that describes its model, as torch.save writes."),
    (
        "nalu-export convert checkpoint.pth -o own.safetensors --layout OWNER",
        "The same as safetensors, of a file whose layout has to be stated.",
    ),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Write a checkpoint as one self-contained file.")
@click.argument("model", type=MODEL)
@output_option(
    "Where to: a name in .safetensors is written in that format, any other as torch.save writes. - is standard output."
)
@read_options
@budget_options
@json_option
@quiet_option
def convert(model: Path, output: Path, json_path: Path | None, quiet: bool, **options: Any) -> None:
    """Write MODEL, in any public layout, as one self-contained file of this package's own format.

    It holds the layers as data, every weight with all its bits, and the SHA-256 of MODEL, which is not changed.
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
            say(out, "note: it holds weights only, as its model has layers of your own; read it with --model")
        say(out, f"{found.path}  from sha256 {found.source_sha256}")

    finish(results, lambda: {**asdict(found), "path": str(found.path)}, show, found.assumptions)
