"""A context that allows or forbids TF32 in torch's matrix products and convolutions."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import torch

_Setting = TypeVar("_Setting")


@contextmanager
def tf32(allowed: bool) -> Iterator[None]:
    """Allow or forbid TF32 in torch's matrix products and convolutions in this context, then restore all settings.

    torch has two interfaces to this: ``allow_tf32`` with ``set_float32_matmul_precision``, and ``fp32_precision``
    (since 2.9), which its kernels use. The older interface is set as well, so that code that reads it finds the same
    state; torch raises where the two disagree. Where they disagree already, the older interface is left unchanged.
    """
    backends: Any = torch.backends
    # The last operation is the CPU's; set_float32_matmul_precision sets it together with the first.
    operations = (backends.cuda.matmul, backends.cudnn.conv, backends.cudnn.rnn, backends.mkldnn.matmul)
    precisions = [operation.fp32_precision for operation in operations]
    products = _if_agreed(torch.get_float32_matmul_precision)
    convolutions = _if_agreed(lambda: backends.cudnn.allow_tf32)
    try:
        if products is not None:
            backends.cuda.matmul.allow_tf32 = allowed
        if convolutions is not None:
            backends.cudnn.allow_tf32 = allowed
        for operation in operations[:3]:
            operation.fp32_precision = "tf32" if allowed else "ieee"
        yield
    finally:
        if products is not None:
            torch.set_float32_matmul_precision(products)
        if convolutions is not None:
            backends.cudnn.allow_tf32 = convolutions
        for operation, precision in zip(operations, precisions, strict=True):
            # "none" inherits from the parent setting; if that gives the old precision, none was set before.
            operation.fp32_precision = "none"
            if operation.fp32_precision != precision:
                operation.fp32_precision = precision


def _if_agreed(read: Callable[[], _Setting]) -> _Setting | None:
    try:
        return read()
    except RuntimeError:
        return None
