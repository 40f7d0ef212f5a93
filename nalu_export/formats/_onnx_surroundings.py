"""What surrounds the arithmetic layers, through ``torch.onnx.export``, with the layers as opaque nodes."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import onnx
import torch
from torch import Tensor, nn

from nalu_export.errors import InputError, first_line
from nalu_export.formats.onnx import LEAVES
from nalu_export.nn.parts import replace_parts


class _OpaqueLeaf(nn.Module):
    """Stands where an arithmetic part was: one node that no optimizer knows, so ε cannot be deleted from it.

    The exporter's rewrite rules match constants with an absolute tolerance of 1e-8, take ``|x| + 1e-10`` for
    ``|x| + 0`` and drop the Add.
    """

    def __init__(self, index: int, out_features: int) -> None:
        super().__init__()
        self.index = index
        self.out_features = out_features

    def forward(self, x: Tensor) -> Tensor:
        return torch.onnx.ops.symbolic(
            f"{LEAVES}::Leaf",
            [x],
            {"index": self.index},
            dtype=x.dtype,
            shape=[*x.shape[:-1], self.out_features],
        )


def export_surroundings(
    model: nn.Module, parts: dict[str, nn.Module], example: Tensor, opset: int, *, free_size: bool
) -> onnx.ModelProto:
    """The model with one ``nalu_export::Leaf`` node, attribute ``index``, for each part in order.

    Raises:
        InputError: torch cannot export the model, or not with this opset.
    """
    outer = copy.deepcopy(model).eval()
    sizes = _output_sizes(outer, parts, example)
    leaves = {path: _OpaqueLeaf(index, sizes[path]) for index, path in enumerate(parts)}
    outer = replace_parts(outer, dict(leaves))
    free = {0: torch.export.Dim.DYNAMIC}
    if free_size and example.ndim == 4:
        # AUTO: an axis on which the model depends (a Linear on a flattened map) comes out fixed instead of failing.
        free |= {2: torch.export.Dim.AUTO, 3: torch.export.Dim.AUTO}
    try:
        with _quiet():
            program = torch.onnx.export(
                outer,
                (example,),
                dynamo=True,
                opset_version=opset,
                external_data=False,
                verbose=False,
                input_names=["input"],
                output_names=["output"],
                dynamic_shapes=(free,),
            )
    except Exception as error:
        # The exporter raises whatever its dozen stages raise; every one of them means the same to the user.
        raise InputError(f"torch.onnx cannot export what surrounds the arithmetic layers: {_cause(error)}") from error
    assert program is not None
    proto = program.model_proto
    emitted = next(opset.version for opset in proto.opset_import if opset.domain == "")
    if emitted != opset:
        # The exporter reports a failed conversion in a log line only and keeps its own opset.
        raise InputError(f"opset {opset} was asked for, torch.onnx gave {emitted}; use --opset {emitted} or 20")
    return proto


def _output_sizes(model: nn.Module, parts: dict[str, nn.Module], example: Tensor) -> dict[str, int]:
    """Last axis of what each part gives, from one run, so that a layer needs no attribute that says so."""
    sizes: dict[str, int] = {}
    hooks = [
        model.get_submodule(path).register_forward_hook(
            lambda _module, _inputs, output, path=path: sizes.__setitem__(path, output.shape[-1])
        )
        for path in parts
    ]
    with torch.no_grad():
        model(example)
    for hook in hooks:
        hook.remove()
    unused = [path for path in parts if path not in sizes]
    if unused:
        raise InputError(f"the model never calls its arithmetic layer {unused[0]}")
    return sizes


def _cause(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return first_line(error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the exporter's log lines (torchvision is not installed …) and its FutureWarnings from the user."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.CRITICAL)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
