"""Prints the contents of a model or an exported file in a terminal: layers, weights, formulas and metadata."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.text import Text

from nalu_export.io.assumption import FIELDS, Assumption
from nalu_export.io.text import printable
from nalu_export.reports.terminal.lines import say, say_all, shape_text
from nalu_export.reports.terminal.tables import show_table

# At most so many lines of a formula are printed; --json has all of them.
MAX_LINES = 24
_FACTS = (
    *("kind", "class", "tool", "torch", "source_sha256", "sha256", "source_layout", "layout", "weights_mode"),
    *("compute", "bytes", "parameters"),
)


def show_inspection(out: Console, found: dict[str, Any]) -> None:
    """Print the layers with their weights, the formulas, then the metadata."""
    if found.get("layers"):
        show_layers(out, found)
        for line in _legend(found):
            say(out, line, style="dim")
    else:
        say(out, "no effective weights, gates or eps")
    if "subgraphs" in found:
        for subgraph in found["subgraphs"]:
            _show_subgraph(out, subgraph)
        if found["subgraphs"]:
            out.print()
    else:
        _show_recipes(out, found)
    _show_metadata(out, found)


def show_layers(out: Console, found: dict[str, Any]) -> None:
    """Print one line for each weight of each layer."""
    titles = ("layer", "type", "sizes", "eps", "weight", "at −1", "at 0", "at 1", "far", "sum", "product")
    show_table(out, titles, _layer_rows(found), left=titles[:5], dropped_first=("type", "sizes", "eps", "weight"))


def _layer_rows(found: dict[str, Any]) -> list[list[Text]]:
    rows_shown = []
    weights = found.get("weights") or {}
    for layer in found.get("layers", []):
        statistics = dict(weights.get(layer["path"], {}))
        gates = [values for values in statistics.values() if "at_0" not in values]
        rows = [(name, values) for name, values in statistics.items() if "at_0" in values]
        cells = [
            _cell(layer["path"] or "(model)"),
            _cell(layer["type"]),
            _cell(f"{layer.get('in_features', '?')} → {layer.get('out_features', '?')}"),
            _cell(layer.get("eps", "")),
        ]
        for place in range(max(len(rows), len(gates), 1)):
            name, values = rows[place] if place < len(rows) else ("", None)
            shares = [_percent(values[key]) for key in ("at_-1", "at_0", "at_1")] if values else ["", "", ""]
            chosen = _chosen(gates[place]) if place < len(gates) else ["", ""]
            far = f"{values['farthest']:.2g}" if values else ""
            rows_shown.append([*cells, _cell(name), *map(Text, (*shares, far, *chosen))])
            cells = [_cell("")] * 4
    return rows_shown


def _chosen(gate: dict[str, float]) -> list[str]:
    """Return the shares of the sum and the product; a gate of another kind has none."""
    return [_percent(gate[key]) for key in ("add", "multiply")] if "add" in gate else ["–", "–"]


def _legend(found: dict[str, Any]) -> Iterator[str]:
    if found.get("weights") is None:
        yield "The weights were not read, because loading a TorchScript archive runs code from it; --trust reads them."
        return
    yield "at: share of weights within 0.01 of it. far: largest distance from −1, 0, 1."
    yield "sum, product: share of gates that have chosen it, on inputs from 0.1 to 1."
    for layer in found.get("layers", []):
        if isinstance(layer.get("eps_is"), str):
            yield f"eps of {layer['path'] or '(model)'}: {layer['eps_is']}."


def _show_subgraph(out: Console, subgraph: dict[str, Any]) -> None:
    """Print an arithmetic subgraph: its path, why it is one, how it was captured, and its formula."""
    out.print()
    calls = "" if subgraph["calls"] == 1 else f", called {subgraph['calls']} times"
    kind = f": {subgraph['type']}" if subgraph["whole"] else f": in {subgraph['type']}"
    say(out, "arithmetic subgraph ", (subgraph["path"] or "(model)", "bold"), f"{kind}{calls}")
    say(out, f"  why: {subgraph['why']}; captured by {subgraph['captured_by']}", style="dim")
    inputs, outputs = (" and ".join(map(shape_text, subgraph[key])) for key in ("inputs", "outputs"))
    say(out, f"  {inputs} → {outputs}", style="dim")
    lines = subgraph["formula"]
    for line in lines[:MAX_LINES]:
        say(out, f"  {line}")
    if len(lines) > MAX_LINES:
        say(out, f"  … {len(lines) - MAX_LINES} more lines; --json has all of them", style="dim")


def _show_recipes(out: Console, found: dict[str, Any]) -> None:
    """Print how weights and gates of an exported file are computed; layers with the same text share it."""
    said: dict[tuple[str, ...], list[str]] = {}
    for layer in found.get("layers", []):
        lines = tuple(_recipes(layer))
        if lines:
            said.setdefault(lines, []).append(layer["path"] or "(model)")
    for lines, paths in said.items():
        out.print()
        say(out, (", ".join(paths), "bold"), ":")
        for line in lines:
            say(out, f"  {line}")
    if said:
        out.print()


def _recipes(layer: dict[str, Any]) -> Iterator[str]:
    """Yield the formulas of one row of a layer table; the row comes from a file and is not trusted."""
    weights, gates = layer.get("weights"), layer.get("gates")
    for name, text in (weights if isinstance(weights, dict) else {}).items():
        if text == name:
            yield f"{name} is stored"
        elif isinstance(text, str):
            yield f"{name} = {text}"
    for gate in gates if isinstance(gates, list) else []:
        if isinstance(gate, dict):
            constants = gate.get("constants")
            constants = constants if isinstance(constants, dict) else {}
            for name, text in gate.items():
                if isinstance(text, str):
                    yield f"gate of the {name}: {constants.get(text, text)}"


def _show_metadata(out: Console, found: dict[str, Any]) -> None:
    for key in _FACTS:
        if found.get(key) is not None:
            say(out, f"{key}: {found[key]}")
    for key in ("inputs", "outputs"):
        for spec in found.get(key, []):
            line = f"{key[:-1]}: {spec['name']} {spec['dtype']} {shape_text(spec['shape'])}"
            say(out, line)
    if "part" in found:
        fed, followed = (", ".join(map(str, found["part"].get(key) or [])) for key in ("fed_by", "followed_by"))
        line = f"part: {found['part']['path']} alone" + (f", fed by {fed}" if fed else "")
        say(out, line + (f", followed by {followed}" if followed else ""))
    if "parity" in found:
        line = "parity: " + ", ".join(f"{key} {value}" for key, value in found["parity"].items())
        say(out, line)
    rows = found.get("assumptions", [])
    say_all(out, found.get("notes", []), [Assumption(**{name: row[name] for name in FIELDS}) for row in rows])
    if "doctor" in found:
        say(out, found["doctor"])


def _cell(value: object) -> Text:
    """Return a value from a file as a cell of a table; nothing in it is interpreted as markup or escape sequence."""
    return Text(printable(f"{value:g}" if isinstance(value, float) else str(value)))


def _percent(share: float) -> str:
    return f"{100 * share:.0f}%"
