"""The promise of the design: a new layout is one file, and then it is recognised, listed, exported and checked."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import nalu_export
from nalu_export import InputError, load
from nalu_export.checkpoints import layouts, read_checkpoint
from nalu_export.checkpoints.layout_table import rows
from tests.plugins import one_more

FILE = '''
"""somebody's NALU, with names of its own and inputs first."""

from nalu_export.checkpoints.layouts.base import Layout, Unit, weight
from nalu_export.nn import NALUCell

LAYOUT = Layout(
    "somebody-new",
    "somebody's repository",
    (
        Unit(
            "NALU",
            NALUCell,
            {"gate": weight("G", "io"), "what": weight("W_hat", "io"), "mhat": weight("M_hat", "io")},
            eps=1e-3,
            places=("units.{}.",),
            quirks=("made for this test",),
        ),
    ),
)
'''


@pytest.fixture
def somebody(tmp_path: Path) -> Iterator[None]:
    """The file, as if it were in the folder of layouts."""
    with one_more(layouts, "somebody_new", FILE, tmp_path / "more"):
        yield


def _state() -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    return {
        f"units.{index}.{name}": torch.rand(sizes)
        for index, sizes in enumerate(((3, 4), (4, 2)))
        for name in ("gate", "what", "mhat")
    }


@pytest.mark.usefixtures("somebody")
def test_one_file_is_all_that_a_layout_takes(tmp_path: Path) -> None:
    torch.save(_state(), tmp_path / "model.pt")
    checkpoint = read_checkpoint(tmp_path / "model.pt")
    assert checkpoint.layout == "somebody-new:NALU"
    assert "eps is 0.001, as somebody-new:NALU defines it; the file does not store it" in map(
        str, checkpoint.assumptions
    )
    assert "(0): NALUCell(in_features=3, out_features=4, eps=0.001" in repr(checkpoint.model)
    assert torch.equal(checkpoint.model.state_dict()["layers.1.W_hat"], _state()["units.1.what"].T)
    assert ("somebody-new:NALU", "somebody-new:NALU-turned") in {(row["layout"], row["turned"]) for row in rows()}
    artifact = nalu_export.export(tmp_path / "model.pt")
    assert artifact.report.passed
    assert artifact.metadata["source_layout"] == "somebody-new:NALU"


@pytest.mark.usefixtures("somebody")
def test_its_square_files_are_asked_about(tmp_path: Path) -> None:
    state = {f"units.0.{name}": torch.rand(3, 3) for name in ("gate", "what", "mhat")}
    torch.save(state, tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"somebody-new:NALU \(3 → 3\), somebody-new:NALU-turned \(3 → 3\); say which"):
        load(tmp_path / "model.pt")
    turned = load(tmp_path / "model.pt", layout="somebody-new:NALU-turned").state_dict()
    assert torch.equal(turned["layers.0.W_hat"], state["units.0.what"])


def test_without_the_file_it_is_unknown(tmp_path: Path) -> None:
    torch.save(_state(), tmp_path / "model.pt")
    with pytest.raises(InputError, match=r"has keys of no known layout: 'units\.0\.gate'"):
        load(tmp_path / "model.pt")
