"""``nalu-export golden MODEL -o OUTPUT``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import FILE, capture_options, read_options, reading, seed_option
from nalu_export.text import to_json

if TYPE_CHECKING:
    from nalu_export.golden import WrittenGolden


@click.command()
@click.argument("model", type=FILE)
@click.option(
    "--output",
    "-o",
    type=FILE,
    required=True,
    help="Where to: a name in .bin is for programs in other languages, one in .npz for numpy.",
)
@click.option("--part", metavar="PATH", help="Only the arithmetic part of MODEL at that path, such as head.")
@click.option(
    "--compute",
    type=click.Choice(["float32", "float64"]),
    default="float32",
    show_default=True,
    help="Type of the arithmetic layers that the bounds are for.",
)
@click.option(
    "--samples", type=click.IntRange(1, 4096), help="Samples of each input family; by default 32, for images 4."
)
@seed_option
@capture_options
@read_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def golden(model: Path, output: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Write inputs and reference outputs of MODEL, for programs in other languages to be held against.

    They are the inputs of a check, what MODEL gives for them in float64, and how far off each output of a correct
    evaluation may be. docs/cpp.md has the format and what passes.
    """
    with lean_imports():
        from nalu_export.cli.show import console, say
        from nalu_export.golden import write_golden as run

    found = run(model, output, **reading(options))
    if as_json:
        click.echo(to_json(_facts(found) | {"part": options["part"]}))
    elif not quiet:
        out = console()
        for note in found.notes:
            say(out, f"note: {note}")
        facts = _facts(found)
        sizes = " → ".join("×".join(map(str, facts[key])) for key in ("input_shape", "output_shape"))
        say(
            out,
            f"{found.path}  {facts['samples']} samples of {sizes}, {facts['compute']}, "
            f"from sha256 {facts['source_sha256']}",
        )


def _facts(found: WrittenGolden) -> dict[str, Any]:
    return {
        "path": str(found.path),
        "samples": len(found.golden.x),
        "input_shape": list(found.golden.x.shape[1:]),
        "output_shape": list(found.golden.reference.shape[1:]),
        "compute": found.golden.compute,
        "source_sha256": found.golden.source_sha256,
        "notes": list(found.notes),
    }
