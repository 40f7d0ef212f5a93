"""The command ``nalu-export golden MODEL -o OUTPUT``."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from nalu_export.cli.budget import budget_options, keep_memory
from nalu_export.cli.headed import option
from nalu_export.cli.lean import lean_imports
from nalu_export.cli.options import (
    MODEL,
    capture_options,
    compute_option,
    output_option,
    read_options,
    reading,
    samples_option,
    seed_option,
)
from nalu_export.cli.results import ResultCommand, Results, finish, json_option, quiet_option

if TYPE_CHECKING:
    from rich.console import Console

    from nalu_export.api.golden import WrittenGolden

EXAMPLES = (
    ("nalu-export golden model.pt -o golden.bin", "Write a golden file for programs in other languages."),
    ("nalu-export golden model.pt --part head -o head.npz", "Write one for the head of a CNN alone, for numpy."),
)


@click.command(cls=ResultCommand, examples=EXAMPLES, short_help="Write test data for programs in other languages.")
@click.argument("model", type=MODEL)
@output_option(
    "Path of the file; - is standard output. The suffix .bin, also used for standard output, is for programs in "
    "other languages; .npz is for numpy."
)
@option(
    "--part",
    metavar="PATH",
    default_text="the whole model",
    help="Path of the arithmetic subgraph to write, such as head.",
)
@compute_option("float32", "float64", what="The error bounds are for this type.")
@samples_option(4096, "32; 4 for images")
@seed_option
@capture_options
@read_options
@budget_options
@json_option
@quiet_option
def golden(model: Path, output: Path, json_path: Path | None, quiet: bool, **options: Any) -> None:
    """Write test data of MODEL, a checkpoint such as model.pt, for programs in other languages: a golden file.

    A golden file contains the inputs of a check, the outputs of MODEL in float64, and the error bound of each output.
    docs/cpp.md, section "Golden files", describes the format, and says when an output passes.
    """
    results = Results(json_path, quiet=quiet, output=output).refuse_overwriting(model, output)
    with lean_imports():
        from nalu_export.api.golden import write_golden as run
        from nalu_export.reports.terminal.lines import say, say_all

    found = run(model, output, **reading(keep_memory(options)))
    facts = _facts(found)

    def show(out: Console) -> None:
        say_all(out, found.notes, found.assumptions)
        say(
            out,
            f"written: {found.path}: {facts['samples']} samples of {_sizes(facts)}, bounds for {facts['compute']}, "
            f"from the file with SHA-256 {facts['source_sha256']}",
        )

    finish(results, lambda: facts | {"part": options["part"]}, show, found.assumptions)


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
    """Return the sizes of inputs and outputs: ``2 → 1``; if there are several, each with its name."""
    alone = all(len(facts[kind]) == 1 for kind in ("inputs", "outputs"))
    return " → ".join(", ".join(_size(value, alone) for value in facts[kind]) for kind in ("inputs", "outputs"))


def _size(value: dict[str, Any], alone: bool) -> str:
    size = "×".join(map(str, value["shape"])) or "scalar"
    kind = "" if value["dtype"] == "float32" else f" {value['dtype']}"
    return f"{'' if alone else value['name'] + ' '}{size}{kind}"
