"""The cells of a model that are of this package, or derived from its layers."""

from torch import nn

from nalu_export.nn.layer import ArithmeticLayer


def arithmetic_layers(model: nn.Module) -> dict[str, ArithmeticLayer]:
    """The cells of ``model`` by their path: arithmetic layers with parameters of their own."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, ArithmeticLayer) and any(True for _ in module.parameters(recurse=False))
    }
