"""Effective weights and gates as pictures: small ones as numbers, larger ones as heatmaps."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup
from numpy.typing import NDArray

from nalu_export.io.figures import figure
from nalu_export.reports._png import Rgba, data_uri
from nalu_export.reports._text import count

if TYPE_CHECKING:
    from nalu_export.parity.report import Report

# These two are the same as in nalu_export.doctor.statistics; a test compares them.
NEAR = 0.01
GATE = "gate "  # the names of the matrices of gates begin with it
NUMBERS_UP_TO = 8  # rows and columns
LARGEST = 64  # cells of a heatmap along one axis, at most
SIDE = 320  # pixels of its longer side on screen
CELL = 20  # pixels of a cell, at most

BLUE, ORANGE, MAGENTA = (47, 111, 208), (221, 107, 32), (214, 0, 200)
STEPS = 127


@dataclass(frozen=True)
class Cell:
    """One weight as a number; ``share`` is the strength of its colour, from 0 to 1."""

    text: str
    share: float
    positive: bool


@dataclass(frozen=True)
class Weight:
    """One weight matrix.

    Attributes:
        layer: dotted name of its layer; empty for the model itself.
        name: name of the weight.
        rows: number of outputs.
        columns: number of inputs.
        numbers: the weights themselves, for a small matrix.
        picture: a data URI, for a larger matrix.
        width: width of the picture on screen, in pixels.
        height: height of the picture on screen, in pixels.
        counts: how many weights are near −1, 0 and 1, as (what, number, share in percent).
        notes: facts that the picture does not show.
    """

    layer: str
    name: str
    rows: int
    columns: int
    numbers: tuple[tuple[Cell, ...], ...]
    picture: Markup | None
    width: int
    height: int
    counts: tuple[tuple[str, int, str], ...]
    notes: tuple[str, ...]

    @property
    def description(self) -> str:
        """The picture in words, for screen readers."""
        parts = ", ".join(f"{number} {what}" for what, number, _ in self.counts)
        return ": ".join(filter(None, (f"{self.rows} × {self.columns} weights", parts)))


def weights(report: "Report") -> list[Weight]:
    """Return every weight of every layer, in the order of the report."""
    return [
        _weight(layer, name, np.asarray(values, np.float64))
        for layer, found in report.weights.items()
        for name, values in found.items()
        if np.size(values)
    ]


def _weight(layer: str, name: str, values: NDArray[np.float64]) -> Weight:
    matrix = np.atleast_2d(values)
    matrix = matrix.reshape(matrix.shape[0], -1)
    rows, columns = matrix.shape
    notes: list[str] = []
    beyond = int((np.isfinite(matrix) & (np.abs(matrix) > 1 + NEAR)).sum())
    if beyond:
        what = "value" if _is_gate(name) else "weight"
        notes.append(f"{count(beyond, what)} beyond ±1, coloured as ±1; the largest is {_largest(matrix)}")
    small = max(rows, columns) <= NUMBERS_UP_TO
    picture, width, height = None, 0, 0
    if not small:
        shown = _reduced(matrix)
        if shown.shape != matrix.shape:
            notes.append(
                f"drawn as {shown.shape[0]} × {shown.shape[1]}: each cell is the value farthest from 0 in its block"
            )
        picture = data_uri(_indices(shown), PALETTE)
        cell = min(CELL, SIDE / max(shown.shape))
        height, width = (max(CELL, round(size * cell)) for size in shown.shape)
    numbers = tuple(tuple(_cell(value) for value in row) for row in matrix.tolist()) if small else ()
    counts = _counts(matrix, () if _is_gate(name) else ("-1", "0", "1"))
    return Weight(layer, name, rows, columns, numbers, picture, width, height, counts, tuple(notes))


def _is_gate(name: str) -> bool:
    """Return whether the matrix belongs to a gate. Its entries are free; an effective weight should be −1, 0 or 1."""
    return name.startswith(GATE)


def _largest(matrix: NDArray[np.float64]) -> str:
    finite = matrix[np.isfinite(matrix)]
    return figure(float(finite[np.abs(finite).argmax()]))


def _counts(matrix: NDArray[np.float64], targets: Sequence[str]) -> tuple[tuple[str, int, str], ...]:
    found = [(f"at {target}", int((np.abs(matrix - int(target)) <= NEAR).sum())) for target in targets]
    broken = int((~np.isfinite(matrix)).sum())
    if targets:
        found.append(("elsewhere", matrix.size - broken - sum(number for _, number in found)))
    if broken:
        found.append(("NaN or infinite", broken))
    return tuple((what.replace("-", "−"), number, _percent(number, matrix.size)) for what, number in found)


def _percent(number: int, of: int) -> str:
    """Return a rounded percentage; it is 0 % only for none, and 100 % only for all."""
    text = f"{number / of:.0%}"
    if text == "0%" and number:
        return "<1%"
    return ">99%" if text == "100%" and number < of else text


def _cell(value: float) -> Cell:
    share = min(1.0, abs(value)) if np.isfinite(value) else 1.0
    text = "0" if value == 0 else f"{value:z.2f}" if abs(value) < 1000 else figure(value)
    return Cell(text.replace("-", "−"), round(share, 3), value > 0)


def _reduced(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """Reduce a matrix to at most 64 × 64. A cell is the value farthest from 0 in its block, so no outlier is lost."""
    rows, columns = (np.linspace(0, size, min(size, LARGEST) + 1).astype(int) for size in matrix.shape)
    result = np.empty((len(rows) - 1, len(columns) - 1))
    for i, j in np.ndindex(result.shape):
        block = matrix[rows[i] : rows[i + 1], columns[j] : columns[j + 1]].ravel()
        # argmax treats NaN as the largest value, which is wanted here.
        result[i, j] = block[np.abs(block).argmax()]
    return result


def _indices(matrix: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Return indices into the palette: 0 for −1, 127 for 0, 254 for 1, and 255 for NaN and infinity."""
    finite = np.isfinite(matrix)
    scaled = np.rint(np.clip(np.where(finite, matrix, 0.0), -1.0, 1.0) * STEPS + STEPS)
    return np.where(finite, scaled, 2 * STEPS + 1).astype(np.uint8)


def _colour(index: int) -> Rgba:
    """Return a colour of the palette. It is transparent at 0, so that one picture fits the light and the dark page."""
    if index > 2 * STEPS:
        return (*MAGENTA, 255)
    return (*(ORANGE if index > STEPS else BLUE), round(abs(index - STEPS) / STEPS * 255))


PALETTE = [_colour(index) for index in range(256)]
