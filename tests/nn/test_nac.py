import numpy as np
import pytest
import torch

from nalu_export import InputError, NACCell
from nalu_export.nn.functional import effective_weight
from tests.nn.formulas import nac_cell, weights_of


@pytest.mark.parametrize(("inputs", "outputs"), [(1, 1), (2, 1), (1, 3), (5, 4)])
def test_formula(inputs: int, outputs: int) -> None:
    cell = NACCell(inputs, outputs)
    x = torch.randn(17, inputs, dtype=torch.float64) * 10
    expected = nac_cell(x.numpy(), weights_of(cell))
    np.testing.assert_allclose(cell.double()(x).detach().numpy(), expected, rtol=1e-12, atol=1e-13)
    np.testing.assert_allclose(cell.float()(x.float()).detach().numpy(), expected, rtol=1e-4, atol=1e-5)


def test_parameters() -> None:
    cell = NACCell(3, 5)
    assert {name: tuple(value.shape) for name, value in cell.named_parameters()} == {
        "W_hat": (5, 3),
        "M_hat": (5, 3),
    }
    assert list(cell.state_dict()) == ["W_hat", "M_hat"]
    assert list(cell.buffers()) == []


def test_no_bias_and_no_stored_weight() -> None:
    cell = NACCell(3, 5)
    assert torch.equal(cell(torch.zeros(2, 3)), torch.zeros(2, 5))
    assert not any(isinstance(value, torch.Tensor) for value in vars(cell).values())


def test_extrapolates_when_saturated() -> None:
    cell = NACCell(2, 1)
    with torch.no_grad():
        cell.W_hat.copy_(torch.tensor([[40.0, -40.0]]))
        cell.M_hat.fill_(100.0)
    x = torch.tensor([[1e7, 3.0], [-5.0, 2.5]])
    assert torch.equal(cell(x), torch.tensor([[1e7 - 3.0], [-7.5]]))


@pytest.mark.parametrize(
    ("sizes", "text"),
    [
        ((0, 2), "in_features is 0; it must be an integer of at least 1"),
        ((2, -1), "out_features is -1; it must be an integer of at least 1"),
        ((2.0, 1), "in_features is 2.0; it must be an integer of at least 1"),
        ((2, True), "out_features is True; it must be an integer of at least 1"),
        (("2", 1), "in_features is '2'; it must be an integer of at least 1"),
    ],
)
def test_wrong_sizes(sizes: tuple[int, int], text: str) -> None:
    with pytest.raises(InputError) as caught:
        NACCell(*sizes)
    assert str(caught.value) == text


def test_repr() -> None:
    assert repr(NACCell(3, 5)) == "NACCell(in_features=3, out_features=5)"


def test_learns_to_add() -> None:
    cell = NACCell(2, 1)
    start = {name: value.detach().clone() for name, value in cell.named_parameters()}
    optimizer = torch.optim.Adam(cell.parameters(), lr=1e-2)
    for _ in range(2000):
        x = torch.rand(64, 2) * 10 - 5
        loss = torch.nn.functional.mse_loss(cell(x), x.sum(dim=1, keepdim=True))
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for name, value in cell.named_parameters():
        assert (value - start[name]).abs().min() > 0.5, f"{name} did not move"
    W = effective_weight(cell.W_hat, cell.M_hat).detach()
    assert float((W - 1).abs().max()) <= 0.05
    far = torch.tensor([[1e6, 2e6]])
    assert cell(far).item() == pytest.approx(3e6, rel=0.05)
