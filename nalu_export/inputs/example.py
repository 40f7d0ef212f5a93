"""Turns a user's description of a model's inputs into an example call: tensors, names, free axes."""

import inspect
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from nalu_export.errors import InputError, option
from nalu_export.graph.example import INPUT, Example, taken_names
from nalu_export.graph.interface import BATCH, Place, Port
from nalu_export.graph.outputs import counted
from nalu_export.graph.signature import shown, signature_of
from nalu_export.graph.structure import MAX_NAME, Path, is_name, leaves, mapped, names_of
from nalu_export.io.text import plain, short
from nalu_export.modules.copying import type_of

# Samples in the batch for the capture; an axis of 1 could be taken for one to broadcast, an axis of 2 for a pair.
SAMPLES = 3
# Axes of images that are free by default.
IMAGE_AXES = {2: "height", 3: "width"}

DynamicShapes = Mapping[str, Any] | Sequence[Any]


def example_of_given(
    model: nn.Module,
    given: Any,
    dynamic_shapes: DynamicShapes | None = None,
    input_names: Sequence[str] | None = None,
    output_names: Sequence[str] | None = None,
) -> Example:
    """Return a call of a model like the user's example, with numbers of our own.

    Args:
        model: the model that is called.
        given: a tensor, a tuple of positional arguments, or a dict by the names of ``forward``; arguments may hold
            tensors in tuples, lists and dicts. Other objects are passed on as they are.
        dynamic_shapes: the free axes besides the batch axis, by input: ``{"x": {1: "time"}}``, or a sequence in the
            order of the inputs; axes of one name have one size. By default height and width of images.
        input_names: names of the inputs in files; by default those of ``forward``, or ``input`` for a single input.
        output_names: the same for the outputs.

    Raises:
        InputError: ``forward`` does not take these arguments, or they are not tensors with samples on the first axis.
    """
    args, kwargs = _bound(model, given)
    paths, tensors = _tensors(model, args, kwargs)
    _refuse_samples(paths, tensors)
    taken = taken_names(model)
    names = _checked_names(option("input_names"), input_names, taken) or names_of(paths, INPUT, taken)
    if input_names is None and len(tensors) == 1:
        names = [INPUT]
    if len(names) != len(tensors):
        count = counted(len(tensors), "input")
        raise InputError(f"{option('input_names')} has {counted(len(names), 'name')}; {shown(model)} is given {count}")
    free = _free_axes(paths, names, tensors, dynamic_shapes)
    samples = tuple(_samples_like(x, model) for x in tensors)
    ports = tuple(
        Port(name, said(path), x.dtype, (BATCH, *(axes.get(k, size) for k, size in enumerate(x.shape) if k)))
        for name, path, x, axes in zip(names, paths, samples, free, strict=True)
    )
    _refuse_unequal_axes(ports, tensors)
    places = iter(range(len(tensors)))
    arguments = mapped((args, kwargs), lambda leaf: Place(next(places)) if isinstance(leaf, Tensor) else leaf)
    outputs = _checked_names(option("output_names"), output_names, {*taken, *names})
    return Example(samples, ports, arguments, outputs)


def seeded(shape: Sequence[int], model: nn.Module) -> Tensor:
    """Return a batch of the model's type, uniform in 0.1..1, the same each time."""
    x = torch.rand((SAMPLES, *shape), generator=torch.Generator().manual_seed(0)) * 0.9 + 0.1
    return x.to(type_of(model))


def said(path: Path) -> str:
    """Return a path as Python writes it: ``state[0]``, ``batch['ids']``."""
    first, *rest = path
    return str(first) + "".join(f"[{key!r}]" for key in rest)


def _bound(model: nn.Module, given: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Return the positional and named arguments, as ``forward`` takes them."""
    by_name = isinstance(given, Mapping) and all(isinstance(key, str) for key in given)
    args: tuple[Any, ...] = () if by_name else tuple(given) if isinstance(given, (tuple, list)) else (given,)
    kwargs: dict[str, Any] = dict(given) if by_name else {}
    if not any(isinstance(leaf, (Tensor, np.ndarray)) for _, leaf in leaves((args, kwargs))):
        what = f"is {given!r}" if given in ((), [], {}) else f"is a {type(given).__name__} without tensors"
        wanted = f"what {shown(model)} takes: a tensor, a tuple or a dict"
        raise InputError(f"{option('example_inputs')} {what}; expected {wanted}")
    signature = signature_of(model)
    if signature is not None:
        any_name = any(p.kind is p.VAR_KEYWORD for p in signature.parameters.values())
        unknown = [key for key in kwargs if key not in signature.parameters and not any_name]
        if unknown:
            raise InputError(f"the inputs do not fit {shown(model)}: it takes no {plain(unknown[0])}")
        try:
            signature.bind(*args, **kwargs)
        except TypeError as error:
            raise InputError(f"the inputs do not fit {shown(model)}: {error}") from error
    return _as_tensors(args), _as_tensors(kwargs)


def _as_tensors(value: Any) -> Any:
    # A copy, because torch warns about read-only arrays, such as those from a file.
    return mapped(value, lambda leaf: torch.from_numpy(np.array(leaf)) if isinstance(leaf, np.ndarray) else leaf)


def _tensors(model: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[list[Path], list[Tensor]]:
    """Return the tensors in the arguments and their paths, which begin with the names of ``forward``."""
    words = _words(model, len(args))
    named: dict[str, Any] = dict(zip(words, args, strict=True)) | kwargs
    found = [(path, leaf) for path, leaf in leaves(named) if isinstance(leaf, Tensor)]
    return [path for path, _ in found], [leaf for _, leaf in found]


def _words(model: nn.Module, count: int) -> list[str]:
    """Return the names of the first arguments of ``forward``; those of ``*xs`` are ``xs_0``, ``xs_1``."""
    signature = signature_of(model)
    parameters = [] if signature is None else list(signature.parameters.values())
    words = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    rest = next((p.name for p in parameters if p.kind is inspect.Parameter.VAR_POSITIONAL), INPUT)
    words += [f"{rest}_{place}" for place in range(max(0, count - len(words)))]
    return words[:count]


def _refuse_samples(paths: Sequence[Path], tensors: Sequence[Tensor]) -> None:
    for path, x in zip(paths, tensors, strict=True):
        kind = str(x.dtype).removeprefix("torch.")
        if x.is_sparse or x.is_quantized or x.is_complex():
            sparse = "sparse " if x.is_sparse else ""
            raise InputError(f"input {said(path)} is {sparse}{kind}; expected dense real numbers, integers or bool")
        if x.ndim == 0 or 0 in x.shape[1:]:
            raise InputError(f"input {said(path)} is {kind} of shape {tuple(x.shape)}; expected (samples, …)")
    counts = {len(x) for x in tensors}
    if len(counts) > 1:
        each = ", ".join(f"{said(path)} {len(x)}" for path, x in zip(paths, tensors, strict=True))
        raise InputError(f"inputs have different numbers of samples on their first axis: {each}; expected the same")


def _free_axes(
    paths: Sequence[Path], names: Sequence[str], tensors: Sequence[Tensor], given: DynamicShapes | None
) -> list[dict[int, str]]:
    """Return the names of the free axes of each input, by index of the axis."""
    if given is None:
        return [dict(IMAGE_AXES) if x.ndim == 4 and x.is_floating_point() else {} for x in tensors]
    rows = dict(given) if isinstance(given, Mapping) else dict(zip(names, given, strict=False))
    keys = [(name, said(path), str(path[-1])) for path, name in zip(paths, names, strict=True)]
    known = {key for each in keys for key in each}
    unknown = next((key for key in rows if key not in known), None)
    if unknown is not None or len(rows) < (0 if isinstance(given, Mapping) else len(given)):
        there = ", ".join(said(path) for path in paths)
        raise InputError(
            f"{option('dynamic_shapes')} names {unknown!r}, which is not an input; the inputs are: {there}"
        )
    return [
        _axes(next((rows[key] for key in each if key in rows), None), said(path), x)
        for path, each, x in zip(paths, keys, tensors, strict=True)
    ]


def _axes(row: Any, name: str, x: Tensor) -> dict[int, str]:
    items = dict(row if isinstance(row, Mapping) else enumerate(row or ()))
    found: dict[int, str] = {}
    for axis, size in items.items():
        if not isinstance(axis, int) or not -x.ndim <= axis < x.ndim:
            raise InputError(f"{option('dynamic_shapes')} of {name} has axis {axis!r}; the input has {x.ndim} axes")
        place = axis % x.ndim
        called = _axis_name(size, f"{name}_{place}")
        if place and called is not None:
            found[place] = called
    return found


def _axis_name(size: Any, default: str) -> str | None:
    """Return the name of a free axis, from a text or a ``torch.export.Dim``; ``None`` for an axis that is not free."""
    if size is None or isinstance(size, int) or size is torch.export.Dim.STATIC:
        return None
    if isinstance(size, str):
        return size
    return getattr(size, "__name__", None) or default


def _refuse_unequal_axes(ports: Sequence[Port], tensors: Sequence[Tensor]) -> None:
    sizes: dict[str, tuple[int, str]] = {}
    for port, x in zip(ports, tensors, strict=True):
        for axis, name in port.free.items():
            size, other = sizes.setdefault(name, (x.shape[axis], port.argument))
            if name == BATCH or not name.isidentifier():
                raise InputError(
                    f"input {port.argument} has a free axis called {short(name)}; expected an identifier other "
                    f"than {BATCH}"
                )
            if size != x.shape[axis]:
                raise InputError(
                    f"axis {name} is {size} in input {other} and {x.shape[axis]} in {port.argument}; axes of one name "
                    "have the same size"
                )


def _checked_names(argument: str, names: Sequence[str] | None, taken: Collection[str]) -> list[str] | None:
    """Return the names that a user gives, or raise if one is invalid, taken or repeated."""
    if names is None:
        return None
    found = [names] if isinstance(names, str) else list(names)
    for name in found:
        if not isinstance(name, str) or not is_name(name):
            raise InputError(f"{argument} holds {short(name)}; expected printable names of up to {MAX_NAME} characters")
        if name in taken:
            what = "is a weight or an input of the model"
            raise InputError(f"{argument} holds {short(name)}, which {what}; choose another name")
    if len(set(found)) < len(found):
        raise InputError(f"{argument} are {', '.join(map(plain, found))}; each name has to be different")
    return found


def _samples_like(x: Tensor, model: nn.Module) -> Tensor:
    """Return samples for a capture: seeded floats; other types repeat the given samples."""
    if x.is_floating_point():
        return seeded(x.shape[1:], model)
    return x[torch.arange(SAMPLES) % len(x)].clone() if len(x) else x.new_zeros((SAMPLES, *x.shape[1:]))
