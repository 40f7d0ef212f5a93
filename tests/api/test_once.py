"""One export reads, copies, captures and searches a model once, whatever its format and its free axes."""

import importlib
from collections import Counter, OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from torch import nn

import nalu_export
from nalu_export import NALU
from nalu_export.formats import FormatName
from nalu_export.graph import recall

# Where each function is looked up when it is called; methods stand behind their class.
ONCE = (
    "nalu_export.source.preparing.source_of",
    "nalu_export.source._copying._deep_copy",
    "nalu_export.source.preparing.capture",
    "nalu_export.graph.capture.traced",
    "nalu_export.graph.capture.extracted",
    "nalu_export.graph.regions.Finder.find",
    "nalu_export.graph.reading.layers.reading_of",
    "nalu_export.api.emitting.steps",
    "nalu_export.api.emitting.sweep",
    "nalu_export.doctor.statistics._model.row_of",
)


def _counted(place: str, seen: Counter[str], patch: pytest.MonkeyPatch) -> None:
    """Count the calls of one function from now on."""
    owner, _, name = place.rpartition(".")
    try:
        holder: Any = importlib.import_module(owner)
    except ModuleNotFoundError:
        module, _, kind = owner.rpartition(".")
        holder = getattr(importlib.import_module(module), kind)
    real: Callable[..., Any] = getattr(holder, name)

    def counted(*args: Any, **options: Any) -> Any:
        seen[place] += 1
        return real(*args, **options)

    patch.setattr(holder, name, counted)


def _cnn() -> nn.Module:
    return nn.Sequential(nn.Conv2d(1, 3, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), NALU(3, 2)).eval()


@pytest.fixture(autouse=True)
def _nothing_was_captured_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recall, "_KEPT", OrderedDict())


@pytest.mark.parametrize("name", ["onnx", "torchscript"])
@pytest.mark.parametrize("build", [lambda: NALU(3, 2), _cnn], ids=["cell", "CNN"])
def test_each_thing_is_asked_once(
    build: Callable[[], nn.Module], name: FormatName, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    nalu_export.save(NALU(3, 2), tmp_path / "model.pt")
    source: Any = build()
    source = tmp_path / "model.pt" if isinstance(source, NALU) else source
    seen: Counter[str] = Counter()
    for place in ONCE:
        _counted(place, seen, monkeypatch)
    assert nalu_export.export(source, format=name).report.passed
    # A vector of features has no axis whose sizes could be looked for; steps() then has nothing to look at.
    expected = dict.fromkeys(ONCE, 1) | ({} if build is _cnn else {"nalu_export.api.emitting.sweep": 0})
    assert {place: seen[place] for place in ONCE} == expected


def test_sizes_are_looked_for_once_where_axes_turn_out_to_be_fixed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The sweep is made anew for what is left, on what is known of the model already."""
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.AdaptiveAvgPool2d(3), nn.Flatten(), NALU(18, 2)).eval()
    seen: Counter[str] = Counter()
    _counted("nalu_export.api.emitting.steps", seen, monkeypatch)
    _counted("nalu_export.inputs.sizes.steps", seen, monkeypatch)
    artifact = nalu_export.export(model, check=False, input_size=(9, 9))
    assert artifact.notes[0].startswith("the image size is fixed at 9×9: at another size, ")
    assert seen == {"nalu_export.api.emitting.steps": 1}


def test_a_structure_is_captured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    _counted("nalu_export.source.preparing.capture", seen, monkeypatch)
    for _ in range(3):
        assert nalu_export.export(NALU(3, 2)).report.passed
    assert seen["nalu_export.source.preparing.capture"] == 1
