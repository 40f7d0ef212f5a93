import torch

from nalu_export import NALU, NACCell
from tests.doctor.cases import has, only


def test_a_layer_that_was_not_trained() -> None:
    finding = only(NALU(8, 8), "initial-distribution")
    assert (finding.level, finding.where) == ("warning", "layers.0")
    assert finding.what == "layers.0.W_hat, layers.0.M_hat are distributed as kaiming_uniform draws them."
    assert finding.effect == (
        "Either this layer was not trained, or training changed it so little that its weights are still random."
    )
    assert (
        finding.remedy
        == "Check that the file was saved after training and that the optimizer was given these parameters."
    )


def test_all_weights_of_a_layer_must_be_as_initialised() -> None:
    model = NALU(8, 8, tied=False)
    keys = "layers.0.W_hat, layers.0.M_hat, layers.0.W_hat_mul, layers.0.M_hat_mul"
    assert only(model, "initial-distribution").what.startswith(f"{keys} are distributed as kaiming_uniform draws")
    with torch.no_grad():
        model.get_parameter("layers.0.M_hat_mul").add_(1.0)
    assert not has(model, "initial-distribution")


def test_a_layer_that_was_trained() -> None:
    """A thousand steps towards sums of two inputs each."""
    cell, pairs = NACCell(8, 8), torch.arange(8)
    optimizer = torch.optim.Adam(cell.parameters(), lr=1e-2)
    assert has(cell, "initial-distribution")
    for _ in range(1000):
        x = torch.rand(64, 8) * 0.9 + 0.1
        loss = (cell(x) - x - x[:, (pairs + 1) % 8]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert not has(cell, "initial-distribution")
