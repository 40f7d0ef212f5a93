"""Findings about layers whose raw parameters look as a public initialiser draws them."""

from collections.abc import Iterator

from nalu_export.doctor.findings.base import Examined, Finder, Finding
from nalu_export.doctor.initialisers import as_initialised
from nalu_export.doctor.subject import Cell


def _find(examined: Examined) -> Iterator[Finding]:
    """Yield a finding for each layer whose weights all look as initialised."""
    subject = examined.subject
    for head in subject.heads:
        for cell in head.cells:
            pairs = _pairs(cell)
            pairs = [pair for pair in pairs if all(key in subject.state for key in pair)]
            names = [as_initialised(*(subject.state[key] for key in pair)) for pair in pairs]
            if pairs and all(names):
                common = [name for name in names[0] if all(name in others for others in names)]
                yield _finding(cell, pairs, common or [name for found in names for name in found])


def _pairs(cell: Cell) -> list[tuple[str, str]]:
    """Return the file's keys of Ŵ and M̂ for each weight of a cell."""
    found = [weight.raw(cell.form) for weight in cell.layer.weights]
    return [(cell.key(raw[0]), cell.key(raw[1])) for raw in found if raw is not None]


def _finding(cell: Cell, pairs: list[tuple[str, str]], names: list[str]) -> Finding:
    keys = ", ".join(key for pair in pairs for key in pair)
    return Finding(
        "warning",
        "initial-distribution",
        cell.where,
        f"{keys} are distributed as {' or '.join(dict.fromkeys(names))} draws them.",
        "Either this layer was not trained, or training changed it so little that its weights are still random.",
        "Check that the file was saved after training and that the optimizer was given these parameters.",
    )


FINDER = Finder(_find, ("initial-distribution",), rank=30)
