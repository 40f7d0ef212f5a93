"""Estimates memory and work of one run of a model from shapes alone, before the model runs."""

import copy
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.flop_counter import flop_registry

from nalu_export.errors import InputError, option
from nalu_export.graph.interface import Called
from nalu_export.nn import ArithmeticLayer
from nalu_export.process.locks import own_warnings
from nalu_export.process.memory import allowed, more_may_be_taken

# Most operations in one run, some minutes on a CPU core. A multiply-add counts as two. A ResNet-50 needs 4e9
# multiply-adds for an image, a large transformer 6e10.
MAX_WORK = 10**13


_SMALL = {nn.Sequential, nn.ModuleList, nn.Linear, nn.Identity, Called, *ArithmeticLayer.registry.values()}


class CostError(InputError):
    """One run would take more memory or work than is allowed."""


class _OnMeta(TorchFunctionMode):
    """While it is active, a deep copy has tensors of the same shapes on the meta device, without data."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in (Tensor.__deepcopy__, Tensor.clone):
            return torch.empty_like(args[0], device="meta")
        return func(*args, **(kwargs or {}))


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the bytes that calls return and the operations in their products."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Otherwise the first operation imports torch._dynamo, which takes longer than the rest of an export.
        return False

    def __init__(self, memory: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._memory, self._bytes, self._work = memory, 0, 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if not func.is_view:
            self._bytes += sum(x.numel() * x.element_size() for x in tree_leaves(found) if isinstance(x, Tensor))
        count = flop_registry.get(func.overloadpacket)
        if count is not None:
            self._work += count(*args, **(kwargs or {}), out_val=found)
        if self._memory is not None and self._bytes > self._memory:
            raise CostError(
                f"would take at least {self._bytes:,} bytes of memory in one run, and the limit is {self._memory:,}; "
                f"give smaller inputs ({option('input_size')}){more_may_be_taken()}"
            )
        if self._work > MAX_WORK:
            raise CostError(
                f"would take at least {self._work:.0e} operations in one run, and the limit is {MAX_WORK:.0e}; give "
                f"smaller inputs ({option('input_size')})"
            )
        return found


def refuse_costly(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> None:
    """Refuse a model whose run on these arguments would take too much memory or work.

    A model that consists of linear layers and layers of this package is not examined: for each sample their results are
    no larger than their weights. A model whose ``forward`` reads numbers cannot run on shapes alone; it is not refused.

    Raises:
        CostError: the results of all calls together exceed :func:`nalu_export.process.memory.allowed` bytes, or their
            products need more than ``MAX_WORK`` operations.
    """
    if all(type(module) in _SMALL for module in model.modules()):
        return
    # Warnings of the model appear again when it runs. Modules that torch imports here warn about themselves.
    with own_warnings(ignored=True):
        _try(model, args, kwargs or {})


def _try(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    try:
        with _OnMeta():
            twin = copy.deepcopy(model)
        args, kwargs = tree_map(_blank, (tuple(args), dict(kwargs)))
        with torch.no_grad(), torch.device("meta"), _Counting(allowed()):
            twin(*args, **kwargs)
    except CostError:
        raise
    except (Exception, SystemExit):  # noqa: BLE001  forward is user code
        # torch's scan compiles itself, which fails on the meta device. Without a reset torch remembers the failure.
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()


def _blank(value: Any) -> Any:
    return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value
