"""Findings about weights far from −1, 0 and 1, with the effect of rounding them."""

from collections.abc import Iterator

from nalu_export.doctor.findings.base import Finder, Finding, in_each_head
from nalu_export.doctor.places import place_of
from nalu_export.doctor.running import BEYOND, Runs, span
from nalu_export.doctor.settings import Settings
from nalu_export.doctor.snapping import Change, head_change, layer_change
from nalu_export.doctor.statistics import NEAR, nearest
from nalu_export.doctor.subject import Cell, Head

# A change of the output below this is no reason for a warning.
HARMLESS = 0.01


def _find(head: Head, runs: Runs | None, settings: Settings) -> Iterator[Finding]:
    """Yield a finding for each layer with a weight farther than 0.01 from −1, 0 and 1."""
    far = [(cell, told) for cell in head.cells if (told := _told(cell))]
    weighted = sum(bool(cell.layer.weights) for cell in head.cells)
    for cell, told in far:
        change = None if runs is None else layer_change(head, cell, runs)
        # The effect of all layers together is the same for each layer, so it is reported once, with the last.
        last = weighted > 1 and cell is far[-1][0]
        yield _finding(cell, told, change, head_change(head, runs) if last and runs is not None else None, settings)


def _told(cell: Cell) -> str:
    """Return which weights are far, in words; empty if none is, or if a weight is not finite."""
    parts = []
    for weight in cell.layer.weights:
        value = weight.value(cell.form)
        distance = (value - nearest(value)).abs()
        far = int((distance > NEAR).sum())
        if far and bool(value.isfinite().all()):
            place = place_of(distance)
            told = f"{far} of {value.numel()} in {cell.called(weight)}, the farthest is {float(value[place]):.3g}"
            parts.append(f"{told}, {_at(place)}")
    return f"Weights farther than {NEAR} from −1, 0 and 1: {'; '.join(parts)}." if parts else ""


def _at(place: tuple[int, ...]) -> str:
    """Return a position in words, not as an index: a file may store the matrix transposed."""
    return f"from input {place[1]} to output {place[0]}" if len(place) == 2 else f"at {list(place)}"


def _finding(cell: Cell, told: str, own: Change | None, whole: Change | None, settings: Settings) -> Finding:
    effect = "Outside its training range, the layer does not compute a sum or a product of its inputs."
    if own is not None:
        near, far = span(settings.training_range), span(settings.training_range, BEYOND)
        effect = (
            f"With its weights rounded to −1, 0 and 1, its worst output would change by {_percent(own.near)} "
            f"on inputs of {near} and by {_percent(own.far)} on {far} (medians over the inputs)"
        )
        if whole is not None:
            effect += ". With the weights of all layers rounded, the worst output of the head would change by "
            effect += f"{_percent(whole.near)} and {_percent(whole.far)}"
        effect += "."
    if own is not None and max(own) < HARMLESS:
        return Finding(
            "info",
            "far-weights",
            cell.where,
            told,
            effect,
            "Nothing to do: the output hardly depends on the difference.",
        )
    return Finding(
        "warning",
        "far-weights",
        cell.where,
        told,
        effect,
        "Train longer, or with a penalty that pulls weights to −1, 0 and 1. Until then, do not rely on the model "
        "outside its training range.",
    )


def _percent(share: float) -> str:
    """Return a percentage with two digits, never as a power of ten."""
    if 0 < share < 1e-4:
        return "less than 0.01%"
    return f"{100 * share:.0f}%" if share >= 0.1 else f"{100 * share:.2g}%"


FINDER = Finder(in_each_head(_find), ("far-weights",), rank=50)
