"""Build the C++ programs here with the libraries that Python packages bring, and say what is missing otherwise.

libtorch comes with the package torch, libonnxruntime with onnxruntime. The headers of the latter are the system's or,
where it has none, those of a Debian package, which is unpacked into the build folder and not installed.
"""

import argparse
import fcntl
import importlib.metadata
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

HERE = Path(__file__).resolve().parent
PACKAGE = "libonnxruntime-dev"
# The first Debian with the package. Its API is older than the library of the wheel, which knows all earlier ones.
SUITE = "trixie"
ENTRY = "onnxruntime_cxx_api.h"
SYSTEM = [Path(root, "include", sub) for root in ("/usr", "/usr/local") for sub in ("onnxruntime", "")]
KEYRINGS = [Path("/usr/share/keyrings") / f"debian-archive-keyring.{suffix}" for suffix in ("gpg", "pgp")]
EXIT_FAILED, EXIT_MISSING = 1, 2
LOG_LINES = 40


class MissingError(Exception):
    """Something that is needed is not on this machine; the text is one line that says what, and what to do."""


class FailedError(Exception):
    """A build that failed, with the end of its log."""


def main() -> int:
    """Parse, build, and give the exit code: 1 the build failed, 2 something is missing."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--build", type=Path, default=HERE / "build", metavar="FOLDER", help="where to build")
    parser.add_argument("--header", type=Path, action="append", default=[], help="a model's header, for header_infer")
    parser.add_argument("--header-two-inputs", type=Path, metavar="HEADER", help="that of two_inputs.py")
    parser.add_argument("--onnxruntime-headers", type=Path, metavar="FOLDER", help=f"where {ENTRY} is")
    options = parser.parse_args()
    try:
        build(options.build.resolve(), model_headers(options), options.onnxruntime_headers)
    except MissingError as error:
        print(f"build.py: {error}", file=sys.stderr)
        return EXIT_MISSING
    except FailedError as error:
        print(error, file=sys.stderr)
        return EXIT_FAILED
    return 0


def model_headers(options: argparse.Namespace) -> dict[str, str]:
    """The headers of models, under the names that CMake has for them."""
    two_inputs = options.header_two_inputs
    return {
        "NALU_HEADER": ";".join(str(path.resolve()) for path in options.header),
        "NALU_HEADER_TWO_INPUTS": str(two_inputs.resolve()) if two_inputs else "",
    }


def build(folder: Path, models: Mapping[str, str], headers: Path | None) -> None:
    """Configure and build into ``folder``; what is up to date there stays.

    Args:
        folder: where to.
        models: the values of :func:`model_headers`.
        headers: the folder of onnxruntime's, where that is known.
    """
    need_tools()
    torch, onnxruntime = package("torch"), package("onnxruntime")
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        library = link_libraries(onnxruntime / "capi", folder / "lib")
        found = headers or find_headers(folder)
        if not (found / ENTRY).is_file():
            raise MissingError(f"{found} has no {ENTRY}; --onnxruntime-headers is the folder that holds it")
        print(f"{version('onnxruntime')}: {onnxruntime}, headers {found}")
        print(f"{version('torch')}: {torch}")
        values = {
            "CMAKE_PREFIX_PATH": str(torch),
            "ONNXRUNTIME_LIBRARY": str(library),
            "ONNXRUNTIME_INCLUDE_DIR": str(found),
            "NALU_LIBRARY_PATH": ";".join(str(path) for path in sorted(torch.parent.glob("nvidia/*/lib"))),
            **models,
        }
        compile_all(folder, values)
    print(f"built: {', '.join(programs(folder))} in {folder}")


def need_tools() -> None:
    """Refuse to start without CMake, a compiler and what CMake drives it with."""
    tools = {"cmake": ("cmake",), "g++": ("c++", "g++", "clang++"), "make": ("make", "ninja")}
    missing = [name for name, commands in tools.items() if not any(map(shutil.which, commands))]
    if missing:
        names = " ".join(missing)
        raise MissingError(f"{names.replace(' ', ', ')} is missing; on Debian and Ubuntu: apt-get install {names}")


def package(name: str) -> Path:
    """The folder of an installed Python package, which is not imported: that takes seconds."""
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise MissingError(f"the Python package {name} is missing; pip install {name}")
    return Path(next(iter(spec.submodule_search_locations)))


def version(name: str) -> str:
    """Name and version, whichever of its distributions is installed."""
    for distribution in (name, f"{name}-gpu"):
        try:
            return f"{distribution} {importlib.metadata.version(distribution)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return name


def link_libraries(source: Path, folder: Path) -> Path:
    """Links to the libraries of the wheel, with the name ``libonnxruntime.so.1`` that it lacks and the linker asks for.

    All of them in one folder, because onnxruntime looks for its providers beside the path that it was loaded from.
    """
    libraries = sorted(source.glob("libonnxruntime*.so*"))
    versioned = [path for path in libraries if path.name.startswith("libonnxruntime.so.")]
    if not versioned:
        raise MissingError(f"{source} has no libonnxruntime.so; pip install onnxruntime, of a version for Linux")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for path in libraries:
        (folder / path.name).symlink_to(path)
    major = ".".join(versioned[0].name.split(".")[:3])
    if not (folder / major).exists():
        (folder / major).symlink_to(versioned[0])
    return folder / major


def find_headers(folder: Path) -> Path:
    """The folder of onnxruntime's C++ headers: the system's, or those fetched before, or fetched now."""
    fetched = folder / "headers" / "usr" / "include" / "onnxruntime"
    for place in (*SYSTEM, fetched):
        if (place / ENTRY).is_file():
            return place
    try:
        fetch_headers(folder)
    except MissingError as error:
        raise MissingError(
            f"onnxruntime's C++ headers are missing: {error}; install {PACKAGE}, "
            f"or give --onnxruntime-headers the folder that holds {ENTRY}"
        ) from error
    return fetched


def fetch_headers(folder: Path) -> None:
    """Download the Debian package with apt, which checks its signature, and unpack it into ``folder / "headers"``.

    apt works on files of its own in the build folder, so that this needs no root and changes nothing on the machine.
    """
    for command in ("apt-get", "dpkg"):
        if shutil.which(command) is None:
            raise MissingError(f"{command}, which fetches them, is not here")
    scratch = folder / "apt"
    shutil.rmtree(scratch, ignore_errors=True)
    for path in ("state/lists/partial", "cache/archives/partial"):
        (scratch / path).mkdir(parents=True)
    configuration = str(private_apt(scratch))
    # An update that fails for one of several mirrors is no failure; a package that is not there afterwards is one.
    said = [quietly(["apt-get", "-c", configuration, *words], scratch) for words in (["update"], ["download", PACKAGE])]
    archive = next(scratch.glob(f"{PACKAGE}_*.deb"), None)
    if archive is None:
        raise MissingError(next((f"apt-get says {line}" for line in said if line), f"no {PACKAGE} in {SUITE}"))
    unpacked = scratch / "unpacked"
    if line := quietly(["dpkg", "-x", str(archive), str(unpacked)], scratch):
        raise MissingError(f"dpkg says {line}")
    shutil.rmtree(folder / "headers", ignore_errors=True)
    unpacked.rename(folder / "headers")
    shutil.rmtree(scratch)


def private_apt(scratch: Path) -> Path:
    """A configuration for apt that reads and writes in ``scratch`` alone, with the mirrors that this machine uses."""
    keyring = next((f"[signed-by={path}] " for path in KEYRINGS if path.is_file()), "")
    sources = "".join(f"deb {keyring}{mirror} {SUITE} main\n" for mirror in mirrors())
    if not sources:
        raise MissingError("this machine's apt knows no Debian mirror to fetch them from")
    (scratch / "sources.list").write_text(sources)
    settings = {
        "Dir::State": scratch / "state",
        "Dir::State::status": "/dev/null",
        "Dir::Cache": scratch / "cache",
        "Dir::Etc::sourcelist": scratch / "sources.list",
        "Dir::Etc::sourceparts": "-",
        "Acquire::Languages": "none",
        "Acquire::Retries": 2,
        "Acquire::http::Timeout": 20,
        # apt gives up root for a user of its own, who may not write here.
        "APT::Sandbox::User": "root",
    }
    # What runs on the machine after an update of its own lists has no business here.
    cleared = "#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n"
    path = scratch / "apt.conf"
    path.write_text(cleared + "".join(f'{key} "{value}";\n' for key, value in settings.items()))
    return path


def mirrors() -> list[str]:
    """Addresses in this machine's apt sources that have releases of their own, not updates of one."""
    command = ["apt-get", "indextargets", "--format", "$(RELEASE) $(COMPONENT) $(REPO_URI)", "Created-By: Packages"]
    lines = subprocess.run(command, capture_output=True, text=True, check=False).stdout.splitlines()
    rows = [words for line in lines if len(words := line.split(" ")) == 3]
    return list(
        dict.fromkeys(mirror for release, component, mirror in rows if "-" not in release and component == "main")
    )


def quietly(command: list[str], folder: Path) -> str:
    """Run apt or dpkg in ``folder``; the first error that it tells of, if any."""
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    lines = (done.stderr + done.stdout).splitlines()
    error = next((line for line in lines if line.startswith(("E:", "dpkg"))), f"exit code {done.returncode}")
    return error if done.returncode else ""


def compile_all(folder: Path, values: dict[str, str]) -> None:
    """CMake, twice: configure, when its values are others than last time, and build."""
    log = folder / "build.log"
    stamp, state = folder / "values.json", json.dumps(values, indent=1)
    if not stamp.exists() or stamp.read_text() != state:
        # CMake keeps the libraries that it found once, also when it is told of others.
        (folder / "CMakeCache.txt").unlink(missing_ok=True)
        stamp.unlink(missing_ok=True)
        definitions = [f"-D{key}={text}" for key, text in values.items()]
        logged(["cmake", "-S", str(HERE), "-B", str(folder), *definitions], log, "w")
        stamp.write_text(state)
    logged(["cmake", "--build", str(folder), "--parallel"], log, "a")


def logged(command: list[str], log: Path, mode: str) -> None:
    """Run one command with its output in ``log``; a failure shows what it says from the first error on."""
    with log.open(mode) as file:
        start = file.tell()
        done = subprocess.run(command, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        lines = log.read_bytes()[start:].decode(errors="replace").splitlines()
        first = next((index for index, line in enumerate(lines) if "error" in line.lower()), -LOG_LINES)
        shown = lines[first:][:LOG_LINES]
        raise FailedError("\n".join([*shown, f"build.py: {' '.join(command[:2])} failed; all it said is in {log}"]))


def programs(folder: Path) -> list[str]:
    """The names of what was built."""
    found = {*folder.glob("*_infer*"), *folder.glob("header_*")}
    return sorted(path.name for path in found if path.is_file())


if __name__ == "__main__":
    sys.exit(main())
