"""What moves numbers without computing."""

import torch

from nalu_export.primitives.record import Primitive

PRIMITIVES = (Primitive("unsqueeze", torch.unsqueeze, ("input", "dim"), names=("unsqueeze",), kind="shape"),)
