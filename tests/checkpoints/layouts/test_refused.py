"""Public modules that no layout describes: their files are refused, never taken for something that is like them."""

import pytest
import torch
from torch import Tensor, nn

from tests.checkpoints.conftest import Refusal
from tests.checkpoints.files import torch_bytes

CODE = "model='FILE.py:NAME'"


def tensors(prefix: str = "", shape: tuple[int, ...] = (3, 2), *names: str) -> dict[str, Tensor]:
    return {prefix + name: torch.zeros(shape) for name in names}


def with_(prefix: str, module: nn.Module) -> dict[str, Tensor]:
    return {prefix + name: value for name, value in module.state_dict().items()}


REPAIRED = ("G", "nac.W_", "nac.M_")
CASES: dict[str, tuple[dict[str, Tensor], str]] = {
    "iNALU": (
        tensors("", (3, 2), "W_hat_a", "M_hat_a", "W_hat_m", "M_hat_m") | tensors("", (3,), "G"),
        f"has keys of no known layout: 'W_hat_a', 'M_hat_a', 'W_hat_m' and 2 more; for any other model give {CODE}",
    ),
    "iNALU, raw": (
        tensors("", (3, 2), "W_hat_a", "M_hat_a", "W_mul", "M_mul") | tensors("", (3,), "G"),
        f"has keys of no known layout: 'W_hat_a', 'M_hat_a', 'W_mul' and 2 more; for any other model give {CODE}",
    ),
    "NAC as a convolution": (
        tensors("", (4, 9), "W_hat", "M_hat"),
        "has 'W_hat', 'M_hat', which fit several layouts that compute different functions: johnlrr:NAC (4 → 9), "
        "kevinzakka:NAC = nalu-export:NAC = nilabhra:NAC = stable-nalu:NAC = vrxacs:NAC (9 → 4), or one that "
        "is known but not read in this release: conv-nac:NAC, johnlrr:NAC_mul, stable-nalu:G-NAC, stable-nalu:NAC*; "
        f"say which with layout='OWNER:UNIT', or give its code: {CODE}",
    ),
    "a NALU as the update of an LSTM": (
        with_("lstm.", nn.LSTMCell(3, 4)) | tensors("nalu.", (4, 7), *REPAIRED),
        f"has keys of no known layout: 'lstm.weight_ih', 'lstm.weight_hh', 'lstm.bias_ih' and 4 more; "
        f"for any other model give {CODE}; or prefix='nalu.' for the model under it, which leaves out 4 tensors "
        "('lstm.weight_ih', 'lstm.weight_hh', 'lstm.bias_ih' …)",
    ),
    "a NALU behind other layers of a Sequential": (
        with_("0.", nn.Linear(3, 4)) | with_("1.", nn.BatchNorm1d(4)) | tensors("2.", (2, 4), "W_hat", "M_hat", "G"),
        f"has keys of no known layout: '0.weight', '0.bias', '1.weight' and 7 more; for any other model give {CODE}",
    ),
    "known and not read": (
        tensors("", (3, 2), "W_a_hat", "M_a_hat", "W_m_hat", "M_m_hat", "g"),
        "has 'W_a_hat', 'M_a_hat', 'W_m_hat' and 2 more, as the layout stable-nalu:iNALU does, which is known "
        f"but not read in this release; give its code: {CODE}",
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_refused_with_what_gets_on(case: str, refusal: Refusal) -> None:
    state, text = CASES[case]
    assert refusal(torch_bytes(state)) == text
