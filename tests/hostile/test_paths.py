"""What is no regular file, cannot be read, changes meanwhile or has an odd name."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from nalu_export import NAC, InputError, save
from nalu_export.cli.main import main
from nalu_export.io import files
from nalu_export.io.files import read_bytes
from nalu_export.io.text import printable
from tests.checkpoints.files import time_limit

NOT_REGULAR = "is not a regular file; give the path of a file"
NO_FILE = "cannot be read: No such file or directory"
LOOP = "cannot be read: Too many levels of symbolic links"


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(path.name)  # in the working directory, because the name of a socket is short


def _loop(path: Path) -> None:
    path.symlink_to("other")
    Path("other").symlink_to(path.name)


def _long_chain(path: Path) -> None:
    for index in range(50):
        Path(str(index)).symlink_to(str(index + 1))
    path.symlink_to("0")


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "nothing": (lambda path: None, NO_FILE),
    "a directory": (lambda path: path.mkdir(), "is a directory; give the path of a file"),
    "a link to a directory": (lambda path: path.symlink_to("/usr"), "is a directory; give the path of a file"),
    "a FIFO": (os.mkfifo, NOT_REGULAR),
    "a socket": (_socket, NOT_REGULAR),
    "an endless device": (lambda path: path.symlink_to("/dev/zero"), NOT_REGULAR),
    "a full device": (lambda path: path.symlink_to("/dev/full"), NOT_REGULAR),
    "a terminal": (lambda path: path.symlink_to("/dev/tty"), NOT_REGULAR),
    "a link to nothing": (lambda path: path.symlink_to("nowhere"), NO_FILE),
    "a link to itself": (lambda path: path.symlink_to(path.name), LOOP),
    "links in a circle": (_loop, LOOP),
    "fifty links": (_long_chain, LOOP),
    "the memory of a process": (lambda path: path.symlink_to("/proc/self/mem"), "cannot be read: Input/output error"),
    "a file that is made as it is read": (
        lambda path: path.symlink_to("/proc/self/environ"),
        "its size is given as 0 bytes, but its content has another size; copy it to a regular file",
    ),
}
COMMANDS = (
    ("model.pt", "--format", "onnx"),
    ("model.pt", "--format", "cpp"),
    ("golden", "model.pt", "-o", "golden.bin"),
    ("inspect", "model.pt"),
    ("convert", "model.pt", "-o", "other.pt"),
    ("doctor", "model.pt"),
    ("check", "good.pt", "model.pt"),
    ("check", "good.pt", "good.pt", "--inputs", "model.pt"),
    ("check", "good.pt", "good.pt", "--replay", "model.pt"),
)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, empty."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def refused(*command: str) -> str:
    """What the command says on stderr, and only there."""
    with time_limit(5):
        result = CliRunner(catch_exceptions=False).invoke(main, list(command))
    assert (result.stdout, result.exit_code) == ("", 2)
    return result.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="its special files are those of Linux")
@pytest.mark.parametrize("case", SPECIAL)
def test_what_is_no_file(case: str, here: Path) -> None:
    make, text = SPECIAL[case]
    save(NAC(2, 1), "good.pt")
    make(Path("model.pt"))
    before = sorted(os.listdir())
    for command in COMMANDS:
        assert refused(*command) == f"nalu-export: model.pt: {text}\n"
    assert sorted(os.listdir()) == before


def test_a_device_is_not_even_opened(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Opening some of them does things: rewinds a tape, arms a watchdog."""
    monkeypatch.setattr(os, "open", lambda *_: pytest.fail("it was opened"))
    with pytest.raises(InputError, match=r"^/dev/null: is not a regular file; give the path of a file$"):
        read_bytes(Path("/dev/null"))


def test_a_file_that_becomes_a_fifo(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the first look at it and its opening."""
    os.mkfifo("model.pt")
    monkeypatch.setattr(os, "stat", lambda *_, **__: os.lstat(__file__))
    with time_limit(5), pytest.raises(InputError, match=f"^model.pt: {NOT_REGULAR}$"):
        read_bytes(Path("model.pt"))


@contextmanager
def another_user() -> Iterator[None]:
    """Root ignores modes; another user does not."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.mark.skipif(not hasattr(os, "seteuid"), reason="this system has no users to switch between")
def test_a_file_that_may_not_be_read(here: Path) -> None:
    save(NAC(2, 1), "model.pt")
    Path("model.pt").chmod(0)
    here.chmod(0o755)
    with another_user(), pytest.raises(InputError, match=r"^model\.pt: cannot be read: Permission denied$"):
        read_bytes(Path("model.pt"))


def test_a_file_larger_than_half_of_the_memory(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is read of it: the file is sparse, and the limit on this process would not let it."""
    with Path("model.pt").open("wb") as file:
        file.truncate(2**42)
    monkeypatch.setattr(files, "_memory", lambda: 2**40)
    text = "has 4,398,046,511,104 bytes, more than half of the memory of this machine (1,099,511,627,776 bytes)"
    assert refused("model.pt", "-f", "onnx") == f"nalu-export: model.pt: {text}\n"


def test_where_the_memory_is_not_known(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(_: str) -> int:
        raise ValueError("unrecognized configuration name")

    Path("model.pt").write_bytes(b"there")
    monkeypatch.setattr(os, "sysconf", unknown)
    assert read_bytes(Path("model.pt")) == b"there"


def _grow() -> None:
    with Path("model.pt").open("ab") as file:
        file.write(b"more")


def _overwrite() -> None:
    Path("model.pt").write_bytes(bytes(1000))
    os.utime("model.pt", ns=(1, 1))  # later than the clock of a file system can tell


CHANGES: dict[str, Callable[[], object]] = {
    "grows": _grow,
    "shrinks": lambda: os.truncate("model.pt", 10),
    "is overwritten": _overwrite,
}


@pytest.mark.parametrize("when", ["before the first byte", "after the last"])
@pytest.mark.parametrize("case", CHANGES)
def test_a_file_that_changes_while_it_is_read(
    case: str, when: str, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Path("model.pt").write_bytes(os.urandom(1000))
    read = files._read_all

    def changing(*arguments: Any) -> bytes:
        if when == "before the first byte":
            CHANGES[case]()
        found = read(*arguments)
        if when == "after the last":
            CHANGES[case]()
        return found

    monkeypatch.setattr(files, "_read_all", changing)
    assert refused("model.pt", "-f", "onnx") == "nalu-export: model.pt: changed while it was read; try again\n"
    assert os.listdir() == ["model.pt"]


def test_a_file_that_is_overwritten_within_a_tick_of_the_clock(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Half of it is read before, half after that: only a second reading sees it."""
    Path("model.pt").write_bytes(b"1" * 1000)
    before = os.stat("model.pt").st_mtime_ns
    read = files._read_all
    monkeypatch.setattr(files, "QUIET", 0.1)

    def torn(*arguments: Any) -> bytes:
        first = read(*arguments)
        Path("model.pt").write_bytes(b"2" * 1000)
        os.utime("model.pt", ns=(before, before))
        return first[:500] + b"2" * 500

    monkeypatch.setattr(files, "_read_all", torn)
    assert refused("model.pt", "-f", "onnx") == "nalu-export: model.pt: changed while it was read; try again\n"


def test_a_file_that_is_replaced_while_it_is_read(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that was opened is whole, and is what is read."""
    Path("model.pt").write_bytes(b"first")
    Path("other").write_bytes(b"second")
    read = files._read_all

    def late(*arguments: Any) -> bytes:
        os.replace("other", "model.pt")
        return read(*arguments)

    monkeypatch.setattr(files, "_read_all", late)
    assert read_bytes(Path("model.pt")) == b"first"
    assert Path("model.pt").read_bytes() == b"second"


NAMES = [
    b"a b.pt", "größe 数.pt".encode(), b"two\nlines.pt", b"-o.pt", b"--help", b"%s{0}\\x.pt", b"\xff\xfe.pt",
    b"\x1b[2J\x1b]0;title\x07.pt", "\u202etp.x".encode(), b"x" * 255, b"'\"; rm -rf ~.pt", b"$(touch executed).pt",
]  # fmt: skip


TEXT = "is not a file of torch.save; expected a model.pt"


@pytest.mark.parametrize("name", NAMES, ids=ascii)
def test_names(name: bytes, here: Path) -> None:
    """A good file is exported, a bad one refused in one line, whatever its name."""
    path = os.fsdecode(name)
    save(NAC(2, 1), path)
    words = ["-f", "onnx", "-o", "out.onnx", "-q", "--no-check", "--", path]
    done = CliRunner(catch_exceptions=False).invoke(main, words)
    assert (done.exit_code, done.output) == (0, "")
    Path(path).write_bytes(b"bad")
    line = refused("-f", "onnx", "-o", "out.onnx", "--", path)
    assert line == f"nalu-export: {printable(path)}: {TEXT}\n"
    assert line.removesuffix("\n").isprintable()
    assert sorted(os.listdir()) == sorted(["out.onnx", path])


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", [b"-o\n\x1b.pt", b"\xff\xfe.pt"], ids=ascii)
def test_names_in_a_process(name: bytes, here: Path) -> None:
    Path(os.fsdecode(name)).write_bytes(b"bad")
    command: list[Any] = [sys.executable, "-m", "nalu_export", "-f", "onnx", "--", name]
    done = subprocess.run(command, capture_output=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.decode() == f"nalu-export: {printable(os.fsdecode(name))}: {TEXT}\n"
    assert os.listdir(b".") == [name]
