"""nalu_export.graph.cost: a run that takes too much is refused on shapes, before it is made."""

import subprocess
import sys
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NALU, InputError, build_head
from nalu_export.graph import cost
from nalu_export.graph.cost import CostError, refuse_costly
from nalu_export.process.memory import allowing


class Attribute(nn.Module):
    """With a tensor that no module knows."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = torch.ones(3)

    def forward(self, x: Tensor) -> Tensor:
        return (x * self.scale).exp()


def images(*layers: nn.Module) -> nn.Module:
    return build_head(nn.Sequential(*layers), 1, [2], "regression", 1)


LARGE: dict[str, tuple[Callable[[], nn.Module], Tensor]] = {
    "padding": (lambda: images(nn.Conv2d(1, 1, 1), nn.ZeroPad2d(10**5)), torch.zeros(2, 1, 8, 8)),
    "upsampling": (lambda: images(nn.Upsample(scale_factor=10**4)), torch.zeros(2, 1, 8, 8)),
    "pooling": (lambda: images(nn.AdaptiveAvgPool2d(10**5)), torch.zeros(2, 1, 8, 8)),
    "a weight under the old norm": (
        lambda: images(nn.utils.parametrizations.weight_norm(nn.Conv2d(1, 1, 1)), nn.ZeroPad2d(10**5)),
        torch.zeros(2, 1, 8, 8),
    ),
}


@pytest.mark.parametrize("case", LARGE)
def test_what_is_too_large(case: str) -> None:
    make, x = LARGE[case]
    with (
        pytest.raises(
            CostError,
            match=r"^would take at least [\d,]{11,} bytes of memory in one run, and the limit is 1,000,000,000; ",
        ),
        allowing(10**9),
    ):
        refuse_costly(make(), (x,))


def test_the_bytes_are_those_of_all_results() -> None:
    """x · scale and exp of it: two results of 24 bytes."""
    x = torch.zeros(2, 3)
    with allowing(48):
        refuse_costly(Attribute(), (x,))
    with (
        allowing(47),
        pytest.raises(CostError, match=r"^would take at least 48 bytes of memory in one run, and the limit is 47; "),
    ):
        refuse_costly(Attribute(), (x,))


def test_too_much_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "MAX_WORK", 10**6)
    model = nn.Sequential(nn.Conv2d(1, 64, 3), nn.Conv2d(64, 64, 3))
    with pytest.raises(
        CostError, match=r"^would take at least 5e\+06 operations in one run, and the limit is 1e\+06; "
    ):
        refuse_costly(model, (torch.zeros(1, 1, 12, 12),))


@pytest.mark.parametrize("make", [lambda: NALU(3, 2), lambda: nn.Sequential(nn.Linear(3, 3), NALU(3, 2))])
def test_layers_that_give_no_more_than_their_weights_are_not_looked_at(
    make: Callable[[], nn.Module], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise AssertionError

    monkeypatch.setattr(cost, "_blank", fail)
    with allowing(1):
        refuse_costly(make(), (torch.zeros(2, 3),))


class Looks(nn.Module):
    """At the numbers, which are not there."""

    def forward(self, x: Tensor) -> Tensor:
        return x.exp() if float(x.sum()) > 0 else x


def test_what_cannot_be_found_out_is_not_refused() -> None:
    with allowing(10):
        refuse_costly(Looks(), (torch.zeros(2, 3),))


def test_the_model_stays_as_it_is() -> None:
    model = images(nn.Conv2d(1, 1, 1), nn.BatchNorm2d(1)).eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    refuse_costly(model, (torch.ones(2, 1, 8, 8),))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert all(parameter.device.type == "cpu" for parameter in model.parameters())


def test_it_is_an_input_error() -> None:
    assert issubclass(CostError, InputError)


@pytest.mark.slow
def test_it_does_not_import_what_takes_longer_than_an_export() -> None:
    code = (
        "import sys, torch\n"
        "from nalu_export.graph.cost import refuse_costly\n"
        "refuse_costly(torch.nn.Conv2d(1, 1, 3), (torch.zeros(1, 1, 8, 8),))\n"
        "print('torch._dynamo' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"False\n")


def test_what_torch_warns_of_meanwhile_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """It imports more of itself when it forgets what it compiled; warnings are errors in these tests."""
    import torch._dynamo

    forgotten: list[None] = []

    def reset() -> None:
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)
        forgotten.append(None)

    monkeypatch.setattr(torch._dynamo, "reset", reset)

    class Looks(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            warnings.warn("of the model", UserWarning, stacklevel=1)
            return x * int(x.sum())

    refuse_costly(Looks(), (torch.zeros(1, 2),))
    assert forgotten
