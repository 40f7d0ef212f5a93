"""The built C++ programs of examples/cpp, as the tests use them."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.compiler_cache import path_without

EXAMPLES = Path(__file__).parents[2] / "examples"
CPP = EXAMPLES / "cpp"
# A fresh build takes half a minute on two idle cores.
TIMEOUT = 300


@dataclass(frozen=True)
class Done:
    """How a program ended, and what it said."""

    code: int
    out: str
    err: str


def run(*command: str | Path, **environment: str) -> Done:
    """A program with these arguments; in the environment of the tests, unless another is given."""
    words = [str(word) for word in command]
    done = subprocess.run(words, capture_output=True, text=True, env=environment or None, timeout=TIMEOUT, check=False)
    return Done(done.returncode, done.stdout, done.stderr)


def make_cpp() -> Done:
    """What ``make cpp`` does."""
    return run(sys.executable, CPP / "run.py", **os.environ | {"PATH": path_without()})


@dataclass(frozen=True)
class Programs:
    """The built programs, and the files of ``make cpp`` beside them.

    Attributes:
        folder: where the programs are.
        printed: by the run of ``make cpp``'s script that made sure of them.
    """

    folder: Path
    printed: str

    def file(self, name: str) -> Path:
        """A model's file."""
        return self.folder / "models" / name

    def run(self, name: str, *words: str | Path, **environment: str) -> Done:
        """One program with these arguments."""
        return run(self.folder / name, *words, **environment)
