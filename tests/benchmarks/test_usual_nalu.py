"""benchmarks.usual_nalu: the peer takes the same weights and, where nothing cancels, computes the same."""

import torch

from benchmarks.export_time import command
from benchmarks.peer_export import HEAD
from benchmarks.usual_nalu import UsualNALU
from nalu_export import NALU


def test_same_parameters_same_function() -> None:
    usual, ours = UsualNALU(*HEAD), NALU(*HEAD)
    ours.load_state_dict(usual.state_dict())
    x = torch.rand(8, HEAD[0]) + 0.5
    with torch.no_grad():
        torch.testing.assert_close(usual(x), ours(x), rtol=1e-4, atol=1e-5)


def test_command_is_there() -> None:
    assert "nalu" in command()[-1]
