"""Whether a build is possible here is found out by trying it; a test that cannot run says why."""

import shutil
from pathlib import Path

import pytest

from tests.formats.programs import Build

WITHOUT_SANITIZERS = """#!/bin/sh
case "$*" in
  *-fsanitize=*) echo "/usr/bin/ld: cannot find libclang_rt.asan-x86_64.a: No such file or directory" >&2
                 echo "clang: error: linker command failed with exit code 1" >&2; exit 1;;
esac
exec {} "$@"
"""


@pytest.mark.skipif(shutil.which("g++") is None, reason="there is no g++ here")
def test_a_compiler_without_sanitizers_builds_the_rest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    compiler = tmp_path / "compiler-without-sanitizers"
    compiler.write_text(WITHOUT_SANITIZERS.format(shutil.which("g++")), encoding="ascii")
    compiler.chmod(0o755)
    assert Build(str(compiler), ("-std=c++17", "-O2")).missing() == ""
    assert Build(str(compiler), ("-std=c++17", "-O0", "-fsanitize=address,undefined")).missing() == (
        f"{compiler} -std=c++17 -fsanitize=address,undefined makes no program here: "
        "clang: error: linker command failed with exit code 1"
    )
    assert Build(str(compiler), ("-std=c++93",)).missing().startswith(f"{compiler} -std=c++93 makes no program here: ")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert Build("g++").missing() == "there is no g++ here"
