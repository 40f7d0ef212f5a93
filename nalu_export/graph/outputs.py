"""Finds the outputs of a model: their names, and which of their axes follow the batch and the free axes."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from nalu_export.errors import InputError, UnsupportedLayerError, option
from nalu_export.graph.example import OUTPUT, Example, taken_names
from nalu_export.graph.interface import BATCH, MAX_STEP, Called, Port, arguments_with, as_tensor
from nalu_export.graph.randomness import alike
from nalu_export.graph.structure import leaves, names_of


def outputs_of(model: nn.Module, example: Example) -> tuple[Port, ...]:
    """Return the outputs of a model. They are found by runs on the example, on fewer samples and on larger free axes.

    Raises:
        UnsupportedLayerError: the model returns something other than tensors and numbers, or an output that depends on
            the input does not have the samples as its first axis.
        InputError: the number of given names is not the number of outputs.
    """
    paths, results = _named_results(model, example)
    called = Called(model, example.arguments)
    fewer, count = _on_fewer(called, example)
    taken = {port.name for port in example.inputs} | taken_names(model)
    names = _names(paths, example.output_names, taken, model)
    ports = []
    for k, (path, result) in enumerate(zip(paths, results, strict=True)):
        place = "".join(f"[{key!r}]" for key in path)
        batched = result.shape[:1] == (example.samples,) and fewer[k].shape[:1] == (count,)
        if not batched and not alike(result, fewer[k]):
            raise UnsupportedLayerError(
                f"{type(model).__name__} returns a tensor of shape {tuple(result.shape)} for {example.samples} samples"
                f"{f' at {place}' if place else ''}; the first axis of the result has to be the samples"
            )
        shape: tuple[int | str, ...] = (BATCH, *result.shape[1:]) if batched else tuple(result.shape)
        ports.append(Port(names[k], place, result.dtype, shape))
    return _with_free_axes(called, example, ports, results)


def _on_fewer(called: Called, example: Example) -> tuple[tuple[Tensor, ...], int]:
    """Return the outputs for changed samples, and their number: one less, unless the model requires the same number."""
    changed = _changed(example.tensors)
    try:
        return _run(called, [x[: example.samples - 1] for x in changed]), example.samples - 1
    except (Exception, SystemExit):  # noqa: BLE001  forward is user code; a mix of samples is found later
        return _run(called, changed), example.samples


def _named_results(model: nn.Module, example: Example) -> tuple[list[Any], list[Tensor]]:
    with torch.no_grad():
        args, kwargs = arguments_with(example.arguments, example.tensors)
        given = model(*args, **kwargs)
    found = [(path, as_tensor(leaf)) for path, leaf in leaves(given) if leaf is not None]
    name = type(model).__name__
    if not found:
        raise UnsupportedLayerError(f"{name} returns no tensor; only models that return tensors can be exported")
    for path, leaf in found:
        if not isinstance(leaf, Tensor):
            where = f" at {''.join(f'[{key!r}]' for key in path)}" if path else ""
            raise UnsupportedLayerError(
                f"{name} returns a {type(leaf).__name__}{where}; only models that return tensors can be exported"
            )
        if leaf.is_complex() or leaf.is_sparse or leaf.is_quantized:
            kind = str(leaf.dtype if leaf.is_complex() else leaf.layout).removeprefix("torch.")
            raise UnsupportedLayerError(
                f"{name} returns {kind}; only models that return dense real tensors can be exported"
            )
    return [path for path, _ in found], [leaf for _, leaf in found]


def _names(paths: Sequence[Any], given: Sequence[str] | None, taken: set[str], model: nn.Module) -> list[str]:
    if given is None:
        return [OUTPUT] if len(paths) == 1 else names_of(paths, OUTPUT, taken)
    if len(given) != len(paths):
        count = counted(len(paths), "output")
        raise InputError(
            f"{option('output_names')} has {counted(len(given), 'name')}; {type(model).__name__} has {count}"
        )
    return list(given)


def counted(number: int, word: str) -> str:
    """Return a number with its noun: ``1 output``, ``2 outputs``."""
    return f"{number} {word}{'' if number == 1 else 's'}"


def _changed(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Return other values, so that results that depend on them differ."""
    return [x * 1.5 + 0.25 if x.is_floating_point() else x.flip(0) for x in tensors]


def _run(called: Called, tensors: Sequence[Tensor]) -> tuple[Tensor, ...]:
    with torch.no_grad():
        return called(*tensors)  # type: ignore[no-any-return]


def _with_free_axes(called: Called, example: Example, ports: list[Port], results: list[Tensor]) -> tuple[Port, ...]:
    """Name the output axes that change with a free axis: with its name if they have its size, else with a new name."""
    shapes = [list(port.shape) for port in ports]
    for name in dict.fromkeys(name for port in example.inputs for name in port.free.values()):
        for more in range(1, MAX_STEP + 1):
            try:
                found = _run(called, _lengthened(example, name, more))
            except (Exception, SystemExit):  # noqa: BLE001  forward is user code; it may accept multiples only
                continue
            for place, (before, after) in enumerate(zip(results, found, strict=True)):
                _name_axes(shapes[place], ports[place].name, name, before, after, _size(example, name), more)
            break
    return tuple(Port(p.name, p.argument, p.dtype, tuple(s)) for p, s in zip(ports, shapes, strict=True))


def _name_axes(
    shape: list[int | str], output: str, name: str, before: Tensor, after: Tensor, size: int, more: int
) -> None:
    for axis in range(before.ndim):
        if before.shape[axis] != after.shape[axis] and isinstance(shape[axis], int):
            same = before.shape[axis] == size and after.shape[axis] == size + more
            shape[axis] = name if same else f"{output}_{axis}"


def _size(example: Example, name: str) -> int:
    return next(
        x.shape[axis]
        for port, x in zip(example.inputs, example.tensors, strict=True)
        for axis, free in port.free.items()
        if free == name
    )


def _lengthened(example: Example, name: str, more: int) -> list[Tensor]:
    """Return the example with ``more`` entries added at the end of every axis ``name``, repeated from its start."""
    tensors = []
    for port, x in zip(example.inputs, example.tensors, strict=True):
        for axis, free in port.free.items():
            if free == name:
                repeats = [1] * x.ndim
                repeats[axis] = more // x.shape[axis] + 2
                x = x.repeat(repeats).narrow(axis, 0, x.shape[axis] + more)
        tensors.append(x)
    return tensors
