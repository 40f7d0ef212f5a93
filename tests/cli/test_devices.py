"""Options of what runs on a CUDA device."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

from nalu_export import NALU, InputError, check, export
from nalu_export.cli.devices import device_options


@click.command()
@device_options
def show(**options: Any) -> None:
    """What the options become."""
    click.echo(repr(options))


def _shown(*arguments: str) -> Any:
    return CliRunner().invoke(show, arguments)


@pytest.mark.parametrize(
    ("text", "size"),
    [("8GiB", 8 * 2**30), ("500MB", 500 * 10**6), ("0.5 gib", 2**29), ("1000", 1000), ("3kib", 3072)],
)
def test_sizes(text: str, size: int) -> None:
    assert f"'device_memory': {size}," in _shown("--device-memory", text).output


@pytest.mark.parametrize("text", ["", "much", "-1", "0", "0.1", "8 parsecs", "1e9", "9" * 20 + "GiB"])
def test_what_is_no_size(text: str) -> None:
    result = _shown("--device-memory", text)
    assert result.exit_code == 2
    assert f"{text!r} is not a memory size; write 2GiB, 500MB or a number of bytes" in result.output


def test_options_of_the_provider() -> None:
    shown = _shown("--provider-option", "a=1", "--provider-option", "b = x=y", "--device", "2").output
    assert "'provider_options': {'a': '1', 'b': 'x=y'}" in shown
    assert "'device': 2" in shown
    assert "'a=2' is given" not in shown
    for wrong, message in (
        ("a", "'a' is not of the form KEY=VALUE"),
        ("=1", "'=1' is not of the form KEY=VALUE"),
        ("a=2", "a is given twice"),
    ):
        result = _shown("--provider-option", "a=1", "--provider-option", wrong)
        assert result.exit_code == 2
        assert message in result.output


def test_they_reach_the_session(nalu: NALU, tmp_path: Path, pretended_cuda: Callable[..., Any]) -> None:
    artifact = export(nalu, tmp_path / "model.onnx", check=False)
    module = pretended_cuda()
    given: dict[str, Any] = {"device": 1, "device_memory": 2**30, "provider_options": {"prefer_nhwc": "1"}}
    report = check(nalu, artifact, "onnxruntime-cuda", constant_folding=False, search=0, samples=4, **given)
    assert module.options["device_id"] == "1"
    assert module.options["gpu_mem_limit"] == str(2**30)
    assert module.disabled == ["ConstantFolding"]
    assert "prefer_nhwc=1" in report.runtimes[0].details["options"]
    assert report.passed


@pytest.mark.parametrize(
    ("names", "given", "message"),
    [
        ("onnxruntime-cpu", {"device": 1}, "device is given, but no runtime of the check uses CUDA: onnxruntime-cpu"),
        (
            "onnxruntime-cpu",
            {"provider_options": {"a": "1"}},
            "provider_options is given, but no runtime of the check uses CUDA: onnx",
        ),
        (
            "torch-cuda",
            {"provider_options": {"a": "1"}},
            "provider_options is given, but no runtime of the check is ONNX Runtime on CUDA: torch-cuda",
        ),
        (
            "onnxruntime-cuda",
            {"provider_options": {"use_tf32": "1"}},
            "provider option use_tf32: tf32 sets this option",
        ),
        ("onnxruntime-cuda", {"device": -1}, "device is -1; it must be from 0"),
    ],
)
def test_options_that_nothing_heeds(
    nalu: NALU, tmp_path: Path, names: str, given: dict[str, Any], message: str, pretended_cuda: Callable[..., Any]
) -> None:
    artifact = export(nalu, tmp_path / "model.onnx", check=False)
    pretended_cuda()
    with pytest.raises(InputError, match=f"^{message}"):
        check(nalu, artifact, names, **given)
