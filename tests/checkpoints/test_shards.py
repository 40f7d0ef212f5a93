"""Weights in several files: joined, or refused, but never taken for the whole."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from nalu_export import NALU, InputError, inspect, load
from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints.shards import MAX_INDEX, MAX_SHARDS, name_of
from tests.checkpoints.files import time_limit

STATE: dict[str, Tensor] = dict(NALU(2, 3, 1).state_dict())
NAMES = ("model-00001-of-00002", "model-00002-of-00002")
INDEX = "model.safetensors.index.json"


def halves() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """The state in two."""
    keys = list(STATE)
    return {key: STATE[key] for key in keys[:3]}, {key: STATE[key] for key in keys[3:]}


def write(path: Path, state: dict[str, Tensor]) -> None:
    """As the suffix says."""
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        torch.save(state, path)


def write_index(path: Path, listing: Any) -> None:
    """An index that keeps each tensor where ``listing`` says."""
    path.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": listing}), encoding="utf-8")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two safetensors files with an index."""
    for name, half in zip(NAMES, halves(), strict=True):
        write(tmp_path / f"{name}.safetensors", half)
    write_index(tmp_path / INDEX, {key: f"{NAMES[key not in halves()[0]]}.safetensors" for key in STATE})
    return tmp_path


def same(model: torch.nn.Module) -> bool:
    """Whether it has all of the weights."""
    found = model.state_dict()
    return found.keys() == STATE.keys() and all(torch.equal(found[name], STATE[name]) for name in STATE)


@pytest.mark.parametrize("name", ["", INDEX, *(f"{name}.safetensors" for name in NAMES)])
def test_a_folder_an_index_and_each_part_are_the_whole(folder: Path, name: str) -> None:
    checkpoint = read_checkpoint(folder / name)
    assert same(checkpoint.model)
    files = ", ".join(f"{name}.safetensors" for name in NAMES)
    assert checkpoint.notes == (f"joined from 2 files: {files}", "layout nalu-export:NALU")
    digests = [hashlib.sha256((folder / f"{name}.safetensors").read_bytes()).digest() for name in NAMES]
    assert checkpoint.sha256 == hashlib.sha256(b"".join(digests)).hexdigest()
    assert inspect(folder / name)["sha256"] == checkpoint.sha256


@pytest.mark.parametrize("suffix", [".safetensors", ".bin", ".pt"])
@pytest.mark.parametrize("first", [0, 1])
def test_without_an_index(tmp_path: Path, suffix: str, first: int) -> None:
    paths = [tmp_path / f"w-{number:05}-of-00002{suffix}" for number in (first, first + 1)]
    for path, half in zip(paths, halves(), strict=True):
        write(path, half)
    assert all(same(load(path)) for path in paths)


def test_one_of_one_is_a_file(tmp_path: Path) -> None:
    write(tmp_path / "model-00001-of-00001.safetensors", STATE)
    assert read_checkpoint(tmp_path / "model-00001-of-00001.safetensors").notes == ("layout nalu-export:NALU",)


def test_a_link_hides_no_number(tmp_path: Path) -> None:
    for name, half in zip(NAMES, halves(), strict=True):
        write(tmp_path / f"{name}.pt", half)
    os.symlink(tmp_path / f"{NAMES[0]}.pt", tmp_path / "weights.pt")
    assert same(load(tmp_path / "weights.pt"))


def test_the_cache_of_a_hub(folder: Path, tmp_path: Path) -> None:
    """It has all content in one folder, and links to it under the names that the files have."""
    snapshot, blobs = tmp_path / "models--a" / "snapshots" / "123", tmp_path / "models--a" / "blobs"
    snapshot.mkdir(parents=True)
    blobs.mkdir()
    for name in (INDEX, *(f"{name}.safetensors" for name in NAMES)):
        shutil.move(str(folder / name), blobs / f"{name[::-1]}")
        os.symlink(f"../../blobs/{name[::-1]}", snapshot / name)
    assert same(load(snapshot))
    assert same(load(snapshot / f"{NAMES[1]}.safetensors"))


def _edit(change: Callable[[dict[str, Any]], Any]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        listing = json.loads((folder / INDEX).read_text(encoding="utf-8"))["weight_map"]
        write_index(folder / INDEX, change(listing))

    return edit


def _listed(name: str) -> Callable[[Path], None]:
    return _edit(lambda listing: listing | {"layers.0.W_hat": name})


def _instead_of_index(*names: str) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        os.remove(folder / INDEX)
        for name in names:
            (folder / name).write_bytes(b"")

    return edit


ELSEWHERE = "is an index that lists {} as the file of 'layers.0.W_hat'; expected the plain name of a file beside it"
SAME = "check that the files belong to one model"
FIRST, SECOND = (f"{name}.safetensors" for name in NAMES)
LONELY = f"is part of a model in 2 files, and {FIRST} is not beside it; put all of them into one folder"
BAD: dict[str, tuple[str, str, str, Callable[[Path], Any]]] = {
    "a missing part": (SECOND, SECOND, LONELY, lambda folder: os.remove(folder / FIRST)),
    "a missing part of an index": (INDEX, INDEX, LONELY, lambda folder: os.remove(folder / FIRST)),
    "a missing part of a folder": ("", INDEX, LONELY, lambda folder: os.remove(folder / FIRST)),
    "a part twice": (
        FIRST,
        SECOND,
        f"has 'layers.0.G', which {FIRST} has too; {SAME}",
        lambda folder: shutil.copy(folder / FIRST, folder / SECOND),
    ),
    "a part of another model": (
        INDEX,
        SECOND,
        f"lacks '{list(STATE)[3]}', which the index lists for it; {SAME}",
        lambda folder: write(folder / SECOND, {"x": torch.ones(1)}),
    ),
    "more than is listed": (
        INDEX,
        SECOND,
        f"has 'x', which the index does not list for it; {SAME}",
        lambda folder: write(folder / SECOND, halves()[1] | {"x": torch.ones(1)}),
    ),
    "a part that is damaged": (
        INDEX,
        SECOND,
        "is a truncated safetensors file; copy or download it again",
        lambda folder: (folder / SECOND).write_bytes((folder / SECOND).read_bytes()[:-3]),
    ),
    "a part that is no dict": (
        INDEX,
        SECOND,
        "holds a list; each file of a model in several files must hold a state_dict",
        lambda folder: torch.save([1], folder / SECOND),
    ),
    "a part in another folder": (
        INDEX,
        INDEX,
        ELSEWHERE.format("'../other.safetensors'"),
        _listed("../other.safetensors"),
    ),
    "a part at an absolute path": (INDEX, INDEX, ELSEWHERE.format("'/etc/passwd'"), _listed("/etc/passwd")),
    "a part with a drive": (INDEX, INDEX, ELSEWHERE.format("'C:x'"), _listed("C:x")),
    "the folder as a part": (INDEX, INDEX, ELSEWHERE.format("'.'"), _listed(".")),
    "a part without a name": (INDEX, INDEX, ELSEWHERE.format("''"), _listed("")),
    "a part with a line feed": (INDEX, INDEX, ELSEWHERE.format(r"'a\nb'"), _listed("a\nb")),
    "a number for a part": (
        INDEX,
        INDEX,
        ELSEWHERE.format("3"),
        _edit(lambda listing: listing | {"layers.0.W_hat": 3}),
    ),
    "no tensors": (
        INDEX,
        INDEX,
        "is an index whose weight_map lists no tensors; give the path of a file of weights",
        _edit(lambda _: {}),
    ),
    "a list of tensors": (
        INDEX,
        INDEX,
        "is an index whose weight_map lists no tensors; give the path of a file of weights",
        _edit(list),
    ),
    "a name twice": (
        INDEX,
        INDEX,
        "is an index that has 'a' twice",
        lambda folder: (folder / INDEX).write_text('{"weight_map": {"a": "x", "a": "y"}}', encoding="utf-8"),
    ),
    "very many parts": (
        INDEX,
        INDEX,
        f"is an index of more than {MAX_SHARDS:,} files; join them first",
        _edit(lambda _: {str(number): str(number) for number in range(MAX_SHARDS + 1)}),
    ),
    "a large index": (
        INDEX,
        INDEX,
        f"is an index of {MAX_INDEX + 22:,} bytes; at most {MAX_INDEX:,} are read",
        lambda folder: (folder / INDEX).write_bytes(b'{"weight_map": {}, "":' + bytes(MAX_INDEX)),
    ),
    "two indices": (
        "",
        "",
        f"is a directory with several index files; give one of {INDEX}, other.index.json",
        lambda folder: write_index(folder / "other.index.json", {}),
    ),
    "no index": (
        "",
        "",
        "is a directory; give the path of a file",
        lambda folder: os.remove(folder / INDEX),
    ),
    "a number beyond the count": (
        "model-00003-of-00002.safetensors",
        "model-00003-of-00002.safetensors",
        f"has the number 3 of 2 in its name; expected a number up to the count, and a count of at most {MAX_SHARDS:,}",
        lambda folder: shutil.copy(folder / FIRST, folder / "model-00003-of-00002.safetensors"),
    ),
    "a count of 10,000": (
        "model-00001-of-10000.pt",
        "model-00001-of-10000.pt",
        "has the number 1 of 10,000 in its name; expected a number up to the count, and a count of at "
        f"most {MAX_SHARDS:,}",
        lambda folder: torch.save({}, folder / "model-00001-of-10000.pt"),
    ),
    "PEFT": (
        "",
        "",
        "is a directory of PEFT adapters, which change weights of another file; merge them with "
        "model = peft_model.merge_and_unload() and save model.state_dict()",
        _instead_of_index("adapter_config.json"),
    ),
    "torch.distributed": (
        "",
        "",
        "is a checkpoint of torch.distributed.checkpoint; make one file of it: "
        "python -m torch.distributed.checkpoint.format_utils dcp_to_torch FOLDER model.pt",
        _instead_of_index(".metadata", "__0_0.distcp"),
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str, folder: Path) -> None:
    given, named, text, damage = BAD[case]
    damage(folder)
    with time_limit(5), pytest.raises(InputError) as caught:
        load(folder / given)
    assert str(caught.value) == f"{folder / named}: {text}"


def test_an_index_reads_nothing_outside_its_folder(folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    shutil.move(str(folder / SECOND), outside)
    os.symlink(outside / SECOND, folder / SECOND)
    with pytest.raises(
        InputError, match=f"{SECOND}: is a link to a file outside its folder; copy that file into the folder$"
    ):
        load(folder)


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("net.pt", "net"),
        ("net", "net"),
        ("net.v2.pt", "net.v2"),
        ("net-00001-of-00002.safetensors", "net"),
        ("net.v2-1-of-2.pt", "net.v2"),
        ("net.safetensors.index.json", "net"),
        ("net.index.json", "net"),
        ("-1-of-2.pt", "-1-of-2"),
        (".index.json", ".index"),
    ],
)
def test_the_name_of_a_model(file: str, name: str) -> None:
    assert name_of(file) == name


def test_json_that_is_no_index_is_not_one(tmp_path: Path) -> None:
    for text in ("{", "{}", '{"a": 1}', '{"a": {' * 5000, "[" * 5000):
        (tmp_path / "m.json").write_text(text, encoding="utf-8")
        with (
            time_limit(5),
            pytest.raises(InputError, match=r"is (a JSON file|not a file of torch\.save); expected a model\.pt$"),
        ):
            load(tmp_path / "m.json")
