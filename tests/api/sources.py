"""The source of an export, and an export that goes wrong."""

import hashlib
from pathlib import Path

import pytest
import torch

from nalu_export import NALU, formats
from nalu_export.formats import FormatName
from nalu_export.formats.base import Draft, EmitOptions
from tests.captured import graph_of


def sha(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def emit_something_else(monkeypatch: pytest.MonkeyPatch, name: FormatName = "onnx") -> None:
    """From now on the format emits a model of other weights, whatever it is given."""
    kind = formats.get(name)
    torch.manual_seed(99)
    wrong: Draft = kind.emit(graph_of(NALU(4, 5, 2)), EmitOptions())
    monkeypatch.setattr(type(kind), "emit", lambda *_: wrong)
