"""Finds the cells of a model that belong to this package or derive from its layers."""

from torch import nn

from nalu_export.nn.layer import ArithmeticLayer


def arithmetic_layers(model: nn.Module) -> dict[str, ArithmeticLayer]:
    """Return the cells of ``model`` by path: arithmetic layers that own parameters directly."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, ArithmeticLayer) and any(True for _ in module.parameters(recurse=False))
    }
