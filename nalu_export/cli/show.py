"""How files and their layers look in a terminal; reports of checks are in :mod:`nalu_export.cli.show_report`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from nalu_export.text import printable

if TYPE_CHECKING:  # these import torch
    from nalu_export.artifact import Artifact

MIN_WIDTH = 100


def console(*, stderr: bool = False) -> Console:
    """A console that does not wrap a table to 80 columns where there is no terminal."""
    found = Console(stderr=stderr, highlight=False, emoji=False, soft_wrap=False)
    if not found.is_terminal:
        found = Console(stderr=stderr, highlight=False, emoji=False, width=MIN_WIDTH, no_color=True)
    return found


def say(out: Console, *parts: str | tuple[str, str], style: str = "") -> None:
    """One line: in a terminal wrapped at words, elsewhere left whole for whoever searches it.

    Args:
        out: where to.
        *parts: texts, or (text, style); nothing in them is markup or an escape sequence.
        style: of all of it.
    """
    shown = [printable(part) if isinstance(part, str) else (printable(part[0]), part[1]) for part in parts]
    text = Text.assemble(*shown, style=style)
    if not out.is_terminal:
        out.print(text, soft_wrap=True)
        return
    for number, line in enumerate(text.wrap(out, max(out.width - 2, 1))):
        line.rstrip()
        out.print(Text("  ") + line if number else line)


def artifact_line(artifact: Artifact) -> str:
    """What was written, in one line."""
    (spec,) = artifact.metadata["inputs"]
    (result,) = artifact.metadata["outputs"]
    return (
        f"{artifact.path}  {artifact.format}, {len(artifact.data):,} bytes, {artifact.metadata['weights']} weights, "
        f"{artifact.metadata['compute']}: {spec['name']} {_shape(spec['shape'])} → "
        f"{result['name']} {_shape(result['shape'])}"
    )


def layer_summary(found: dict[str, Any]) -> Table:
    """One line for each weight of each cell; fits into 80 columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, padding=(0, 1, 0, 0))
    for title in ("layer", "type", "sizes", "eps", "weight"):
        table.add_column(title, no_wrap=True)
    for title in ("at −1", "at 0", "at 1", "far", "sum", "product"):
        table.add_column(title, justify="right", no_wrap=True)
    weights = found.get("weights") or {}
    for layer in found.get("layers", []):
        statistics = dict(weights.get(layer["path"], {}))
        gate = statistics.pop("gate", None)
        cells = [
            _cell(layer["path"]) or "(model)",
            _cell(layer["type"]),
            _cell(f"{layer.get('in_features', '?')} → {layer.get('out_features', '?')}"),
            _cell(layer["eps"]) if "eps" in layer else "",
        ]
        gates = [_percent(gate[key]) for key in ("add", "multiply")] if gate else []
        for name, values in list(statistics.items()) or [("", None)]:
            shares = [_percent(values[key]) for key in ("at_-1", "at_0", "at_1")] if values else ["", "", ""]
            table.add_row(*cells, _cell(name), *shares, f"{values['farthest']:.2g}" if values else "", *gates)
            cells, gates = ["", "", "", ""], []
    return table


def show_inspection(out: Console, found: dict[str, Any]) -> None:
    """Layers with their weights, then the metadata."""
    out.print(layer_summary(found))
    if found.get("weights") is None:
        legend = ["Weights were not read: a TorchScript archive runs code when loaded; --trust reads it."]
    else:
        legend = [
            "at: share of weights within 0.01. far: largest distance from −1, 0 and 1.",
            "sum, product: share of gates that have chosen it, on inputs from 0.1 to 1.",
        ]
    for line in legend:
        say(out, line, style="dim")
    for key in (
        "kind",
        "tool",
        "torch",
        "source_sha256",
        "sha256",
        "source_layout",
        "layout",
        "weights_mode",
        "compute",
        "bytes",
        "parameters",
    ):
        if found.get(key) is not None:
            out.print(f"{key}: {printable(str(found[key]))}", markup=False)
    for key in ("inputs", "outputs"):
        for spec in found.get(key, []):
            line = f"{key[:-1]}: {spec['name']} {spec['dtype']} {_shape(spec['shape'])}"
            out.print(printable(line), markup=False)
    if "part" in found:
        fed, followed = (", ".join(map(str, found["part"].get(key) or [])) for key in ("fed_by", "followed_by"))
        line = f"part: {found['part']['path']} alone" + (f", fed by {fed}" if fed else "")
        out.print(printable(line + (f", followed by {followed}" if followed else "")), markup=False, soft_wrap=True)
    if "parity" in found:
        line = "parity: " + ", ".join(f"{key} {value}" for key, value in found["parity"].items())
        out.print(printable(line), markup=False)
    for note in found.get("notes", []):
        say(out, f"note: {note}")
    if "doctor" in found:
        say(out, found["doctor"])


def _cell(value: object) -> str:
    """A value from a file as a table shows it: nothing in it is markup or an escape sequence."""
    return escape(printable(f"{value:g}" if isinstance(value, float) else str(value)))


def _shape(shape: list[int | str]) -> str:
    return "(" + ", ".join(str(size) for size in shape) + ")"


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
