"""What is expected of an artifact: the untouched model in float64, its bounds, and PyTorch's own float32."""

import copy
import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx, nn

from nalu_export.errors import InputError, first_line
from nalu_export.graph import trace_model
from nalu_export.parity.analysis import ErrorAnalysis
from nalu_export.primitives.conditioned import ROUNDOFF, Conditioned
from nalu_export.primitives.precision import Profile
from nalu_export.weights import fold

Double = NDArray[np.float64]


@dataclass(frozen=True)
class Expected:
    """What one batch should give.

    Attributes:
        reference: the model in float64 on the float32 inputs.
        bound: largest error of a correct evaluation, for each output, in the unit of the output.
        unit: ``u·D`` for each output, the unit of E.
        overflow: 1 where a value on the way is too large for float32, 2 where it is too large for float64, else 0.
        zero: 1 where the output is surely ``+0``, −1 where it is surely ``−0``, else 0.
        torch: the model in float32 as PyTorch runs it.
    """

    reference: Double
    bound: Double
    unit: Double
    overflow: NDArray[np.int8]
    zero: NDArray[np.int8]
    torch: NDArray[np.float32]

    def of(self, rows: slice) -> "Expected":
        """The same for some of the samples."""
        return Expected(*(getattr(self, field.name)[rows] for field in fields(self)))


class Reference:
    """Runs a model in float64 and float32 and analyses its error; the model itself is not changed.

    Args:
        model: with float32 parameters, in whatever mode; it is copied and run as in ``eval()``.
        calibration: inputs on which the error of what is not arithmetic is measured; a head alone draws none of them.
    """

    def __init__(self, model: nn.Module, calibration: Iterable[NDArray[np.float32]] = ()) -> None:
        self._single = copy.deepcopy(model).eval()
        self._double = copy.deepcopy(model).double().eval()
        # Copies: folding takes the raw parameters out of the modules that it is given.
        self._folded = ErrorAnalysis(fold(trace_model(copy.deepcopy(self._double))))
        with torch.no_grad(), self._folded.opaque.calibrating():
            for x in calibration if self._folded.opaque.present else ():
                self._folded(torch.from_numpy(x).double(), Profile())

    @functools.cached_property
    def _live(self) -> ErrorAnalysis:
        """The same with the raw parameters, for runtimes that compute the effective weights themselves."""
        return ErrorAnalysis(trace_model(copy.deepcopy(self._double)), self._folded.opaque)

    def _analysis(self, profile: Profile) -> ErrorAnalysis:
        return self._live if profile.own_weights else self._folded

    def __call__(
        self, x: NDArray[np.float32], profiles: Sequence[Profile], batches: Sequence[NDArray[np.float32]] = ()
    ) -> dict[Profile, Expected]:
        """The expectation for some samples, for each precision that is asked for.

        Args:
            x: the samples.
            profiles: the precisions.
            batches: the same samples as PyTorch's own float32 is to run them, because a matrix product may round
                otherwise in another batch; by default all at once.

        Raises:
            InputError: the model does not run on an input of this shape.
        """
        double = torch.from_numpy(x).double()
        try:
            with torch.no_grad():
                reference = self._double(double)
                own = torch.cat([self._single(torch.from_numpy(batch)) for batch in batches or [x]])
                found = {profile: self._analysis(profile)(double, profile) for profile in profiles}
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"the model does not run on inputs of shape {tuple(x.shape)}: {first_line(error)}"
            ) from error
        return {
            profile: Expected(
                reference=reference.numpy(),
                bound=torch.where(conditioned.lost > 0, torch.inf, conditioned.radius).expand(reference.shape).numpy(),
                unit=(ROUNDOFF * conditioned.error).expand(reference.shape).numpy(),
                overflow=conditioned.overflow.expand(reference.shape).numpy(),
                zero=conditioned.zero.expand(reference.shape).numpy(),
                torch=own.numpy(),
            )
            for profile, conditioned in found.items()
        }

    def values(self, x: NDArray[np.float32], profile: Profile) -> list[tuple[fx.Node, Conditioned]]:
        """Every tensor on the way to the output, in the order of computation; the last one is the output."""
        with torch.no_grad():
            return list(self._analysis(profile).walk(torch.from_numpy(x).double(), profile))
