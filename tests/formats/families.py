"""One small model of every family that a header can hold, and layers of a user's own."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NAC, NALU, ArithmeticLayer, NACCell, NALUCell
from nalu_export.nn import ClampedNALUCell, LoglessNALUCell, NACExactCell, SignedNALUCell, SinhNALUCell
from tests.test_new_layer import ToyMultiplier

FEATURES = 3
FEATURES_OF_WIDE = 130


class MultipliesAndAdds(ArithmeticLayer):
    """Products that are added to something: ``a b + c``, ``c − a b``, ``a b − c``, and one product twice."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.V = nn.Parameter(torch.randn(out_features, in_features))
        self.U = nn.Parameter(torch.randn(out_features, in_features))
        self.b = nn.Parameter(torch.randn(1, out_features))

    def forward(self, x: Tensor) -> Tensor:
        a = F.linear(x, self.V)
        c = F.linear(x, self.U)
        p = a * c
        q = p + self.b
        r = q - a * q
        s = r * c - a
        return s * a + p


class EveryPrimitive(ArithmeticLayer):
    """Every primitive, values repeated along axes, a ``linear`` of several rows, a product over an axis."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.W = nn.Parameter(torch.randn(out_features, in_features))
        self.R = nn.Parameter(torch.randn(5, in_features))
        self.d = nn.Parameter(torch.randn(5))
        self.bias = nn.Parameter(torch.randn(out_features))

    def forward(self, x: Tensor) -> Tensor:
        a = F.linear(x, self.W, self.bias)
        rows = F.linear(x.unsqueeze(-2) * self.W, self.R, self.d)
        repeated = torch.clamp(rows, -2.0, 3.0) * torch.sign(a).unsqueeze(-1)
        p = torch.prod(repeated, dim=-1)
        q = torch.prod(p + self.bias, dim=-1).unsqueeze(-1)
        e = torch.exp(torch.tanh(a)) / (1.0 + torch.cos(a) * torch.cos(a))
        g = torch.sigmoid(a) * torch.log(torch.abs(p) + 1e-10) - torch.asinh(-a)
        return e - q * g + torch.sinh(torch.clamp(p, max=4.0))


class MultipliesThenAdds(ArithmeticLayer):
    """Products to which something is added in a later stage, where a compiler could still fuse the two."""

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.W = nn.Parameter(torch.rand(out_features, in_features))
        self.b = nn.Parameter(torch.randn(out_features))

    def forward(self, x: Tensor) -> Tensor:
        p = torch.prod(x.unsqueeze(-2) * self.W + (1 - self.W), dim=-1)
        q = p + self.b
        r = torch.prod(q, dim=-1).unsqueeze(-1)
        return torch.abs(q * q * p) - r + torch.log(torch.abs(q)) - 3.0


class Repeats(ArithmeticLayer):
    """Constants and values of shape (…, out, 1) and (…, 1, in), repeated along the other axis; an infinite constant."""

    limit: Tensor

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features, self.out_features = in_features, out_features
        self.c = nn.Parameter(torch.randn(out_features, 1))
        self.d = nn.Parameter(torch.randn(1, in_features))
        self.W = nn.Parameter(torch.randn(out_features, in_features))
        self.register_buffer("limit", torch.tensor([float("inf")] * (out_features - 1) + [2.0]))

    def forward(self, x: Tensor) -> Tensor:
        a = x.unsqueeze(-2) * self.c + self.d
        b = torch.sign(F.linear(x, self.W)).unsqueeze(-1) - a * self.d
        p = torch.prod(b, dim=-1)
        return torch.clamp(p, -self.limit, self.limit)


MODELS: dict[str, Callable[[], nn.Module]] = {
    "nac": lambda: NACCell(FEATURES, 5),
    "nac_stored": lambda: NACCell(FEATURES, 2, stored=True),
    "nac_stack": lambda: NAC(FEATURES, 4, 2),
    "nac_exact": lambda: NACExactCell(FEATURES, 2),
    "nalu": lambda: NALU(FEATURES, 2),
    "nalu_stack": lambda: NALU(FEATURES, 3, 2),
    "nalu_untied": lambda: NALU(FEATURES, 2, tied=False),
    "nalu_row": lambda: NALU(FEATURES, 2, gate="row"),
    "nalu_constant": lambda: NALU(FEATURES, 2, gate="constant"),
    "nalu_bias": lambda: NALU(FEATURES, 2, gate_bias=True),
    "nalu_two_gates": lambda: NALU(FEATURES, 2, two_gates=True),
    "nalu_stored": lambda: NALU(FEATURES, 2, stored=True, tied=False),
    "nalu_one": lambda: NALUCell(1, 1),
    "clamped": lambda: ClampedNALUCell(FEATURES, 2),
    "clamped_plain": lambda: ClampedNALUCell(FEATURES, 2, gate_bias=False),
    "sinh": lambda: SinhNALUCell(FEATURES, 2),
    "signed": lambda: SignedNALUCell(FEATURES, 2),
    "logless": lambda: LoglessNALUCell(FEATURES, 2),
    "toy": lambda: ToyMultiplier(FEATURES, 2),
    "fused": lambda: MultipliesAndAdds(FEATURES, 3),
    "every": lambda: EveryPrimitive(FEATURES, 2),
    "later": lambda: MultipliesThenAdds(FEATURES, 2),
    "repeats": lambda: Repeats(FEATURES, 2),
    "wide": lambda: NACCell(FEATURES_OF_WIDE, 31),
}


def features_of(name: str) -> int:
    """Inputs of the model of that name."""
    return {"nalu_one": 1, "wide": FEATURES_OF_WIDE}.get(name, FEATURES)
