import inspect
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, InputError, build_head
from nalu_export.modules.jit import quiet
from nalu_export.nn.head import HEAD_TYPES, POOLS, TASKS
from tests.nn.formulas import stack


def backbone() -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.ReLU())


def head(**changes: Any) -> BackboneHead:
    arguments: dict[str, Any] = {
        "backbone": backbone(),
        "out_channels": 3,
        "hidden_dims": [4, 5],
        "task": "classification",
        "num_outputs": 6,
    }
    return build_head(**(arguments | changes))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("head_type", HEAD_TYPES)
@pytest.mark.parametrize("task", TASKS)
def test_formula(task: str, head_type: str, pool: str | None) -> None:
    outputs = 6 if task == "classification" else 1
    model = head(
        task=task,
        num_outputs=outputs,
        head_type=head_type,
        pool=pool,
        feature_size=(4, 5) if pool is None else None,
        **({"eps": 1e-7} if head_type == "NALU" else {}),
    ).double()
    x = torch.rand(7, 2, 6, 7, dtype=torch.float64)
    with torch.no_grad():
        found, features = model(x).numpy(), model.backbone(x).numpy()

    weight, bias = (value.detach().numpy() for value in (model.reduce.weight, model.reduce.bias) if value is not None)
    reduced = np.einsum("oc,nchw->nohw", weight[:, :, 0, 0], features) + bias[:, None, None]
    if pool is None:
        flat = reduced.reshape(7, -1)
    else:
        flat = reduced.sum(axis=(2, 3)) / (reduced[0, 0].size if pool == "avg" else 1)
    weights = {name: value.detach().numpy() for name, value in model.head.state_dict().items()}
    logits = stack(flat, weights, 1e-7 if head_type == "NALU" else None)
    if task == "classification":
        logits = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert found.shape == (7, outputs)
    np.testing.assert_allclose(found, logits, rtol=1e-9, atol=1e-12)


def test_parts_and_sizes() -> None:
    model = head(hidden_dims=(8,), num_outputs=3, tied=False, gate="row", eps=1e-6)
    assert isinstance(model.head, NALU)
    assert model.head.dims == (8, 3)
    assert model.reduce.weight.shape == (8, 3, 1, 1)
    assert (model.head.tied, model.head.gate, model.head.eps) == (False, "row", 1e-6)
    assert {name.split(".")[0] for name in model.state_dict()} == {"backbone", "reduce", "head"}
    assert isinstance(head(head_type="NAC").head, NAC)
    flattened = head(pool=None, feature_size=[2, 3])
    assert isinstance(flattened.head, NALU)
    assert flattened.head.dims == (24, 5, 6)


@pytest.mark.parametrize("pool", ["avg", "sum"])
def test_pooling_takes_any_image_size(pool: str) -> None:
    model = head(pool=pool)
    for size in ((3, 3), (5, 9), (32, 32)):
        assert model(torch.rand(2, 2, *size)).shape == (2, 6)


def test_sum_counts_what_average_dilutes() -> None:
    torch.manual_seed(0)
    total = head(pool="sum", task="regression", num_outputs=1, head_type="NAC", hidden_dims=[4])
    average = head(pool="avg", task="regression", num_outputs=1, head_type="NAC", hidden_dims=[4])
    average.load_state_dict(total.state_dict())
    x = torch.rand(3, 2, 7, 5)
    torch.testing.assert_close(total(x), average(x) * (5 * 3))


def test_classification_gives_log_probabilities() -> None:
    torch.testing.assert_close(head()(torch.rand(4, 2, 8, 8)).exp().sum(dim=1), torch.ones(4))


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("task", TASKS)
def test_scripts(task: str, pool: str | None) -> None:
    size = (6, 6) if pool is None else None
    model = head(task=task, num_outputs=1, pool=pool, feature_size=size).eval()
    x = torch.rand(3, 2, 8, 8)
    with quiet():
        scripted = torch.jit.script(model)
    torch.testing.assert_close(scripted(x), model(x))


def test_gradients_reach_every_part() -> None:
    model = head()
    model(torch.rand(4, 2, 8, 8))[:, 0].sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert torch.isfinite(parameter.grad).all(), name


def test_build_head_takes_what_the_class_takes() -> None:
    ours, theirs = (inspect.signature(kind).parameters for kind in (build_head, BackboneHead))
    assert list(ours.values()) == list(theirs.values())


SIZE = "it must be an integer of at least 1"


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"backbone": lambda x: x}, "backbone is a function; it must be a torch.nn.Module"),
        ({"backbone": None}, "backbone is a NoneType; it must be a torch.nn.Module"),
        ({"out_channels": 0}, f"out_channels is 0; {SIZE}"),
        ({"out_channels": "3"}, f"out_channels is '3'; {SIZE}"),
        ({"hidden_dims": []}, "hidden_dims is []; it must be a list of at least one size"),
        ({"hidden_dims": 8}, "hidden_dims is 8; it must be a list of at least one size"),
        ({"hidden_dims": "88"}, "hidden_dims is '88'; it must be a list of at least one size"),
        ({"hidden_dims": [8, 0]}, f"hidden_dims[1] is 0; {SIZE}"),
        ({"task": "detection"}, "task is 'detection'; allowed: 'classification', 'regression'"),
        ({"num_outputs": -1}, f"num_outputs is -1; {SIZE}"),
        ({"task": "regression", "num_outputs": 2}, "num_outputs is 2; regression takes exactly 1"),
        ({"head_type": "nalu"}, "head_type is 'nalu'; allowed: 'NALU', 'NAC'"),
        ({"head_type": NALU}, f"head_type is {NALU!r}; allowed: 'NALU', 'NAC'"),
        ({"pool": "max"}, "pool is 'max'; allowed: 'avg', 'sum', None"),
        ({"pool": False}, "pool is False; allowed: 'avg', 'sum', None"),
        ({"feature_size": (2, 2)}, "feature_size is (2, 2) with pool='avg'; give it only with pool=None"),
        ({"pool": None}, "feature_size is None; pool=None needs (H, W) of the backbone's output"),
        (
            {"pool": None, "feature_size": (2,)},
            "feature_size is (2,); pool=None needs (H, W) of the backbone's output",
        ),
        ({"pool": None, "feature_size": 4}, "feature_size is 4; pool=None needs (H, W) of the backbone's output"),
        ({"pool": None, "feature_size": (2, 0)}, f"feature_size[1] is 0; {SIZE}"),
        ({"eps": 0}, "eps is 0; it must be a number from 1e-30 to 1"),
        ({"init": "x"}, "init is 'x'; allowed: 'kaiming_uniform', 'kaiming_normal', 'xavier_uniform'"),
    ],
)
def test_wrong_arguments(changes: dict[str, Any], text: str) -> None:
    with pytest.raises(InputError) as caught:
        head(**changes)
    assert str(caught.value) == text


@pytest.mark.parametrize(("head_type", "option"), [("NAC", "eps"), ("NAC", "tied"), ("NALU", "colour")])
def test_an_option_that_the_cell_does_not_have(head_type: str, option: str) -> None:
    with pytest.raises(InputError, match=rf"^{head_type} does not take this option: .*'{option}'$"):
        head(head_type=head_type, **{option: 1})


def test_a_wrong_argument_does_not_change_the_backbone() -> None:
    body = backbone()
    before: Sequence[torch.Tensor] = [value.clone() for value in body.state_dict().values()]
    with pytest.raises(InputError):
        head(backbone=body, task="")
    assert all(torch.equal(old, new) for old, new in zip(before, body.state_dict().values(), strict=True))
