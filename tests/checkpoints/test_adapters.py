"""Files of adapters are refused by name."""

import pytest
import torch

from tests.checkpoints import files
from tests.checkpoints.conftest import Refusal


@pytest.mark.parametrize(
    "names",
    [
        ["base_model.model.layers.0.lora_A.weight", "base_model.model.layers.0.lora_B.weight"],
        ["layers.0.W_hat", "layers.0.lora_A.default.weight"],
        ["base_model.model.ia3_l"],
    ],
)
def test_adapters(names: list[str], refusal: Refusal) -> None:
    text = refusal(files.torch_bytes({name: torch.ones(2, 2) for name in names}))
    assert text == (
        f"holds adapters of PEFT (LoRA): '{names[-1] if 'W_hat' in names[0] else names[0]}', which change weights of "
        "another file; merge them with model = peft_model.merge_and_unload() and save model.state_dict()"
    )
