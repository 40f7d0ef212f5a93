"""Ctrl-C while something is imported, and a pipe that nobody reads: one line at most, and no exit code of a verdict."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nalu_export.errors import EXIT_BROKEN_PIPE, EXIT_INTERRUPTED
from tests.cli.conftest import listing
from tests.cli.test_supervisor import _as_a_terminal_starts_it

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork nobody waits for the command")

# Ctrl-C comes to the process that waits while the other imports a module.
INTERRUPTING = """
import os, signal, sys, time
class Finder:
    def find_spec(self, name, path=None, target=None):
        if name == sys.argv[1]:
            os.kill(os.getppid(), signal.SIGINT)
            time.sleep(20)
from nalu_export.cli.entry import entry
sys.meta_path.insert(0, Finder())
del sys.argv[0]
sys.argv[0:1] = ["nalu-export"]
entry()
""".replace("sys.argv[1]", "WANTED").replace("import os,", "import sys\nWANTED = sys.argv[1]\nimport os,")


@pytest.mark.parametrize("module", ["nalu_export.cli.main", "click", "torch", "torch.nn", "onnx", "onnxruntime"])
def test_ctrl_c_while_a_module_is_imported(module: str, source: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTING, module, str(source), "-f", "onnx"],
        capture_output=True,
        check=False,
        timeout=120,
        preexec_fn=_as_a_terminal_starts_it,
    )
    assert (done.returncode, done.stderr, done.stdout) == (EXIT_INTERRUPTED, b"nalu-export: interrupted\n", b"")
    assert listing() == ["model.pt"]


@pytest.mark.parametrize(
    "words",
    [("--help",), ("check", "--help"), ("--version",), ("layouts",), ("inspect", "model.pt", "--json"), ("chek",)],
    ids=" ".join,
)
def test_a_pipe_that_nobody_reads(words: tuple[str, ...], source: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run(
        [sys.executable, "-m", "nalu_export", *words], stdout=writer, stderr=subprocess.PIPE, check=False
    )
    os.close(writer)
    if words == ("chek",):  # it prints nothing
        assert (done.returncode, len(done.stderr.splitlines())) == (2, 1)
        return
    assert (done.returncode in (0, EXIT_BROKEN_PIPE), done.stderr) == (True, b"")
