"""examples/cpp/build.py and CMakeLists.txt: what is found, what is missing and said, and a copy elsewhere."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path
from types import ModuleType

import pytest

from tests.examples.programs import CPP, Done, Programs, run

BUILD = CPP / "build.py"
HEADER = """#pragma once
#include <cstddef>
namespace nalu {
struct Model {
    static constexpr std::size_t inputs = 1, outputs = 1;
    static constexpr const char *source_sha256 = "", *compute = "float32", *tool = "";
    static void predict(const float* x, float* y) noexcept { *y = *x; }
    static void predict(const float* x, float* y, std::size_t n) noexcept { while (n-- > 0) y[n] = x[n]; }
};
}  // namespace nalu
"""


@pytest.fixture
def script() -> ModuleType:
    """build.py as a module."""
    spec = importlib.util.spec_from_file_location("cpp_build", BUILD)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


needs_cmake = pytest.mark.skipif(
    not all(map(shutil.which, ("cmake", "make"))) or not any(map(shutil.which, ("c++", "g++", "clang++"))),
    reason="there is no cmake, make or C++ compiler here",
)


def with_tools(folder: Path, *names: str) -> dict[str, str]:
    """An environment in which only these commands are found."""
    folder.mkdir()
    for name in names:
        found = shutil.which(name)
        if found is None:
            pytest.skip(f"there is no {name} here")
        (folder / name).symlink_to(found)
    return {"PATH": str(folder)}


@pytest.mark.quick(1)
@pytest.mark.parametrize(
    ("tools", "said"),
    [
        ((), "cmake, g++, make is missing; on Debian and Ubuntu: apt-get install cmake g++ make"),
        (("c++", "make"), "cmake is missing; on Debian and Ubuntu: apt-get install cmake"),
        (("cmake", "make"), "g++ is missing; on Debian and Ubuntu: apt-get install g++"),
    ],
)
def test_missing_tools_are_one_line(tools: tuple[str, ...], said: str, programs: Programs, tmp_path: Path) -> None:
    done = run(sys.executable, BUILD, "--build", tmp_path / "b", **with_tools(tmp_path / "bin", *tools))
    assert done == Done(2, "", f"build.py: {said}\n")
    assert not (tmp_path / "b").exists()


def test_a_missing_package_is_one_line(script: ModuleType) -> None:
    with pytest.raises(script.MissingError, match=r"^the Python package torhc is missing; pip install torhc$"):
        script.package("torhc")


def test_a_wheel_without_the_library_is_one_line(script: ModuleType, tmp_path: Path) -> None:
    text = rf"^{tmp_path} has no libonnxruntime\.so; pip install onnxruntime, of a version for Linux$"
    with pytest.raises(script.MissingError, match=text):
        script.link_libraries(tmp_path, tmp_path / "lib")


def test_headers_are_looked_for_where_they_are_said_to_be(programs: Programs, tmp_path: Path) -> None:
    done = run(sys.executable, BUILD, "--build", tmp_path / "b", "--onnxruntime-headers", tmp_path)
    text = f"{tmp_path} has no onnxruntime_cxx_api.h; --onnxruntime-headers is the folder that holds it"
    assert done == Done(2, "", f"build.py: {text}\n")


@pytest.mark.parametrize(
    ("apt", "reason"),
    [
        (None, "apt-get, which fetches them, is not here"),
        ("exit 0", "this machine's apt knows no Debian mirror to fetch them from"),
        ('[ "$1" = indextargets ] && echo "x main m" && exit; echo "E: no network"; exit 100',
         "apt-get says E: no network"),
        ('[ "$1" = indextargets ] && echo "x main m"; exit 0', "no libonnxruntime-dev in trixie"),
        ('[ "$1" = indextargets ] && echo "x main m"; [ "$3" != download ] || echo damaged > libonnxruntime-dev_1.deb',
         "dpkg says dpkg-deb: error: '"),
    ],
)  # fmt: skip
def test_headers_that_cannot_be_fetched_are_one_line(
    apt: str | None, reason: str, script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tools = with_tools(tmp_path / "bin", "dpkg", "dpkg-deb", "sh", "tar", "rm")
    if apt is not None:
        (tmp_path / "bin" / "apt-get").write_text(f"#!/bin/sh\n{apt}\n")
        (tmp_path / "bin" / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", tools["PATH"])
    monkeypatch.setattr(script, "SYSTEM", [tmp_path])
    with pytest.raises(script.MissingError) as error:
        script.find_headers(tmp_path)
    text = str(error.value)
    assert text.startswith(f"onnxruntime's C++ headers are missing: {reason}")
    rest = "; install libonnxruntime-dev, or give --onnxruntime-headers the folder that holds onnxruntime_cxx_api.h"
    assert text.endswith(rest)
    assert "\n" not in text


def test_headers_that_are_there_are_not_fetched(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "SYSTEM", [tmp_path / "none", tmp_path / "system"])
    monkeypatch.setattr(script, "fetch_headers", lambda folder: pytest.fail("fetched"))
    for place in (tmp_path / "headers" / "usr" / "include" / "onnxruntime", tmp_path / "system"):
        place.mkdir(parents=True)
        (place / "onnxruntime_cxx_api.h").write_text("")
        assert script.find_headers(tmp_path) == place


def test_apt_is_kept_to_a_folder_of_its_own(
    script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(script, "mirrors", lambda: ["mirror:/a", "mirror:/b"])
    monkeypatch.setattr(script, "KEYRINGS", [tmp_path / "none", BUILD])
    lines = script.private_apt(tmp_path).read_text().splitlines()
    places = dict(line.rstrip(";").replace('"', "").split(" ", 1) for line in lines if line.startswith("Dir::"))
    assert places == {
        "Dir::State": str(tmp_path / "state"),
        "Dir::State::status": "/dev/null",
        "Dir::Cache": str(tmp_path / "cache"),
        "Dir::Etc::sourcelist": str(tmp_path / "sources.list"),
        "Dir::Etc::sourceparts": "-",
    }
    sources = (tmp_path / "sources.list").read_text().splitlines()
    assert sources == [f"deb [signed-by={BUILD}] mirror:/{name} trixie main" for name in "ab"]


def test_mirrors_are_those_of_releases(script: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = ["bookworm main mirror:/debian", "bookworm contrib mirror:/debian", "bookworm-updates main mirror:/debian"]
    rows += ["bookworm-security main mirror:/security", "stable main mirror:/other", "bookworm main mirror:/debian"]
    tools = with_tools(tmp_path / "bin", "cat")
    (tmp_path / "rows").write_text("\n".join(rows))
    (tmp_path / "bin" / "apt-get").write_text(f"#!/bin/sh\ncat {tmp_path / 'rows'}\n")
    (tmp_path / "bin" / "apt-get").chmod(0o755)
    monkeypatch.setenv("PATH", tools["PATH"] + os.pathsep + "/bin")
    assert script.mirrors() == ["mirror:/debian", "mirror:/other"]


def test_the_missing_link_is_made_and_providers_stand_beside_it(script: ModuleType, tmp_path: Path) -> None:
    source, lib = tmp_path / "capi", tmp_path / "lib"
    source.mkdir()
    for name in ("libonnxruntime.so.1.99.0", "libonnxruntime_providers_cuda.so", "other.so"):
        (source / name).write_text("")
    for _ in range(2):
        assert script.link_libraries(source, lib) == lib / "libonnxruntime.so.1"
        assert (lib / "libonnxruntime.so.1").resolve() == source / "libonnxruntime.so.1.99.0"
        names = ["libonnxruntime.so.1", "libonnxruntime.so.1.99.0", "libonnxruntime_providers_cuda.so"]
        assert sorted(path.name for path in lib.iterdir()) == names


@needs_cmake
def test_a_build_that_fails_shows_its_log(script: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "m.hpp").write_text("#error the header says no\n")
    with pytest.raises(script.FailedError) as error:
        script.compile_all(tmp_path, {"NALU_HEADER": str(tmp_path / "m.hpp")})
    lines = str(error.value).splitlines()
    assert any("the header says no" in line for line in lines)
    assert len(lines) <= script.LOG_LINES + 1
    assert lines[-1] == f"build.py: cmake --build failed; all it said is in {tmp_path / 'build.log'}"


@needs_cmake
def test_other_libraries_than_last_time_are_used(script: ModuleType, tmp_path: Path) -> None:
    for name in ("a", "b"):
        library = tmp_path / name / "lib" / "libc10.so"
        library.parent.mkdir(parents=True)
        library.write_text("")
        script.compile_all(tmp_path, {"CMAKE_PREFIX_PATH": str(tmp_path / name)})
        assert f"C10_LIBRARY:FILEPATH={library}\n" in (tmp_path / "CMakeCache.txt").read_text()


@pytest.mark.slow
def test_a_copy_elsewhere_builds_what_it_can_and_says_what_it_leaves_out(tmp_path: Path, programs: Programs) -> None:
    source = tmp_path / "my app"
    source.mkdir()
    for path in (*CPP.glob("*.?pp"), CPP / "CMakeLists.txt"):
        shutil.copy(path, source)
    (source / "mine.hpp").write_text(HEADER)
    build = tmp_path / "out"
    done = run("cmake", "-S", source, "-B", build, f"-DNALU_HEADER={source / 'mine.hpp'}", "-DTORCH_LIBRARY=")
    assert (done.code, done.err) == (0, "")
    assert "-- libtorch_infer is left out: set CMAKE_PREFIX_PATH to libtorch's folder" in done.out
    assert "-- header_two_inputs is left out: set NALU_HEADER_TWO_INPUTS" in done.out
    done = run("cmake", "--build", build)
    assert (done.code, done.err) == (0, "")
    done = run(build / "header_infer")
    assert done == Done(2, "", "header_infer: usage: header_infer GOLDEN.bin\n")


def test_everything_compiled_without_a_warning(programs: Programs) -> None:
    # Of every compilation since it was configured: all of them, where the tests start from nothing.
    log = (programs.folder / "build.log").read_text()
    assert "Build files have been written to" in log
    assert "warning" not in log.lower()
    flags = (programs.folder / "CMakeFiles" / "onnxruntime_infer.dir" / "flags.make").read_text()
    assert {"-Wall", "-Wextra", "-pedantic"} <= set(flags.split())
