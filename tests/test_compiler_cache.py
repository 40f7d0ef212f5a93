"""tests.compiler_cache: a program is compiled once, and what differs in anything is compiled."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from tests.compiler_cache import installed, path_without

pytestmark = pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ here")
REAL = """#!/bin/sh
case "$*" in *-E*) ;; *) echo >> {log} ;; esac
exec {real} "$@"
"""


class _Compiler:
    """g++ that counts how often it compiles, and remembers."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._log = folder, folder / "log"

    def times(self) -> int:
        return len(self._log.read_text().splitlines()) if self._log.exists() else 0

    def made(self, text: str, *flags: str, name: str = "one.cpp") -> tuple[int, str, int]:
        """Exit code, what was said, and what the program ends with."""
        source = self._folder / name
        source.write_text(text, encoding="ascii")
        program = self._folder / "program"
        program.unlink(missing_ok=True)
        done = subprocess.run(
            ["g++", *flags, str(source), "-o", str(program)], capture_output=True, text=True, check=False
        )
        code = subprocess.run([program], check=False).returncode if done.returncode == 0 else -1
        return done.returncode, done.stderr, code


@pytest.fixture
def compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Compiler:
    real = tmp_path / "bin" / "g++"
    real.parent.mkdir()
    outside = path_without()
    real.write_text(REAL.format(log=tmp_path / "log", real=shutil.which("g++", path=outside)), encoding="ascii")
    real.chmod(0o755)
    monkeypatch.setenv("PATH", os.pathsep.join([str(real.parent), outside]))
    return _Compiler(tmp_path)


def test_the_same_is_compiled_once_and_anything_else_again(compiler: _Compiler, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    text = "#ifndef N\n#define N 3\n#endif\nint main() { return N; }\n"
    with installed(kept):
        assert compiler.made(text) == (0, "", 3)
        assert compiler.made(text) == (0, "", 3)
        assert compiler.made(f"// a comment\n{text}") == (0, "", 3)
        assert compiler.times() == 1
    with installed(kept):  # another run
        assert compiler.made(text) == (0, "", 3)
        assert compiler.times() == 1
        assert compiler.made(text, "-DN=4") == (0, "", 4)
        assert compiler.made(text, "-O2") == (0, "", 3)
        assert compiler.made(text.replace("3", "5")) == (0, "", 5)
        assert compiler.times() == 4
        assert all(stat.S_IMODE(path.stat().st_mode) & 0o100 for path in kept.iterdir())
    assert os.environ["PATH"].split(os.pathsep)[0] == str(tmp_path / "bin")


def test_what_a_compiler_says_is_said_each_time(compiler: _Compiler, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    with installed(kept):
        for _ in range(2):
            code, said, ends = compiler.made("int main() { int x; return 0; }", "-Wall")
            assert (code, ends) == (0, 0)
            assert "unused variable" in said
            code, said, _ = compiler.made("int main() { return nothing; }")
            assert code == 1
            assert "nothing" in said
        assert compiler.times() == 4
        assert list(kept.iterdir()) == []


def test_a_header_that_changes(compiler: _Compiler, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    text = '#include "n.hpp"\nint main() { return N; }\n'
    with installed(kept):
        for number in (1, 2, 1):
            (tmp_path / "n.hpp").write_text(f"#define N {number}\n", encoding="ascii")
            assert compiler.made(text) == (0, "", number)
    assert compiler.times() == 2


def test_what_nobody_uses_goes(compiler: _Compiler, tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    kept.mkdir()
    old, new = kept / "old", kept / "new"
    old.touch()
    new.touch()
    os.utime(old, (0, 0))
    with installed(kept):
        assert [path.name for path in kept.iterdir()] == ["new"]
