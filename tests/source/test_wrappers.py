"""Modules inside what torch puts around them."""

from pathlib import Path
from typing import cast

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from nalu_export import NALU
from nalu_export.checkpoints import ReadOptions
from nalu_export.source import prepare, source_of, unwrapped


def distributed(model: nn.Module, folder: Path) -> nn.Module:
    """In a group of one process, which is gone afterwards."""
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder / 'group'}", rank=0, world_size=1)
    try:
        return nn.parallel.DistributedDataParallel(model)
    finally:
        torch.distributed.destroy_process_group()


def compiled(model: nn.Module) -> nn.Module:
    return cast("nn.Module", torch.compile(model))


@pytest.mark.filterwarnings("ignore")  # torch's own, about its process groups
def test_each_wrapper_comes_off_and_is_named(tmp_path: Path) -> None:
    model = NALU(2, 3)
    cases = {
        "DataParallel": nn.DataParallel(model),
        "DistributedDataParallel": distributed(model, tmp_path),
        "OptimizedModule": compiled(model),
    }
    for name, wrapper in cases.items():
        assert unwrapped(wrapper) == (model, (f"{name} was unwrapped",))
    averaged = AveragedModel(model)
    assert unwrapped(averaged) == (averaged.module, ("AveragedModel was unwrapped",))
    assert unwrapped(model) == (model, ())


def test_wrappers_in_wrappers() -> None:
    model = NALU(2, 3)
    found, notes = prepare(nn.DataParallel(compiled(nn.DataParallel(model))))
    assert notes == ("DataParallel was unwrapped", "OptimizedModule was unwrapped", "DataParallel was unwrapped")
    assert type(found) is NALU
    x = torch.rand(5, 2)
    assert torch.equal(found(x), model(x))


def test_the_digest_is_that_of_the_module_inside() -> None:
    model = NALU(2, 3)
    bare, wrapped = (source_of(source, ReadOptions()) for source in (model, nn.DataParallel(model)))
    assert (bare.sha256, bare.notes) == (wrapped.sha256, ())
    assert wrapped.notes == ("DataParallel was unwrapped",)
    assert wrapped.model is model
    with torch.no_grad():
        model.get_parameter("layers.0.G")[0, 0] += 1
    assert source_of(model, ReadOptions()).sha256 != bare.sha256


def test_wrappers_around_parts_are_left_out_of_the_copy_only() -> None:
    shared = nn.Linear(2, 2)
    model = nn.Sequential(compiled(nn.Sequential(nn.DataParallel(shared), nn.ReLU())), shared, NALU(2, 1))
    found, notes = prepare(model)
    assert notes == ("0: OptimizedModule was unwrapped", "0._orig_mod.0: DataParallel was unwrapped")
    assert [type(module) for module in found.modules()].count(nn.DataParallel) == 0
    assert found.get_submodule("0.0") is found.get_submodule("1")
    assert type(model.get_submodule("0")).__name__ == "OptimizedModule"
    x = torch.rand(5, 2)
    expected = model.get_submodule("2")(shared(torch.relu(shared(x))))
    assert torch.equal(found(x), expected)


def test_what_is_compiled_in_place_is_copied_uncompiled() -> None:
    model = nn.Sequential(nn.Linear(2, 2), NALU(2, 1))
    model.compile()
    model.get_submodule("0").compile()
    found, notes = prepare(model)
    assert notes == ("the model (Sequential): torch.compile was removed", "0: torch.compile was removed")
    assert all(module._compiled_call_impl is None for module in found.modules())
    assert model._compiled_call_impl is not None
