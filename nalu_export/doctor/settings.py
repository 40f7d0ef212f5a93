"""What a model is examined for."""

from dataclasses import dataclass
from typing import Literal

import torch

from nalu_export.errors import InputError

DoctorCompute = Literal["float32", "float64", "float16"]
COMPUTE: dict[DoctorCompute, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Settings:
    """What a model is examined for.

    Attributes:
        compute: type of the arithmetic that is to run it: ``"float32"``, ``"float64"`` or ``"float16"``.
        range: lowest and highest of inputs like those of training.
        strict: whether a faux NAC is an error.

    Raises:
        InputError: a type that is not listed, or a range that is none.
    """

    compute: DoctorCompute = "float32"
    range: tuple[float, float] = (0.1, 1.0)
    strict: bool = False

    def __post_init__(self) -> None:
        if self.compute not in COMPUTE:
            raise InputError(f"compute is {self.compute!r}; allowed: {', '.join(map(repr, COMPUTE))}")
        low, high = self.range
        if not (low < high and max(-low, high) <= 1e6):
            raise InputError(f"range is {low:g} {high:g}; it must be two numbers within ±1e6, the smaller one first")

    @property
    def dtype(self) -> torch.dtype:
        """The type of the arithmetic."""
        return COMPUTE[self.compute]
