"""What is expected of an artifact: the untouched model in float64, its ``D``, and PyTorch's own float32."""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nalu_export.errors import InputError, first_line
from nalu_export.graph import trace_model
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.parity.conditioned import ROUNDOFF
from nalu_export.weights import fold


@dataclass(frozen=True)
class Expected:
    """What one batch should give.

    Attributes:
        reference: the model in float64 on the float32 inputs.
        error: ``u·D`` for each output, in the unit of the output.
        overflow: 1 where a value on the way is too large for float32, 2 where it is too large for float64, else 0.
        torch: the model in float32 as PyTorch runs it.
    """

    reference: NDArray[np.float64]
    error: NDArray[np.float64]
    overflow: NDArray[np.int8]
    torch: NDArray[np.float32]


class Reference:
    """Runs a model in float64 and float32 and analyses its error; the model itself is not changed.

    Attributes:
        terms: the longest sum in the arithmetic part.
        lost_terms: how many of an output's products may be lost in its sum, see :class:`ErrorAnalysis`.

    Args:
        model: with float32 parameters, in whatever mode; it is copied and run as in ``eval()``.
    """

    def __init__(self, model: nn.Module) -> None:
        self._single = copy.deepcopy(model).eval()
        self._double = copy.deepcopy(model).double().eval()
        # A copy of its own: folding takes the raw parameters out of the modules that it is given.
        self._analysis = ErrorAnalysis(fold(trace_model(copy.deepcopy(self._double))))
        self.terms = self._analysis.longest_sum
        self.lost_terms = self._analysis.lost_terms

    def __call__(self, x: NDArray[np.float32]) -> Expected:
        """The expectation for one batch.

        Raises:
            InputError: the model does not run on an input of this shape.
        """
        single = torch.from_numpy(x)
        try:
            with torch.no_grad():
                reference = self._double(single.double())
                conditioned = self._analysis(single.double())
                own = self._single(single)
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"the model does not run on inputs of shape {tuple(x.shape)}: {first_line(error)}"
            ) from error
        return Expected(
            reference=reference.numpy(),
            error=(ROUNDOFF * conditioned.error).expand(reference.shape).numpy(),
            overflow=conditioned.overflow.expand(reference.shape).numpy(),
            torch=own.numpy(),
        )
