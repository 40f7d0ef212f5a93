"""shivamsaboo17's NALU, alone or as the head of a CNN (BuildHead)."""

from nalu_export.checkpoints.layouts.base import CELL, MODEL, Around, Layout, Unit, weight
from nalu_export.nn import NACCell, NALUCell

_NAC = {"W": weight("W")}
_NALU = {"G": weight("G"), "W": weight("W_mul"), "nac.W": weight("W")}
_UNTIED = {"stored": True, "tied": False}
_FAUX = "W was computed once, from uninitialised memory, and stored: a faux NAC; it may hold NaN from the start"
_PATHS = "nac.W is the weight of the sum, W that of the product"
_HEAD = Around("conv_model.", "adaptive_module.conv.")
_TASK = "the file does not hold the code of the backbone, nor the task if there is one output; give both"

LAYOUT = Layout(
    "shivamsaboo17",
    "shivamsaboo17's NALU, with BuildHead(conv_model, op_channels, hidden_dims, task, num_outputs, head_type)",
    (
        Unit("NAC", NACCell, _NAC, {"stored": True}, places=(*MODEL, *CELL), quirks=(_FAUX,)),
        Unit("NALU", NALUCell, _NALU, _UNTIED, eps=1e-10, places=(*MODEL, *CELL), quirks=(_FAUX, _PATHS)),
        Unit(
            "BuildHead",
            NACCell,
            _NAC,
            {"stored": True},
            places=("head.model.{}.",),
            around=_HEAD,
            quirks=(_FAUX, _TASK),
        ),
        Unit(
            "BuildHead",
            NALUCell,
            _NALU,
            _UNTIED,
            eps=1e-10,
            places=("head.model.{}.",),
            around=_HEAD,
            quirks=(_FAUX, _PATHS, _TASK),
        ),
    ),
)
