"""An error names arguments in Python and flags on the command line: every text of the package is walked."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import nalu_export
from nalu_export import formats
from nalu_export.cli.main import main
from nalu_export.cli.spelling import flag
from nalu_export.errors import InputError, at_command_line, option, spelling_flags
from nalu_export.parity import CheckOptions
from tests.cli.conftest import Run, assert_user_error

PACKAGE = Path(nalu_export.__file__).parent
# Of the command line, of a terminal, of pytest, and of programs that are started.
OTHERS = ("cli", "testing", "reports/terminal", "reports/html.py", "runtimes/_program.py", "runtimes/_cuda_device.py")
FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
# Arguments of the Python API that are no words of English, as an error would have them.
ARGUMENTS = (
    "input_size", "example_inputs", "dynamic_shapes", "input_names", "output_names", "only_inputs", "max_ulp",
    "provider_options", "device_memory", "constant_folding", "max_memory", "allow_empty", "extern_c",
)  # fmt: skip
ARGUMENT = re.compile(rf"\b({'|'.join(ARGUMENTS)})\b(?!`)")
# What only the command line has, and who says so: what is said there alone, and the text of an assumption in files.
ALLOWED = {
    ("checkpoints/assumptions.py", "--layout"),
    ("checkpoints/assumptions.py", "--eps"),
    ("checkpoints/assumptions.py", "--task"),
    ("io/assumption.py", "--model"),
    ("errors.py", "--max-memory"),
    ("process/memory.py", "--max-memory"),
    ("inputs/expected.py", "--input"),
    ("source/preparing.py", "--input"),
    ("source/preparing.py", "--example"),
}


def texts(source: str) -> Iterator[tuple[int, str]]:
    """The texts of a file that somebody may read: strings that are no docstring, and of those in errors every one."""
    tree = ast.parse(source)
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, (ast.Module, ast.ClassDef, ast.FunctionDef))
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node.lineno, node.value


def raised(source: str) -> Iterator[tuple[int, str]]:
    """The texts of what is raised, and of what is kept to be raised, that name an option by themselves."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Raise) and node.exc is not None):
            named = {
                id(part)
                for call in ast.walk(node)
                if isinstance(call, ast.Call) and getattr(call.func, "id", "") == "option"
                for part in ast.walk(call)
            }
            for part in ast.walk(node):
                if isinstance(part, ast.Constant) and isinstance(part.value, str) and id(part) not in named:
                    yield part.lineno, part.value


def wrong_in(source: str, name: str) -> list[str]:
    """Flags and arguments that a file of the package spells by itself."""
    found = [
        f"{name}:{line}: {match} is for the command line alone; use errors.option"
        for line, text in texts(source)
        for match in FLAG.findall(text)
        if (name, match) not in ALLOWED
    ]
    return found + [
        f"{name}:{line}: {match} is for Python alone; use errors.option"
        for line, text in dict.fromkeys(raised(source))
        for match in ARGUMENT.findall(text)
        if " " in text.strip()
    ]


def files() -> Iterator[tuple[str, str]]:
    for path in sorted(PACKAGE.rglob("*.py")):
        name = path.relative_to(PACKAGE).as_posix()
        if not name.startswith(OTHERS):
            yield name, path.read_text(encoding="utf-8")


def test_no_text_spells_an_option_by_itself() -> None:
    assert [line for name, source in files() for line in wrong_in(source, name)] == []


@pytest.mark.parametrize(
    "fault",
    [
        'raise InputError("give --trust")',
        'raise InputError(f"{x}: input_size is given")',
        'TEXT = "give it with --layout OWNER"',
        'why = f"{option(name)} and example_inputs are both given"',
    ],
)
def test_the_walk_finds_what_is_spelled_there(fault: str) -> None:
    assert len(wrong_in(fault, "x.py")) == 1
    assert wrong_in("raise InputError(f\"give {option('input_size', 'H W')} or {name}\")", "x.py") == []


def test_every_option_that_a_text_names_is_one() -> None:
    flags = {word for verb in main.commands.values() for parameter in verb.params for word in parameter.opts}
    flags |= {word for verb in main.commands.values() for parameter in verb.params for word in parameter.secondary_opts}
    named = {
        node.args[0].value
        for _, source in files()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "option"
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
    }
    assert len(named) > 15
    assert {name: flag(name) for name in named if flag(name) not in flags} == {}
    # Texts about these take the name from the format.
    own = {field.name for _, field in formats.option_fields()}
    assert own >= {"opset", "part", "namespace", "struct", "extern_c"}
    assert {name for name in own if flag(name) not in flags} == set()
    every = {parameter.name for parameter in main.commands["check"].params if isinstance(parameter, click.Option)}
    assert {"input_size", "layout", "max_ulp"} <= every


@pytest.mark.parametrize(
    ("name", "value", "python", "typed"),
    [
        ("input_size", None, "input_size", "--input-size"),
        ("input_size", "H W", "input_size=(H, W)", "--input-size H W"),
        ("layout", "OWNER:UNIT", "layout='OWNER:UNIT'", "--layout OWNER:UNIT"),
        ("eps", "1e-10", "eps=1e-10", "--eps 1e-10"),
        ("opset", 20, "opset=20", "--opset 20"),
        ("extern_c", None, "extern_c", "--extern-c"),
        ("trust", True, "trust=True", "--trust"),
        ("check", False, "check=False", "--no-check"),
        ("ranges", None, "ranges", "--range"),
        ("runtimes", "tract", "runtimes='tract'", "--runtime tract"),
    ],
)
def test_both_spellings(name: str, value: object, python: str, typed: str) -> None:
    assert option(name, value) == python
    with spelling_flags(flag):
        assert option(name, value) == typed
    assert option(name, value) == python


def test_what_only_one_reader_can_do() -> None:
    assert (at_command_line("x"), option("example_inputs", typed="--input x=…")) == ("", "example_inputs")
    with spelling_flags(flag):
        assert (at_command_line("x"), option("example_inputs", typed="--input x=…")) == ("x", "--input x=…")


def test_one_fault_in_python_and_on_the_command_line(source: Path, artifact: Path, run: Run) -> None:
    text = "is -1.0; it must be a number of at least 0"
    with pytest.raises(InputError, match=f"^rtol {text}$"):
        CheckOptions(rtol=-1.0)
    assert_user_error(run("check", source, artifact, "--rtol", "-1"), 2, f"--rtol {text}")
    with pytest.raises(InputError, match=r"^other\.pt: layout is 'x'; allowed owners: "):
        nalu_export.load(other(), layout="x")
    found = run("inspect", other(), "--layout", "x")
    assert found.stderr.startswith("nalu-export: other.pt: --layout is 'x'; allowed owners: ")


def other() -> Path:
    """A file of weights alone."""
    import torch

    torch.save(nalu_export.NAC(2, 1).state_dict(), "other.pt")
    return Path("other.pt")
