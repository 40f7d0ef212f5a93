"""Models and files with one thing wrong, or nothing."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export import NAC, NACCell, NALUCell
from nalu_export.doctor import Diagnosis, Finding, diagnose, findings

BIG = 20.0
CODES = {code for finder in findings.finders() for code in finder.codes}


def raw(weights: list[list[float]]) -> tuple[Tensor, Tensor]:
    """Ŵ and M̂ of these weights; −1, 0 and 1 are exact in float32."""
    W = torch.tensor(weights)
    return torch.where(W.abs() == 1, BIG * W, torch.atanh(W.clamp(-0.999, 0.999))), torch.full_like(W, BIG)


def nac(*weights: list[list[float]]) -> NAC:
    """A stack of NACs with these weights, (outputs, inputs) each."""
    model = NAC(len(weights[0][0]), *(len(W) for W in weights))
    with torch.no_grad():
        for layer, W in zip(model.layers, weights, strict=True):
            assert isinstance(layer, NACCell)
            for parameter, value in zip((layer.W_hat, layer.M_hat), raw(W), strict=True):
                parameter.copy_(value)
    return model


def nalu(weights: list[list[float]], gates: list[list[float]], **options: Any) -> NALUCell:
    """A NALU with these weights and gates."""
    cell = NALUCell(len(weights[0]), len(weights), **options)
    with torch.no_grad():
        for parameter, value in zip((cell.W_hat, cell.M_hat), raw(weights), strict=True):
            parameter.copy_(value)
        cell.G.copy_(torch.tensor(gates))
    return cell


def faux(W: Tensor, W_hat: Tensor, M_hat: Tensor, key: str = "model.0.") -> dict[str, Tensor]:
    """The state of a faux NAC in kevinzakka's layout."""
    return {f"{key}W_hat": W_hat, f"{key}M_hat": M_hat, f"{key}W": W}


def written(state: Mapping[str, Tensor], folder: Path) -> Path:
    path = folder / "model.pt"
    torch.save(dict(state), path)
    return path


def codes(diagnosis: Diagnosis) -> list[tuple[str, str, str]]:
    """Level, code and place of each finding, whose code is one that its kind lists."""
    assert {finding.code for finding in diagnosis.findings} <= CODES
    return [(finding.level, finding.code, finding.where) for finding in diagnosis.findings]


def only(source: Path | nn.Module, code: str, **options: Any) -> Finding:
    """The one finding of this code."""
    (finding,) = [finding for finding in diagnose(source, **options).findings if finding.code == code]
    return finding


def has(source: Path | nn.Module, code: str, **options: Any) -> bool:
    return any(finding.code == code for finding in diagnose(source, **options).findings)


HEALTHY = nac([[1.0, -1.0, 0.0], [0.0, 1.0, 1.0]], [[1.0, -1.0]])
LINEAR = "Export it as a linear layer with the stored W, or compute W in forward and train again."
