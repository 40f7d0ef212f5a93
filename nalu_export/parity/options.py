"""The options of a check."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypedDict

import numpy as np

from nalu_export.errors import InputError, option
from nalu_export.runtimes.base import RunOptions

MAX_SAMPLES = 10**6
MAX_SEARCH = 10**5
MAX_SEED = 2**32 - 1
MAX_DEVICE = 2**15
MAX_MEMORY = 2**50


@dataclass(frozen=True)
class CheckOptions:
    """The options of a check.

    Attributes:
        samples: samples of each input distribution; by default 128, down to 64 for layers of 2¹⁶ weights, and 24 for
            images.
        seed: of the inputs and the search.
        search: generations of the directed search for the largest error/bound, 0 for none; by default 16, for images 6.
        rtol: pass by closeness to PyTorch's float32 output instead of the bound, relative part.
        atol: the same, absolute part in the unit of the output.
        max_ulp: pass by closeness to PyTorch's float32 output instead of the bound, in float32 steps.
        tf32: let a CUDA runtime use TF32, and widen its bound accordingly.
        device: number of the CUDA device, for runtimes that use one.
        device_memory: bytes of the device's memory that a runtime may take.
        provider_options: more options for ONNX Runtime's CUDA provider, by name.
        constant_folding: let ONNX Runtime compute constant subexpressions when it loads a file.
        ranges: more input distributions, uniform from low to high.
        inputs: more input distributions by name, such as real data; each a batch of every input.
        only_inputs: run only ``inputs``, without the built-in distributions and the search, to replay worst inputs of
            an earlier check.
        allow_empty: accept a check in which no output could be compared. Its verdict stays ``nothing compared``.
    """

    samples: int | None = None
    seed: int = 0
    search: int | None = None
    rtol: float | None = None
    atol: float | None = None
    max_ulp: int | None = None
    tf32: bool = False
    device: int = 0
    device_memory: int | None = None
    provider_options: Mapping[str, str] = field(default_factory=dict)
    constant_folding: bool = True
    ranges: Sequence[tuple[float, float]] = ()
    inputs: Mapping[str, Any] = field(default_factory=dict)
    only_inputs: bool = False
    allow_empty: bool = False

    def __post_init__(self) -> None:
        for name, value in (("rtol", self.rtol), ("atol", self.atol)):
            if value is not None and not 0 <= value < float("inf"):
                raise InputError(f"{option(name)} is {value}; it must be a number of at least 0")
        if self.max_ulp is not None and (self.rtol, self.atol) != (None, None):
            nearness = f"{option('rtol')} or {option('atol')}"
            raise InputError(f"{option('max_ulp')} is given with {nearness}; give one or the other")
        for name, number, low, high in (
            ("samples", self.samples, 1, MAX_SAMPLES),
            ("search", self.search, 0, MAX_SEARCH),
            ("max_ulp", self.max_ulp, 0, 2**32),
            ("seed", self.seed, 0, MAX_SEED),
            ("device", self.device, 0, MAX_DEVICE),
            ("device_memory", self.device_memory, 1, MAX_MEMORY),
        ):
            if number is not None and not low <= number <= high:
                raise InputError(f"{option(name)} is {number}; it must be from {low} to {high}")
        largest = float(np.finfo(np.float32).max)
        for low_end, high_end in self.ranges:
            if not -largest <= low_end <= high_end <= largest:
                given = f"{option('ranges')} is {low_end:g} to {high_end:g}"
                raise InputError(f"{given}; it must be two float32 numbers in order")
        if self.only_inputs and not self.inputs:
            raise InputError(f"{option('only_inputs')} is given without {option('inputs')}; give both")

    @property
    def for_cuda(self) -> tuple[str, ...]:
        """Names of the given options that have an effect on CUDA runtimes only."""
        given = {
            "device": self.device,
            "device_memory": self.device_memory is not None,
            "provider_options": self.provider_options,
        }
        return tuple(name for name, value in given.items() if value)

    def running(self, threads: int | None) -> RunOptions:
        """Return the part of the options that a runtime needs."""
        return RunOptions(
            tf32=self.tf32,
            threads=threads,
            device=self.device,
            device_memory=self.device_memory,
            provider_options=dict(self.provider_options),
            fold=self.constant_folding,
        )


class CheckKeywords(TypedDict, total=False):
    """:class:`CheckOptions` as keyword arguments."""

    samples: int | None
    seed: int
    search: int | None
    rtol: float | None
    atol: float | None
    max_ulp: int | None
    tf32: bool
    device: int
    device_memory: int | None
    provider_options: Mapping[str, str]
    constant_folding: bool
    ranges: Sequence[tuple[float, float]]
    inputs: Mapping[str, Any]
    only_inputs: bool
    allow_empty: bool
