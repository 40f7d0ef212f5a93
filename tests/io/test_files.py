"""nalu_export.io.files: files read without hanging, and standard input."""

import errno
import io
import os
import stat
import sys
from pathlib import Path
from typing import Any

import pytest

from nalu_export import InputError
from nalu_export.io.files import StandardInput, read_bytes


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
        with pytest.raises(InputError, match=r"f: does not fit into the free memory$"):
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
        text = r"^standard input: is {}; give a path, or pipe a file: cat model\.pt \| nalu-export -$"
        monkeypatch.setattr(sys, "stdin", None)
        with pytest.raises(InputError, match=text.format("closed")):
            read_bytes(StandardInput())
        path = self._given(monkeypatch, b"")
        monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
        with pytest.raises(InputError, match=text.format("a terminal")):
            read_bytes(path)

    def test_without_end(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """``cat /dev/zero`` ends at half of the memory."""
        monkeypatch.setattr("nalu_export.io.files._memory", lambda: 2**22)
        with pytest.raises(
            InputError, match=r"^standard input: is larger than half of the memory .* \(4,194,304 bytes"
        ):
            read_bytes(self._given(monkeypatch, bytes(2**24)))
