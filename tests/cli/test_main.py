import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path

import pytest

import nalu_export
from nalu_export.cli.entry import entry
from nalu_export.cli.main import main
from tests.cli.conftest import Run, assert_user_error, listing

HEAVY = {"torch", "numpy", "onnx", "onnxruntime", "rich"}
IMPORTED = """
import sys
from nalu_export.cli.main import main
try:
    main(sys.argv[1:])
except SystemExit as error:
    print(error.code, *sorted(set(sys.modules) & set(HEAVY)), file=sys.stderr)
""".replace("HEAVY", repr(HEAVY))


@pytest.mark.quick(8)
@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--help"], 0),
        (["-h"], 0),
        (["export", "--help"], 0),
        (["check", "--help"], 0),
        (["inspect", "-h"], 0),
        (["--version"], 0),
        ([], 2),
        (["model.pt", "--samples", "few"], 2),
        (["model.pt", "--format", "nothing"], 2),
        (["check", "model.pt"], 2),
        (["check", "--runtime", "nothing", "model.pt", "model.onnx"], 2),
    ],
    ids=str,
)
def test_what_needs_no_model_imports_no_torch(arguments: list[str], code: int) -> None:
    done = subprocess.run([sys.executable, "-c", IMPORTED, *arguments], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == str(code)


def test_the_check_above_can_fail() -> None:
    code = "import numpy\n" + IMPORTED
    done = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines()[-1] == "0 numpy"


def test_help_lists_the_commands_and_exit_codes(run: Run) -> None:
    text = run("--help").stdout
    assert all(name in text for name in ("export", "check", "inspect", "doctor", "convert", "layouts", "--version"))
    assert "Exit codes:\n  0    done; a check passed\n  1    parity failed, nothing could be compared, or" in text
    assert "After codes above 1 there is no verdict, and no file was written." in text
    assert text.isascii()


@pytest.mark.parametrize("command", main.commands)
def test_every_option_is_explained(command: str) -> None:
    for parameter in main.commands[command].params:
        if parameter.param_type_name == "option":
            assert getattr(parameter, "help", None), f"{command} {parameter.name}"


@pytest.mark.parametrize("width", ["60", "80"])
@pytest.mark.parametrize("command", main.commands)
def test_help_breaks_no_line_after_a_hyphen(
    command: str, width: str, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    text = run(command, "--help").stdout
    assert text.isascii()
    assert [line for line in text.splitlines() if line.endswith("-")] == []


def test_version(run: Run) -> None:
    assert run("--version").stdout == f"nalu-export, version {nalu_export.__version__}\n"


def test_no_arguments_show_the_help(run: Run) -> None:
    result = run()
    assert result.exit_code == 2
    assert "Usage:" in result.output


def test_the_installed_command_is_this_one() -> None:
    (command,) = entry_points(group="console_scripts", name="nalu-export")
    assert command.load() is entry


@pytest.mark.parametrize(
    "arguments",
    [
        ("model.pt", "--format", "onnx"),
        ("model.pt", "-f", "onnx"),
        ("-f", "onnx", "model.pt"),
        ("--format=onnx", "model.pt"),
        ("-fonnx", "model.pt"),
        ("export", "model.pt", "-f", "onnx"),
        ("export", "-f", "onnx", "model.pt"),
        ("-f", "onnx", "--", "model.pt"),
        ("-q", "-f", "onnx", "model.pt"),
    ],
    ids=" ".join,
)
def test_export_needs_no_verb(arguments: tuple[str, ...], source: Path, run: Run) -> None:
    result = run(*arguments, "--no-check") if "--" not in arguments else run("--no-check", *arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    assert listing() == ["model.onnx", "model.pt"]


@pytest.mark.parametrize("attached", ["-ohead.onnx", "-oh"])
def test_a_short_option_with_an_h_in_its_value_is_not_help(attached: str, source: Path, run: Run) -> None:
    assert run(attached, source, "-fonnx", "--no-check").exit_code == 0
    assert listing() == sorted([attached[2:], "model.pt"])


@pytest.mark.parametrize("verb", ["check", "inspect", "export"])
def test_a_file_with_the_name_of_a_verb(verb: str, source: Path, run: Run) -> None:
    source.rename(verb)
    assert run(f"./{verb}", "-f", "onnx", "--no-check").exit_code == 0
    assert listing() == sorted([verb, f"{verb}.onnx"])


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("no such.pt", "no such.pt"),
        ("größe.pt", "größe.pt"),
        ("a\nb.pt", r"a\nb.pt"),
        ("a\x1b[31mb.pt", r"a\x1b[31mb.pt"),
        ("a\u202eb.pt", r"a\u202eb.pt"),
        ("\udcff.pt", r"\udcff.pt"),
    ],
)
def test_an_error_is_one_line_whatever_the_file_is_called(name: str, shown: str, source: Path, run: Run) -> None:
    assert_user_error(run("inspect", name), 2, f"{shown}: cannot be read: No such file or directory")


@pytest.mark.parametrize(
    "words", [("--a\x1b\u202e\n\tb",), ("-f", "a\x1b\u202e\n\tb"), ("x", "a\x1b\u202e\n\tb")], ids=ascii
)
def test_bad_usage_is_printable(words: tuple[str, ...], run: Run) -> None:
    found = run("model.pt", "-f", "onnx", *words)
    assert found.exit_code == 2
    assert "\nError: " in found.stderr
    assert found.stderr.replace("\n", "").isprintable()
    assert len(found.stderr.splitlines()) == 4


def test_choices_are_one_line(run: Run) -> None:
    assert (
        run("model.pt", "-f", "x").stderr.splitlines()[-1].endswith("'x' is not one of 'cpp', 'onnx', 'torchscript'.")
    )


@pytest.mark.slow
def test_a_bug_and_a_warning_are_printable(real: Callable[..., subprocess.CompletedProcess[bytes]]) -> None:
    """What Python prints by itself: a traceback quotes the error and lines of a user's file."""
    code = (
        "import warnings, nalu_export.cli.main as cli, nalu_export.checkpoints.layout_table as table\n"
        "def rows(owner):\n    warnings.warn('w\\x1b\\x9b\\u202e')\n    raise RuntimeError('e\\x1b\\x9b\\u202e\\nb')\n"
        "table.rows = rows\ncli.main(['--debug', 'layouts'])\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    text = done.stderr.decode()
    assert (done.returncode, done.stdout) == (70, b"")
    assert text.replace("\n", "").isprintable()
    assert "UserWarning: w\\x1b\\x9b\\u202e\n" in text
    assert "\nRuntimeError: e\\x1b\\x9b\\u202e\nb\nnalu-export: internal error" in text


@pytest.mark.parametrize("code", [0, 1, "e\x1b"])
def test_code_that_ends_the_program_is_no_verdict(code: int | str, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def end(_: object) -> None:
        raise SystemExit(code)

    monkeypatch.setattr("nalu_export.checkpoints.layout_table.rows", end)
    shown = str(code).replace("\x1b", "\\x1b")
    assert_user_error(run("layouts"), 2, f"the model's code ends the program: SystemExit: {shown}")


@pytest.mark.slow
def test_a_name_that_is_not_unicode(source: Path, real: Callable[..., subprocess.CompletedProcess[bytes]]) -> None:
    name = b"a\xff.pt"
    Path("model.pt").rename(name.decode("utf-8", "surrogateescape"))
    done = real(name, "-f", "onnx", "--no-check", "--json")
    assert (done.returncode, done.stderr) == (0, b"")
    assert b'"path": "a\\udcff.onnx"' in done.stdout


@pytest.mark.slow
def test_a_terminal_that_knows_ascii_only(
    source: Path, real: Callable[..., subprocess.CompletedProcess[bytes]]
) -> None:
    done = real("model.pt", "-f", "onnx", "--no-check", env={"PYTHONIOENCODING": "ascii", "COLUMNS": "100"})
    assert (done.returncode, done.stderr) == (0, b"")
    assert rb"\u2192 output (batch, 1)" in done.stdout


@pytest.mark.slow
def test_python_dash_m(source: Path, real: Callable[..., subprocess.CompletedProcess[bytes]]) -> None:
    """The whole way in a process of its own: no warning, no log line, nothing on stderr."""
    done = real("model.pt", "--format", "onnx")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines()[-2].startswith("written: model.onnx: onnx, ")
    done = real(
        "check", "model.pt", "model.onnx", "--runtime", "torch", "--runtime", "onnxruntime-cpu", "--samples", "9"
    )
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.decode().splitlines()[-1].startswith("passed: ")


@pytest.mark.slow
def test_an_output_that_cannot_be_written_is_one_line(real: Callable[..., subprocess.CompletedProcess[bytes]]) -> None:
    """A full disk behind stdout is neither a bug nor a failed check."""
    command = [sys.executable, "-m", "nalu_export", "layouts"]
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert done.returncode == 2
    assert done.stderr == b"nalu-export: the output cannot be written: No space left on device\n"
    assert real("layouts").returncode == 0


def test_a_long_word_is_quoted_in_part(run: Run) -> None:
    result = run("check", "model.pt", "m.onnx", "--seed", "9" * 5000)
    last = result.stderr.splitlines()[-1]
    assert result.exit_code == 2
    assert last.startswith("Error: Invalid value for '--seed': '999")
    assert last.endswith("9' is not a valid integer range.")
    assert len(last) < 1100
