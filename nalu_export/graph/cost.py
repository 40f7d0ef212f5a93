"""What one run of a model takes, found from shapes alone before it is run."""

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

# Multiplications of one run, some minutes of a CPU core. A ResNet-50 has 4e9 for an image, a large transformer 6e10.
MAX_WORK = 10**13


_SMALL = {nn.Sequential, nn.ModuleList, nn.Linear, nn.Identity, Called, *ArithmeticLayer.registry.values()}


class CostError(InputError):
    """A run would take more memory or work than it may."""


class _OnMeta(TorchFunctionMode):
    """While it is entered, a deep copy has tensors of the same shapes and no content."""

    def __torch_function__(
        self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if func in (Tensor.__deepcopy__, Tensor.clone):
            return torch.empty_like(args[0], device="meta")
        return func(*args, **(kwargs or {}))


class _Counting(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Adds up what the operations give, and what they multiply."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        # Else the first operation imports torch._dynamo, which takes longer than the rest of an export.
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
                f"would compute {self._bytes:,} bytes and more in one run, and {self._memory:,} may be taken; "
                f"give smaller inputs ({option('input_size')}){more_may_be_taken()}"
            )
        if self._work > MAX_WORK:
            raise CostError(
                f"would compute {self._work:.0e} operations and more in one run, and {MAX_WORK:.0e} are the most; give "
                f"smaller inputs ({option('input_size')})"
            )
        return found


def refuse_costly(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> None:
    """Refuse to run a model on arguments that would take too much.

    Layers of this package and linear ones are not looked at: what they give is no larger than their weights, for each
    sample. What cannot be found out on shapes alone, because ``forward`` looks at numbers, is not refused.

    Raises:
        CostError: the results of its operations are larger than :func:`nalu_export.process.memory.allowed`, all
            together, or it multiplies more than ``MAX_WORK`` numbers.
    """
    if all(type(module) in _SMALL for module in model.modules()):
        return
    # What is warned of comes again when the model is run. And torch imports more of itself here, which warns of itself.
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
    except (Exception, SystemExit):  # noqa: BLE001  forward is anybody's code
        # torch's scan compiles itself, cannot do that here, and would remember that it could not.
        if "torch._dynamo" in sys.modules:
            torch._dynamo.reset()


def _blank(value: Any) -> Any:
    return torch.empty_like(value, device="meta") if isinstance(value, Tensor) else value
