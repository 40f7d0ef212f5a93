"""The settings of a diagnosis."""

from dataclasses import dataclass

import torch

from nalu_export.errors import InputError

COMPUTE = {"float32": torch.float32, "float64": torch.float64, "float16": torch.float16}


@dataclass(frozen=True)
class Settings:
    """The settings of a diagnosis.

    Attributes:
        compute: type of the arithmetic that will run the model: ``"float32"``, ``"float64"`` or ``"float16"``.
        inputs: range of training-like inputs.
        strict: whether every faux NAC is an error.

    Raises:
        InputError: the type is not listed, or the range is invalid.
    """

    compute: str = "float32"
    inputs: tuple[float, float] = (0.1, 1.0)
    strict: bool = False

    def __post_init__(self) -> None:
        if self.compute not in COMPUTE:
            raise InputError(f"compute is {self.compute!r}; allowed: {', '.join(map(repr, COMPUTE))}")
        low, high = self.inputs
        if not (low < high and max(-low, high) <= 1e6):
            raise InputError(f"inputs is {low:g} {high:g}; it must be two numbers within ±1e6, the smaller one first")

    @property
    def dtype(self) -> torch.dtype:
        """The type of the arithmetic."""
        return COMPUTE[self.compute]
