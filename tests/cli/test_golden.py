"""``nalu-export golden``: what it says, and every path that it must not write to."""

import hashlib
import json
import os
from pathlib import Path

import pytest
import torch

from nalu_export import NALU, BackboneHead, save
from nalu_export.api.golden import WrittenGolden, read_golden
from tests.cli.conftest import Run, assert_user_error, listing
from tests.goldens import several


def test_what_is_said(source: Path, run: Run) -> None:
    result = run("golden", source, "-o", "golden.bin")
    digest = hashlib.sha256(source.read_bytes()).hexdigest()
    assert (result.exit_code, result.stderr) == (0, "")
    assert (
        result.stdout
        == f"written: golden.bin: 384 samples of 2 → 1, bounds for float32, from the file with SHA-256 {digest}\n"
    )
    assert listing() == ["golden.bin", "model.pt"]
    assert read_golden("golden.bin").source_sha256 == digest


def test_options(source: Path, run: Run) -> None:
    result = run("golden", source, "-o", "golden.npz", "--samples", 3, "--compute", "float64", "--seed", 7)
    assert result.stdout.startswith(
        "written: golden.npz: 36 samples of 2 → 1, bounds for float64, from the file with SHA-256 "
    )
    other = run("golden", source, "-o", "other.npz", "--samples", 3, "--compute", "float64", "--seed", 8)
    assert other.exit_code == 0
    first, second = (read_golden(name).inputs[0].values for name in ("golden.npz", "other.npz"))
    assert (first != second).any()


def test_images_and_their_head(source: Path, image_model: BackboneHead, run: Run) -> None:
    save(image_model, "images.pt")
    result = run("golden", "images.pt", "-o", "golden.bin", "--input-size", 8, 6)
    assert result.stdout.startswith(
        "written: golden.bin: 48 samples of 1×8×6 → 3, bounds for float32, from the file with SHA-256 "
    )
    result = run("golden", "images.pt", "-o", "golden.bin", "--part", "head")
    assert result.stdout.startswith(
        "written: golden.bin: 384 samples of 6 → 3, bounds for float32, from the file with SHA-256 "
    )
    result = run("golden", "images.pt", "-o", "golden.bin", "--part", "head", "--input-size", 8, 6)
    # It is the size of the images that the whole model is captured with.
    assert result.stdout.startswith(
        "written: golden.bin: 384 samples of 6 → 3, bounds for float32, from the file with SHA-256 "
    )


def test_what_had_to_be_assumed_is_said(source: Path, run: Run) -> None:
    save(NALU(2, 1).half(), "half.pt")
    result = run("golden", "half.pt", "-o", "golden.bin", "--samples", 1)
    assert result.stdout.splitlines()[0] == "note: weights in float16 were converted to float32"


def test_json(source: Path, run: Run) -> None:
    result = run("golden", source, "-o", "golden.bin", "--samples", 1, "--part", "", "--json")
    assert json.loads(result.stdout) == {
        "path": "golden.bin",
        "samples": 12,
        "inputs": [{"name": "input", "dtype": "float32", "shape": [2]}],
        "outputs": [{"name": "output", "dtype": "float32", "shape": [1], "shared": False}],
        "compute": "float32",
        "source_sha256": hashlib.sha256(source.read_bytes()).hexdigest(),
        "notes": [],
        "assumptions": [],
        "part": "",
    }


def test_several_inputs_and_outputs(source: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """With their names and types; one that all samples share may be one number."""

    def written(*_: object, **__: object) -> WrittenGolden:
        return WrittenGolden(Path("golden.bin"), several(), ())

    monkeypatch.setattr("nalu_export.api.golden.write_golden", written)
    sizes = "x 2, how many scalar int64, mask/µ.npy 2×1 bool → y 2, exact 1 float64, k scalar int64, any scalar bool"
    result = run("golden", source, "-o", "golden.bin")
    assert (
        result.stdout
        == f"written: golden.bin: 3 samples of {sizes}, bounds for float32, from the file with SHA-256 {'a' * 64}\n"
    )
    facts = json.loads(run("golden", source, "-o", "golden.bin", "--json").stdout)
    assert facts["inputs"][2] == {"name": "mask/µ.npy", "dtype": "bool", "shape": [2, 1]}
    assert facts["outputs"][2] == {"name": "k", "dtype": "int64", "shape": [], "shared": True}


def test_quiet(source: Path, run: Run) -> None:
    result = run("golden", source, "-o", "golden.bin", "-q")
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", "")


def test_another_layout(source: Path, run: Run) -> None:
    torch.save({f"model.0.{name}": torch.ones(2, 3) for name in ("W_hat", "M_hat", "W")}, "faux.pt")
    result = run("golden", "faux.pt", "-o", "golden.bin", "--samples", 1)
    assert result.exit_code == 0
    assert result.stdout.startswith("note: layout kevinzakka:fauxNAC, which computes the same as ")
    result = run("golden", "faux.pt", "-o", "strict.bin", "--strict")
    assert (result.exit_code, result.stdout) == (2, "")
    assert not Path("strict.bin").exists()


def _link(name: str, to: Path) -> None:
    Path(name).symlink_to(to)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("link.bin", "link.bin: is the source itself; choose another output path"),
        ("hard.bin", "hard.bin: is the source itself; choose another output path"),
        ("folder.bin", "folder.bin: exists and is not a regular file; choose another output path"),
        ("pipe.npz", "pipe.npz: exists and is not a regular file; choose another output path"),
        ("no/golden.bin", "no/golden.bin: its folder no does not exist; create it first"),
        ("golden", "golden: the name of a golden file must end in .bin or .npz"),
        ("golden.BIN", "golden.BIN: the name of a golden file must end in .bin or .npz"),
        (".bin", ".bin: the name of a golden file must end in .bin or .npz"),
        ("model.pt", "model.pt: the name of a golden file must end in .bin or .npz"),
        ("a\nb\x1b[31m.txt", r"a\nb\x1b[31m.txt: the name of a golden file must end in .bin or .npz"),
    ],
)
def test_targets_that_are_refused(name: str, text: str, source: Path, run: Run) -> None:
    before = source.read_bytes()
    _link("link.bin", source)
    os.link(source, "hard.bin")
    Path("folder.bin").mkdir()
    os.mkfifo("pipe.npz")
    files = listing()
    assert_user_error(run("golden", source, "-o", name), 2, text)
    assert (listing(), source.read_bytes()) == (files, before)


def test_a_name_with_escapes_is_shown_without_them(source: Path, run: Run) -> None:
    result = run("golden", source, "-o", "a\nb\x1b[31m[bold].bin", "--samples", 1)
    assert result.exit_code == 0
    assert result.stdout.startswith(r"written: a\nb\x1b[31m[bold].bin: 12 samples of 2 → 1, ")
    assert len(result.stdout.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["missing.pt", "-o", "golden.bin"], "missing.pt: cannot be read: No such file or directory"),
        (
            ["model.pt", "-o", "golden.bin", "--part", "a\x1b[31m"],
            r"part is 'a\x1b[31m', which is not an arithmetic subgraph of the model; the only one is the model itself",
        ),
    ],
)
def test_sources_and_parts_that_are_refused(arguments: list[str], text: str, source: Path, run: Run) -> None:
    assert_user_error(run("golden", *arguments), 2, text)
    assert listing() == ["model.pt"]


@pytest.mark.parametrize("arguments", [[], ["-o"], ["-o", "golden.bin", "--samples", "0"]])
def test_usage(arguments: list[str], source: Path, run: Run) -> None:
    result = run("golden", source, *arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert listing() == ["model.pt"]
