"""Puts the tensors of a file into a module."""

from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from nalu_export.checkpoints.fitting import some
from nalu_export.checkpoints.unwrapping import State
from nalu_export.errors import InputError
from nalu_export.io.text import short

# Weights that several layers share are stored once, so a file may be smaller than the tensors of its model. No real
# file is a hundred times smaller.
MAX_INFLATION = 64
# The time that torch needs to load tensors into a model grows with the number of tensors times the number of layers.
MAX_PAIRS = 10_000_000


def refuse_inflated(state: dict[str, Tensor], size: int) -> None:
    """Refuse tensors much larger than the file.

    Tensors may share or repeat their bytes in the file, so a small file could ask for terabytes of memory.

    Raises:
        InputError: the tensors take more than 64 times the size of the file.
    """
    claimed = sum(value.nbytes for value in state.values())
    if claimed > MAX_INFLATION * size:
        raise InputError(
            f"has tensors of {claimed:,} bytes in a file of {size:,} bytes, as expanded tensors have; save them after "
            ".contiguous()"
        )


def assign(module: nn.Module, state: State) -> None:
    """Put tensors into a module. Names, shapes and kinds are compared first, so that the error names a misfit."""
    wanted = module.state_dict()
    missing, extra = sorted(wanted.keys() - state.keys()), sorted(state.keys() - wanted.keys())
    if missing or extra:
        parts = [f"lacks {some(missing)}"] if missing else []
        parts += [f"has {some(extra)}, which the model does not have"] if extra else []
        raise InputError(" and ".join(parts) + "; check that the file holds the weights of this model")
    for name, target in wanted.items():
        value = state[name]
        # A lazy layer takes the shape that it is given.
        if not is_lazy(target) and value.shape != target.shape:
            expects = f"the model expects {tuple(target.shape)}"
            raise InputError(f"has {short(name)} of shape {tuple(value.shape)}; {expects}")
        if value.is_floating_point() != target.is_floating_point():
            expected = "floating point" if target.is_floating_point() else str(target.dtype).removeprefix("torch.")
            raise InputError(f"has {short(name)} as {str(value.dtype).removeprefix('torch.')}; expected {expected}")
    layers = sum(1 for _ in module.modules())
    if layers * len(state) > MAX_PAIRS:
        raise InputError(f"has {len(state):,} tensors in {layers:,} layers, too many to load; save a part of it")
    module.load_state_dict({name: value.clone() for name, value in state.items()}, assign=True)
