"""``nalu-export export``: what it writes where, and what a failed check leaves."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from nalu_export.api import export as exporting
from nalu_export.api.inspect import inspect
from tests.cli.conftest import Run, listing
from tests.formats.programs import CHECKED

FORMATS = {"cpp": "model.hpp", "onnx": "model.onnx", "torchscript": "model.torchscript.pt"}


@pytest.mark.quick(1)
@pytest.mark.parametrize("format_name", CHECKED)
def test_it_says_what_it_checked_and_wrote(format_name: str, source: Path, run: Run) -> None:
    result = run(source, "-f", format_name)
    assert (result.exit_code, result.stderr) == (0, "")
    name = FORMATS[format_name]
    assert listing() == sorted([name, "model.pt"])
    size = Path(name).stat().st_size
    assert result.stdout.splitlines()[-2] == (
        f"written: {name}: {format_name}, {size:,} bytes, folded weights, float32; input (batch, 2) → output (batch, 1)"
    )
    assert "passed" in result.stdout
    assert "FAILED" not in result.stdout
    assert inspect(name)["parity"]["verdict"] == "passed"


def test_every_format_has_a_default_name(source: Path, run: Run) -> None:
    from nalu_export import formats

    assert set(FORMATS) == set(formats.names())


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a b.pt", "a b.onnx"),
        ("größe 数.pt", "größe 数.onnx"),
        ("a\nb.pt", "a\nb.onnx"),
        ("a:smile:.pt", "a:smile:.onnx"),
        ("[bold]x[x].pt", "[bold]x[x].onnx"),
        ("no suffix", "no suffix.onnx"),
        ("two.dots.pt", "two.dots.onnx"),
        (".hidden", ".hidden.onnx"),
        ("./-x.pt", "-x.onnx"),
    ],
)
def test_default_name_beside_any_name(name: str, written: str, source: Path, run: Run) -> None:
    source.rename(name)
    result = run(name, "-f", "onnx", "--no-check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert listing() == sorted([os.path.basename(name), written])
    assert f"written: {written}: onnx, ".replace("\n", r"\n") in result.stdout


@pytest.mark.parametrize("verb", [[], ["export"]], ids=["", "export"])
def test_a_leading_dash_after_two_dashes(verb: list[str], source: Path, run: Run) -> None:
    source.rename("-x.pt")
    assert run(*verb, "-f", "onnx", "--no-check", "--", "-x.pt").exit_code == 0
    assert listing() == ["-x.onnx", "-x.pt"]


def test_beside_a_model_in_another_folder(source: Path, run: Run) -> None:
    Path("sub").mkdir()
    source.rename("sub/model.pt")
    assert run("sub/model.pt", "-f", "onnx", "--no-check").exit_code == 0
    assert sorted(os.listdir("sub")) == ["model.onnx", "model.pt"]
    assert listing() == ["sub"]


def test_output(source: Path, run: Run) -> None:
    Path("out").mkdir()
    assert run(source, "-f", "onnx", "-o", "out/any name", "--no-check").exit_code == 0
    assert os.listdir("out") == ["any name"]
    assert listing() == ["model.pt", "out"]


def test_twice_gives_the_same_bytes_and_replaces(source: Path, run: Run) -> None:
    Path("model.onnx").write_bytes(b"something else")
    run(source, "-f", "onnx")
    first = Path("model.onnx").read_bytes()
    assert run(source, "-f", "onnx").exit_code == 0
    assert Path("model.onnx").read_bytes() == first != b"something else"


@pytest.mark.usefixtures("wrong_checks")
@pytest.mark.parametrize("old", [None, b"the old file"])
def test_a_failed_check_writes_nothing(old: bytes | None, source: Path, run: Run) -> None:
    if old is not None:
        Path("model.onnx").write_bytes(old)
    result = run(source, "-f", "onnx")
    assert result.exit_code == 1
    assert result.stderr.startswith(
        "nalu-export: model.onnx: not written, the check failed: onnxruntime-cpu on distribution "
    )
    assert result.stderr.count("\n") == 1
    assert "FAILED" in result.stdout
    assert listing() == (["model.pt"] if old is None else ["model.onnx", "model.pt"])
    assert old is None or Path("model.onnx").read_bytes() == old


@pytest.mark.usefixtures("wrong_checks")
def test_a_failed_check_as_json(source: Path, run: Run) -> None:
    result = run(source, "-f", "onnx", "--json")
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    found = json.loads(result.stdout)
    assert list(found) == ["parity"]
    assert found["parity"]["passed"] is False
    assert listing() == ["model.pt"]


@pytest.mark.usefixtures("wrong_checks")
def test_a_failed_check_quietly(source: Path, run: Run) -> None:
    result = run(source, "-f", "onnx", "-q")
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.count("\n") == 1


def test_an_interrupted_check_writes_nothing(source: Path, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*args: Any, **options: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr(exporting, "verify_file", interrupt)
    result = run(source, "-f", "onnx")
    assert (result.exit_code, result.stderr.strip()) == (130, "nalu-export: interrupted")
    assert listing() == ["model.pt"]


def test_the_source_is_never_modified(source: Path, run: Run) -> None:
    os.utime(source, ns=(10**18, 10**18))
    source.chmod(0o444)
    before = source.read_bytes()
    for options in (["-f", "onnx"], ["-f", "torchscript", "--no-check"], ["-f", "onnx", "-o", "model.pt"]):
        run(source, *options)
        assert source.read_bytes() == before
        assert source.stat().st_mtime_ns == 10**18
