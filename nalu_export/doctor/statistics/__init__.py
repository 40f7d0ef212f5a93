"""Statistics of the layers of a model or an exported file: sizes, ε, how near the weights are to −1, 0 and 1."""

from nalu_export.doctor.statistics._artifact import MAX_LAYERS, artifact_statistics
from nalu_export.doctor.statistics._model import (
    GATE,
    gate_shares,
    layer_table,
    layers_of,
    weight_matrices,
    weight_statistics,
)
from nalu_export.doctor.statistics._numbers import GATE_NUMBERS, GATE_SAMPLES, NEAR, nearest, uniform, uniform_inputs
from nalu_export.doctor.statistics._rows import USUAL, said, short_of

__all__ = [
    "GATE",
    "GATE_NUMBERS",
    "GATE_SAMPLES",
    "MAX_LAYERS",
    "NEAR",
    "USUAL",
    "artifact_statistics",
    "gate_shares",
    "layer_table",
    "layers_of",
    "nearest",
    "said",
    "short_of",
    "uniform",
    "uniform_inputs",
    "weight_matrices",
    "weight_statistics",
]
