"""formats: what is known of them before they are loaded, and how a new one with an option of its own comes in."""

import importlib
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import nalu_export
from nalu_export import NAC, InputError, formats
from nalu_export.cli.spelling import flag
from nalu_export.errors import spelling_flags
from nalu_export.formats._options import FormatOptions, format_option
from nalu_export.formats.cpp.options import CppOptions
from nalu_export.formats.onnx.options import OnnxOptions
from tests.plugins import read_anew

INIT = '"""A format more."""\n'
OPTIONS = """
from dataclasses import dataclass
from typing import ClassVar

from nalu_export.formats._options import FormatOptions, format_option


@dataclass(frozen=True)
class BrandNewOptions(FormatOptions):
    suffixes: ClassVar[tuple[str, ...]] = (".new",)
    level: int = format_option(3, "How new it is.", low=1, high=9)
    shout: bool = format_option(False, "Write it in capitals.")


OPTIONS = BrandNewOptions
"""
FORMAT = """
from dataclasses import dataclass

import torch

from nalu_export.formats.base import Draft, Format, TensorSpec
from nalu_export.formats.brand_new.options import BrandNewOptions


@dataclass(frozen=True)
class NewDraft(Draft):
    text: str

    def to_bytes(self, metadata):
        return self.text.encode()


class NewFormat(Format[BrandNewOptions]):
    name = "brand-new"
    options = BrandNewOptions
    runtime = "torch"

    def emit(self, graph, options, own=None):
        own = own or BrandNewOptions()
        text = f"level {own.level}, {options.weights}, {options.compute}, shout {own.shout}"
        ports = tuple(map(TensorSpec.of, graph.interface.inputs)), tuple(map(TensorSpec.of, graph.interface.outputs))
        return NewDraft(*ports, text=text)

    def opened(self, data):
        return data if data.startswith(b"level ") else None

    def read_metadata(self, content):
        return {}

    def read_weights(self, content, *, trust):
        return {}


FORMAT = NewFormat()
"""
# The same in one file, which has to be loaded for its options.
ONE_FILE = FORMAT.replace("from nalu_export.formats.brand_new.options import BrandNewOptions\n", OPTIONS).replace(
    "OPTIONS = BrandNewOptions\n", ""
)


@pytest.fixture(params=["folder", "file"])
def new_format(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """One folder or file more, nothing else; the modules that read the formats when imported are imported anew."""
    home = tmp_path / "plugins"
    home.mkdir()
    if request.param == "folder":
        (home / "brand_new").mkdir()
        for name, text in (("__init__", INIT), ("options", OPTIONS), ("format", FORMAT)):
            (home / "brand_new" / f"{name}.py").write_text(text, encoding="utf-8")
    else:
        (home / "brand_new.py").write_text(ONE_FILE, encoding="utf-8")
    # Read anew once more when the format is gone, for the tests that come after.
    with read_anew("nalu_export.cli.export"):
        with monkeypatch.context() as patch:
            patch.setattr(formats, "__path__", [*formats.__path__, str(home)])
            yield
        _forget()


def _forget() -> None:
    for name in [name for name in sys.modules if name.startswith("nalu_export.formats.brand_new")]:
        del sys.modules[name]
    if hasattr(formats, "brand_new"):
        del formats.brand_new


@pytest.mark.usefixtures("new_format")
def test_a_new_format_exports_with_its_own_option_in_python(tmp_path: Path) -> None:
    def exported(path: Path | None = None, **options: Any) -> str:
        return nalu_export.export(NAC(2, 1), path, check=False, **options).data.decode()

    assert exported(format="brand-new") == "level 3, folded, float32, shout False"
    assert exported(tmp_path / "a.new", level=7, weights="live") == "level 7, live, float32, shout False"
    assert (tmp_path / "a.new").read_text(encoding="utf-8").startswith("level 7")
    for options, text in (
        ({"level": 10, "format": "brand-new"}, r"^level is 10; allowed: 1 to 9$"),
        ({"level": "7", "format": "brand-new"}, r"^level is '7'; it must be an integer$"),
        ({"level": 3}, r"^level is given, but format onnx does not have this option; leave it out$"),
        ({"opset": 20, "format": "brand-new"}, r"^opset is given, but format brand-new does not have this option;"),
        ({"levle": 3, "format": "brand-new"}, r"^export takes no argument 'levle'; did you mean 'level'\?$"),
    ):
        with pytest.raises(InputError, match=text):
            exported(**options)


@pytest.mark.usefixtures("new_format")
def test_a_new_format_exports_with_its_own_option_on_the_command_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    nalu_export.save(NAC(2, 1), "model.pt")
    command = importlib.reload(importlib.import_module("nalu_export.cli.export")).export

    def run(*arguments: str) -> str:
        with spelling_flags(flag):
            result = CliRunner().invoke(command, ["model.pt", "--no-check", "-q", *arguments])
        return result.output or str(result.exception)

    run("-f", "brand-new", "--level", "7", "--shout")
    assert Path("model.new").read_text(encoding="utf-8") == "level 7, folded, float32, shout True"
    run("-o", "b.new")
    assert Path("b.new").read_text(encoding="utf-8") == "level 3, folded, float32, shout False"
    assert "10 is not in the range 1<=x<=9" in run("-f", "brand-new", "--level", "10")
    assert run("--level", "3") == "--level is given, but format onnx does not have this option; leave it out"
    help_ = " ".join(CliRunner().invoke(command, ["--help"]).output.split())
    assert "--level N How new it is. [default: 3; 1 to 9]" in help_
    assert "--shout Write it in capitals. -" in help_


def test_options_are_known_without_torch() -> None:
    code = (
        "import sys; from nalu_export import formats\n"
        "fields = [each.name for _, each in formats.option_fields()]\n"
        "print(len(fields) > 3, formats.chosen('a.hpp', None), 'torch' in sys.modules, 'onnx' in sys.modules)"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "True cpp False False\n"


@pytest.mark.parametrize("name", formats.names())
def test_a_format_and_its_options_agree(name: str) -> None:
    kind = formats.get(name)
    assert kind.options is formats.options_of(name)
    assert formats.chosen(f"any{kind.suffix}", None) == name
    assert kind.suffix == kind.options.suffixes[0]
    suffixes = [suffix for other in formats.names() for suffix in formats.options_of(other).suffixes]
    assert len(suffixes) == len(set(suffixes)), "a suffix belongs to one format"


def test_values_are_looked_at() -> None:
    assert (OnnxOptions().opset, OnnxOptions(24).opset, OnnxOptions(17).opset) == (20, 24, 17)
    made = CppOptions(part="head", namespace="a::b", struct="Head", extern_c=True)
    assert (made.subgraph, made.names.prefix, OnnxOptions().subgraph) == ("head", "a_b_head", None)
    wrong: list[tuple[type[FormatOptions], dict[str, Any], str]] = [
        (OnnxOptions, {"opset": 16}, "opset is 16; allowed: 17 to 24"),
        (OnnxOptions, {"opset": True}, "opset is True; it must be an integer"),
        (OnnxOptions, {"opset": None}, "opset is None; it must be an integer"),
        (CppOptions, {"part": 3}, "part is 3; it must be a text"),
        (CppOptions, {"extern_c": "yes"}, "extern_c is 'yes'; it must be True or False"),
        (
            CppOptions,
            {"namespace": "std"},
            "namespace is 'std'; std is reserved in C++, choose another name",
        ),
    ]
    for kind, options, text in wrong:
        with pytest.raises(InputError) as caught:
            kind(**options)
        assert str(caught.value) == text


def test_an_option_of_a_type_that_no_command_line_has() -> None:
    @dataclass(frozen=True)
    class Odd(FormatOptions):
        sizes: list[int] | None = format_option((), "Sizes.")  # noqa: RUF009

    with pytest.raises(TypeError, match="it must be int, str or bool"):
        Odd()
