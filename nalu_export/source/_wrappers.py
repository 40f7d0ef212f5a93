"""Wrappers that torch puts around a module to train or to run it."""

from torch import nn
from torch.optim.swa_utils import AveragedModel

_AROUND = (nn.DataParallel, nn.parallel.DistributedDataParallel, AveragedModel)


def unwrapped(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """Return the module inside DataParallel, DistributedDataParallel, AveragedModel and torch.compile, and notes."""
    notes = []
    while (inner := _inside(model)) is not None:
        notes.append(f"{type(model).__name__} was unwrapped")
        model = inner
    return model, tuple(notes)


def _inside(module: nn.Module) -> nn.Module | None:
    """Return the module in a wrapper; ``None`` for any other module."""
    if isinstance(module, _AROUND):
        inner: nn.Module = module.module
        return inner
    # torch.compile's wrapper is recognised by its name, because importing its class takes seconds.
    compiled = type(module).__module__ == "torch._dynamo.eval_frame"
    return module._modules.get("_orig_mod") if compiled else None
