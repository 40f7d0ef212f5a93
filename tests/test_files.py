"""nalu_export.files: whole files or none, read without hanging."""

import contextlib
import errno
import hashlib
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nalu_export import NALU, InputError, export
from nalu_export.files import check_target, read_bytes, write_atomically


@pytest.fixture(params=["unnamed", "hidden"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways to write: a file without a name, and where the system has none a hidden one."""
    if request.param == "hidden":
        monkeypatch.delattr(os, "O_TMPFILE", raising=False)
    elif not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no O_TMPFILE")
    name: str = request.param
    return name


def names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder))


@pytest.mark.usefixtures("way")
class TestWriting:
    def test_a_new_file(self, tmp_path: Path) -> None:
        write_atomically(tmp_path / "m.onnx", b"content")
        assert (tmp_path / "m.onnx").read_bytes() == b"content"
        assert names(tmp_path) == ["m.onnx"]

    @pytest.mark.parametrize("size", [0, 1, 5_000_000])
    def test_any_size(self, size: int, tmp_path: Path) -> None:
        data = os.urandom(size)
        write_atomically(tmp_path / "m.onnx", data)
        assert (tmp_path / "m.onnx").read_bytes() == data

    def test_an_existing_file_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "m.onnx"
        path.write_bytes(b"a longer content than the new one")
        held = path.open("rb")
        write_atomically(path, b"new")
        assert path.read_bytes() == b"new"
        with held:
            assert held.read() == b"a longer content than the new one"  # a reader keeps the file that it opened
        assert names(tmp_path) == ["m.onnx"]

    def test_a_read_only_file_is_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "m.onnx"
        path.write_bytes(b"old")
        path.chmod(0o400)
        write_atomically(path, b"new")
        assert path.read_bytes() == b"new"

    def test_a_link_is_replaced_and_not_followed(self, tmp_path: Path) -> None:
        (tmp_path / "other").write_bytes(b"other")
        (tmp_path / "m.onnx").symlink_to("other")
        write_atomically(tmp_path / "m.onnx", b"new")
        assert (tmp_path / "other").read_bytes() == b"other"
        assert not (tmp_path / "m.onnx").is_symlink()

    def test_verify_sees_what_is_on_the_disk_before_it_has_its_name(self, tmp_path: Path) -> None:
        seen = []

        def verify(written: bytes) -> None:
            seen.append((written, (tmp_path / "m.onnx").exists()))

        write_atomically(tmp_path / "m.onnx", b"content", verify)
        assert seen == [(b"content", False)]

    @pytest.mark.parametrize("error", [InputError("no"), KeyboardInterrupt(), RuntimeError("bug"), MemoryError()])
    @pytest.mark.parametrize("old", [None, b"old"])
    def test_what_verify_raises_leaves_everything_as_it_was(
        self, error: BaseException, old: bytes | None, tmp_path: Path
    ) -> None:
        path = tmp_path / "m.onnx"
        if old is not None:
            path.write_bytes(old)

        def refuse(written: bytes) -> None:
            raise error

        with pytest.raises(type(error)):
            write_atomically(path, b"new", refuse)
        assert names(tmp_path) == ([] if old is None else ["m.onnx"])
        assert old is None or path.read_bytes() == old

    @pytest.mark.parametrize("call", ["write", "fsync", "replace"])
    def test_a_full_disk(self, call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = tmp_path / "m.onnx"
        path.write_bytes(b"old")

        def full(*args: Any, **options: Any) -> None:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        with monkeypatch.context() as patch:
            patch.setattr(os, call, full)
            with pytest.raises(InputError) as caught:
                write_atomically(path, b"new")
        assert str(caught.value) == f"{path}: cannot be written: No space left on device"
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["m.onnx"]

    def test_a_write_that_takes_only_a_part(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.write
        monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, data[:7]))
        write_atomically(tmp_path / "m.onnx", bytes(range(256)))
        assert (tmp_path / "m.onnx").read_bytes() == bytes(range(256))

    def test_a_disk_that_gives_back_other_bytes(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        real = os.write
        monkeypatch.setattr(os, "write", lambda descriptor, data: real(descriptor, bytes(data).replace(b"new", b"old")))
        with pytest.raises(InputError, match=r"m\.onnx: the disk gave back other bytes than were written$"):
            write_atomically(tmp_path / "m.onnx", b"new")
        assert names(tmp_path) == []

    @pytest.mark.parametrize("mask", [0o022, 0o077, 0o000, 0o027])
    def test_the_umask_is_respected(self, mask: int, tmp_path: Path) -> None:
        before = os.umask(mask)
        try:
            write_atomically(tmp_path / "m.onnx", b"")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "m.onnx").stat().st_mode) == 0o666 & ~mask

    def test_it_is_on_the_disk_before_it_has_its_name(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """Otherwise a power cut leaves an empty file under the final name."""
        order: list[str] = []

        def recording(call: str, real: Callable[..., Any]) -> Callable[..., Any]:
            def record(*args: Any) -> Any:
                order.append(call)
                return real(*args)

            return record

        for call in ("fsync", "replace"):
            monkeypatch.setattr(os, call, recording(call, getattr(os, call)))
        write_atomically(tmp_path / "m.onnx", b"content")
        assert order == ["fsync", "replace", "fsync"]

    def test_no_descriptor_is_left_open(self, tmp_path: Path) -> None:
        def refuse(written: bytes) -> None:
            raise InputError("no")

        write_atomically(tmp_path / "m.onnx", b"content")
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(5):
            write_atomically(tmp_path / "m.onnx", b"content")
            with pytest.raises(InputError):
                write_atomically(tmp_path / "m.onnx", b"content", refuse)
        assert len(os.listdir("/proc/self/fd")) == before

    @pytest.mark.parametrize("name", ["a b.onnx", "größe.onnx", "a\nb.onnx", "-x.onnx", ".hidden", "x" * 255])
    def test_any_name(self, name: str, tmp_path: Path) -> None:
        write_atomically(tmp_path / name, b"content")
        assert names(tmp_path) == [name]

    def test_a_relative_path(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        write_atomically(Path("m.onnx"), b"content")
        assert (tmp_path / "m.onnx").read_bytes() == b"content"

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        with pytest.raises(InputError, match=r"m\.onnx: cannot be written: No such file or directory$"):
            write_atomically(tmp_path / "no" / "m.onnx", b"content")

    def test_a_folder_in_the_way(self, tmp_path: Path) -> None:
        (tmp_path / "m.onnx").mkdir()
        with pytest.raises(InputError, match=r"m\.onnx: cannot be written: Is a directory$"):
            write_atomically(tmp_path / "m.onnx", b"content")
        assert names(tmp_path) == ["m.onnx"]
        assert (tmp_path / "m.onnx").is_dir()


def test_a_file_system_without_unnamed_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Overlay, NFS and FUSE refuse O_TMPFILE when it is used, not before."""
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no O_TMPFILE")
    real, refused = os.open, []

    def refuse(path: Any, flags: int, *args: Any, **options: Any) -> int:
        if flags & os.O_TMPFILE == os.O_TMPFILE:
            refused.append(path)
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
        return real(path, flags, *args, **options)

    monkeypatch.setattr(os, "open", refuse)
    write_atomically(tmp_path / "m.onnx", b"content")
    assert refused == [tmp_path]
    assert names(tmp_path) == ["m.onnx"]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 64 kB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = shutil.which("mount")
    if mount is None or os.geteuid() != 0:
        pytest.skip("mounting a small file system needs root")
    command = [mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    if mounted.returncode:
        pytest.skip(f"cannot mount a small file system: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.mark.usefixtures("way")
def test_a_disk_that_is_really_full(small_disk: Path) -> None:
    path = small_disk / "m.onnx"
    write_atomically(path, b"old")
    with pytest.raises(InputError) as caught:
        write_atomically(path, bytes(200_000))
    assert str(caught.value) == f"{path}: cannot be written: No space left on device"
    assert path.read_bytes() == b"old"
    assert names(small_disk) == ["m.onnx"]
    write_atomically(path, bytes(40_000))
    assert path.read_bytes() == bytes(40_000)


def test_a_disk_that_cannot_be_written(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(InputError) as caught:
        check_target(small_disk / "m.onnx", None)
    assert str(caught.value) == f"{small_disk}/m.onnx: its folder {small_disk} cannot be written to"
    with pytest.raises(InputError, match=r"m\.onnx: cannot be written: Read-only file system$"):
        write_atomically(small_disk / "m.onnx", b"content")


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


# Writes complete contents for ever: a header with the length and hash of the body, so that a part shows.
WRITER = """
import hashlib, os, sys
from pathlib import Path
from nalu_export.files import write_atomically
if sys.argv[2] == "hidden":
    del os.O_TMPFILE
path, number = Path(sys.argv[1]), 0
while True:
    number += 1
    body = f"{os.getpid()} {number} ".encode() * (20_000 if number % 2 else 100)
    write_atomically(path, hashlib.sha256(body).digest() + body)
    if number == 1:
        print("ready", flush=True)
"""


def is_complete(data: bytes) -> bool:
    return hashlib.sha256(data[32:]).digest() == data[:32]


@contextlib.contextmanager
def writer(path: Path, way: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen([sys.executable, "-c", WRITER, str(path), way], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        yield process
    finally:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.mark.parametrize(("way_by_name", "kills"), [("unnamed", 40), ("hidden", 10)])
def test_kill_9_leaves_no_part(way_by_name: str, kills: int, tmp_path: Path) -> None:
    """Whenever the writer dies, the target is complete. Where files without a name exist nothing else is there but,
    at most, a complete file that was about to get its name.
    """
    path, rng = tmp_path / "m.onnx", random.Random(0)
    seen = set()
    for _ in range(kills):
        with writer(path, way_by_name) as process:
            time.sleep(rng.uniform(0.0, 0.03))
            process.send_signal(signal.SIGKILL)
            process.wait()
        others = [tmp_path / name for name in names(tmp_path) if name != path.name]
        assert all(other.name.startswith(".nalu_export.") and other.suffix == ".tmp" for other in others)
        for complete in [path] * path.exists() + others * (way_by_name == "unnamed"):
            data = complete.read_bytes()
            assert is_complete(data), complete
            seen.add(hashlib.sha256(data).hexdigest())
        for other in others:
            other.unlink()
    assert len(seen) > 3, "the writer was killed before it wrote anything"
    assert not is_complete(path.read_bytes()[:-1]), "a part would not be noticed"


@pytest.mark.parametrize("way_by_name", ["unnamed", "hidden"])
def test_writers_of_one_path_do_not_mix(way_by_name: str, tmp_path: Path) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(hashlib.sha256(b"").digest())
    lengths = set()
    with writer(path, way_by_name), writer(path, way_by_name):
        until = time.monotonic() + 1.0
        while time.monotonic() < until:
            data = path.read_bytes()
            assert is_complete(data)
            lengths.add(len(data))
    assert min(lengths) < 2_000 < 100_000 < max(lengths)


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
        def refuse(*args: Any) -> None:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

        monkeypatch.setattr(os, "open", refuse)
        with pytest.raises(InputError, match=r"f: cannot be read: Permission denied$"):
            read_bytes(tmp_path / "f")
