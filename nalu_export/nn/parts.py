"""Which parts of a model are arithmetic, and how to put something else in their place."""

from torch import nn

from nalu_export.errors import InputError
from nalu_export.nn.layer import ArithmeticLayer


def is_arithmetic(module: nn.Module) -> bool:
    """Whether ``module`` is an arithmetic layer, or a Sequential of nothing else."""
    if isinstance(module, ArithmeticLayer):
        return True
    return isinstance(module, nn.Sequential) and len(module) > 0 and all(map(is_arithmetic, module))


def arithmetic_parts(model: nn.Module) -> dict[str, nn.Module]:
    """The largest arithmetic modules of ``model`` by their path; the path of the model itself is ``""``."""
    if is_arithmetic(model):
        return {"": model}
    parts: dict[str, nn.Module] = {}
    for name, child in model.named_children():
        parts |= {f"{name}.{path}".rstrip("."): part for path, part in arithmetic_parts(child).items()}
    return parts


def arithmetic_part(model: nn.Module, path: str) -> nn.Module:
    """The arithmetic part of ``model`` at that path.

    Raises:
        InputError: there is none; the text lists those there are.
    """
    parts = arithmetic_parts(model)
    if path not in parts:
        there = ", ".join(map(ascii, parts)) if "" not in parts else "none but the model itself"
        raise InputError(f"part is {path!a}, which is no arithmetic part of the model; there is: {there}")
    return parts[path]


def arithmetic_layers(model: nn.Module) -> dict[str, ArithmeticLayer]:
    """The cells of ``model`` by their path: arithmetic layers with parameters of their own."""
    return {
        path: module
        for path, module in model.named_modules()
        if isinstance(module, ArithmeticLayer) and any(True for _ in module.parameters(recurse=False))
    }


def replace_parts(model: nn.Module, replacements: dict[str, nn.Module]) -> nn.Module:
    """Put each replacement at its path, wherever else the same module is used too; in place.

    Returns:
        ``model``, or the replacement of the whole.
    """
    if "" in replacements:
        return replacements[""]
    instead = {id(model.get_submodule(path)): module for path, module in replacements.items()}
    for parent in list(model.modules()):
        for name, child in list(parent._modules.items()):
            if child is not None and id(child) in instead:
                setattr(parent, name, instead[id(child)])
    return model
