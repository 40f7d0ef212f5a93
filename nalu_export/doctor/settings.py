"""The settings of a diagnosis."""

from dataclasses import dataclass
from typing import Literal

import torch

from nalu_export.errors import InputError, option

DoctorCompute = Literal["float32", "float64", "float16"]
COMPUTE: dict[DoctorCompute, torch.dtype] = {
    "float32": torch.float32,
    "float64": torch.float64,
    "float16": torch.float16,
}


@dataclass(frozen=True)
class Settings:
    """The settings of a diagnosis.

    Attributes:
        compute: type of the arithmetic that will run the model: ``"float32"``, ``"float64"`` or ``"float16"``.
        training_range: range of training-like inputs.
        strict: whether every faux NAC is an error.

    Raises:
        InputError: the type is not listed, or the range is invalid.
    """

    compute: DoctorCompute = "float32"
    training_range: tuple[float, float] = (0.1, 1.0)
    strict: bool = False

    def __post_init__(self) -> None:
        if self.compute not in COMPUTE:
            raise InputError(f"{option('compute')} is {self.compute!r}; allowed: {', '.join(map(repr, COMPUTE))}")
        low, high = self.training_range
        if not (low < high and max(-low, high) <= 1e6):
            given = f"{option('training_range')} is {low:g} {high:g}"
            raise InputError(f"{given}; it must be two numbers within ±1e6, the smaller one first")

    @property
    def dtype(self) -> torch.dtype:
        """The type of the arithmetic."""
        return COMPUTE[self.compute]
