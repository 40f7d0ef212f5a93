"""Every way in which this package reads a file from somebody else, and what may come of it."""

import os
from collections.abc import Callable
from pathlib import Path

import onnx

from nalu_export import NAC, load
from nalu_export.api.artifact import read_artifact
from nalu_export.api.inspect import inspect
from nalu_export.errors import InputError, NaluExportError
from nalu_export.formats.onnx.wire import counted, size_of
from nalu_export.io.input_files import read_inputs
from nalu_export.io.text import printable
from nalu_export.parity.real_inputs import fitting
from tests.captured import graph_of
from tests.hostile.consumers import CONSUMERS
from tests.hostile.watch import watched

SENTINEL = "executed"
MODEL = graph_of(NAC(2, 1))


class StrayError(AssertionError):
    """A reading did something else than to read or to refuse."""


def _inputs(path: Path) -> None:
    for name, array in read_inputs(path).items():
        fitting(MODEL, name, array)


def _counted(path: Path) -> None:
    """Whether as much is counted in an ONNX file as protobuf makes of it."""
    data = path.read_bytes()
    try:
        said = counted(data).memory
        proto = onnx.load_from_string(data)
    except InputError:
        raise
    except Exception as error:
        raise InputError("no ONNX file") from error
    made, todo = 0, [proto]
    while todo:
        message = todo.pop()
        for each, value in message.ListFields():
            values = value if each.is_repeated else [value]
            if each.message_type is not None:
                made += len(values) * size_of(each.message_type)
                todo += values
            elif each.is_repeated:
                made += 8 * len(values)
    if made > said:
        raise StrayError(f"counted {said:,} bytes of what takes {made:,}")


READERS: dict[str, Callable[[Path], object]] = {
    "load": load,
    "load under a prefix": lambda path: load(path, prefix="head"),
    "load by a key": lambda path: load(path, key="ema"),
    "load a layout": lambda path: load(path, layout="goddoe", eps=1e-6),
    "load into a model": lambda path: load(path, model=lambda: NAC(2, 1)),
    "inspect": inspect,
    "artifact": read_artifact,
    "fields": _counted,
    "inputs": _inputs,
}
MODELS = ("load", "load under a prefix", "load a layout", "load into a model", "inspect")


def read(data: bytes, name: str, path: Path) -> str:
    """What a reader says of these bytes, empty where it takes them.

    Args:
        data: put into ``path`` first.
        name: of the reader.
        path: in a folder that holds nothing but the file and those that belong to it.

    Raises:
        StrayError: it wrote, ran or connected, or its refusal is not one line.
        Exception: whatever else the reader raises, which is a fault in it.
    """
    path.write_bytes(data)
    there = sorted(os.listdir(path.parent))
    said = ""
    with watched() as events:
        try:
            (READERS.get(name) or CONSUMERS[name])(path)
        except NaluExportError as error:
            said = str(error)
    if events:
        raise StrayError(f"{name}: {events[:3]}")
    if sorted(os.listdir(path.parent)) != there:
        raise StrayError(f"{name}: left {os.listdir(path.parent)}")
    if "\n" in said or len(said) > 2000 or not printable(said).isprintable():
        raise StrayError(f"{name}: says {said[:300]!r}")
    return said
