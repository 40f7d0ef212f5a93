"""runtimes.cpp: headers that misbehave while they run, and compilers that do; each is one line, and nothing is left."""

import json
import shlex
import shutil
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner

import nalu_export
from nalu_export import NAC, NALU, InputError, ParityError, RuntimeUnavailableError
from nalu_export.cli.main import main
from nalu_export.formats.cpp.format import CppDraft
from nalu_export.runtimes import cpp
from nalu_export.runtimes.base import RunOptions
from tests.exported import exported
from tests.formats.programs import COMPILERS, header

pytestmark = pytest.mark.skipif(not any(map(shutil.which, COMPILERS)), reason="there is no C++ compiler here")
X = np.array([[1.5, -2.0], [0.0, 3.0]], np.float32)
ONE = "static void predict(const float* x, float* y) noexcept { arithmetic::run<1>(x, 1, y); }"
MANY = "static void predict(const float* x, float* y, std::size_t n) noexcept { arithmetic::run_all(x, n, y); }"


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary folders are made."""
    place = tmp_path / "temporary files"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))
    return place


def _load(data: bytes) -> cpp.CppSession:
    session = cpp.RUNTIME.load(NAC(1, 1), data, RunOptions())
    assert isinstance(session, cpp.CppSession)
    return session


def _edited(statements: str) -> bytes:
    """A header whose ``predict`` of many samples does something else before it computes."""
    data = header(NALU(2, 3, 1), 2).decode("ascii")
    assert MANY in data
    begin = "#include <cmath>"
    more = "#include <cstdio>\n#include <cstdlib>\n#include <unistd.h>"
    return (
        data.replace(MANY, MANY.replace("{ ", f"{{ {statements} ")).replace(begin, f"{begin}\n{more}").encode("ascii")
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("statements", "text"),
    [
        ("*const_cast<volatile int*>(reinterpret_cast<const int*>(n % 1)) = 1;", r"cpp: model-O3 ended with signal 11"),
        ("std::abort();", r"cpp: model-O3 ended with signal 6"),
        ("std::exit(3);", r"cpp: model-O3 ended with exit code 3"),
        ('std::fputs("so long\\n", stderr); std::exit(0);', r"cpp: model-O3 ended with exit code 0: so long"),
        ("std::exit(127);", r"cpp: model-O3 ended with exit code 127"),
        (
            'std::fputs("hello, world\\n", stdout);',
            r"cpp: model-O3 does not keep to the protocol: an answer begins with 1819043176",
        ),
    ],
)
def test_programs_that_misbehave(statements: str, text: str, folders: Path) -> None:
    session = _load(_edited(statements))
    with pytest.raises(InputError, match=f"^{text}$"):
        session.run([X])
    assert not list(folders.iterdir())
    # And it stays over.
    with pytest.raises(InputError, match=f"^{text}$"):
        session.run([X])


@pytest.mark.slow
def test_a_program_that_does_not_start(folders: Path) -> None:
    begin = "namespace { struct Early { Early() { std::exit(9); } } early; }"
    data = _edited("(void)early;").replace(b"struct Model {", f"{begin}\nstruct Model {{".encode())
    with pytest.raises(InputError, match=r"^cpp: model-O3 ended with exit code 9$"):
        _load(data)
    assert not list(folders.iterdir())


@pytest.mark.slow
def test_which_nan_it_is_does_not_matter() -> None:
    """Not between a batch and one sample, nor between levels; another number does."""
    many = 'y[0] = -std::nanf("7"); (void)x; (void)n; return;'
    data = _edited(many).decode().replace(ONE, ONE.replace("{ ", "{ y[0] = ALONE; (void)x; return; "))
    begin = "\n#ifndef NALU_EXPORT_HEADER"

    def run(optimised: str, plain: str, text: str) -> np.ndarray:
        levels = f"\n#ifdef __OPTIMIZE__\n#define ALONE {optimised}\n#else\n#define ALONE {plain}\n#endif"
        return _load(text.replace(begin, levels + begin, 1).encode()).run([X[:1]])[0]

    both = data.replace('-std::nanf("7")', "ALONE")
    for text in (data, both):
        assert np.isnan(run('std::nanf("1")', '-std::nanf("2")', text)).all()
    with pytest.raises(InputError, match=r"^cpp: 1 of 1 samples give something else alone than in their batch$"):
        run('std::nanf("1")', "0.0f", data)
    with pytest.raises(InputError, match=r"^cpp: -O3 and -O0 differ in 1 of 1 samples$"):
        run('std::nanf("1")', "0.0f", both)
    with pytest.raises(InputError, match=r"^cpp: -O3 and -O0 differ in 1 of 1 samples$"):
        run("0.0f", "-0.0f", both)


@pytest.mark.slow
def test_closing_ends_both_programs() -> None:
    session = _load(header(NALU(2, 3, 1), 2))
    processes = [program._process for program in session._programs]
    session.close()
    assert [process.returncode for process in processes] == [0, 0]
    with pytest.raises(InputError, match=r"^cpp: the session is closed$"):
        session.run([X])


def _compiler(path: Path, script: str) -> str:
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="ascii")
    path.chmod(0o755)
    return shlex.quote(str(path))


def test_a_compiler_that_takes_too_long_is_gone_with_what_it_started(
    tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    marker = tmp_path / "children"
    script = f'case "$*" in *-dump*) exit 0;; esac\nsleep 600 & echo $! >> {shlex.quote(str(marker))}\nwait'
    monkeypatch.setenv("CXX", _compiler(tmp_path / "slow", script))
    monkeypatch.setattr(cpp, "COMPILE_SECONDS", 3.0)
    with pytest.raises(InputError, match=r"^cpp: slow did not finish within 3 s$"):
        _load(header(NALU(2, 3, 1), 2))
    assert not list(folders.iterdir())
    children = marker.read_text(encoding="ascii").split()
    assert len(children) == len(cpp.LEVELS)
    assert all(_ended(int(child)) for child in children)


def _ended(process: int) -> bool:
    """Within a moment: whoever adopts it has to look."""
    for _ in range(100):
        try:
            state = Path(f"/proc/{process}/stat").read_text(encoding="ascii").rpartition(")")[2].split()[0]
        except OSError:
            return True
        if state == "Z":
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize(
    ("script", "text"),
    [
        ("exit 4", "exit code 4"),
        ("echo 'something else' >&2; exit 1", "something else"),
        (
            "echo 'a.hpp:1: error: the first'; echo 'x: error: the first' >&2; echo 'error: the second' >&2; exit 1",
            "the first",
        ),
        ("echo 'x: fatal error: none such' >&2; exit 1", "none such"),
        ("printf 'error: \\033[31mred\\033[0m\\n' >&2; exit 1", r"\x1b[31mred\x1b[0m"),
        ("yes 'no colon here' | head -c 1000000 >&2; exit 1", None),
    ],
)
def test_what_a_compiler_says(
    tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch, script: str, text: str | None
) -> None:
    monkeypatch.setenv("CXX", _compiler(tmp_path / "refusing", script))
    with pytest.raises(InputError) as caught:
        _load(header(NALU(2, 3, 1), 2))
    said = str(caught.value).removeprefix("cpp: refusing refuses the file: ")
    assert said == text if text is not None else said in "no colon here"
    assert not list(folders.iterdir())


def test_what_it_says_is_english_and_has_no_path_of_this_machine(
    tmp_path: Path, folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = 'for word in "$@"; do case "$word" in -I*) folder=${word#-I};; esac; done\n'
    script += 'echo "error: $folder/x $LC_ALL" >&2; exit 1'
    monkeypatch.setenv("CXX", _compiler(tmp_path / "c", script))
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with pytest.raises(InputError, match=r"^cpp: c refuses the file: x C$"):
        _load(header(NALU(2, 3, 1), 2))


@pytest.mark.parametrize("variable", ["CXX", "CXXFLAGS"])
def test_what_a_shell_would_not_take(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setenv(variable, "'g++")
    with pytest.raises(
        InputError, match=f"^cpp: {variable} is 'g\\+\\+: No closing quotation; write it as a shell takes it$"
    ):
        _load(header(NALU(2, 3, 1), 2))


@pytest.mark.slow
def test_a_standard_in_the_flags_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    data = header(NALU(2, 3, 1), 2).replace(
        b"#include <cmath>", b"#include <cmath>\nstatic_assert(__cplusplus > 201703L);"
    )
    with pytest.raises(InputError, match="refuses the file: static assertion failed"):
        _load(data)
    monkeypatch.setenv("CXXFLAGS", "-std=c++20")
    assert _load(data).run([X])[0].shape == (2, 1)


def test_a_folder_that_cannot_be_written(folders: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(InputError, match=r"^cpp: the temporary folder cannot be written: No space left on device$"):
        _load(header(NALU(2, 3, 1), 2))
    assert not list(folders.iterdir())


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    """A model and its header."""
    model = NALU(2, 3, 1)
    nalu_export.save(model, tmp_path / "model.pt")
    return tmp_path / "model.pt", exported(tmp_path / "model.pt", "cpp")


def test_all_runtimes_of_a_header(files: tuple[Path, Path]) -> None:
    report = nalu_export.check(*files, "all", samples=64, search=0)
    assert report.passed
    assert [found.name for found in report.runtimes] == ["cpp", "torch"]


def test_no_compiler_is_exit_code_3(files: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    monkeypatch.setenv("PATH", str(folders))
    done = CliRunner().invoke(main, ["check", *map(str, files)])
    assert done.exit_code == 3
    text = "cpp: none of c++, g++, clang++ was found; install a C++17 compiler, or set CXX to one"
    assert text in " ".join(done.output.split())
    # Where every runtime that is there was asked for, it is one that is not.
    done = CliRunner().invoke(main, ["check", *map(str, files), "--runtime", "all", "--samples", "32"])
    assert done.exit_code == 0
    assert "not run: cpp: none of c++, g++, clang++ was found\n" in done.output


def test_an_export_without_a_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folders: Path) -> None:
    monkeypatch.setenv("PATH", str(folders))
    with pytest.raises(RuntimeUnavailableError, match=r"^cpp: none of c\+\+, g\+\+, clang\+\+ was found"):
        nalu_export.export(NALU(2, 3, 1), tmp_path / "model.hpp", format="cpp")
    assert not (tmp_path / "model.hpp").exists()
    artifact = nalu_export.export(NALU(2, 3, 1), tmp_path / "model.hpp", format="cpp", check=False)
    assert artifact.metadata["parity"] == {"verdict": "unchecked"}


@pytest.mark.slow
def test_a_damaged_header_is_no_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked is what is written: one wrong digit in the text that emits is found before the file appears."""
    whole = CppDraft.to_bytes

    def wrong(self: CppDraft, metadata: dict[str, str]) -> bytes:
        data = whole(self, metadata)
        assert json.loads(metadata["nalu_export.parity"])["verdict"] == "passed"
        return data.replace(b"M::splat(0x1.b7cdfep-34f)", b"M::splat(0x1.b7cdfep-33f)")

    monkeypatch.setattr(CppDraft, "to_bytes", wrong)
    torch.manual_seed(0)
    with pytest.raises(ParityError, match=r"not written, the check failed: cpp on distribution "):
        nalu_export.export(NALU(2, 3, 1), tmp_path / "model.hpp", format="cpp")
    assert not (tmp_path / "model.hpp").exists()
