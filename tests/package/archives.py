"""Builds the wheel and the sdist, and installs the wheel where nothing leads back to the checkout."""

import json
import os
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
TIMEOUT = 120
#: The exit code of a process of the environment that opens a file of the checkout.
ESCAPED = 99
# An audit hook cannot be removed, and nothing can catch _exit.
_GUARD = """
import os, sys

def _guard(event, args, root={root!r}, allowed={allowed!r}):
    if event not in ("open", "os.listdir", "os.scandir", "subprocess.Popen") or not args:
        return
    if not isinstance(args[0], (str, bytes, os.PathLike)):
        return
    path = os.path.abspath(os.fsdecode(args[0]))
    if path.startswith(root) and not path.startswith(tuple(allowed)):
        os.write(2, f"the checkout was used: {{path}}\\n".encode())
        os._exit({code})

sys.addaudithook(_guard)
"""


@dataclass(frozen=True)
class Archives:
    """What would be published.

    Attributes:
        wheel: built from the checkout.
        sdist: built from the checkout.
        again: the wheel that is built from the sdist.
    """

    wheel: Path
    sdist: Path
    again: Path

    def in_wheel(self) -> dict[str, bytes]:
        """Every file of the wheel."""
        with zipfile.ZipFile(self.wheel) as archive:
            return {name: archive.read(name) for name in archive.namelist()}

    def in_sdist(self) -> set[str]:
        """The names of the sdist's files, without its top folder."""
        with tarfile.open(self.sdist) as archive:
            return {member.name.partition("/")[2] for member in archive.getmembers() if member.isfile()}


def build(folder: Path) -> Archives:
    """Both archives of the checkout, and the wheel of the sdist."""
    _hatchling(ROOT, folder / "checkout")
    (sdist,) = (folder / "checkout").glob("*.tar.gz")
    (wheel,) = (folder / "checkout").glob("*.whl")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder / "unpacked", filter="data")
    (source,) = (folder / "unpacked").iterdir()
    _hatchling(source, folder / "again")
    (again,) = (folder / "again").glob("*.whl")
    return Archives(wheel, sdist, again)


def _hatchling(source: Path, folder: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-d", str(folder)]
    done = subprocess.run(command, cwd=source, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, f"{done.stderr}\n`make` installs hatchling and its plugin from constraints.txt"


@dataclass(frozen=True)
class Installed:
    """An environment with the installed wheel.

    Attributes:
        folder: of the environment.
        packages: its site-packages.
    """

    folder: Path
    packages: Path

    def run(self, *words: str | Path, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        """A command of the environment, in a folder that is not the checkout's."""
        keep = {key: os.environ[key] for key in ("PATH", "HOME", "TMPDIR", "OPENBLAS_CORETYPE") if key in os.environ}
        command = [str(self.folder / "bin" / words[0]), *map(str, words[1:])]
        variables = keep | {"LC_ALL": "C.UTF-8", "ORT_DISABLE_TELEMETRY": "1"} | environment
        return subprocess.run(
            command, cwd=cwd, env=variables, capture_output=True, text=True, timeout=TIMEOUT, check=False
        )

    def out(self, *words: str | Path, cwd: Path, **environment: str) -> str:
        """What a command prints that ends well and has nothing to complain about."""
        done = self.run(*words, cwd=cwd, **environment)
        assert (done.returncode, done.stderr) == (0, ""), f"{words}\n{done.stderr}\n{done.stdout}"
        return done.stdout

    def python(self, code: str, *, cwd: Path) -> str:
        """What a program prints."""
        return self.out("python", "-c", code, cwd=cwd)


def install(wheel: Path, folder: Path) -> Installed:
    """The wheel as pip installs it, and links to all other packages of the environment that runs the tests.

    So nothing is downloaded. A process that opens a file of the checkout ends with the exit code ``ESCAPED``.
    """
    venv.create(folder, symlinks=True)
    names = {"base": str(folder), "platbase": str(folder)}
    packages = Path(sysconfig.get_path("purelib", scheme="venv", vars=names))
    words = [
        "--python",
        str(folder / "bin" / "python"),
        "install",
        "--no-deps",
        "--no-index",
        "--no-compile",
        "-q",
        str(wheel),
    ]
    subprocess.run([sys.executable, "-m", "pip", *words], check=True, timeout=TIMEOUT)
    for source in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for path in Path(source).iterdir():
            link = packages / path.name
            if path.suffix != ".pth" and "nalu_export" not in path.name and not link.exists():
                link.symlink_to(path)
    allowed = [f"{path}{os.sep}" for path in (sys.prefix, os.path.realpath(sys.prefix))]
    guard = _GUARD.format(root=f"{ROOT}{os.sep}", allowed=allowed, code=ESCAPED)
    (packages / "sitecustomize.py").write_text(guard, encoding="utf-8")
    return Installed(folder, packages)


def distributions(installed: Installed, cwd: Path) -> list[str]:
    """The files that ``nalu_export`` and its metadata come from, one for each distribution of that name."""
    code = (
        "import json, nalu_export\n"
        "from importlib.metadata import distributions\n"
        "found = [str(d.locate_file('')) for d in distributions() if d.metadata['Name'] == 'nalu_export']\n"
        "print(json.dumps([nalu_export.__file__, *found]))"
    )
    found: list[str] = json.loads(installed.python(code, cwd=cwd))
    return found
