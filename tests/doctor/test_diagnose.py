"""What is examined: every file that can be read, whatever is in it."""

import copy
import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nalu_export import NALU, InputError, build_head, save
from nalu_export.doctor import diagnose
from nalu_export.doctor.findings.base import LEVELS
from nalu_export.doctor.settings import DoctorCompute
from nalu_export.io.text import to_json
from tests.checkpoints.layouts.case import Published
from tests.checkpoints.layouts.published import ALL
from tests.doctor.cases import HEALTHY, codes, nac, nalu, only, written


@pytest.mark.quick(36)
@pytest.mark.parametrize("layout", ALL, ids=str)
def test_every_layout(layout: Published, tmp_path: Path) -> None:
    """Random files of each are examined, under the names that they have."""
    sizes = (4, 4, 4) if layout.square else (3, 4, 2)
    dims = sizes if "{}" in layout.place else sizes[:2]
    state = layout.state(np.random.default_rng(0), dims)
    found = diagnose(written(state, tmp_path), layout=layout.layout)
    assert found.layout is not None
    near = layout.scales or layout.layout == "wassname:NAC_exact"  # no weight of a NAC, or all of them near 0
    assert near or "far-weights" in {finding.code for finding in found.findings}
    places = {finding.where for finding in found.findings}
    prefixes = {prefix.rstrip(".") or "(model)" for prefix in layout.prefixes(len(dims) - 1)}
    assert places <= prefixes | state.keys()
    assert any(finding.code in ("faux-weights", "stored-weight") for finding in found.findings) == layout.faux


VALUES = st.sampled_from([0.0, -0.0, 1.0, -1.0, 0.5, 1e-40, 1e30, -1e30, float("inf"), float("-inf"), float("nan")])


@pytest.mark.slow
@given(
    layout=st.sampled_from([layout for layout in ALL if not layout.square]),
    dims=st.lists(st.sampled_from([1, 2, 3, 9, 40]), min_size=2, max_size=4),
    dtype=st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16]),
    seed=st.integers(0, 2**32 - 1),
    changes=st.lists(st.tuples(st.integers(0, 99), st.integers(0, 9999), VALUES), max_size=4),
    compute=st.sampled_from(["float32", "float64", "float16"]),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None)
def test_any_tensors(
    layout: Published,
    dims: list[int],
    dtype: torch.dtype,
    seed: int,
    changes: list[tuple[int, int, float]],
    compute: DoctorCompute,
    tmp_path: Path,
) -> None:
    """NaN, infinities, huge values and aliases that disagree end in findings, never in a traceback."""
    sizes = tuple(dims if "{}" in layout.place else dims[:2])
    state = layout.state(np.random.default_rng(seed), sizes, dtype)
    for number, place, value in changes:
        key = list(state)[number % len(state)]
        if state[key].ndim:  # not the ε of a file
            state[key] = state[key].clone()
            state[key].view(-1)[place % state[key].numel()] = value
    found = diagnose(written(state, tmp_path), layout=layout.layout, compute=compute)
    assert all(finding.level in LEVELS for finding in found.findings)
    texts = [text for finding in found.findings for text in (finding.what, finding.effect, finding.remedy)]
    assert all(text.endswith((".", "draws them.")) and "\n" not in text for text in texts)
    to_json(found.to_dict())


@pytest.mark.quick(5)
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@pytest.mark.parametrize("size", [1, 512])
def test_sizes_and_types(size: int, dtype: torch.dtype) -> None:
    model = NALU(size, size).to(dtype)
    found = codes(diagnose(model))
    assert ("warning", "gate-undecided", "layers.0") in found


def test_what_a_diagnosis_says_of_its_file(tmp_path: Path) -> None:
    path = written({"model.0.W": torch.eye(2)}, tmp_path)
    found = diagnose(path, compute="float16", training_range=(1.0, 2.0), layout="shivamsaboo17")
    assert found.assumptions == ()
    assert found.path == str(path)
    assert found.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert (found.layout, found.compute, found.training_range) == ("shivamsaboo17:NAC", "float16", (1.0, 2.0))
    assert found.notes == (
        "layout shivamsaboo17:NAC",
        "a faux NAC: the model computes with the stored weight, not with tanh(W_hat)·σ(M_hat)",
    )


def test_a_file_of_ours(tmp_path: Path) -> None:
    save(HEALTHY, tmp_path / "model.pt")
    found = diagnose(tmp_path / "model.pt")
    assert (found.findings, found.layout, found.failed) == ((), None, False)


def test_a_module_in_memory_stays_as_it_is() -> None:
    model = NALU(2, 3, 1).half().train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    found = diagnose(model)
    assert (found.path, found.sha256, found.layout, found.notes) == (None, None, None, ())
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(layer._forward_hooks for layer in model.modules())
    for name, value in model.state_dict().items():
        assert value.dtype == torch.float16
        assert torch.equal(value, before[name])


def test_the_same_each_time() -> None:
    model = NALU(3, 4, 2)
    assert diagnose(model) == diagnose(copy.deepcopy(model))


def test_a_model_without_arithmetic_layers() -> None:
    assert diagnose(nn.Sequential(nn.Linear(2, 2))).findings == ()


def test_modules_that_are_named_as_its_arithmetic() -> None:
    model = nn.Sequential(nac([[0.5]]), nn.Linear(1, 1), nac([[0.25]]))
    found = diagnose(model, arithmetic=["2"])
    assert [finding.where for finding in found.findings] == ["2.layers.0"]
    with pytest.raises(InputError, match=r"^arithmetic is 'nope', but the model runs no module of that path or class"):
        diagnose(model, arithmetic=["nope"])
    with pytest.raises(InputError, match=r"^diagnose takes no argument 'colour'"):
        diagnose(model, colour="red")  # type: ignore[call-arg]


def test_a_model_that_draws_numbers_is_examined_in_part() -> None:
    class Noisy(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nac([[0.5]])

        def forward(self, x: Tensor) -> Tensor:
            y: Tensor = self.head(nn.functional.dropout(x, 0.5))
            return y

    found = diagnose(Noisy())
    assert codes(found) == [("warning", "far-weights", "head.layers.0")]
    assert found.notes[0].startswith("only head is examined in full: ")


def test_several_heads() -> None:
    model = nn.Sequential(nac([[0.5]]), nn.ReLU(), nac([[0.25]]))
    assert [finding.where for finding in diagnose(model).findings] == ["0.layers.0", "2.layers.0"]


class Backbone(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv(x)
        return y


def build_head_state() -> dict[str, Tensor]:
    """shivamsaboo17's BuildHead, with a head of one NAC."""
    state = {f"conv_model.conv.{name}": value for name, value in nn.Conv2d(1, 4, 3).state_dict().items()}
    state |= {f"adaptive_module.conv.{name}": value for name, value in nn.Conv2d(4, 2, 1).state_dict().items()}
    return state | {"head.model.0.W": torch.tensor([[0.5, 1.0]])}


def test_a_head_without_the_code_of_its_cnn(tmp_path: Path) -> None:
    state = build_head_state()
    state["conv_model.conv.bias"][2] = float("nan")
    found = diagnose(written(state, tmp_path))
    assert found.layout == "shivamsaboo17:BuildHead"
    text = "only the head is examined, because the file does not hold the code of the CNN (keys conv_model.*)"
    assert any(text in note for note in found.notes), found.notes
    assert codes(found) == [
        ("error", "non-finite", "conv_model.conv.bias"),
        ("warning", "stored-weight", "head.model.0"),
        ("warning", "far-weights", "head.model.0"),
    ]


def test_a_head_with_the_code_of_its_cnn(tmp_path: Path) -> None:
    path = written(build_head_state(), tmp_path)
    found = diagnose(path, backbone=Backbone, task="regression")
    assert not any("only the head" in note for note in found.notes)
    assert [where for _, _, where in codes(found)] == ["head.model.0", "head.model.0"]
    with pytest.raises(
        InputError, match=r"model\.pt: is shivamsaboo17:BuildHead with one output, which fits both tasks; give"
    ):
        diagnose(path, backbone=Backbone)


class Inner(nn.Module):
    """A backbone that holds arithmetic layers of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3)
        self.nac = nac([[0.25]])

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.nac(self.conv(x).flatten(2).mean(2, keepdim=True))
        return y[..., None]


def test_layers_in_the_backbone_have_the_names_of_the_file(tmp_path: Path) -> None:
    state = build_head_state() | {f"conv_model.{name}": value for name, value in Inner().state_dict().items()}
    found = diagnose(written(state, tmp_path), backbone=Inner, task="regression")
    assert codes(found) == [
        ("warning", "far-weights", "conv_model.nac.layers.0"),
        ("warning", "stored-weight", "head.model.0"),
        ("warning", "far-weights", "head.model.0"),
    ]


def test_the_heads_of_images(tmp_path: Path) -> None:
    model = build_head(Backbone(), 4, [2], "regression", 1)
    with torch.no_grad():
        model.head.layers[0].G.fill_(50.0)
    save(model, tmp_path / "model.pt")
    found = diagnose(tmp_path / "model.pt", model=lambda: build_head(Backbone(), 4, [2], "regression", 1))
    assert ("info", "gate-chosen", "head.layers.0") in codes(found)


def test_wrappers_and_prefixes(tmp_path: Path) -> None:
    path = written({f"module.{name}": value for name, value in {"model.0.W": torch.eye(2)}.items()}, tmp_path)
    found = diagnose(path, layout="shivamsaboo17")
    assert found.findings[0].where == "model.0"
    assert "the prefix 'module.' was removed from the names of its tensors" in found.notes
    path = written({"head.model.0.W": torch.eye(2), "other": torch.ones(1)}, tmp_path)
    assert diagnose(path, prefix="head", layout="shivamsaboo17").findings[0].where == "model.0"


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "model.pt").write_text("text", encoding="utf-8")
    with pytest.raises(InputError, match=r"model\.pt: is not a file of torch\.save; expected a model\.pt"):
        diagnose(tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"model\.pt: is shivamsaboo17:NAC, which has no eps; leave eps out"):
        diagnose(written({"model.0.W": torch.ones(1, 2)}, tmp_path), eps=1e-3)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"compute": "int8"}, "compute is 'int8'; allowed: 'float32', 'float64', 'float16'"),
        (
            {"training_range": (1.0, 0.1)},
            "training_range is 1 0.1; it must be two numbers within ±1e6, the smaller one first",
        ),
        (
            {"training_range": (1.0, 1.0)},
            "training_range is 1 1; it must be two numbers within ±1e6, the smaller one first",
        ),
        (
            {"training_range": (0.0, float("inf"))},
            "training_range is 0 inf; it must be two numbers within ±1e6, the smaller one first",
        ),
        (
            {"training_range": (-1e7, 0.0)},
            "training_range is -1e+07 0; it must be two numbers within ±1e6, the smaller one first",
        ),
        (
            {"training_range": (float("nan"), 1.0)},
            "training_range is nan 1; it must be two numbers within ±1e6, the smaller one first",
        ),
        ({"layout": "goddoe"}, "layout is for reading files, but the source is a module in memory; leave it out"),
    ],
    ids=str,
)
def test_arguments(options: Any, text: str) -> None:
    with pytest.raises(InputError) as caught:
        diagnose(HEALTHY, **options)
    assert str(caught.value) == text


def test_strict_reads_a_faux_nac(tmp_path: Path) -> None:
    """It is an error then, and not refused: what else is wrong is told too."""
    found = diagnose(written({"model.0.W": torch.tensor([[0.5]])}, tmp_path), strict=True)
    assert codes(found) == [("error", "stored-weight", "model.0"), ("warning", "far-weights", "model.0")]


def test_a_gate_in_a_file_with_inputs_first(tmp_path: Path) -> None:
    """The weight is told by input and output, not by its place in the file, where it stands the other way round."""
    state = {"G": torch.full((2, 3), 50.0)} | {f"nac.{name}": torch.zeros(2, 3) for name in ("W_hat", "M_hat")}
    state["nac.W"] = torch.tensor([[0.0, 0.0, 0.5], [0.0, 0.0, 0.0]])
    path = written(state, tmp_path)
    assert only(path, "far-weights", layout="goddoe:NALU").what == (
        "Weights farther than 0.01 from −1, 0 and 1: 1 of 6 in nac.W, the farthest is 0.5, from input 0 to output 2."
    )


def test_healthy_twins() -> None:
    assert diagnose(HEALTHY).findings == ()
    assert codes(diagnose(nalu([[1.0, -1.0]], [[-30.0, -30.0]]))) == [("info", "gate-chosen", "(model)")]
