"""Completion, as docs of the README switch it on."""

import os
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("nalu-export ch", ["plain,check"]),
        ("nalu-export mod", ["file,mod"]),
        ("nalu-export model.pt --form", ["plain,--format"]),
        ("nalu-export model.pt --weights l", ["plain,live"]),
        ("nalu-export check model.pt model.onnx --runtime openv", ["plain,openvino"]),
        ("nalu-export doctor model.pt --js", ["plain,--json"]),
    ],
)
def test_a_word_is_completed(words: str, found: list[str]) -> None:
    line = words.split()
    asked = {"_NALU_EXPORT_COMPLETE": "bash_complete", "COMP_WORDS": "\n".join(line), "COMP_CWORD": str(len(line) - 1)}
    command = [sys.executable, "-m", "nalu_export"]
    done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
    assert (done.stdout.splitlines(), done.stderr) == (found, "")


def test_the_script_of_each_shell() -> None:
    for shell in ("bash", "zsh", "fish"):
        asked = {"_NALU_EXPORT_COMPLETE": f"{shell}_source"}
        command = [sys.executable, "-m", "nalu_export"]
        done = subprocess.run(command, env=os.environ | asked, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, ""), shell
        assert "_NALU_EXPORT_COMPLETE" in done.stdout
