"""What a model takes: the shape of one sample, the image sizes on which it runs, and inputs from files."""

import io
import math
import os
import warnings
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from nalu_export.errors import InputError, first_line
from nalu_export.files import read_bytes
from nalu_export.nn import BackboneHead
from nalu_export.nn.init import positive_int
from nalu_export.nn.parts import arithmetic_parts
from nalu_export.text import MAX_TEXT, plain

DEFAULT_SIZE = (32, 32)
MAX_PIXELS = 2**24
# What the arrays of an input file may hold together, unpacked.
MAX_INPUTS = 2**30
SAVE_ARRAYS = "write it with numpy.savez(path, x=array)"
_HEADERS: dict[tuple[int, int], Callable[[Any], tuple[tuple[int, ...], bool, np.dtype[Any]]]] = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}


def sample_shape(model: nn.Module, size: Sequence[int] | None) -> tuple[int, ...]:
    """Shape of one input sample, read from the first layer that has a number of inputs.

    Args:
        model: any module.
        size: (H, W) for a model that takes images; 32×32 where the model takes any size.

    Raises:
        InputError: ``size`` is not two positive sizes, is missing or does not fit the model.
    """
    if size is not None:
        if not isinstance(size, (list, tuple)) or len(size) != 2:
            raise InputError(f"input_size is {size!r}; it must be height and width")
        size = (positive_int("input_size[0]", size[0]), positive_int("input_size[1]", size[1]))
        if size[0] * size[1] > MAX_PIXELS:
            raise InputError(f"input_size is {size[0]}×{size[1]}; at most {MAX_PIXELS} pixels are allowed")
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            return _image_shape(model, module.in_channels, size)
        features = getattr(module, "in_features", None)
        if isinstance(features, int):
            if size is not None:
                raise InputError(f"input_size is given, but the model takes {features} features, not images")
            return _feature_shape(model, features)
    # An arithmetic layer of the user's own may not say how many inputs it has; its widest parameter does.
    for part in arithmetic_parts(model).values():
        for parameter in part.parameters():
            if parameter.ndim:
                return _feature_shape(model, parameter.shape[-1])
    raise InputError(f"{type(model).__name__} has no layer that tells the number of its inputs")


def _feature_shape(model: nn.Module, features: int) -> tuple[int, ...]:
    failure = _failure(model, (features,))
    if failure is not None:
        raise InputError(f"the model does not run on {features} features: {failure}")
    return (features,)


def _image_shape(model: nn.Module, channels: int, size: Sequence[int] | None) -> tuple[int, ...]:
    height, width = size or DEFAULT_SIZE
    failure = _failure(model, (channels, height, width))
    if failure is None:
        return channels, height, width
    if size is None and isinstance(model, BackboneHead) and model.feature_size is not None:
        raise InputError(
            f"the model flattens a feature map of {model.feature_size[0]}×{model.feature_size[1]}; say which image "
            "size gives it with --input-size H W"
        )
    raise InputError(
        f"the model does not run on {channels}×{height}×{width} images ({failure}); give another --input-size H W"
    )


def runs(model: nn.Module, shape: tuple[int, ...]) -> bool:
    """Whether the model takes a sample of this shape."""
    return _failure(model, shape) is None


def _failure(model: nn.Module, shape: tuple[int, ...]) -> str | None:
    """What the model says against a sample of this shape, ``None`` where it takes it."""
    try:
        with torch.no_grad():
            model(torch.zeros(2, *shape))
    except Exception as error:  # noqa: BLE001  forward may be a user's code or a file's layers: it raises anything
        return first_line(error)
    return None


def free_sizes(shape: tuple[int | str, ...]) -> bool:
    """Whether an input leaves height or width free."""
    return any(isinstance(size, str) for size in shape[1:])


def sweep(model: nn.Module, shape: tuple[int, ...]) -> list[tuple[int, ...]]:
    """The base size first, then smaller, larger, odd and oblong ones on which the model itself runs."""
    channels, height, width = shape
    sizes = [
        (height, width),
        (height + 1, width + 3),
        (2 * height, width),
        (height, 2 * width + 1),
        (max(1, height // 2), max(1, (2 * width) // 3)),
    ]
    shapes = [(channels, *size) for size in dict.fromkeys(sizes)]
    return [shapes[0], *(candidate for candidate in shapes[1:] if runs(model, candidate))]


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
