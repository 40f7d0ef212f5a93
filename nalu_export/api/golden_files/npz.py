"""The form of a golden file that ``numpy.load`` reads; docs/cpp.md has its arrays by name."""

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
    """What ``numpy.load`` reads without pickle, always of the newest version."""
    return npz.to_npz(_arrays(golden))


def _arrays(golden: Golden) -> dict[str, NDArray[Any]]:
    """By name. Every name ends in a word of ours, so that one of the user's cannot be mistaken for another's."""
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
    """Row by row in little-endian, as the other form has it."""
    return np.asarray(array, dtype or array.dtype.newbyteorder("<"), order="C")


def from_arrays(arrays: _Arrays) -> Golden:
    """The arrays of either version by name.

    Raises:
        InputError: one is missing or of another type, there are others, or they do not fit each other.
    """
    return _newest(arrays) if "version" in arrays else _version_1(arrays)


def _newest(arrays: _Arrays) -> Golden:
    _need(arrays, ["version", *_TEXTS, *_LISTS])
    version = arrays["version"]
    if version.dtype.kind not in "iu" or version.shape or int(version) != VERSION:
        said = str(version) if version.dtype.kind in "iu" and not version.shape else _kind(version)
        raise InputError(f"is of version {said}; expected {VERSION}, or 1, which says none")
    names = {kind: _names(arrays, kind) for kind in ("input", "output")}
    shared = arrays["shared"]
    if shared.dtype != np.bool_ or shared.shape != (len(names["output"]),) or odd_truths(shared):
        raise InputError(f"shared is {_kind(shared)}; expected bool ({len(names['output'])},)")
    inputs = {name: _key("input", name, "values") for name in names["input"]}
    outputs = {name: {field: _key("output", name, field) for field in FIELDS} for name in names["output"]}
    ours = [*inputs.values(), *(key for keys in outputs.values() for key in keys.values())]
    _need(arrays, ours)
    _refuse_others(arrays, {"version", *_TEXTS, *_LISTS, *ours})
    assumptions = _assumptions(arrays["assumptions"])
    return _golden(arrays, inputs, outputs, {name: bool(shared[at]) for at, name in enumerate(outputs)}, assumptions)


def _assumptions(array: NDArray[Any]) -> tuple[str, ...]:
    if array.dtype.kind != "U" or array.ndim != 1:
        raise InputError(f"assumptions is {_kind(array)}; expected a list of texts")
    check_assumption_count(len(array))
    return tuple(_said(array))


def _version_1(arrays: _Arrays) -> Golden:
    """It has one input and one output of float32, without names."""
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
    """Of the arrays by their keys.

    They are copies: what is read can be written to, and torch takes it without a warning.
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
    names: list[str] = _said(array)
    check_names(kind, names)
    return names


def _text(arrays: _Arrays, name: str) -> str:
    if arrays[name].dtype.kind != "U" or arrays[name].shape:
        raise InputError(f"{name} is {_kind(arrays[name])}; expected one text")
    text: str = _said(arrays[name])
    return text


def _said(array: NDArray[Any]) -> Any:
    """Texts as Python's own."""
    try:
        return array.tolist()
    except (ValueError, SystemError) as error:  # only now does anybody look at the characters
        raise InputError("holds a text that is no Unicode") from error


def _kind(array: NDArray[Any]) -> str:
    return f"{plain(str(array.dtype))} {array.shape}"


def _need(arrays: _Arrays, names: list[str]) -> None:
    for name in names:
        if name not in arrays:
            raise InputError(f"has no array {plain(name)}: no golden file, or not a whole one")


def _refuse_others(arrays: _Arrays, known: set[str]) -> None:
    for name in sorted(set(arrays) - known):
        raise InputError(f"holds an array {plain(name)} too, which no golden file has")
