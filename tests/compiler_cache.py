#!/usr/bin/env python3
"""A C or C++ compiler that remembers: the same program is compiled once, also over several runs of the tests.

``installed`` puts commands of the compilers' names, all of them this file, before the real ones in ``PATH``. Such a
command asks the real compiler for the preprocessed source. The name of what is kept is a hash of that text, the flags,
the compiler and the processor. It holds a program or object file and stands for a compiler that said nothing and ended
with 0. Whatever else is asked of the compiler, it is asked itself. ccache, which does this for object files, leaves
alone what is compiled and linked in one command, as all programs here are.
"""

import contextlib
import hashlib
import os
import shlex
import shutil
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

NAMES = ("c++", "g++", "clang++", "cc", "gcc", "clang")
# How the folders with these commands begin.
_COMMANDS = "compilers-"
SOURCES = (".cpp", ".cc", ".c")
# What is kept is used again within this many days, or goes.
DAYS = 14
# With these a compiler writes something else, or reads what its preprocessor does not show.
_OTHER = ("-E", "-S", "-M", "-MD", "-MMD", "-MF", "-fsyntax-only", "-dM", "-v", "-###", "-L", "-l", "-x", "@")


@contextlib.contextmanager
def installed(kept: Path) -> Iterator[None]:
    """The compilers of ``PATH`` remember what they made.

    Args:
        kept: the folder with what they made; what nobody has used for long is deleted first.
    """
    oldest = time.time() - DAYS * 86400
    for path in kept.iterdir():
        with contextlib.suppress(OSError):  # another process deletes it as well
            if path.stat().st_mtime < oldest:
                path.unlink()
    before = os.environ.get("PATH")
    with tempfile.TemporaryDirectory(prefix=_COMMANDS) as folder:
        for name in NAMES:
            if shutil.which(name):
                command = Path(folder, name)
                words = shlex.join([sys.executable, "-S", "-E", __file__, name, str(kept)])
                command.write_text(f'#!/bin/sh\nexec {words} "$@"\n', encoding="utf-8")
                command.chmod(0o755)
        os.environ["PATH"] = os.pathsep.join([folder, before or os.defpath])
        try:
            yield
        finally:
            if before is None:
                del os.environ["PATH"]
            else:
                os.environ["PATH"] = before


def path_without() -> str:
    """``PATH`` with the real compilers alone: CMake builds anew where a compiler has another path than before."""
    folders = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join(each for each in folders if not os.path.basename(each).startswith(_COMMANDS))


def main(name: str, kept: str, arguments: Sequence[str]) -> int:
    """The command: exit code, output and file are those of the real compiler."""
    real = _real(name)
    target = _target(arguments)
    name_of = target and _name(real, arguments)
    if not target or not name_of:
        os.execv(real, [real, *arguments])
    found = Path(kept, name_of)
    try:
        shutil.copyfile(found, target)
        os.chmod(target, found.stat().st_mode)
        os.utime(found)
    except OSError:
        done = subprocess.run([real, *arguments], capture_output=True, check=False)
        sys.stdout.buffer.write(done.stdout)
        sys.stderr.buffer.write(done.stderr)
        if (done.returncode, done.stdout, done.stderr) == (0, b"", b""):
            _keep(Path(target), found)
        return done.returncode
    return 0


def _real(name: str) -> str:
    """The compiler itself: the next one in PATH that is none of these commands."""
    for folder in path_without().split(os.pathsep):
        path = os.path.join(folder, name)
        if os.access(path, os.X_OK):
            return path
    sys.exit(f"{name}: not found")


def _target(arguments: Sequence[str]) -> str:
    """Where one file is to be written to; empty where something else is asked for."""
    if any(argument.startswith(_OTHER) for argument in arguments) or arguments.count("-o") != 1:
        return ""
    place = list(arguments).index("-o") + 1
    return arguments[place] if place < len(arguments) else ""


def _name(real: str, arguments: Sequence[str]) -> str:
    """Of what comes of these arguments; empty where it depends on more than is looked at."""
    place = list(arguments).index("-o")
    rest = [*arguments[:place], *arguments[place + 2 :]]
    sources = [word for word in rest if word.endswith(SOURCES)]
    objects = [word for word in rest if not word.startswith("-") and word not in sources]
    if not sources or objects:
        return ""
    shown = subprocess.run([real, *rest, "-E", "-P"], capture_output=True, check=False)
    if shown.returncode or shown.stderr:
        return ""
    about = os.stat(os.path.realpath(real))
    named = [word for word in rest if word not in sources and not word.startswith("-I")]
    made_by = [os.path.realpath(real), f"{about.st_size} {about.st_mtime_ns}", _processor()]
    parts = [*made_by, *named, *map(os.path.basename, sources)]
    return hashlib.sha256("\0".join(parts).encode() + b"\0" + shown.stdout).hexdigest()


def _processor() -> str:
    """For code that is compiled for the processor at hand."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            return next((line for line in file if line.startswith(("flags", "Features"))), "")
    except OSError:
        return ""


def _keep(made: Path, name: Path) -> None:
    """Whole or not at all, whoever else keeps the same."""
    with contextlib.suppress(OSError):
        number, part = tempfile.mkstemp(dir=name.parent)
        with open(number, "wb") as file:
            file.write(made.read_bytes())
        os.chmod(part, stat.S_IMODE(made.stat().st_mode))
        os.replace(part, name)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], sys.argv[2], sys.argv[3:]))
