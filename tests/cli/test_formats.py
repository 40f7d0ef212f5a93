"""cli.formats: the format by the suffix, and options that belong to a format."""

from pathlib import Path

import pytest

from nalu_export import formats
from nalu_export.api.artifact import read_artifact
from nalu_export.cli.checking import RUNTIMES
from tests.cli.conftest import Run, assert_user_error, listing


@pytest.mark.parametrize(
    ("output", "told"),
    [("a.onnx", "onnx"), ("a.hpp", "cpp"), ("a.pt", "torchscript"), ("a.bin", "onnx"), (None, "onnx")],
)
def test_the_suffix_of_the_output_says_the_format(output: str | None, told: str, source: Path, run: Run) -> None:
    result = run(source, "--no-check", *(["-o", output] if output else []))
    assert (result.exit_code, result.stderr) == (0, "")
    assert listing() == sorted(["model.pt", output or "model.onnx"])
    assert read_artifact(output or "model.onnx").format == told


def test_help_names_the_runtime_of_each_format() -> None:
    for name in formats.names():
        assert formats.get(name).runtime in RUNTIMES


def test_what_does_not_fit_the_format_is_refused_by_its_flag(source: Path, run: Run) -> None:
    cases: list[tuple[list[str], str]] = [
        (["-f", "cpp", "--opset", "20"], "--opset is given, but format cpp does not have this option; leave it out"),
        (
            ["-o", "a.pt", "--opset", "20"],
            "--opset is given, but format torchscript does not have this option; leave it out",
        ),
        (["--extern-c"], "--extern-c is given, but format onnx does not have this option; leave it out"),
        (
            ["-o", "a.hpp", "--struct", "class"],
            "--struct is 'class'; class is reserved in C++, choose another name",
        ),
        (
            ["-f", "onnx", "-o", "a.hpp"],
            "a.hpp: .hpp is a suffix of format cpp, and --format is onnx; change one of them",
        ),
    ]
    for arguments, text in cases:
        assert_user_error(run(source, "--no-check", *arguments), 2, text)
        assert listing() == ["model.pt"]
