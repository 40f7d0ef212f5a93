"""The user's own inputs for a check, converted to the types that the model takes."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nalu_export.errors import InputError, first_line
from nalu_export.graph import ModelGraph, Port
from nalu_export.io.text import plain
from nalu_export.parity.batch import Batch

Arrays = Mapping[str, NDArray[np.generic]]


def written_as(name: str) -> str:
    """Return a name as it appears in an array name of a file, where it has no slash."""
    return name.replace("/", "∕")


class InputFile(dict[str, NDArray[np.generic]]):
    """The arrays of a file by name.

    Attributes:
        stem: the file's name without its suffix.
    """

    def __init__(self, arrays: Arrays, stem: str) -> None:
        super().__init__(arrays)
        self.stem = stem


def distributions(graph: ModelGraph, arrays: InputFile) -> dict[str, Any]:
    """Return the input distributions in the arrays of a file.

    For a model of one input, each array is a distribution. For a model of several, ``NAME:INPUT`` are the inputs of the
    distribution ``NAME``; arrays named like the inputs form one distribution, named like the file.

    Raises:
        InputError: an array has the name of no input.
    """
    names = [port.name for port in graph.interface.inputs]
    if len(names) == 1:
        return dict(arrays)
    # A file of worst inputs has no slash in its array names, because a slash would make a folder.
    written = {written_as(name): name for name in names}
    found: dict[str, dict[str, NDArray[np.generic]]] = {}
    for key, array in arrays.items():
        suffix = next((word for word in written if key.endswith(f":{word}")), "")
        distribution, separator = (key.removesuffix(f":{suffix}"), True) if suffix else ("", False)
        name = written.get(suffix or key, "")
        if not name:
            there = ", ".join(map(plain, names))
            raise InputError(f"inputs {plain(key)}: the model has no input of that name; it takes {there}")
        found.setdefault(distribution if separator else arrays.stem, {})[name] = array
    return dict(found)


def fitting(graph: ModelGraph, name: str, given: Any) -> Batch:
    """Return the user's own inputs as a batch, if the model runs on them.

    Args:
        graph: the model.
        name: name of the input distribution.
        given: an array, a tuple of arrays in the order of the inputs, or a dict by input name.

    Raises:
        InputError: an input is missing, is not numeric, or the model does not run on the shapes.
    """
    if isinstance(given, Batch):
        return given
    ports = graph.interface.inputs
    batch = Batch(tuple(_typed(port, name, x) for port, x in zip(ports, _in_order(ports, name, given), strict=True)))
    if len({len(x) for x in batch.arrays}) > 1:
        counts = ", ".join(f"{plain(port.name)} {len(x)}" for port, x in zip(ports, batch.arrays, strict=True))
        raise InputError(f"inputs {plain(name)}: different numbers of samples: {counts}; expected the same for all")
    try:
        with torch.no_grad():
            graph.called(graph.module)(*_as_model(graph, batch[:2]))
    except (Exception, SystemExit) as error:
        shapes = " and ".join(str(shape) for shape in batch.shapes)
        why = first_line(error)
        raise InputError(f"inputs {plain(name)}: the model does not run on samples of shape {shapes}: {why}") from error
    return batch


def _as_model(graph: ModelGraph, batch: Batch) -> list[torch.Tensor]:
    return [x.to(example.dtype) for x, example in zip(batch.tensors(), graph.example, strict=True)]


def _in_order(ports: tuple[Port, ...], name: str, given: Any) -> list[NDArray[np.generic]]:
    if isinstance(given, Mapping):
        missing = [port.name for port in ports if port.name not in given]
        extra = [str(key) for key in given if key not in {port.name for port in ports}]
        if missing or extra:
            there = ", ".join(plain(port.name) for port in ports)
            what = f"has no {plain(missing[0])}" if missing else f"has {plain(extra[0])}, which is not an input"
            raise InputError(f"inputs {plain(name)}: {what}; the model takes {there}")
        return [_array(given[port.name]) for port in ports]
    parts = list(given) if isinstance(given, (tuple, list)) and len(ports) > 1 else [given]
    if len(parts) != len(ports):
        there = ", ".join(plain(port.name) for port in ports)
        raise InputError(f"inputs {plain(name)}: {len(parts)} given; the model takes {there}")
    return [_array(part) for part in parts]


def _array(value: Any) -> NDArray[np.generic]:
    return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.asarray(value)


def _typed(port: Port, name: str, x: NDArray[np.generic]) -> NDArray[np.generic]:
    """Convert an array to the type of its input; only floats may be rounded."""
    which = plain(name) if port.name == "input" else f"{plain(name)}, {plain(port.name)}"
    wanted = "numbers" if port.dtype.is_floating_point else port.type_name
    kinds = "fiub" if port.dtype.is_floating_point else "b" if port.dtype == torch.bool else "iu"
    if x.dtype.kind not in kinds or x.ndim != len(port.shape) or x.shape[0] == 0:
        given = f"{plain(str(x.dtype))} of shape {x.shape}"
        axes = ", ".join(["samples", *("…" for _ in port.shape[1:2])])
        raise InputError(f"inputs {which}: {given}; expected {wanted} of shape ({axes})")
    with np.errstate(over="ignore"):
        found = x.astype(port.type_name)
    if not port.dtype.is_floating_point and not bool((found == x).all()):
        raise InputError(f"inputs {which}: holds integers that {port.type_name} cannot hold")
    return found
