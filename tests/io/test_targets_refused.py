"""nalu_export.io.targets: what may be written over."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from nalu_export import NALU, InputError, export
from nalu_export.io.targets import check_target, write_atomically


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


def test_a_folder_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o500)
    if os.geteuid() == 0:  # whom no permission stops
        monkeypatch.setattr(os, "access", lambda path, mode: not (path == folder and mode & os.W_OK))
    with pytest.raises(
        InputError, match=rf"^{folder}/m\.onnx: its folder {folder} cannot be written to; choose another output path$"
    ):
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
        "is in /dev, a folder of the system; choose another output path, or - for standard output",
    ),
    "a link to standard output": (
        lambda path: path.symlink_to("/dev/stdout"),
        "is in /dev, a folder of the system; choose another output path, or - for standard output",
    ),
    "a link to /proc": (
        lambda path: (path.with_name("step").symlink_to("/proc/self"), path.symlink_to("step/fd/1")),  # type: ignore[func-returns-value]
        "is in /proc, a folder of the system; choose another output path, or - for standard output",
    ),
    "a circle of links": (
        lambda path: (path.with_name("step").symlink_to(path.name), path.symlink_to("step")),  # type: ignore[func-returns-value]
        "is a link that leads in a circle; choose another output path",
    ),
    "a link into no folder": (
        lambda path: path.symlink_to("none/m.onnx"),
        "its folder {folder}/none does not exist; create it first",
    ),
    "a link to a FIFO": (
        lambda path: (os.mkfifo(path.with_name("fifo")), path.symlink_to("fifo")),  # type: ignore[func-returns-value]
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
    assert str(caught.value) == f"{target}: {text.format(folder=tmp_path)}"
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
    export(source, tmp_path / "model.onnx", check=False)
    export(source, tmp_path / "b.ts", format="torchscript", check=False)
    with pytest.raises(InputError, match=r"model\.pt: is the source itself; choose another output path$"):
        export(source, source, format="onnx", check=False)
    assert source.read_bytes() == before
    assert source.stat().st_mtime_ns == 10**18
    assert names(tmp_path) == ["b.ts", "model.onnx", "model.pt"]


def test_a_link_stays_and_the_file_that_it_points_at_is_written(tmp_path: Path) -> None:
    """Also one that is not there yet; as root, a link of the system's own would be gone otherwise."""
    (tmp_path / "real").mkdir()
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "m.onnx").symlink_to("step")
    (tmp_path / "step").symlink_to("folder/there.onnx")
    for _ in range(2):
        artifact = export(NALU(2, 1), tmp_path / "m.onnx", check=False)
        assert artifact.path == tmp_path / "m.onnx"
        assert (tmp_path / "m.onnx").readlink() == Path("step")
        assert (tmp_path / "real" / "there.onnx").read_bytes() == artifact.data


def test_what_becomes_a_link_meanwhile_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "source.pt").write_bytes(b"source")
    place = check_target(tmp_path / "m.onnx", tmp_path / "source.pt")
    (tmp_path / "m.onnx").symlink_to("source.pt")
    write_atomically(place, b"new")
    assert (tmp_path / "source.pt").read_bytes() == b"source"
    assert place.read_bytes() == b"new"


PLACES = ["/dev/null", "/dev/x", "/proc/self/fd/1", "/proc/1/x", "/sys/x", "/tmp/../dev/x", "/dev"]


@pytest.mark.parametrize("path", PLACES)
def test_where_the_system_has_its_own(path: str) -> None:
    folder = "/" + next(name for name in ("dev", "proc", "sys") if name in path)
    with pytest.raises(InputError) as caught:
        check_target(Path(path), None)
    assert str(caught.value) == (
        f"{path}: is in {folder}, a folder of the system; choose another output path, or - for standard output"
    )


def test_shared_memory_is_a_place_for_files() -> None:
    if Path("/dev/shm").is_dir():
        assert check_target(Path("/dev/shm/nalu_export.test"), None) == Path("/dev/shm/nalu_export.test")
