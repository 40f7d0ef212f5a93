"""The form of a golden file that ``numpy.load`` reads; docs/cpp.md lists its arrays."""

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from nalu_export.api.golden_files.record import (
    FIELDS,
    ONLY_INPUT,
    ONLY_OUTPUT,
    VERSION,
    Golden,
    GoldenInput,
    GoldenOutput,
    check_assumption_count,
    check_count,
    check_names,
    checked,
)
from nalu_export.errors import InputError
from nalu_export.graph.folding import Compute
from nalu_export.io import npz
from nalu_export.io.arrays import odd_truths
from nalu_export.io.text import plain

_TEXTS = ("source_sha256", "compute")
_LISTS = ("inputs", "outputs", "shared", "assumptions")

_Arrays = Mapping[str, NDArray[Any]]


def to_npz(golden: Golden) -> bytes:
    """Return a golden file in the form of version 2 that ``numpy.load`` reads without pickle."""
    return npz.to_npz(_arrays(golden))


def _arrays(golden: Golden) -> dict[str, NDArray[Any]]:
    """Return the arrays of a golden file by name.

    A name such as ``input/x/values`` ends in a fixed word, so the arrays of two inputs or outputs never have one name.
    """
    arrays: dict[str, NDArray[Any]] = {
        "version": np.array(VERSION, np.uint32),
        "source_sha256": np.array(golden.source_sha256),
        "compute": np.array(golden.compute),
        "inputs": np.array([given.name for given in golden.inputs]),
        "outputs": np.array([output.name for output in golden.outputs]),
        "shared": np.array([output.shared for output in golden.outputs], np.bool_),
        "assumptions": np.array(golden.assumptions, np.str_),
    }
    for given in golden.inputs:
        arrays[_key("input", given.name, "values")] = _little(given.values)
    for output in golden.outputs:
        for field, dtype in FIELDS.items():
            arrays[_key("output", output.name, field)] = _little(getattr(output, field), dtype)
    return arrays


def _key(kind: str, name: str, field: str) -> str:
    return f"{kind}/{name}/{field}"


def _little(array: NDArray[Any], dtype: np.dtype[Any] | None = None) -> NDArray[Any]:
    """Return an array in row-major order and little-endian, as in the binary form."""
    return np.asarray(array, dtype or array.dtype.newbyteorder("<"), order="C")


def from_arrays(arrays: _Arrays) -> Golden:
    """Return the golden file of version 1 or 2 that consists of these arrays by name.

    Raises:
        InputError: an array is missing, unknown or of a wrong type, or the arrays do not fit each other.
    """
    return _version_2(arrays) if "version" in arrays else _version_1(arrays)


def _version_2(arrays: _Arrays) -> Golden:
    _need(arrays, ["version", *_TEXTS, *_LISTS])
    version = arrays["version"]
    if version.dtype.kind not in "iu" or version.shape or int(version) != VERSION:
        found = str(version) if version.dtype.kind in "iu" and not version.shape else _kind(version)
        raise InputError(f"is of version {found}; expected {VERSION}, or no array version, which means version 1")
    names = {kind: _names(arrays, kind) for kind in ("input", "output")}
    shared = arrays["shared"]
    if shared.dtype != np.bool_ or shared.shape != (len(names["output"]),) or odd_truths(shared):
        raise InputError(f"shared is {_kind(shared)}; expected bool ({len(names['output'])},)")
    inputs = {name: _key("input", name, "values") for name in names["input"]}
    outputs = {name: {field: _key("output", name, field) for field in FIELDS} for name in names["output"]}
    keys = [*inputs.values(), *(key for fields in outputs.values() for key in fields.values())]
    _need(arrays, keys)
    _refuse_others(arrays, {"version", *_TEXTS, *_LISTS, *keys})
    assumptions = _assumptions(arrays["assumptions"])
    is_shared = {name: bool(shared[place]) for place, name in enumerate(outputs)}
    return _golden(arrays, inputs, outputs, is_shared, assumptions)


def _assumptions(array: NDArray[Any]) -> tuple[str, ...]:
    if array.dtype.kind != "U" or array.ndim != 1:
        raise InputError(f"assumptions is {_kind(array)}; expected a list of texts")
    check_assumption_count(len(array))
    return tuple(_texts(array))


def _version_1(arrays: _Arrays) -> Golden:
    """Return the golden file of version 1: one input and one output of float32, without names."""
    wanted = ["x", *FIELDS, *_TEXTS]
    _need(arrays, wanted)
    _refuse_others(arrays, {*wanted})
    for name in ("x", "torch"):
        if arrays[name].dtype != np.dtype("<f4"):
            raise InputError(f"{name} is {plain(str(arrays[name].dtype))}; expected float32")
    return _golden(arrays, {ONLY_INPUT: "x"}, {ONLY_OUTPUT: {field: field for field in FIELDS}}, {ONLY_OUTPUT: False})


def _golden(
    arrays: _Arrays,
    inputs: dict[str, str],
    outputs: dict[str, dict[str, str]],
    shared: dict[str, bool],
    assumptions: tuple[str, ...] = (),
) -> Golden:
    """Return a golden file with copies of arrays.

    Copies are writable, so torch takes them without a warning.

    Args:
        arrays: the arrays by key.
        inputs: the key of each input by its name.
        outputs: for each output by its name, the key of each of ``FIELDS``.
        shared: whether each output is shared, by its name.
        assumptions: assumptions about the model, as texts.
    """
    digest, compute = (_text(arrays, name) for name in _TEXTS)
    given = tuple(GoldenInput(name, arrays[key].copy()) for name, key in inputs.items())
    expected = tuple(
        GoldenOutput(name, shared=shared[name], **cast(Any, {field: arrays[key].copy() for field, key in keys.items()}))
        for name, keys in outputs.items()
    )
    return checked(Golden(digest, cast(Compute, compute), given, expected, assumptions))


def _names(arrays: _Arrays, kind: str) -> list[str]:
    array = arrays[f"{kind}s"]
    if array.dtype.kind != "U" or array.ndim != 1:
        raise InputError(f"{kind}s is {_kind(array)}; expected a list of names")
    check_count(kind, len(array))
    names: list[str] = _texts(array)
    check_names(kind, names)
    return names


def _text(arrays: _Arrays, name: str) -> str:
    if arrays[name].dtype.kind != "U" or arrays[name].shape:
        raise InputError(f"{name} is {_kind(arrays[name])}; expected one text")
    text: str = _texts(arrays[name])
    return text


def _texts(array: NDArray[Any]) -> Any:
    """Return the texts of an array as Python strings: a list of them, or one for an array without axes."""
    try:
        return array.tolist()
    except (ValueError, SystemError) as error:  # numpy looks at the characters only now
        raise InputError("holds a text that is not valid Unicode") from error


def _kind(array: NDArray[Any]) -> str:
    return f"{plain(str(array.dtype))} {array.shape}"


def _need(arrays: _Arrays, names: list[str]) -> None:
    for name in names:
        if name not in arrays:
            raise InputError(f"has no array {plain(name)}, so it is not a golden file, or an incomplete one")


def _refuse_others(arrays: _Arrays, known: set[str]) -> None:
    for name in sorted(set(arrays) - known):
        raise InputError(f"holds an array {plain(name)}, which is not part of a golden file")
