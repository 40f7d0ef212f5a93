"""torch's TF32 settings: put back exactly, in whichever of its interfaces they were set."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from nalu_export.runtimes._tf32 import tf32

_OPERATIONS = (("generic", "all"), ("cuda", "matmul"), ("cuda", "conv"), ("cuda", "rnn"), ("mkldnn", "matmul"))


def _state() -> list[object]:
    state: list[object] = [torch._C._get_fp32_precision_getter(*operation) for operation in _OPERATIONS]
    getters: tuple[Callable[[], object], ...] = (
        torch._C._get_cublas_allow_tf32,
        torch._C._get_cudnn_allow_tf32,
        torch.get_float32_matmul_precision,
    )
    for getter in getters:
        try:
            state.append(getter())
        except RuntimeError:
            state.append("torch's two interfaces disagree")
    return state


def _nothing() -> None:
    pass


def _old_interface() -> None:
    torch.backends.cuda.matmul.allow_tf32 = True
    torch.backends.cudnn.allow_tf32 = False


def _high() -> None:
    torch.set_float32_matmul_precision("medium")


def _new_interface() -> None:
    backends: Any = torch.backends
    backends.cuda.matmul.fp32_precision = "tf32"
    backends.cudnn.conv.fp32_precision = "ieee"
    backends.cudnn.rnn.fp32_precision = "ieee"


def _parent() -> None:
    backends: Any = torch.backends
    backends.fp32_precision = "tf32"


def _parent_ieee() -> None:
    backends: Any = torch.backends
    backends.fp32_precision = "ieee"
    backends.cudnn.conv.fp32_precision = "none"
    backends.cudnn.rnn.fp32_precision = "none"


@pytest.fixture
def _put_back() -> Any:
    backends: Any = torch.backends
    yield
    backends.fp32_precision = "none"
    torch.set_float32_matmul_precision("highest")
    backends.cudnn.allow_tf32 = True
    for operation in (backends.cuda.matmul, backends.mkldnn.matmul):
        operation.fp32_precision = "none"


@pytest.mark.usefixtures("_put_back")
@pytest.mark.parametrize("allowed", [False, True])
@pytest.mark.parametrize(
    "prepare", [_nothing, _old_interface, _high, _new_interface, _parent, _parent_ieee], ids=lambda f: f.__name__
)
def test_tf32_is_what_is_asked_for_and_put_back(allowed: bool, prepare: Callable[[], None]) -> None:
    prepare()
    before = _state()
    with tf32(allowed):
        inside = _state()
        wanted = "tf32" if allowed else "ieee"
        assert inside[1:4] == [wanted] * 3
        # The older interface agrees wherever it did so before.
        assert all(now == allowed for now, was in zip(inside[5:7], before[5:7], strict=True) if isinstance(was, bool))
    assert _state() == before
    with pytest.raises(KeyError), tf32(allowed):
        raise KeyError
    assert _state() == before


@pytest.mark.usefixtures("_put_back")
def test_a_parent_setting_is_inherited_again() -> None:
    backends: Any = torch.backends
    _parent_ieee()
    with tf32(True):
        pass
    backends.fp32_precision = "tf32"
    assert backends.cudnn.conv.fp32_precision == "tf32"
