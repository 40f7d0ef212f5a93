import os
from pathlib import Path

import pytest

from nalu_export import InputError
from nalu_export.sweeps.sources import find


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("runs/a/x.pt", "runs/a/y.pth", "runs/b/x.pt", "runs/notes.txt", "runs/z.torchscript.pt", "w[1].pt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def found(*given: str) -> list[tuple[str, str]]:
    return [(str(source.path), source.name) for source in find(given)]


def test_a_pattern_and_a_folder(tree: Path) -> None:
    assert found("runs/**/*.pt") == [
        ("runs/a/x.pt", "a/x"),
        ("runs/b/x.pt", "b/x"),
        ("runs/z.torchscript.pt", "z.torchscript"),
    ]
    assert found("runs") == [("runs/a/x.pt", "a/x"), ("runs/a/y.pth", "a/y"), ("runs/b/x.pt", "b/x")]


def test_each_file_once_and_a_name_that_looks_like_a_pattern(tree: Path) -> None:
    assert found("runs/a/x.pt", "runs/a", "./runs/../runs/a/x.pt") == [
        ("runs/a/x.pt", "x"),
        ("runs/a/y.pth", "y"),
    ]
    assert found("w[1].pt") == [("w[1].pt", "w[1]")]


def test_two_files_never_have_one_name(tree: Path) -> None:
    for name in ("x.safetensors", "X.bin", "x.pt.pth"):
        (tree / "runs/a" / name).write_bytes(b"")
    names = dict(found("runs/a"))
    assert names["runs/a/x.pt"] == "x.pt"
    assert names["runs/a/x.safetensors"] == "x.safetensors"
    assert names["runs/a/X.bin"] == "X.bin"
    assert names["runs/a/x.pt.pth"] == "x.pt.pth"
    assert len({name.casefold() for name in names.values()}) == len(names)


def test_several_files_of_one_model_are_one_source(tree: Path) -> None:
    for number in (1, 2):
        (tree / f"runs/b/big-{number:05}-of-00002.safetensors").write_bytes(b"")
    (tree / "runs/b/big.safetensors.index.json").write_bytes(b"{}")
    (source,) = find(["runs/b/big-00002-of-00002.safetensors"])
    assert source.name == "big"
    assert [path.name for path in source.files] == [
        "big-00001-of-00002.safetensors",
        "big-00002-of-00002.safetensors",
        "big.safetensors.index.json",
    ]
    assert [name for _, name in found("runs/b")] == ["big", "x"]


def test_the_folder_of_the_sweep_is_left_out(tree: Path) -> None:
    assert [source.name for source in find(["runs"], besides=Path("runs/a"))] == ["x"]


def test_a_list(tree: Path) -> None:
    lines = ["# heads", "", "a/x.pt", '{"path": "b/x.pt", "input_size": [8, 24], "eps": 1e-5}']
    (tree / "runs/list.txt").write_text("\n".join(lines), encoding="utf-8")
    plain, other = find(["@runs/list.txt"], known={"input_size", "eps"})
    assert (str(plain.path), plain.options) == ("runs/a/x.pt", {})
    assert (str(other.path), other.options) == ("runs/b/x.pt", {"input_size": [8, 24], "eps": 1e-5})


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('{"path": "a/x.pt", "opset": 18}', r"list\.txt, line 1: opset|'opset' is not an option of an export$"),
        ('{"path": "a/x.pt", "trust": true}', r"line 1: 'trust' runs code; a list may have it only with trust=True$"),
        ('{"path": 3}', r"line 1: has no path: a value of type dict$"),
        ('{"path": ', r"line 1: is not JSON; expected a path or \{"),
        ("a/none.pt", r"runs/a/none\.pt: is not a file or folder that exists$"),
        ("# nothing", r"runs/list\.txt: lists no path$"),
    ],
)
def test_a_wrong_list(line: str, text: str, tree: Path) -> None:
    (tree / "runs/list.txt").write_text(line, encoding="utf-8")
    with pytest.raises(InputError, match=text):
        find(["@runs/list.txt"], known={"trust"})


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ("none.pt", r"^none\.pt: is not a file or folder that exists$"),
        ("no/**/*.pt", r"^no/\*\*/\*\.pt: no file matches this pattern$"),
        ("empty", r"^empty: holds no checkpoint \(\.pt, \.pth, .*\); give a pattern for other names$"),
        ("fifo", r"^fifo: is not a file or folder that exists$"),
    ],
)
def test_nothing_found(given: str, text: str, tree: Path) -> None:
    (tree / "empty").mkdir()
    os.mkfifo(tree / "fifo")
    with pytest.raises(InputError, match=text):
        find([given])


def test_nothing_given() -> None:
    with pytest.raises(InputError, match=r"^there is no checkpoint to sweep; give paths"):
        find([])
