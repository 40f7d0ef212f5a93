"""nalu_export.formats.torchscript.format: loads without this package, in any process the same bytes."""

import hashlib
import io
import itertools
import json
import re
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, InputError, NACCell
from nalu_export.formats.base import EmitOptions
from nalu_export.formats.torchscript.format import FORMAT, METADATA
from nalu_export.graph import ModelGraph
from nalu_export.graph.folding import COMPUTE, WEIGHTS, Compute, Weights
from nalu_export.modules import jit
from tests.captured import graph_of

DEFAULT = EmitOptions()


def _emit(graph: ModelGraph, options: EmitOptions = DEFAULT) -> bytes:
    return FORMAT.emit(graph, options).to_bytes({"nalu_export.tool": "test"})


@pytest.mark.parametrize(("weights", "compute"), list(itertools.product(WEIGHTS, COMPUTE)))
@pytest.mark.parametrize(
    "build",
    [
        lambda: NAC(3, 4, 2),
        lambda: NALU(3, 4, 2),
        lambda: NALU(3, 4, 2, tied=False, gate="row"),
        lambda: NACCell(3, 2),
    ],
)
def test_every_mode_computes_the_model_for_every_batch(
    build: Callable[[], nn.Module], weights: Weights, compute: Compute
) -> None:
    model = build()
    module = jit.load(_emit(graph_of(model, (3,)), EmitOptions(weights, compute)))
    for batch in (0, 1, 2, 17):
        x = torch.rand(batch, 3) * 10 - 5
        torch.testing.assert_close(module(x), model(x), rtol=2e-5, atol=1e-5)


def test_names_of_the_weights_by_mode(nalu: NALU) -> None:
    folded = FORMAT.read_weights(_emit(graph_of(nalu)), trust=True)
    live = FORMAT.read_weights(_emit(graph_of(nalu), EmitOptions("live")), trust=True)
    assert folded is not None
    assert live is not None
    assert set(folded) == {f"layers.{k}.{name}" for k in (0, 1) for name in ("W", "G")}
    assert set(live) == set(nalu.state_dict())


def test_weights_are_not_read_without_trust(nalu: NALU) -> None:
    assert FORMAT.read_weights(_emit(graph_of(nalu)), trust=False) is None


def test_a_scripted_backbone_takes_any_size(image_model: BackboneHead) -> None:
    draft = FORMAT.emit(graph_of(image_model, (1, 8, 8)), EmitOptions())
    assert draft.inputs[0].shape == ("batch", 1, "height", "width")
    module = jit.load(draft.to_bytes({}))
    for shape in [(1, 1, 8, 8), (3, 1, 9, 7), (2, 1, 24, 8)]:
        x = torch.rand(shape)
        torch.testing.assert_close(module(x), image_model(x))


@torch.fx.wrap
def _unscriptable(*tensors: torch.Tensor) -> torch.Tensor:
    total: torch.Tensor = torch.special.bessel_j0(torch.stack(tensors)).sum(0)
    return total


def test_what_cannot_be_scripted_is_traced() -> None:
    class Unscriptable(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return _unscriptable(x, x)

    model = nn.Sequential(Unscriptable(), NALU(3, 1))
    with pytest.raises(Exception, match="variable number of arguments"), jit.quiet():
        torch.jit.script(Unscriptable())
    module = jit.load(_emit(graph_of(model)))
    for batch in (1, 5):
        x = torch.rand(batch, 3)
        torch.testing.assert_close(module(x), model(x))


def test_the_model_is_not_changed(image_model: BackboneHead) -> None:
    before = list(image_model.state_dict())
    FORMAT.emit(graph_of(image_model, (1, 8, 8)), EmitOptions())
    assert list(image_model.state_dict()) == before
    assert isinstance(image_model.head, NALU)


def test_the_archive_names_no_folder_and_holds_no_example(image_model: BackboneHead) -> None:
    data = _emit(graph_of(image_model, (1, 8, 8)))
    assert not re.search(rb"/(work|home|root|usr|tmp)/|site-packages|debug_pkl|traced_inputs", data)


def test_metadata_is_an_extra_file(nalu: NALU) -> None:
    data = FORMAT.emit(graph_of(nalu), EmitOptions()).to_bytes({"b": "2", "a": "ε"})
    assert FORMAT.opened(data) is data
    assert FORMAT.read_metadata(data) == {"a": "ε", "b": "2"}
    extra: dict[str, str | bytes] = {METADATA: ""}
    with jit.quiet():
        torch.jit.load(io.BytesIO(data), _extra_files=extra)  # type: ignore[no-untyped-call]
    assert json.loads(extra[METADATA])["a"] == "ε"


def _archive(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def test_other_files_are_told_apart() -> None:
    buffer = io.BytesIO()
    torch.save({"W_hat": torch.zeros(1)}, buffer)
    for other in (b"", b"PK", b"PK\x03\x04 not a zip", buffer.getvalue(), _archive({"a/constants.pkl": b""})):
        assert FORMAT.opened(other) is None


@pytest.mark.parametrize("content", [b"{", b"[]", b"\xff"])
def test_damaged_metadata_is_one_line(content: bytes) -> None:
    data = _archive({"a/constants.pkl": b"", "a/code/x.py": b"", f"a/extra/{METADATA}": content})
    with pytest.raises(InputError, match=f"its extra file {METADATA} is"):
        FORMAT.read_metadata(data)


_EXPORT = """
import hashlib, sys, warnings
import torch
from torch import nn
from nalu_export import NALU, build_head
from nalu_export.modules import jit
from nalu_export.formats.base import EmitOptions
from nalu_export.formats.torchscript.format import FORMAT
from nalu_export.graph import Example, capture
if sys.argv[1] == "busy":
    for module in (nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU()), NALU(2, 1), nn.Conv2d(1, 1, 2)):
        with jit.quiet():
            torch.jit.script(module)
torch.manual_seed(0)
model = build_head(nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Conv2d(4, 4, 2)), 4, [5], "regression", 1).eval()
for _ in range(2):
    graph = capture(model, Example.of(torch.rand(3, 1, 9, 9)))
    print(hashlib.sha256(FORMAT.emit(graph, EmitOptions()).to_bytes({})).hexdigest())
"""


@pytest.mark.slow
def test_every_process_writes_the_same_bytes(tmp_path: Path) -> None:
    """Whatever was scripted before, from whatever folder, and however often: torch alone numbers classes anew."""
    digests: set[str] = set()
    for state, folder in (("fresh", Path.cwd()), ("busy", tmp_path)):
        run = subprocess.run(
            [sys.executable, "-c", _EXPORT, state], cwd=folder, capture_output=True, text=True, check=True
        )
        digests |= set(run.stdout.split())
    assert len(digests) == 1


@pytest.mark.slow
def test_an_archive_loads_where_this_package_is_not(image_model: BackboneHead, tmp_path: Path) -> None:
    path = tmp_path / "model.torchscript.pt"
    path.write_bytes(_emit(graph_of(image_model, (1, 8, 8))))
    x = torch.rand(2, 1, 9, 9)
    torch.save({"x": x, "y": image_model(x).detach()}, tmp_path / "golden.pt")
    code = (
        "import sys, warnings; warnings.simplefilter('ignore'); sys.modules['nalu_export'] = None\n"
        "import torch; g = torch.load('golden.pt'); m = torch.jit.load('model.torchscript.pt')\n"
        "torch.testing.assert_close(m(g['x']), g['y'])"
    )
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)


def test_digest_of_an_emission_depends_on_the_weights(nalu: NALU) -> None:
    first = hashlib.sha256(_emit(graph_of(nalu))).digest()
    with torch.no_grad():
        next(nalu.parameters()).add_(1.0)
    assert hashlib.sha256(_emit(graph_of(nalu))).digest() != first
