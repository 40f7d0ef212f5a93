"""Errors for modules and tensors that hold something else than numbers: one line each, with the path and the remedy."""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.parameter import is_lazy
from torch.utils._python_dispatch import is_traceable_wrapper_subclass

from nalu_export.errors import InputError
from nalu_export.io.text import plain

_QUANTISED = ("torch.ao.nn.quantized.", "torch.ao.nn.intrinsic.quantized.", "torch.ao.nn.sparse.quantized.")


def tensors_of(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Yield every parameter and buffer by path, including those that the state_dict leaves out."""
    yield from model.named_parameters()
    yield from model.named_buffers()


def place_of(path: str, module: nn.Module) -> str:
    """Return a path for a message; the path of the model itself is empty."""
    return plain(path) if path else f"the model ({type(module).__name__})"


def refuse_what_holds_no_numbers(model: nn.Module) -> None:
    """Raise for modules without Python code, and for tensors without values or in a form that no format holds.

    Raises:
        InputError: the text names the first such module or tensor.
    """
    for path, module in model.named_modules():
        why = _module_problem(module)
        if why:
            raise InputError(f"{place_of(path, module)} {why}")
    parameters = dict(model.named_parameters())
    for name, value in tensors_of(model):
        why = _tensor_problem(value, parameter=name in parameters)
        if why:
            raise InputError(f"{plain(name)} {why}")


def _module_problem(module: nn.Module) -> str:
    if isinstance(module, torch.jit.ScriptModule):
        return "is a ScriptModule, whose Python code is gone; give the module that was scripted or traced"
    names = [f"{kind.__module__}.{kind.__name__}" for kind in type(module).__mro__]
    if any(name.startswith(_QUANTISED) for name in names):
        return (
            f"is a quantised {type(module).__name__}, whose packed weights no export format can hold; "
            "export the float model and quantise the exported file"
        )
    if any(name.endswith(".FullyShardedDataParallel") for name in names):
        return "is a FullyShardedDataParallel, which holds a shard of the weights; give the whole module"
    return ""


def _tensor_problem(value: Tensor, *, parameter: bool) -> str:
    kind = type(value).__name__
    if is_lazy(value):
        return "has no shape yet, because its layer is lazy; run the model once first"
    if value.is_meta or kind == "FakeTensor":
        return "has no values (meta device); load the weights first, with load_state_dict(..., assign=True)"
    if value.is_nested or value.layout is not torch.strided:
        return "is a sparse or nested tensor; make it dense first, with to_dense()"
    if value.is_quantized:
        return "is a quantised tensor; give the float model"
    # DTensor, or the tensors of torchao; not isinstance, which a type checker considers impossible.
    if bool(is_traceable_wrapper_subclass(value)):
        return f"is a {kind}, not a plain tensor; give the model with plain parameters"
    if parameter and value.is_complex():
        return "is complex; keep its real and its imaginary part in two real parameters"
    return ""


def refuse_non_finite(model: nn.Module) -> None:
    """Raise for non-finite values. Infinity is allowed in a mask (a buffer), but not in parameters or statistics.

    Raises:
        InputError: the text names the first tensor with such values.
    """
    norms = [module for module in model.modules() if isinstance(module, _NormBase)]
    finite = {id(value) for value in model.parameters()}
    finite |= {id(value) for module in norms for value in module.buffers()}
    for name, value in tensors_of(model):
        if value.is_floating_point():
            # Not every short type supports isfinite; float32 holds all of them.
            wide = value if value.dtype == torch.float64 else value.float()
            bad = ~torch.isfinite(wide) if id(value) in finite else torch.isnan(wide)
            _refuse(name, bad, "that are NaN or infinite")
            _refuse(name, torch.isfinite(wide) & ~torch.isfinite(wide.float()), "that float32 cannot hold")


def _refuse(name: str, bad: Tensor, what: str) -> None:
    count = int(bad.sum())
    if count:
        raise InputError(f"{plain(name)} has {count} values {what}; train or repair it first")
