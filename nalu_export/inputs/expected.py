"""The sample shape of a model with one input, as its layers and parameters suggest it."""

from collections.abc import Sequence

import torch
from torch import nn

from nalu_export.errors import InputError, first_line, no_memory, option
from nalu_export.graph.cost import refuse_costly
from nalu_export.graph.signature import needed, shown
from nalu_export.modules.copying import type_of
from nalu_export.nn import BackboneHead
from nalu_export.nn.init import positive_int

DEFAULT_SIZE = (32, 32)
# Size in the capture of a free axis, such as the steps of a sequence, if nothing gives another.
LENGTH = 16
# How many shapes are tried at most.
MAX_SHAPES = 32
MAX_PIXELS = 2**24


def sample_shape(model: nn.Module, size: Sequence[int] | None) -> tuple[int, ...]:
    """Return the shape of one input sample: the first shape suggested by layers and parameters on which the model runs.

    Args:
        model: any module with one input.
        size: (H, W) for a model of images; 32×32 if the model takes any size.

    Raises:
        InputError: ``size`` is not two positive sizes, is missing or does not fit the model, or no shape is found.
    """
    size = _checked_size(size)
    _refuse_other_inputs(model)
    by_layers, by_parameters = _by_layers(model, size), _by_parameters(model)
    shapes = list(dict.fromkeys((*by_layers, *by_parameters)))[:MAX_SHAPES]
    failures = []
    for shape in shapes:
        failure = _failure(model, shape)
        if failure is None:
            if size is not None and len(shape) != 3:
                taken = _sample_of(shape)
                raise InputError(f"{option('input_size')} is given, but the model takes {taken}, not images")
            if shape not in by_layers:
                _refuse_another(model, shape, shapes)
            return shape
        failures.append(failure)
    raise InputError(_misfit(model, shapes, failures, size))


def _refuse_another(model: nn.Module, shape: tuple[int, ...], shapes: list[tuple[int, ...]]) -> None:
    """Raise if the model also runs on another shape that its parameters suggest: then the shape is ambiguous."""
    # A single number broadcasts to any shape, so it is no evidence.
    others = [other for other in shapes if other not in (shape, (1,)) and _failure(model, other) is None]
    if others:
        both = f"{_sample_of(shape)} and on {_sample_of(others[0])}"
        raise InputError(f"{type(model).__name__} runs on {both}; {_tell(model)}")


def _checked_size(size: Sequence[int] | None) -> tuple[int, int] | None:
    if size is None:
        return None
    if not isinstance(size, (list, tuple)) or len(size) != 2:
        raise InputError(f"{option('input_size')} is {size!r}; it must be height and width")
    height, width = (positive_int(f"{option('input_size')}[{k}]", size[k]) for k in range(2))
    if height * width > MAX_PIXELS:
        raise InputError(f"{option('input_size')} is {height}×{width}; at most {MAX_PIXELS} pixels are allowed")
    return height, width


def _refuse_other_inputs(model: nn.Module) -> None:
    """Raise if the signature of a model shows several inputs."""
    names = needed(model)
    if len(names) > 1:
        told = option("example_inputs", typed=" ".join(f"--input {name}=batch,…" for name in names))
        raise InputError(f"{shown(model)} takes {len(names)} inputs; say what they are with {told}")


def _by_layers(model: nn.Module, size: tuple[int, int] | None) -> list[tuple[int, ...]]:
    """Return the shapes that layers of torch and of this package suggest, in order of the layers."""
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
    return found


def _by_parameters(model: nn.Module) -> list[tuple[int, ...]]:
    """Return the shapes that axes of parameters suggest: a user's own layer may not declare its sizes."""
    found: list[tuple[int, ...]] = []
    for parameter in (*model.parameters(), *model.buffers()):
        if parameter.is_floating_point() and parameter.ndim:
            found += [(parameter.shape[-1],), (parameter.shape[0],)]
    return found


def _tell(model: nn.Module, integers: str = "") -> str:
    """Return which option describes the model's input."""
    word = next(iter(needed(model)), "x")
    return f"say what it takes with {option('example_inputs', typed=f'--input {word}=batch,…{integers}')}"


def _misfit(model: nn.Module, shapes: list[tuple[int, ...]], failures: list[str], size: tuple[int, int] | None) -> str:
    """Return why no shape is known, and which option gives it."""
    name = type(model).__name__
    if not shapes:
        return f"{name} has no layer that determines the number of its inputs; {_tell(model)}"
    if any(isinstance(module, (nn.Embedding, nn.EmbeddingBag)) for module in model.modules()):
        return f"{name} looks its input up in an embedding; {_tell(model, ':int64')}"
    first, failure = shapes[0], failures[0]
    if len(first) == 3:
        if size is None and isinstance(model, BackboneHead) and model.feature_size is not None:
            return (
                f"the model flattens a feature map of {model.feature_size[0]}×{model.feature_size[1]}; say which image "
                f"size gives it with {option('input_size', 'H W')}"
            )
        another = f"give another {option('input_size', 'H W')}"
        return f"the model does not run on {'×'.join(map(str, first))} images ({failure}); {another}"
    return f"{name} does not run on {_sample_of(first)} ({failure}); {_tell(model)}"


def _sample_of(shape: tuple[int, ...]) -> str:
    return f"{shape[0]} features" if len(shape) == 1 else f"samples of {'×'.join(map(str, shape))}"


def _failure(model: nn.Module, shape: tuple[int, ...]) -> str | None:
    """Return the model's error for a sample of this shape, ``None`` if it runs."""
    sample = torch.zeros(2, *shape, dtype=type_of(model))
    refuse_costly(model, (sample,))
    try:
        with torch.no_grad():
            model(sample)
    except (Exception, SystemExit) as error:
        if (fault := no_memory(error)) is not None:
            raise fault from error
        return first_line(error)
    return None
