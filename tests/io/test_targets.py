"""nalu_export.io.targets: a file is there whole or not at all, whatever happens while it is written."""

import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nalu_export import InputError
from nalu_export.io import targets
from nalu_export.io.targets import check_target, write_atomically


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
        with pytest.raises(
            InputError,
            match=r"m\.onnx: the bytes read back from the disk differ from those written; choose another output path$",
        ):
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
        (tmp_path / "m.onnx").write_bytes(b"old")
        write_atomically(tmp_path / "m.onnx", b"content")
        assert order == ["fsync", "replace", "fsync"]

    def test_a_new_file_is_on_the_disk_before_it_has_its_name(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        real, there = os.fsync, []

        def record(descriptor: int) -> None:
            real(descriptor)
            there.append((tmp_path / "m.onnx").exists())

        monkeypatch.setattr(os, "fsync", record)
        write_atomically(tmp_path / "m.onnx", b"content")
        assert there == [False, True]  # the content, then the folder with the name in it

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

    def test_a_folder_that_goes_away_meanwhile(self, tmp_path: Path) -> None:
        folder = tmp_path / "gone"
        folder.mkdir()
        with pytest.raises(InputError) as caught:
            write_atomically(folder / "m.onnx", b"content", lambda _: shutil.rmtree(folder))
        assert str(caught.value) == f"{folder}/m.onnx: cannot be written: No such file or directory"
        assert names(tmp_path) == []

    def test_an_error_of_the_system_within_verify_is_told_as_it_is(self, tmp_path: Path) -> None:
        """It says nothing about the target, so it must not be reported as if the target could not be written."""
        error = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/tmp/of/the/runtime")

        def fail(written: bytes) -> None:
            raise error

        with pytest.raises(OSError, match=r"No space left on device: '/tmp/of/the/runtime'$") as caught:
            write_atomically(tmp_path / "m.onnx", b"content", fail)
        assert caught.value is error
        assert names(tmp_path) == []

    def test_an_interrupt_on_the_last_step_leaves_no_hidden_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        path = tmp_path / "m.onnx"
        path.write_bytes(b"old")

        def interrupt(*args: Any) -> None:
            assert len(names(tmp_path)) == 2, "the hidden name is there by now"
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "replace", interrupt)
        with pytest.raises(KeyboardInterrupt):
            write_atomically(path, b"new")
        assert path.read_bytes() == b"old"
        assert names(tmp_path) == ["m.onnx"]

    @pytest.mark.parametrize("error", [errno.EACCES, errno.EINVAL, errno.EIO])
    @pytest.mark.parametrize("call", ["open", "fsync"])
    def test_a_folder_that_cannot_be_synced(
        self, call: str, error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A folder that may be written but not read, say. The file is there, whole: that is no failure."""
        real = getattr(os, call)
        refused: list[Any] = []

        def refuse(what: Any, *args: Any, **options: Any) -> Any:
            is_folder = stat.S_ISDIR(os.fstat(what).st_mode) if call == "fsync" else (what, *args) == reading
            if is_folder:
                refused.append(what)
                raise OSError(error, os.strerror(error))
            return real(what, *args, **options)

        reading = (tmp_path, os.O_RDONLY)
        monkeypatch.setattr(os, call, refuse)
        write_atomically(tmp_path / "m.onnx", b"content")
        assert len(refused) == 1
        assert names(tmp_path) == ["m.onnx"]


def test_a_new_file_never_has_a_hidden_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """So a kill -9 cannot leave one; only where a file is replaced is there a moment with a hidden name."""
    if not hasattr(os, "O_TMPFILE"):
        pytest.skip("this system has no O_TMPFILE")
    real, linked = os.link, []

    def record(source: Any, name: Path, **options: Any) -> None:
        real(source, name, **options)
        linked.append(name.name)

    monkeypatch.setattr(os, "link", record)
    write_atomically(tmp_path / "m.onnx", b"content")
    assert linked == ["m.onnx"]
    write_atomically(tmp_path / "m.onnx", b"other")
    assert linked[1].startswith(".nalu_export.")
    assert linked[1].endswith(".tmp")
    assert (tmp_path / "m.onnx").read_bytes() == b"other"


def test_no_proc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A chroot without it: a file without a name could never get one."""
    monkeypatch.setattr(targets, "DESCRIPTORS", str(tmp_path / "proc"))
    for content in (b"first", b"second"):
        write_atomically(tmp_path / "m.onnx", content)
        assert (tmp_path / "m.onnx").read_bytes() == content
    assert names(tmp_path) == ["m.onnx"]


def test_what_went_wrong_is_told_and_not_that_cleaning_up_did_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "O_TMPFILE", raising=False)

    def refuse(*args: Any, **options: Any) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    def verify(written: bytes) -> None:
        monkeypatch.setattr(os, "replace", refuse)
        monkeypatch.setattr(Path, "unlink", refuse)
        raise InputError("the check failed")

    with pytest.raises(InputError, match=r"^the check failed$"):
        write_atomically(tmp_path / "m.onnx", b"content", verify)


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
    assert (
        str(caught.value)
        == f"{small_disk}/m.onnx: its folder {small_disk} cannot be written to; choose another output path"
    )
    with pytest.raises(InputError, match=r"m\.onnx: cannot be written: Read-only file system$"):
        write_atomically(small_disk / "m.onnx", b"content")
