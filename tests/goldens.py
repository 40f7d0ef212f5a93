"""Golden files that tests make, and changes to those that are written."""

import struct
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nalu_export.api.golden_files import Golden, GoldenInput, GoldenOutput

FIELDS = ("reference", "bound", "unit", "torch", "accept")
#: As the binary form numbers them.
TYPES = {"float32": 1, "float64": 2, "int32": 3, "int64": 4, "bool": 5}


def output_of(name: str, torch: NDArray[Any], *, shared: bool = False, bound: float | None = None) -> GoldenOutput:
    """An output that is known to be what PyTorch gives: floats within a bound, others exactly."""
    within = bound if bound is not None else 1e-3 if torch.dtype.kind == "f" else 0.0
    return GoldenOutput(
        name,
        torch.astype(np.float64),
        np.full(torch.shape, within),
        np.full(torch.shape, 1e-7),
        torch,
        np.zeros(torch.shape, np.uint8),
        shared,
    )


def single(x: NDArray[Any], torch: NDArray[Any], digest: str = "0" * 64) -> Golden:
    """One input and one output, with the names that those of version 1 get."""
    return Golden(digest, "float32", (GoldenInput("input", x),), (output_of("output", torch),))


def several(samples: int = 3) -> Golden:
    """Three inputs and four outputs of all types and several ranks, one of them without samples or axes."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(samples, 2)).astype(np.float32)
    count = rng.integers(-(2**40), 2**40, samples)
    mask = rng.random((samples, 2, 1)) < 0.5
    return Golden(
        "a" * 64,
        "float32",
        (GoldenInput("x", x), GoldenInput("how many", count), GoldenInput("mask/µ.npy", mask)),
        (
            output_of("y", x * 2),
            output_of("exact", x.astype(np.float64)[:, :1] / 3),
            output_of("k", np.array(-7, np.int64), shared=True),
            output_of("any", mask[:, 0, 0] | mask[:, 1, 0]),
        ),
    )


def changed(golden: Golden, **arrays: Any) -> Golden:
    """The same with another ``x`` for the first input, and other arrays for the first output."""
    inputs, outputs = list(golden.inputs), list(golden.outputs)
    if "x" in arrays:
        inputs[0] = replace(inputs[0], values=arrays.pop("x"))
    outputs[0] = replace(outputs[0], **arrays)
    return replace(golden, inputs=tuple(inputs), outputs=tuple(outputs))


def shape_bytes(shape: tuple[int, ...]) -> bytes:
    """A rank and as many sizes."""
    return struct.pack(f"<I{len(shape)}Q", len(shape), *shape)


def header_bytes(version: int = 2, compute: int = 32, digest: str = "a" * 64) -> bytes:
    """What every version begins with."""
    return b"NALUGOLD" + struct.pack("<II", version, compute) + digest.encode()


def named(name: bytes, code: int, shape: tuple[int, ...], shared: int | None = None) -> bytes:
    """An input of a header, or with ``shared`` an output."""
    kind = struct.pack("<I", code) if shared is None else struct.pack("<II", code, shared)
    return struct.pack("<I", len(name)) + name + kind + shape_bytes(shape)


def header(inputs: list[bytes], outputs: list[bytes]) -> bytes:
    """All that comes before the numbers."""
    slots = b"".join(inputs + outputs)
    return header_bytes() + struct.pack("<II", len(inputs), len(outputs)) + slots + struct.pack("<I", 0)


def version_1(golden: Golden) -> bytes:
    """What the package wrote before there were names: one input and one output of float32."""
    (given,), (output,) = golden.inputs, golden.outputs
    head = header_bytes(1, 32 if golden.compute == "float32" else 64, golden.source_sha256)
    shapes = shape_bytes(given.values.shape) + shape_bytes(output.reference.shape)
    arrays = [given.values.astype("<f4")]
    arrays += [getattr(output, name).astype(dtype) for name, dtype in zip(FIELDS, _DTYPES, strict=True)]
    return head + shapes + b"".join(array.tobytes() for array in arrays)


_DTYPES = ("<f8", "<f8", "<f8", "<f4", "u1")


def same(a: Golden, b: Golden) -> bool:
    """Whether they are equal in names, types, shapes and every bit."""

    def key(golden: Golden) -> Any:
        return (
            golden.source_sha256,
            golden.compute,
            golden.assumptions,
            [(given.name, *_bits(given.values)) for given in golden.inputs],
            [
                (output.name, output.shared, *(_bits(getattr(output, name)) for name in FIELDS))
                for output in golden.outputs
            ],
        )

    return bool(key(a) == key(b))


def _bits(array: NDArray[Any]) -> tuple[str, tuple[int, ...], bytes]:
    return str(array.dtype), array.shape, array.tobytes()
