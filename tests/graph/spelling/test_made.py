"""nalu_export.graph.spelling.made: tensors made of numbers alone are buffers."""

import torch
from torch import Tensor, nn

from nalu_export.graph.evaluation import run
from nalu_export.graph.example import Example
from nalu_export.graph.exported import exported
from nalu_export.graph.spelling import canonicalise


class _Net(nn.Module):
    """Tensors that stay as they are made, one that is changed in place, and one of the size of the batch."""

    def forward(self, x: Tensor) -> Tensor:
        scale = torch.linspace(0.5, 1.5, 3)
        table = torch.zeros(2, 3)
        table[0] = torch.arange(3).float()
        return x * scale + table[0] + torch.zeros(x.shape[0], 3)


def test_what_is_made_of_numbers_alone_is_held() -> None:
    x = torch.rand(4, 3)
    flat = exported(_Net(), Example.of(x))
    canonicalise(flat, run(flat, x))
    held = {name for name, _ in flat.named_buffers()}
    assert {node.target for node in flat.graph.nodes if node.op == "get_attr"} == held
    assert len(held) >= 3
    made = [node for node in flat.graph.nodes if node.op == "call_function" and not node.all_input_nodes]
    assert made == []
    for batch in (4, 2, 4):
        other = torch.rand(batch, 3)
        torch.testing.assert_close(run(flat, other)[flat.graph.output_node()], _Net()(other))
