"""nalu_export.testing.plugin, in test runs of its own."""

import subprocess
import sys
from pathlib import Path

import onnxruntime  # noqa: F401
import pytest

import nalu_export
import nalu_export.api.check

# Loaded before the inner runs, which take away again what they import: numpy and its friends bear one import only.
import nalu_export.reports.terminal.report

pytest_plugins = ["pytester"]

ROOT = Path(nalu_export.__file__).parent.parent
PLUGIN = ("-p", "nalu_export.testing.plugin")
PASSES = """
from nalu_export import NALU

def test_it(parity):
    assert parity(NALU(2, 3, 1), search=0).passed
"""
FAILS = """
from nalu_export import NALU, export

def test_it(parity, tmp_path):
    artifact = export(NALU(2, 3, 1), tmp_path / "a.onnx", check=False)
    parity(NALU(2, 3, 1), artifact, samples=8, search=0)
"""
ECHO = """
import nalu_export.testing.assertion as module

def test_it(parity, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "assert_parity", lambda *args, **options: (args, options))
    args, options = parity("m.pt", "m.onnx", ["torch"], rtol=1.0)
    assert args == ("m.pt", "m.onnx", ["torch"])
    assert options.pop("save_to") == tmp_path
    assert options == EXPECTED
"""


def run(pytester: pytest.Pytester, code: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(code)
    return pytester.runpytest_inprocess(*PLUGIN, "-p", "no:cacheprovider", *arguments)


def test_a_pass(pytester: pytest.Pytester) -> None:
    run(pytester, PASSES, "--parity-samples=8", "-Werror").assert_outcomes(passed=1)


def test_a_failure_is_readable(pytester: pytest.Pytester) -> None:
    result = run(pytester, FAILS)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">       parity(NALU(2, 3, 1), artifact, samples=8, search=0)",
            "E       nalu_export.testing.ParityAssertionError: onnxruntime-cpu: does not compute what the model *",
            "E         first divergence: *",
            "E       replay: assert_parity(model, *a.onnx', 'onnxruntime-cpu', replay=*a.worst.npz')",
            "*- parity -*",
            "onnxruntime-cpu (onnxruntime *",
            "distribution * verdict*",
            "zeros * FAILED*",
        ]
    )
    text = result.stdout.str()
    assert "__call__" not in text
    assert "assertion.py" not in text, "no frame of this package stands above the message"


def test_the_section_is_in_junit_too(pytester: pytest.Pytester) -> None:
    run(pytester, FAILS, "--junit-xml=out.xml")
    assert "does not compute what the model computes" in (pytester.path / "out.xml").read_text(encoding="utf-8")


def test_no_section_for_other_failures(pytester: pytest.Pytester) -> None:
    result = run(pytester, "def test_it(parity):\n    assert False")
    result.assert_outcomes(failed=1)
    result.stdout.no_fnmatch_line("*- parity -*")


def test_a_missing_runtime_fails_and_can_be_skipped(pytester: pytest.Pytester) -> None:
    code = """
        import sys
        import pytest
        from nalu_export import NALU

        @pytest.mark.parametrize("skip", [False, True])
        def test_it(parity, skip, monkeypatch):
            monkeypatch.setitem(sys.modules, "tract", None)
            parity(NALU(2, 3, 1), None, ["onnxruntime-cpu", "tract"], skip_missing=skip, samples=8, search=0)
        """
    result = run(pytester, code, "-rs")
    result.assert_outcomes(failed=1, skipped=1)
    result.stdout.fnmatch_lines(
        [
            "E *nalu_export.errors.RuntimeUnavailableError: tract: tract is not installed*",
            "SKIPPED * test_a_missing_runtime*.py:8: not run: tract: tract is not installed*(passed: onnxruntime-cpu)*",
        ]
    )


@pytest.mark.parametrize(
    ("ini", "arguments", "expected"),
    [
        ("", [], {}),
        ("parity_seed = 3\nparity_samples = 20", [], {"seed": 3, "samples": 20}),
        ("parity_seed = 3\nparity_samples = 20", ["--parity-seed=0"], {"seed": 0, "samples": 20}),
        ("", ["--parity-samples", "7", "--parity-seed", str(2**32 - 1)], {"seed": 2**32 - 1, "samples": 7}),
    ],
)
def test_options(ini: str, arguments: list[str], expected: dict[str, int], pytester: pytest.Pytester) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    code = ECHO.replace("EXPECTED", repr(expected | {"rtol": 1.0}))
    run(pytester, code, *arguments).assert_outcomes(passed=1)


def test_an_argument_comes_before_the_options(pytester: pytest.Pytester) -> None:
    code = PASSES.replace(
        "assert parity(NALU(2, 3, 1), search=0).passed", "assert parity(NALU(2, 3, 1), seed=9).seed == 9"
    )
    run(pytester, code, "--parity-seed=1", "--parity-samples=8").assert_outcomes(passed=1)


@pytest.mark.parametrize(
    ("ini", "arguments", "text"),
    [
        ("", ["--parity-seed=x"], "--parity-seed is 'x'; it must be a number from 0 to 4294967295"),
        ("", ["--parity-seed=-1"], "--parity-seed is '-1'; it must be a number from 0 to 4294967295"),
        ("", ["--parity-samples=0"], "--parity-samples is '0'; it must be a number from 1 to 1000000"),
        ("parity_samples = many", [], "parity_samples is 'many'; it must be a number from 1 to 1000000"),
    ],
)
def test_bad_options_end_the_run_before_the_first_test(
    ini: str, arguments: list[str], text: str, pytester: pytest.Pytester
) -> None:
    pytester.makeini(f"[pytest]\n{ini}\n")
    result = run(pytester, PASSES, *arguments)
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"ERROR: {text}"])


def test_the_fixture_and_the_options_are_listed(pytester: pytest.Pytester) -> None:
    result = run(pytester, PASSES, "--fixtures")
    result.stdout.fnmatch_lines(["parity -- *", "*Assert that an exported file computes what a model computes*"])
    result = run(pytester, PASSES, "--help")
    result.stdout.fnmatch_lines(["*--parity-seed=N *", "*--parity-samples=N*", "*parity_seed (string)*"])


def start(*arguments: str, code: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A test run in a process of its own, which says at its end which heavy modules it has imported."""
    (folder / "conftest.py").write_text(
        "import sys\n"
        "def pytest_unconfigure():\n"
        "    print('heavy:', *sorted(set(sys.modules) & {'torch', 'numpy', 'onnx', 'onnxruntime', 'rich'}))\n",
        encoding="utf-8",
    )
    (folder / "test_inner.py").write_text(code, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "no:hypothesispytest", *arguments, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.parametrize("arguments", [("--co",), ("-p", "no:cacheprovider")], ids=str)
def test_a_run_without_the_fixture_imports_no_torch(arguments: tuple[str, ...], tmp_path: Path) -> None:
    code = "def test_it():\n    pass\n\ndef unused(parity):\n    pass\n"
    done = start(*PLUGIN, *arguments, code=code, folder=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "heavy:\n" in done.stdout


def test_the_test_above_can_fail(tmp_path: Path) -> None:
    done = start(*PLUGIN, "--co", code="import numpy\ndef test_it():\n    pass\n", folder=tmp_path)
    assert "heavy: numpy\n" in done.stdout


@pytest.mark.parametrize("again", [(), PLUGIN, ("-p", "no:nalu_export.testing.plugin")], ids=["entry", "twice", "off"])
def test_the_entry_point(again: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As after an installation: named in the metadata of a distribution, perhaps in two, perhaps given with -p too."""
    for name in ("one", "two"):
        info = tmp_path / "site" / f"{name}-1.dist-info"
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1\n", encoding="utf-8")
        (info / "entry_points.txt").write_text(_entry_points(), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path / 'site'}:{ROOT}")
    (tmp_path / "tests").mkdir()
    done = start("-Werror", "--fixtures", *again, code="def test_it():\n    pass\n", folder=tmp_path / "tests")
    assert done.returncode == 0, done.stdout + done.stderr
    assert ("\nparity -- " in done.stdout) == ("no:" not in "".join(again[1:]))
    assert "heavy:\n" in done.stdout


def _entry_points() -> str:
    """What pyproject.toml says, in the form of an installed distribution."""
    import tomllib

    with (ROOT / "pyproject.toml").open("rb") as file:
        points = tomllib.load(file)["project"]["entry-points"]["pytest11"]
    return "[pytest11]\n" + "".join(f"{name} = {value}\n" for name, value in points.items())
