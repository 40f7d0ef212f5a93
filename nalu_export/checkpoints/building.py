"""Builds the module of a recognised layout, and its state_dict from the tensors of the file."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvTransposeNd

from nalu_export.checkpoints.fitting import Fit, some, turn
from nalu_export.checkpoints.normed import computed
from nalu_export.errors import InputError, option
from nalu_export.io.text import short
from nalu_export.modules.copying import copied
from nalu_export.nn import NAC, NALU, NACCell, NALUCell, build_head
from nalu_export.nn.head import TASKS
from nalu_export.nn.init import choose

State = Mapping[str, Tensor]
_STACKS: dict[type[nn.Module], type[nn.Module]] = {NACCell: NAC, NALUCell: NALU}


@dataclass(frozen=True)
class Surroundings:
    """The data about a CNN that its file does not hold.

    Attributes:
        backbone: the CNN that feeds the head.
        task: ``"classification"`` or ``"regression"``.
    """

    backbone: nn.Module | None = None
    task: str | None = None


def build_layout(
    fit: Fit, state: State, eps: float | None, around: Surroundings
) -> tuple[nn.Module, dict[str, Tensor]]:
    """Return the module of a recognised layout, on the meta device except for a backbone, and its state_dict.

    Raises:
        InputError: a tensor is not floating point; or ε, the backbone or the task is missing, does not fit or has no
            meaning in this layout.
    """
    for name, value in (("backbone", around.backbone), ("task", around.task)):
        if value is not None and fit.unit.around is None:
            raise InputError(f"is {fit.name}, which has no CNN before its head; leave {option(name)} out")
    options = dict(fit.unit.options) | _arguments(fit, state)
    if eps is not None and fit.unit.eps is None:
        raise InputError(f"is {fit.name}, which has no eps; leave {option('eps')} out")
    if fit.unit.eps is not None and (eps is not None or "eps" not in options):
        options["eps"] = fit.unit.eps if eps is None else eps
    _check_kinds(fit, state)
    if fit.unit.around is not None:
        return _with_backbone(fit, state, options, around)
    return _head(fit, options), _moved(fit, state, "")


def _head(fit: Fit, options: dict[str, Any]) -> nn.Module:
    """Build a stack if the file numbers its layers, a cell otherwise."""
    cell = fit.unit.cell
    assert cell is not None
    with torch.device("meta"):
        if "{}" not in fit.place:
            return cell(*fit.dims, **options)
        if cell in _STACKS:
            return _STACKS[cell](*fit.dims, **options)
        return nn.Sequential(*(cell(*pair, **options) for pair in zip(fit.dims, fit.dims[1:], strict=False)))


def _moved(fit: Fit, state: State, prefix: str) -> dict[str, Tensor]:
    """Return the tensors that the module uses, under its names and transposed where the file stores them transposed."""
    numbered = "{}" in fit.place
    stack = "layers." if fit.unit.cell in _STACKS else ""
    return {
        f"{prefix}{f'{stack}{number}.' if numbered else ''}{key.target}": turn(key, state[own + leaf])
        for number, own in enumerate(fit.prefixes)
        for leaf, key in fit.unit.keys.items()
        if key.target
    }


def _arguments(fit: Fit, state: State) -> dict[str, float]:
    """Return the constructor arguments that the file holds as numbers; they must be the same in every layer."""
    found: dict[str, float] = {}
    for own in fit.prefixes:
        for leaf, key in fit.unit.keys.items():
            if key.argument:
                value = float(state[own + leaf].item())
                if found.setdefault(key.argument, value) != value:
                    before = found[key.argument]
                    raise InputError(
                        f"has {short(own + leaf)} {value}, but the layers before have {before}; expected one value "
                        "for all layers"
                    )
    return found


def _check_kinds(fit: Fit, state: State) -> None:
    for own in fit.prefixes:
        for leaf in fit.unit.keys:
            value = state[own + leaf]
            if not value.is_floating_point():
                kind = str(value.dtype).removeprefix("torch.")
                raise InputError(
                    f"has {short(own + leaf)} as {kind}; expected floating point, as model.float() makes it"
                )


def disagreeing_twins(fit: Fit, state: State) -> list[tuple[str, str]]:
    """Return pairs of names of the same parameter that hold different values."""
    return [
        (own + leaf, own + key.twin)
        for own in fit.prefixes
        for leaf, key in fit.unit.keys.items()
        if key.twin and not _same(state[own + leaf], state[own + key.twin])
    ]


def _same(one: Tensor, other: Tensor) -> bool:
    """Return whether type and values are the same; NaN counts as equal to NaN."""
    return one.dtype == other.dtype and torch.allclose(one, other, rtol=0.0, atol=0.0, equal_nan=True)


def _with_backbone(
    fit: Fit, state: State, options: dict[str, Any], around: Surroundings
) -> tuple[nn.Module, dict[str, Tensor]]:
    assert fit.unit.around is not None
    if around.backbone is None:
        raise InputError(
            f"is a CNN with a head ({fit.name}), and a file of weights does not hold the code of the CNN (keys "
            f"{fit.unit.around.backbone}*); give {option('backbone', 'FILE.py:NAME')}"
        )
    outputs = fit.dims[-1]
    if around.task is None and outputs == 1:
        either = " or ".join(option("task", task) for task in TASKS)
        raise InputError(f"is {fit.name} with one output, which fits both tasks; give {either}")
    task = "classification" if around.task is None else choose("task", around.task, TASKS)
    weight, channels = _convolution(fit, state)
    backbone = copied(around.backbone).eval()
    moved = _backbone_state(fit, state, backbone) | {
        key.replace(fit.unit.around.reduce, "reduce.", 1): state[key] for key in weight
    }
    hidden = list(fit.dims[:-1])
    kind = "NAC" if fit.unit.cell is NACCell else "NALU"
    module = build_head(backbone, channels, hidden, task, outputs, kind, **options)
    return module, moved | _moved(fit, state, "head.")


def _convolution(fit: Fit, state: State) -> tuple[list[str], int]:
    """Return the keys of the 1×1 convolution, and the number of channels that it takes."""
    assert fit.unit.around is not None
    prefix = fit.unit.around.reduce
    keys = sorted(key for key in fit.surroundings if key.startswith(prefix))
    expected = {f"{prefix}weight": (fit.dims[0], None, 1, 1), f"{prefix}bias": (fit.dims[0],)}
    for key, shape in expected.items():
        if key not in keys:
            raise InputError(f"lacks {short(key)}; {fit.name} has {' and '.join(expected)}")
        found = tuple(state[key].shape)
        if len(found) != len(shape) or any(want not in (None, got) for want, got in zip(shape, found, strict=True)):
            text = str(shape).replace("None", "channels")
            raise InputError(f"has {short(key)} of shape {found}; {fit.name} expects {text}")
    if len(keys) > len(expected):
        extra = some([key for key in keys if key not in expected])
        raise InputError(f"has {extra}; {fit.name} has {' and '.join(expected)} there")
    return keys, int(state[f"{prefix}weight"].shape[1])


def _backbone_state(fit: Fit, state: State, backbone: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of the user's own CNN; the error names what does not fit on both sides."""
    assert fit.unit.around is not None
    prefix = fit.unit.around.backbone
    found = {key.removeprefix(prefix): state[key] for key in fit.surroundings if key.startswith(prefix)}
    wanted = backbone.state_dict()
    if found.keys() != wanted.keys():
        found = _with_weights(found, backbone)
    ours, theirs = sorted(wanted.keys() - found.keys()), sorted(found.keys() - wanted.keys())
    if ours or theirs:
        parts = [f"only the file has {some([prefix + key for key in theirs])}"] if theirs else []
        parts += [f"only the backbone has {some(ours)}"] if ours else []
        raise InputError(f"does not fit {option('backbone')}: {'; '.join(parts)}")
    for key, target in wanted.items():
        if found[key].shape != target.shape:
            shapes = f"{tuple(found[key].shape)} in the file and {tuple(target.shape)} in the backbone"
            raise InputError(f"does not fit {option('backbone')}: {short(prefix + key)} has shape {shapes}")
    return {f"backbone.{key}": value for key, value in found.items()}


def _with_weights(found: dict[str, Tensor], backbone: nn.Module) -> dict[str, Tensor]:
    """Return the tensors of a CNN with weights computed from their parts, if the names then fit the user's module.

    For example the file holds the parts of weight_norm and the module has a plain weight.
    """
    transposed = {f"{path}.weight" for path, module in backbone.named_modules() if isinstance(module, _ConvTransposeNd)}
    made, _ = computed(found, lambda name: 1 if name in transposed else 0)
    wanted = backbone.state_dict().keys()
    return made if made.keys() == wanted else found
