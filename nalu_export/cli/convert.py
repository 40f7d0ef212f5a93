"""``nalu-export convert MODEL -o OUTPUT``."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from nalu_export.cli.assumed import say_assumed
from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, OUTPUT, read_options, reading, told_beside
from nalu_export.io.text import to_json


@click.command()
@click.argument("model", type=MODEL)
@click.option(
    "--output",
    "-o",
    type=OUTPUT,
    required=True,
    help="Where to: a name in .safetensors is written in that format, any other as torch.save writes. "
    "- is standard output.",
)
@read_options
@budget_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def convert(model: Path, output: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Write MODEL, in any public layout, as one self-contained file of this package's own format.

    It holds the layers as data, every weight with all its bits, and the SHA-256 of MODEL, which is not changed.
    """
    with lean_imports():
        from nalu_export.api.convert import convert as run
        from nalu_export.reports.terminal.lines import console, say, say_all

    aside = told_beside(output, as_json=as_json)
    found = run(model, output, **reading(keep_memory(options)))
    if as_json:
        click.echo(to_json({**asdict(found), "path": str(found.path)}))
    elif quiet:
        say_assumed(found.assumptions)
    else:
        out = console(stderr=aside)
        say_all(out, found.notes, found.assumptions)
        if not found.self_contained:
            say(out, "note: it holds weights only, as its model has layers of your own; read it with --model")
        say(out, f"{found.path}  from sha256 {found.source_sha256}")
