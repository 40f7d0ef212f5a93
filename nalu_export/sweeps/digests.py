"""Digests of what decides the result of a checkpoint: its content, the options, and the versions of the tools."""

import contextlib
import hashlib
import importlib.metadata
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nalu_export._version import __version__
from nalu_export.errors import InputError, option

# What decides the bytes of an artifact and the verdict on it, besides this package; as far as it is installed.
_TOOLS = ("torch", "onnx", "onnxscript", "onnxruntime", "onnxruntime-gpu")


def sha256_of(path: str | os.PathLike[str]) -> str:
    """Return the SHA-256 of a file.

    Raises:
        OSError: it cannot be read.
    """
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def sha256_of_bytes(data: bytes) -> str:
    """Return the SHA-256 of bytes."""
    return hashlib.sha256(data).hexdigest()


def sha256_of_files(paths: Sequence[Path]) -> str:
    """Return the SHA-256 of a file, or of several that are one model: that of their concatenated hashes.

    Raises:
        OSError: one of them cannot be read.
    """
    if len(paths) == 1:
        return sha256_of(paths[0])
    return hashlib.sha256(b"".join(bytes.fromhex(sha256_of(path)) for path in paths)).hexdigest()


@cache
def tool() -> str:
    """Return names and versions of what computes and checks an artifact."""
    found = [f"nalu_export {__version__}"]
    for name in _TOOLS:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found.append(f"{name} {importlib.metadata.version(name)}")
    return ", ".join(found)


def digest_of_options(options: Mapping[str, Any], defaults: Mapping[str, Any] = MappingProxyType({})) -> str:
    """Return a digest of options of :func:`nalu_export.export`; the same in every process.

    Of a user's code that is named as ``FILE.py:NAME``, the name and the content of the file count; its folder and what
    it imports do not.

    Args:
        options: the options.
        defaults: values that mean the same as an option that is not given.

    Raises:
        InputError: the value of an option is an object that a sweep cannot send to a worker.
    """
    plain = {name: _plain(name, value) for name, value in sorted(options.items()) if value is not None}
    plain = {name: value for name, value in plain.items() if name not in defaults or value != defaults[name]}
    for name in ("model", "backbone"):
        code = code_file(options.get(name))
        if code is not None:
            plain[name] = [os.path.basename(os.fspath(options[name])), sha256_of(code)]
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()[:16]


def code_file(factory: object) -> Path | None:
    """Return the file of a factory that is given as ``FILE.py`` or ``FILE.py:NAME`` and exists, else ``None``."""
    if not isinstance(factory, (str, os.PathLike)):
        return None
    text = os.fspath(factory)
    place = Path(text if text.endswith(".py") else text.rpartition(":")[0]).expanduser()
    return place if place.suffix == ".py" and place.is_file() else None


def _plain(name: str, value: Any) -> Any:
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if isinstance(value, Mapping):
        # Not sorted: the order of inputs may be that of arguments.
        return [[_plain(name, key), _plain(name, item)] for key, item in value.items()]
    if isinstance(value, (list, tuple)):
        return [_plain(name, item) for item in value]
    array = _array(value)
    if array is not None:
        return array
    if is_dataclass(value) and not isinstance(value, type):
        return [type(value).__name__, {each.name: _plain(name, getattr(value, each.name)) for each in fields(value)}]
    if callable(value) and _is_importable(value):
        return f"{value.__module__}:{value.__qualname__}"
    kind = type(value).__name__
    raise InputError(
        f"{option(name)} is an object of type {kind}, which a sweep cannot send to its workers; name it as FILE.py:NAME"
    )


def _array(value: Any) -> list[Any] | None:
    """Return type, shape and digest of a tensor or an array."""
    if hasattr(value, "detach"):
        value = value.detach().cpu().numpy()
    if not hasattr(value, "tobytes") or not hasattr(value, "dtype"):
        return None
    return [str(value.dtype), list(value.shape), hashlib.sha256(value.tobytes()).hexdigest()]


def _is_importable(value: Any) -> bool:
    """Return whether a worker finds a class or function under its name; those of a script or notebook it does not."""
    name = getattr(value, "__qualname__", "")
    return getattr(value, "__module__", "__main__") != "__main__" and bool(name) and "<" not in name
