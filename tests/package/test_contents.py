"""What is inside the wheel and the sdist, and what a package index shows of them."""

import email
import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

import nalu_export
from tests.package.archives import ROOT, Archives

pytestmark = pytest.mark.slow
KINDS = {".py", ".hpp", ".cpp", ".jinja", ".css", ".json", ".typed"}
COMPILE = """
import pathlib, sys
for path in pathlib.Path(sys.argv[1]).rglob("*.py"):
    compile(path.read_bytes(), path, "exec")
"""
DIST_INFO = f"nalu_export-{nalu_export.__version__}.dist-info"


def _sources() -> dict[str, bytes]:
    """Every file of the package in the checkout."""
    paths = [path for path in (ROOT / "nalu_export").rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    return {path.relative_to(ROOT).as_posix(): path.read_bytes() for path in paths}


def test_the_wheel_holds_the_package_and_nothing_else(archives: Archives) -> None:
    found, sources = archives.in_wheel(), _sources()
    said = {name for name in found if name.startswith(f"{DIST_INFO}/")}
    assert {name: found[name] for name in found if name not in said} == sources
    assert {name.rpartition("/")[2] for name in said} == {"METADATA", "WHEEL", "RECORD", "LICENSE", "entry_points.txt"}
    assert found[f"{DIST_INFO}/licenses/LICENSE"] == (ROOT / "LICENSE").read_bytes()
    # A kind of file that is new here may be one that was left lying around.
    assert {f".{name.rpartition('.')[2]}" for name in sources} == KINDS
    assert archives.wheel.name.endswith("-py3-none-any.whl")


def test_the_sdist_holds_what_the_wheel_is_built_from(archives: Archives) -> None:
    # hatchling adds the last two: what it must not pack, and the metadata.
    files = {"CHANGELOG.md", "LICENSE", "README.md", "pyproject.toml", ".gitignore", "PKG-INFO"}
    assert archives.in_sdist() == {*_sources(), *files}


def test_the_sdist_builds_the_same_wheel(archives: Archives) -> None:
    assert archives.again.name == archives.wheel.name
    assert archives.again.read_bytes() == archives.wheel.read_bytes()


def test_the_metadata(archives: Archives) -> None:
    said = email.message_from_bytes(archives.in_wheel()[f"{DIST_INFO}/METADATA"])
    assert (said["Name"], said["Version"]) == ("nalu_export", nalu_export.__version__)
    assert (said["License-Expression"], said["Description-Content-Type"]) == ("MIT", "text/markdown")
    points = archives.in_wheel()[f"{DIST_INFO}/entry_points.txt"].decode()
    assert "nalu-export = nalu_export.cli.entry:entry" in points
    assert "nalu_export.testing.plugin = nalu_export.testing.plugin" in points


def test_the_description_has_no_link_that_leads_nowhere(archives: Archives) -> None:
    """A package index shows README.md without the files that it links to."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    message = email.message_from_bytes(archives.in_wheel()[f"{DIST_INFO}/METADATA"])
    payload = message.get_payload(decode=True)
    assert isinstance(payload, bytes)
    description = payload.decode()
    assert re.findall(r"\]\((?!https?://)", readme)
    assert not re.findall(r"\]\((?!https?://)", description)
    assert len(description.splitlines()) > 0.9 * len(readme.splitlines())


@pytest.mark.parametrize(
    ("markdown", "shown"),
    [
        ("see [docs/cpp.md](docs/cpp.md).", "see docs/cpp.md."),
        ("([all\nof them](docs/security.md#exit-codes))", "(all\nof them)"),
        ("![the error](docs/error.png)\n\ntext", "text"),
        ("[page](https://example.org/a) and ![plot](https://example.org/b.png)", None),
        ("layers.0.W[0, 12] = weight (off)", None),
    ],
)
def test_how_links_are_shown(markdown: str, shown: str | None) -> None:
    text = markdown
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for rule in settings["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    assert text == (markdown if shown is None else shown)


@pytest.mark.parametrize("version", ["3.12", "3.13", "3.14"])
def test_newer_pythons_compile_it_without_a_warning(version: str) -> None:
    """All that can be tested of a Python that torch has no CPU build for."""
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    found = [*map(str, versions.glob(f"{version}.*/bin/python")), shutil.which(f"python{version}")]
    # A shim of pyenv that is on the PATH may stand for a version that is not there.
    python = next(
        (path for path in found if path and not subprocess.run([path, "-c", ""], check=False).returncode), None
    )
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    subprocess.run([python, "-W", "error", "-c", COMPILE, str(ROOT / "nalu_export")], check=True)
