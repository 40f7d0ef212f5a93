"""What a model takes: the shape of one sample, the image sizes on which it runs, and inputs from files."""

import inspect
import io
import math
import os
import re
import warnings
import zipfile
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nalu_export.errors import InputError, first_line
from nalu_export.files import read_bytes
from nalu_export.graph.copying import type_of
from nalu_export.nn import BackboneHead
from nalu_export.nn.init import positive_int
from nalu_export.text import MAX_TEXT, plain

DEFAULT_SIZE = (32, 32)
# Steps of a sequence that a model is captured with.
LENGTH = 16
# Rows and columns by which an image is made larger to find out which sizes a model takes.
MAX_STEP = 32
# Shapes that are tried.
MAX_SHAPES = 32
MAX_PIXELS = 2**24
# What the arrays of an input file may hold together, unpacked.
MAX_INPUTS = 2**30
SAVE_ARRAYS = "write it with numpy.savez(path, x=array)"
_HEADERS: dict[tuple[int, int], Callable[[Any], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def sample_shape(model: nn.Module, size: Sequence[int] | None) -> tuple[int, ...]:
    """Shape of one input sample: the first that the layers and parameters of a model suggest and that it runs on.

    Args:
        model: any module of one input.
        size: (H, W) for a model that takes images; 32×32 where the model takes any size.

    Raises:
        InputError: ``size`` is not two positive sizes, is missing or does not fit the model, or no shape is found.
    """
    size = _checked_size(size)
    _refuse_other_inputs(model)
    shapes = _suggested(model, size)
    failures = []
    for shape in shapes:
        failure = _failure(model, shape)
        if failure is None:
            if size is not None and len(shape) != 3:
                raise InputError(f"input_size is given, but the model takes {_sample_of(shape)}, not images")
            return shape
        failures.append(failure)
    raise InputError(_misfit(model, shapes, failures, size))


def _checked_size(size: Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise InputError(f"input_size is {size!r}; it must be height and width")
    height, width = positive_int("input_size[0]", size[0]), positive_int("input_size[1]", size[1])
    if height * width > MAX_PIXELS:
        raise InputError(f"input_size is {height}×{width}; at most {MAX_PIXELS} pixels are allowed")
    return height, width


def _refuse_other_inputs(model: nn.Module) -> None:
    """A model of several inputs, where its signature tells."""
    try:
        parameters = list(inspect.signature(model.forward).parameters.values())
    except (TypeError, ValueError):
        return
    needed = [
        p.name for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    ]
    if len(needed) > 1:
        names = ", ".join(needed)
        raise InputError(
            f"{type(model).__name__} takes {len(needed)} inputs ({names}); a model of one input can be exported"
        )


def _suggested(model: nn.Module, size: tuple[int, int] | None) -> list[tuple[int, ...]]:
    """Shapes by the layers in their order, then by the parameters: a layer of the user's own may not say its sizes."""
    found: list[tuple[int, ...]] = []
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            found.append((module.in_channels, *(size or DEFAULT_SIZE)))
        elif isinstance(module, nn.Conv1d):
            found.append((module.in_channels, LENGTH))
        elif isinstance(module, nn.RNNBase):
            found.append((LENGTH, module.input_size))
        elif isinstance(features := getattr(module, "in_features", None), int):
            found.append((features,))
    for parameter in (*model.parameters(), *model.buffers()):
        if parameter.is_floating_point() and parameter.ndim:
            found += [(parameter.shape[-1],), (parameter.shape[0],)]
    return list(dict.fromkeys(found))[:MAX_SHAPES]


def _misfit(model: nn.Module, shapes: list[tuple[int, ...]], failures: list[str], size: tuple[int, int] | None) -> str:
    """Why no shape is known, and which option tells."""
    name = type(model).__name__
    tell = "say what it takes with --input x=batch,… (example_inputs= in Python)"
    if not shapes:
        return f"{name} has no layer that tells the number of its inputs; {tell}"
    if any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in model.modules()):
        return f"{name} looks its input up in an embedding; models of integer inputs (int64) cannot be exported yet"
    first, failure = shapes[0], failures[0]
    if len(first) == 3:
        if size is None and isinstance(model, BackboneHead) and model.feature_size is not None:
            return (
                f"the model flattens a feature map of {model.feature_size[0]}×{model.feature_size[1]}; say which image "
                "size gives it with --input-size H W"
            )
        return (
            f"the model does not run on {'×'.join(map(str, first))} images ({failure}); give another --input-size H W"
        )
    return f"{name} does not run on {_sample_of(first)} ({failure}); {tell}"


def _sample_of(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} features" if len(shape) == 1 else f"samples of {'×'.join(map(str, shape))}"


def shape_of_example(example: Any) -> tuple[int, ...]:
    """Shape of one sample of a batch that the user gives: a tensor, or a tuple or dict of one.

    Raises:
        InputError: it is not one float tensor with an axis of samples.
    """
    values = list(example.values()) if isinstance(example, dict) else example
    values = list(values) if isinstance(values, (tuple, list)) else [values]
    if len(values) != 1:
        raise InputError(f"example_inputs holds {len(values)} inputs; a model of one input can be exported")
    x = torch.as_tensor(values[0]) if isinstance(values[0], np.ndarray) else values[0]
    if not isinstance(x, torch.Tensor):
        raise InputError(f"example_inputs is a {type(x).__name__}; expected a tensor (samples, …)")
    if not x.is_floating_point() or x.ndim == 0 or 0 in x.shape[1:]:
        kind = str(x.dtype).removeprefix("torch.")
        raise InputError(f"example_inputs is {kind} of shape {tuple(x.shape)}; expected floats of shape (samples, …)")
    return tuple(x.shape[1:])


def example_like(text: str) -> torch.Tensor:
    """A batch as ``NAME=batch,7,3`` or ``NAME=batch,7,3:float32`` describes it.

    Raises:
        InputError: it is something else, or of a type that cannot be exported.
    """
    match = re.fullmatch(r"([^=:,]+)=batch((?:,\d{1,9})*)(?::(\w+))?", text)
    if match is None:
        raise InputError(f"input is {plain(text)!a}; expected NAME=batch,SIZE,… such as x=batch,16")
    if match[3] not in (None, "float32"):
        raise InputError(f"input {plain(match[1])} is {plain(match[3])}; only float32 inputs can be exported yet")
    sizes = [positive_int(f"a size of input {plain(match[1])}", int(size)) for size in match[2].split(",")[1:]]
    if math.prod(sizes) > MAX_PIXELS:
        raise InputError(
            f"input {plain(match[1])} has {math.prod(sizes):,} numbers; at most {MAX_PIXELS:,} are allowed"
        )
    return torch.zeros(1, *sizes)


def runs(model: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether the model takes a sample of this shape."""
    return _failure(model, shape) is None


def _failure(model: nn.Module, shape: tuple[int, ...]) -> str | None:
    """What the model says against a sample of this shape, ``None`` where it takes it."""
    try:
        with torch.no_grad():
            model(torch.zeros(2, *shape, dtype=type_of(model)))
    except (Exception, SystemExit) as error:  # noqa: BLE001  forward is anybody's code: it raises anything
        return first_line(error)
    return None


def free_sizes(shape: tuple[int | str, ...]) -> bool:
    """Whether an input leaves height or width free."""
    return any(isinstance(size, str) for size in shape[1:])


def sweep(model: nn.Module, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The base size first, then smaller, larger, odd and oblong ones on which the model itself runs."""
    channels, height, width = shape
    down, right = steps(model, shape)
    sizes = [
        (height, width),
        (height + 1, width + 3),
        (height + down, width + 3 * right),
        (2 * height, width),
        (height, 2 * width + 1),
        (height, 2 * width + right),
        (max(1, height // 2), max(1, (2 * width) // 3)),
    ]
    shapes = [(channels, *size) for size in dict.fromkeys(sizes)]
    return [shapes[0], *(candidate for candidate in shapes[1:] if runs(model, candidate))]


def steps(model: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    """By how many rows and columns an image that the model takes may be larger: 1 for any, 8 for multiples of 8.

    0 where no larger one up to :data:`MAX_STEP` is taken.
    """
    channels, height, width = shape
    tall = _step(lambda more: runs(model, (channels, height + more, width)))
    wide = _step(lambda more: runs(model, (channels, height, width + more)))
    return tall, wide


def _step(taken: Callable[[int], bool]) -> int:
    """The smallest step whose multiples are all taken; 1 is tried at powers of two, where pooling rounds down.

    One row more often goes unnoticed: pooled by 2, 17 rows are 8, as 16 are.
    """
    found = cache(taken)
    if all(found(2**power) for power in range(MAX_STEP.bit_length())):
        return 1
    wider = range(2, MAX_STEP + 1)
    return next((step for step in wider if all(found(more) for more in range(step, MAX_STEP + 1, step))), 0)


def read_inputs(path: str | os.PathLike[str]) -> dict[str, NDArray[np.generic]]:
    """The arrays of an ``.npz`` file by name, or the one of an ``.npy`` file under its stem; nothing is unpickled.

    Raises:
        InputError: the file cannot be read, is something else, or holds objects, nothing or more than 1 GiB.
    """
    path = Path(path)
    data = read_bytes(path)
    try:
        arrays = _members(data) if data.startswith(b"PK") else {path.stem: _array(data)}
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    except Exception as error:
        # zipfile raises more kinds of errors than it documents.
        raise InputError(f"{path}: not a readable .npz or .npy file: {first_line(error)}; {SAVE_ARRAYS}") from error
    if not arrays:
        raise InputError(f"{path}: holds no array; {SAVE_ARRAYS}")
    return arrays


def _members(data: bytes) -> dict[str, NDArray[np.generic]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
        if size > MAX_INPUTS:
            raise InputError(f"unpacks to {size:,} bytes; at most {MAX_INPUTS:,} are read")
        return {
            entry.filename.removesuffix(".npy"): _array(
                _unpacked(archive, entry), f"its member {plain(entry.filename)}"
            )
            for entry in archive.infolist()
        }


def _unpacked(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """The content of a member, no more than it says to be; its checksum is compared."""
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        # The others are unpacked by zipfile without a limit, and numpy does not write them.
        raise ValueError(f"its member {plain(entry.filename)} is compressed in a way that numpy does not write")
    if entry.flag_bits & 1:
        raise ValueError(f"its member {plain(entry.filename)} is encrypted")
    with archive.open(entry) as member:
        return member.read(entry.file_size)


def _array(content: bytes, name: str = "it") -> NDArray[np.generic]:
    """An array as numpy writes it, looking into its bytes: none is made larger than what is there."""
    file = io.BytesIO(content)
    if not content.startswith(np.lib.format.MAGIC_PREFIX):
        raise ValueError(f"{name} is not an array")
    shape, columns_first, dtype = _header(file, name)
    if dtype.hasobject:
        raise ValueError("Object arrays cannot be loaded: they are pickled, and unpickling runs code")
    expected, found = math.prod(shape) * dtype.itemsize, len(content) - file.tell()
    if min(shape, default=0) < 0 or expected != found:
        raise ValueError(f"{name} has {found:,} bytes of numbers, its shape {_shown(shape)} needs {_shown(expected)}")
    order: Literal["F", "C"] = "F" if columns_first else "C"
    if not expected:
        return np.empty(shape, dtype, order)
    return np.frombuffer(content, dtype, offset=file.tell()).reshape(shape, order=order)


def _header(file: io.BytesIO, name: str) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Shape, whether columns stand together, and type."""
    try:
        read = _HEADERS[np.lib.format.read_magic(file)]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that Python 2 wrote it
            return read(file)
    except Exception as error:
        # numpy parses it as Python, and what Python's parser raises varies with its version.
        raise ValueError(f"{name} has a damaged header") from error


def _shown(value: Any) -> str:
    """A number or shape from a file, which may have any number of digits."""
    try:
        text = str(value)
    except ValueError:  # Python prints no more than 4300
        return "…"
    return text if len(text) <= MAX_TEXT else "…"


def fitting(model: nn.Module, name: str, x: NDArray[np.generic]) -> NDArray[np.float32]:
    """Inputs of the user's own as float32, when the model runs on them.

    Raises:
        InputError: they are not numbers, there are none, or the model does not run on their shape.
    """
    if x.dtype.kind not in "fiub" or x.ndim < 2 or x.shape[0] == 0:
        raise InputError(
            f"inputs {plain(name)}: {plain(str(x.dtype))} of shape {x.shape}; expected numbers of shape (samples, …)"
        )
    failure = _failure(model, x.shape[1:])
    if failure is not None:
        raise InputError(f"inputs {plain(name)}: the model does not run on samples of shape {x.shape[1:]}: {failure}")
    with np.errstate(over="ignore"):
        return x.astype(np.float32)
