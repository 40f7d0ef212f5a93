"""``nalu-export golden MODEL -o OUTPUT``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nalu_export.cli.assumed import say_assumed
from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import MODEL, OUTPUT, capture_options, read_options, reading, seed_option, told_beside
from nalu_export.io.text import to_json

if TYPE_CHECKING:
    from nalu_export.api.golden import WrittenGolden


@click.command()
@click.argument("model", type=MODEL)
@click.option(
    "--output",
    "-o",
    type=OUTPUT,
    required=True,
    help="Where to: a name in .bin is for programs in other languages, one in .npz for numpy. "
    "- is standard output, as .bin.",
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
@budget_options
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--quiet", "-q", is_flag=True, help="Print nothing but errors.")
def golden(model: Path, output: Path, as_json: bool, quiet: bool, **options: Any) -> None:
    """Write inputs and reference outputs of MODEL, for programs in other languages to be held against.

    They are the inputs of a check, what MODEL gives for them in float64, and how far off each output of a correct
    evaluation may be. docs/cpp.md has the format and what passes.
    """
    with lean_imports():
        from nalu_export.api.golden import write_golden as run
        from nalu_export.reports.terminal.lines import console, say, say_all

    aside = told_beside(output, as_json=as_json)
    found = run(model, output, **reading(keep_memory(options)))
    if as_json:
        click.echo(to_json(_facts(found) | {"part": options["part"]}))
    elif quiet:
        say_assumed(found.assumptions)
    else:
        out = console(stderr=aside)
        say_all(out, found.notes, found.assumptions)
        facts = _facts(found)
        say(
            out,
            f"{found.path}  {facts['samples']} samples of {_sizes(facts)}, {facts['compute']}, "
            f"from sha256 {facts['source_sha256']}",
        )


def _facts(found: WrittenGolden) -> dict[str, Any]:
    golden = found.golden
    return {
        "path": str(found.path),
        "samples": golden.samples,
        "inputs": [
            {"name": given.name, "dtype": str(given.values.dtype), "shape": list(given.values.shape[1:])}
            for given in golden.inputs
        ],
        "outputs": [
            {
                "name": output.name,
                "dtype": str(output.torch.dtype),
                "shape": list(output.torch.shape[0 if output.shared else 1 :]),
                "shared": output.shared,
            }
            for output in golden.outputs
        ],
        "compute": golden.compute,
        "source_sha256": golden.source_sha256,
        "notes": list(found.notes),
        "assumptions": [asdict(each) for each in found.assumptions],
    }


def _sizes(facts: dict[str, Any]) -> str:
    """What a sample is and what comes of it: ``2 → 1``, or with names and types where there are several."""
    alone = all(len(facts[kind]) == 1 for kind in ("inputs", "outputs"))
    return " → ".join(", ".join(_size(value, alone) for value in facts[kind]) for kind in ("inputs", "outputs"))


def _size(value: dict[str, Any], alone: bool) -> str:
    size = "×".join(map(str, value["shape"])) or "scalar"
    kind = "" if value["dtype"] == "float32" else f" {value['dtype']}"
    return f"{'' if alone else value['name'] + ' '}{size}{kind}"
