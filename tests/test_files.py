"""nalu_export.files: what may be written over, and files read without hanging."""

import errno
import io
import os
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nalu_export import NALU, InputError, export
from nalu_export.files import StandardInput, check_target, read_bytes


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:  # whom no permission stops
        monkeypatch.setattr(os, "access", lambda path, mode: not (path == folder and mode & os.W_OK))
    with pytest.raises(InputError, match=rf"^{folder}/m\.onnx: its folder {folder} cannot be written to$"):
        check_target(folder / "m.onnx", None)


TARGETS: dict[str, tuple[Callable[[Path], object], str]] = {
    "the source": (
        lambda path: (path.with_name("model.pt").rename(path), path.with_name("model.pt").symlink_to(path.name)),  # type: ignore[func-returns-value]
        "is the source itself; choose another output path",
    ),
    "a hard link": (
        lambda path: path.hardlink_to(path.with_name("model.pt")),
        "is the source itself; choose another output path",
    ),
    "a symlink": (
        lambda path: path.symlink_to("model.pt"),
        "is the source itself; choose another output path",
    ),
    "a symlink to a symlink": (
        lambda path: (path.with_name("step").symlink_to("model.pt"), path.symlink_to("step")),  # type: ignore[func-returns-value]
        "is the source itself; choose another output path",
    ),
    "a directory": (lambda path: path.mkdir(), "exists and is not a regular file; choose another output path"),
    "a FIFO": (lambda path: os.mkfifo(path), "exists and is not a regular file; choose another output path"),
    "a device": (
        lambda path: path.symlink_to("/dev/null"),
        "exists and is not a regular file; choose another output path",
    ),
}


@pytest.mark.parametrize("case", TARGETS)
def test_targets_that_are_refused(case: str, tmp_path: Path) -> None:
    make, text = TARGETS[case]
    source, target = tmp_path / "model.pt", tmp_path / "m.onnx"
    source.write_bytes(b"source")
    make(target)
    before = names(tmp_path)
    with pytest.raises(InputError) as caught:
        check_target(target, source)
    assert str(caught.value) == f"{target}: {text}"
    assert names(tmp_path) == before
    assert source.read_bytes() == b"source"


def test_targets_that_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "model.pt"
    source.write_bytes(b"source")
    (tmp_path / "there.onnx").write_bytes(b"")
    (tmp_path / "broken.onnx").symlink_to("nowhere")
    for name in ("new.onnx", "there.onnx", "broken.onnx", "a b\n.onnx"):
        check_target(tmp_path / name, source)
        check_target(tmp_path / name, None)
        check_target(tmp_path / name, tmp_path / "missing.pt")
    monkeypatch.chdir(tmp_path)
    check_target(Path("new.onnx"), Path("model.pt"))
    with pytest.raises(InputError, match=r"^model\.pt: is the source itself"):
        check_target(Path("model.pt"), source)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("no/m.onnx", r"its folder .*/no does not exist; create it first"),
        ("file/m.onnx", r"its folder .*/file does not exist; create it first"),
        ("x" * 300, r"cannot be written: File name too long"),
    ],
)
def test_targets_in_no_folder(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match=rf"{text}$"):
        check_target(tmp_path / name, None)


def test_a_target_with_a_null_byte() -> None:
    with pytest.raises(InputError, match=r"^'a\\x00b': not a path: embedded null byte$"):
        check_target(Path("a\0b"), None)


def test_the_source_is_never_touched(tmp_path: Path) -> None:
    from nalu_export import save

    source = tmp_path / "model.pt"
    save(NALU(2, 1), source)
    os.utime(source, ns=(10**18, 10**18))
    before = source.read_bytes()
    export(source, format="onnx", check=False)
    export(source, tmp_path / "b.ts", format="torchscript", check=False)
    with pytest.raises(InputError, match=r"model\.pt: is the source itself; choose another output path$"):
        export(source, source, format="onnx", check=False)
    assert source.read_bytes() == before
    assert source.stat().st_mtime_ns == 10**18
    assert names(tmp_path) == ["b.ts", "model.onnx", "model.pt"]


class TestReading:
    def test_the_whole_content(self, tmp_path: Path) -> None:
        data = os.urandom(100_000)
        (tmp_path / "f").write_bytes(data)
        assert read_bytes(tmp_path / "f") == data

    def test_no_memory(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "f").write_bytes(b"x")

        def exhausted(*args: Any) -> None:
            raise MemoryError

        monkeypatch.setattr(stat, "S_ISREG", exhausted)
        with pytest.raises(InputError, match=r"f: is larger than the memory$"):
            read_bytes(tmp_path / "f")

    def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        (tmp_path / "f").write_bytes(b"x")

        def refuse(*args: Any) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(InputError, match=r"f: cannot be read: Permission denied$"):
            read_bytes(tmp_path / "f")


class TestStandardInput:
    @staticmethod
    def _given(monkeypatch: pytest.MonkeyPatch, data: bytes) -> StandardInput:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
        return StandardInput()

    def test_read_once_and_kept(self, monkeypatch: pytest.MonkeyPatch) -> None:
        path = self._given(monkeypatch, b"abc" * 2**20)
        assert str(path) == os.fspath(path) == "standard input"
        assert read_bytes(path) == b"abc" * 2**20
        assert read_bytes(path) == b"abc" * 2**20

    def test_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        text = r"^standard input: there is none; give a file, or put one there: cat model\.pt \| nalu-export -$"
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(InputError, match=text):
            read_bytes(StandardInput())
        path = self._given(monkeypatch, b"")
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        with pytest.raises(InputError, match=text):
            read_bytes(path)

    def test_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``cat /dev/zero`` ends at half of the memory."""
        monkeypatch.setattr("nalu_export.files._memory", lambda: 2**22)
        with pytest.raises(InputError, match=r"^standard input: has more than half of the memory .* \(4,194,304 bytes"):
            read_bytes(self._given(monkeypatch, bytes(2**24)))
