"""The NALU of arthurdouillard/nalu.pytorch, which registers every parameter twice."""

from nalu_export.checkpoints.layouts.base import CELL, Key, Layout, Unit, twin, weight
from nalu_export.nn import NACCell, NALUCell

_TWICE = "every parameter is stored twice; the file is refused if the two values differ"


def _hats(prefix: str = "") -> dict[str, Key]:
    private = {f"{prefix}_{name}": weight(name, "io") for name in ("W_hat", "M_hat")}
    return private | {f"{prefix}{name}": twin(f"{prefix}_{name}", "io") for name in ("W_hat", "M_hat")}


LAYOUT = Layout(
    "arthurdouillard",
    "arthurdouillard/nalu.pytorch",
    (
        Unit("NAC", NACCell, _hats(), places=("_nac_stack.{}.", *CELL), quirks=(_TWICE,)),
        Unit(
            "NALU",
            NALUCell,
            {"_G": weight("G", "i1"), "G": twin("_G", "i1")} | _hats("_nac."),
            {"gate": "row"},
            eps=1e-8,
            places=("_nalu_stack.{}.", *CELL),
            quirks=(_TWICE, "one gate for each sample, shared by all outputs"),
        ),
    ),
)
