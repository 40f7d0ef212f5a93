"""``--json [PATH]``, ``-q`` and the reports of an export: one meaning in every verb."""

import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import click
import numpy as np
import pytest

from nalu_export.cli.headed import HEADINGS, Option
from nalu_export.cli.main import main
from nalu_export.cli.results import ResultCommand
from tests.cli.conftest import Run, assert_user_error, listing

FEW = ("--samples", "8")
VERBS: dict[str, tuple[str, ...]] = {
    "export": ("model.pt", "-f", "onnx", "-o", "m.onnx", *FEW),
    "check": ("model.pt", "model.onnx", *FEW, "--search", "0"),
    "inspect": ("model.pt",),
    "doctor": ("model.pt",),
    "convert": ("model.pt", "-o", "own.pt"),
    "golden": ("model.pt", "-o", "g.bin", "--samples", "1"),
    "layouts": (),
}
SHARED = ("--json", "--quiet", "--seed", "--samples", "--runtime", "--output", "--compute", "--max-memory", "--timeout")


def test_every_verb_is_here() -> None:
    # tests/cli/test_sweep.py has the same of a sweep, whose time and whose second run are never those of the first.
    assert set(VERBS) | {"sweep"} == set(main.commands)


def test_an_option_has_one_spelling_type_and_meaning() -> None:
    """Of each name in all verbs: what it takes and, but for the kind of file and the type's values, what is said."""
    found: dict[str, set[tuple[object, ...]]] = {}
    flags: dict[str, set[tuple[str, ...]]] = {}
    for verb in main.commands.values():
        for each in verb.params:
            if isinstance(each, click.Option):
                what = (each.nargs, each.is_flag, each.multiple, each.metavar, type(each.type).__name__)
                found.setdefault(each.opts[0], set()).add(what)
                flags.setdefault(each.opts[0], set()).add(tuple(each.opts + each.secondary_opts))
    assert {name: kinds for name, kinds in found.items() if len(kinds) > 1} == {}
    assert {name: kinds for name, kinds in flags.items() if len(kinds) > 1} == {}
    said: dict[str, set[str | None]] = {}
    for verb in main.commands.values():
        for each in verb.params:
            if isinstance(each, click.Option) and each.opts[0] not in ("--output", "--compute", "--part"):
                said.setdefault(each.opts[0], set()).add(each.help)
    assert {name: texts for name, texts in said.items() if len(texts) > 1} == {}
    assert set(SHARED) <= set(found)


@pytest.mark.parametrize("verb", VERBS)
def test_json(verb: str, source: Path, artifact: Path, run: Run) -> None:
    """Alone it takes the place of the text; with a path it is written beside it; -q leaves no text and all JSON."""
    alone = run(verb, *VERBS[verb], "--json")
    assert alone.exit_code == (verb == "doctor" and json.loads(alone.stdout)["counts"]["error"] > 0)
    found = json.loads(alone.stdout)
    assert run(verb, *VERBS[verb], "--json", "-").stdout == alone.stdout
    assert run(verb, "-q", *VERBS[verb], "--json=-").stdout == alone.stdout
    beside = run(verb, *VERBS[verb], "--json", "r.json")
    assert json.loads(Path("r.json").read_text(encoding="utf-8")).keys() == found.keys()
    assert "r.json" in beside.stdout
    assert "{" not in beside.stdout.splitlines()[0]
    os.remove("r.json")
    quiet = run(verb, *VERBS[verb], "-q", "--json", "r.json")
    assert (quiet.stdout, json.loads(Path("r.json").read_text(encoding="utf-8")).keys()) == ("", found.keys())


def test_the_word_behind_it_may_be_an_argument(source: Path, artifact: Path, run: Run) -> None:
    for words in (("inspect", "--json", "model.pt"), ("layouts", "--json", "kevinzakka"), ("doctor", "--json", source)):
        assert json.loads(run(*words).stdout)
    assert json.loads(run("check", "--json", source, artifact, *FEW, "--search", "0").stdout)["passed"] is True
    assert run("layouts", "--json", "all.json").exit_code == 0
    assert listing() == ["all.json", "model.onnx", "model.pt"]
    assert "Missing argument 'FILE'" in run("inspect", "--json").stderr


@pytest.mark.parametrize("verb", [verb for verb in VERBS if verb != "layouts"])
def test_json_takes_no_file_of_the_command(verb: str, source: Path, artifact: Path, run: Run) -> None:
    before = source.read_bytes()
    text = "model.pt: the report would replace model.pt; choose another path for the report"
    assert_user_error(run(verb, *VERBS[verb], "--json=model.pt"), 2, text)
    assert source.read_bytes() == before
    if "-o" in VERBS[verb]:
        path = VERBS[verb][VERBS[verb].index("-o") + 1]
        text = f"{path}: the report would replace {path}; choose another path for the report"
        assert_user_error(run(verb, *VERBS[verb], f"--json={path}"), 2, text)


def test_an_export_writes_the_reports_of_its_check(source: Path, run: Run) -> None:
    words = ("--samples", "8", "--runtime", "onnx-reference", "--runtime", "onnxruntime-cpu", "--seed", "3")
    files = ("--json", "r.json", "--html", "r.html", "--junit", "r.xml")
    result = run(source, "-f", "onnx", *words, *files)
    assert (result.exit_code, result.stderr) == (0, "")
    assert listing() == ["model.onnx", "model.pt", "r.html", "r.json", "r.worst.npz", "r.xml"]
    assert "written: r.json, r.xml, r.html, r.worst.npz" in result.stdout.splitlines()
    found = json.loads(Path("r.json").read_text(encoding="utf-8"))["parity"]
    assert (found["subject"]["model"], found["subject"]["artifact"], found["seed"]) == ("model.pt", "model.onnx", 3)
    assert found["environment"]["torch"]
    decides = {each["name"]: each["decisive"] for each in found["runtimes"]}
    assert decides == {"torch": False, "onnx-reference": True, "onnxruntime-cpu": True}
    assert {row["samples"] for row in found["rows"] if row["distribution"] == "zeros"} == {8}
    assert ET.parse("r.xml").getroot().get("failures") == "0"
    assert b"model.onnx" in Path("r.html").read_bytes()
    assert json.loads(run("inspect", "model.onnx", "--json").stdout)["parity"]["runtime"] == (
        "onnx-reference, onnxruntime-cpu"
    )


@pytest.mark.usefixtures("wrong_checks")
def test_a_failed_export_writes_them_too(source: Path, run: Run) -> None:
    result = run(source, "-f", "onnx", "--json", "r.json", "--html", "r.html", "--junit", "r.xml")
    assert result.exit_code == 1
    assert listing() == ["model.pt", "r.html", "r.json", "r.worst.npz", "r.xml"]
    assert json.loads(Path("r.json").read_text(encoding="utf-8"))["parity"]["passed"] is False
    assert int(ET.parse("r.xml").getroot().get("failures", "0")) > 0
    with np.load("r.worst.npz") as found:
        assert len(found.files) > 0
    assert "FAILED" in result.stdout
    assert len(result.stdout.splitlines()) <= 12


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (
            ("--no-check", "--html", "r.html"),
            2,
            "--html and --no-check are both given; --html has no effect ",
        ),
        (("--no-check", "--runtime", "all"), 2, "--runtime and --no-check are both given; --runtime has no effect "),
        (("-q", "-v"), 2, "--quiet and --verbose are both given; give one of them"),
        (
            ("--runtime", "tract", "-f", "torchscript"),
            2,
            "runtime tract runs onnx, but model.torchscript.pt is ",
        ),
        (
            ("--html", "model.onnx"),
            2,
            "model.onnx: the report would replace model.onnx; choose another path for the report",
        ),
        (("--html", "a", "--junit", "./a"), 2, "two reports, or a report and its .worst.npz, have the same path; "),
        (("--runtime", "onnxruntime-cuda"), 3, "onnxruntime-cuda: "),
    ],
)
def test_an_export_that_cannot_be(words: tuple[str, ...], code: int, text: str, source: Path, run: Run) -> None:
    if code == 3 and os.path.exists("/dev/nvidia0"):
        pytest.skip("this machine has CUDA")
    result = run(source, "-f", "onnx", *words)
    assert (result.exit_code, result.stdout) == (code, "")
    assert result.stderr.startswith(f"nalu-export: {text}")
    assert listing() == ["model.pt"]


def test_verbose_shows_the_tables(source: Path, run: Run) -> None:
    lines = run(source, "-f", "onnx", "-v", *FEW).stdout.splitlines()
    assert any(line.startswith("distribution ") and "max ULP" in line for line in lines)
    assert lines[-1].startswith("written: model.onnx: onnx, ")
    few = run(source, "-f", "onnx", *FEW).stdout.splitlines()
    assert len(few) == 5
    assert lines[-1] in few


@pytest.mark.parametrize(
    ("word", "verb"), [("chek", "check"), ("exprot", "export"), ("inspct", "inspect"), ("doktor", "doctor")]
)
def test_a_mistyped_verb(word: str, verb: str, source: Path, run: Run) -> None:
    said = f"no such command or file {word!r}; did you mean {verb}?"
    assert_user_error(run(word, "model.pt"), 2, said)
    source.rename(word)  # now it is a model
    assert run(word, "-f", "onnx", "--no-check").exit_code == 0
    os.remove(word)
    assert run("--no-chek", "model.pt").stderr.splitlines()[-1].startswith("Error: No such option '--no-chek'")
    assert_user_error(run(f"./{word}", "-f", "onnx"), 2, f"{word}: cannot be read: No such file or directory")


@pytest.mark.parametrize("verb", VERBS)
def test_help_has_headings_defaults_and_two_examples(verb: str, run: Run) -> None:
    command = main.commands[verb]
    assert isinstance(command, ResultCommand)
    assert len(command.examples) == 2
    text = run(verb, "--help").stdout
    for words, _ in command.examples:
        assert f"\n  {words}\n" in text
        first, *rest = words.split()
        assert first == "nalu-export"
        context = main.make_context("nalu-export", rest)
        name, _, left = main.resolve_command(context, [*context._protected_args, *context.args])
        assert name == verb
        with command.make_context(verb, left, parent=context) as made:
            assert made.params
    headings = [line.removesuffix(":") for line in text.splitlines() if line.endswith(":") and line[0] != " "]
    used = {each.heading for each in command.params if isinstance(each, Option)} - {""} | {"Output"}
    assert [name for name in headings if name in HEADINGS] == [name for name in HEADINGS if name in used]
    for each in command.params:
        if isinstance(each, Option) and each.default_text:
            assert f"[default: {each.default_text.split()[0]}" in " ".join(text.split())
