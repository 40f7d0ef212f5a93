"""What the watch sees, and what it lets pass."""

import importlib
import marshal
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from nalu_export import InputError, load
from nalu_export.checkpoints import _torch_zip
from tests.checkpoints import files
from tests.hostile.watch import watched

FOUL: dict[str, tuple[Callable[[], object], str]] = {
    "a command": (lambda: os.system("true"), "os.system"),
    "a process": (lambda: subprocess.run(["true"], check=True), "subprocess.Popen"),
    "a file": (lambda: Path("made").write_text("x"), "open"),
    "a file by its descriptor": (lambda: os.close(os.open("made", os.O_CREAT | os.O_WRONLY)), "open"),
    "a file for both": (lambda: open("there", "r+").close(), "open"),
    "a folder": (lambda: os.mkdir("made"), "os.mkdir"),
    "a file less": (lambda: os.remove("there"), "os.remove"),
    "another name": (lambda: os.rename("there", "made"), "os.rename"),
    "a link": (lambda: os.symlink("there", "made"), "os.symlink"),
    "a connection": (lambda: socket.socket().close(), "socket.__new__"),
    "an address": (lambda: socket.getaddrinfo("localhost", 80), "socket.getaddrinfo"),
    "text that runs": (lambda: exec("1"), "exec"),
    "text that is evaluated": (lambda: eval("1"), "exec"),
    "code that runs": (lambda: exec(marshal.loads(marshal.dumps(compile("1", "x", "exec")))), "exec"),
    "a module of another name": (lambda: importlib.import_module("from_here"), "exec"),
    "a name in a pickle": (lambda: pickle.loads(pickle.dumps(os.getcwd)), "pickle.find_class"),
    "a module from here": (lambda: __import__("from_here"), "import"),
}


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory, with a file and a module in it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    Path("there").write_text("x")
    Path("from_here.py").write_text("1\n")
    return tmp_path


@pytest.mark.parametrize("case", FOUL)
def test_what_it_sees(case: str, here: Path) -> None:
    act, event = FOUL[case]
    with watched() as events:
        act()
    sys.modules.pop("from_here", None)
    assert [text for text in events if text.startswith(event)]


def test_what_it_lets_pass(here: Path) -> None:
    Path("model.pt").write_bytes(files.torch_bytes(files.nac_state()))
    with watched() as events:
        Path("there").read_text()
        importlib.import_module("html.entities")
        load("model.pt")
    assert events == []


def test_it_sees_nothing_afterwards(here: Path) -> None:
    with watched() as events:
        pass
    os.mkdir("made")
    assert events == []


def test_a_reader_that_unpickles_is_seen(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The sentinel itself: with a reader that runs what it reads, both the file and the event are there."""
    monkeypatch.setattr(_torch_zip, "read", lambda archive: pickle.loads(bytes(archive.get("data.pkl"))))
    Path("model.pt").write_bytes(files.evil("touch executed"))
    with watched() as events, pytest.raises(InputError):
        load("model.pt")
    assert Path("executed").exists()
    assert any(text.startswith("os.system") for text in events)
    assert any(text.startswith("pickle.find_class") for text in events)
