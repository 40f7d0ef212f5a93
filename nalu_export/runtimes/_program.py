"""A runtime that is a separate program: it is started once and runs one batch after the other over its pipes.

At its start the program describes itself, or says why it cannot run the file; then it answers each request in turn. All
numbers are little-endian::

    hello     u32 0, u32 length, UTF-8 lines "key<TAB>value"; inputs and outputs are JSON lists of their names
    request   u32 number of inputs, and of each u32 type, u32 rank, u64 sizes, numbers
    answer    u32 0, u32 number of outputs, and of each u32 type, u32 rank, u64 sizes, numbers
    refusal   u32 status, u32 length, UTF-8 text    in place of a hello or an answer

Types: 1 float32, 2 float64, 3 int32, 4 int64, 5 truth values, one byte each that is 0 or 1. Status 1: the program
refuses the file or the batch; 2: the runtime or the device is not there. If the program does anything else, its process
is ended and the error is one line: the program is as untrusted as the file that it runs.
"""

import contextlib
import math
import os
import selectors
import struct
import subprocess
import tempfile
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from nalu_export.errors import InputError, NaluExportError, RuntimeUnavailableError, no_memory
from nalu_export.io import json_text
from nalu_export.io.arrays import (
    MAX_RANK,
    MAX_VALUES,
    TYPE_NAMES,
    TYPES,
    code_of,
    odd_truths,
    packed,
    packed_shape,
    unpacked,
)
from nalu_export.io.text import printable
from nalu_export.runtimes._stderr_tail import stderr_tail
from nalu_export.runtimes.base import RunOptions, Session

FOLDER = "NALU_EXPORT_CPP"

START_SECONDS = 60.0
ANSWER_SECONDS = 120.0
# How long a program may take to end after its input has ended.
END_SECONDS = 5.0

MAX_TEXT = 2**16
# Limit for all outputs of an answer together.
MAX_NUMBERS = 2**26

_NEEDED = ("library", "device", "provider", "options", "threads")
_ON_CUDA = ("driver", "cuda")
_NAMES = ("inputs", "outputs")
_REFUSED, _UNAVAILABLE = 1, 2
# The exit code with which a shell and the dynamic loader report that a program cannot start: a library is missing.
_NOT_STARTED = 127


class ProgramSession(Session):
    """A session in a program that speaks the protocol of this module.

    The program ends with the session, with :meth:`close`, or with its first violation of the protocol.

    Args:
        runtime: name of the runtime, for messages.
        command: the program and its arguments.
        called: name of the program in messages; by default its file's name.
        keep: an object that lives as long as the session. A ``TemporaryDirectory`` is cleaned up with the session, and
            its path is removed from the program's messages.

    Raises:
        RuntimeUnavailableError: it cannot be started, or says that its library or device is not there.
        InputError: it refuses the file, ends, does not answer in time or breaks the protocol.
    """

    def __init__(self, runtime: str, command: Sequence[str], *, called: str = "", keep: object = None) -> None:
        self._runtime, self._name = runtime, called or Path(command[0]).name
        self._folder = f"{keep.name}{os.sep}" if isinstance(keep, tempfile.TemporaryDirectory) else None
        self._over = ""
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  closed with the session
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                bufsize=0,
                # Rust would print a backtrace for each panic.
                env=os.environ | {"RUST_BACKTRACE": "0"},
            )
        except (OSError, ValueError) as error:
            _end(None, self._errors, keep)
            reason = getattr(error, "strerror", None) or str(error)
            raise RuntimeUnavailableError(f"{runtime}: {self._name} cannot be started: {printable(reason)}") from error
        self._end = weakref.finalize(self, _end, self._process, self._errors, keep)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._input, self._output = self._process.stdin.fileno(), self._process.stdout.fileno()
        os.set_blocking(self._input, False)
        try:
            self._greet()
        except BaseException:
            self._abort()
            raise

    def run(self, inputs: Sequence[NDArray[np.generic]]) -> tuple[NDArray[np.generic], ...]:
        """See :meth:`Session.run`."""
        if not self._end.alive:
            raise InputError(self._over or f"{self._runtime}: the session is closed")
        codes = [self._code(number, given) for number, given in enumerate(inputs)]
        try:
            answer = self._ask(inputs, codes)
        except BaseException as error:
            # Part of a request or answer may remain in the pipes; later reads would be out of step.
            self._over = (
                str(error) if isinstance(error, NaluExportError) else f"{self._runtime}: the run was interrupted"
            )
            self._abort()
            raise
        if isinstance(answer, str):
            raise InputError(f"{self._runtime}: {answer}")
        return answer

    def close(self) -> None:
        """End the program and release its resources before returning."""
        self._end()

    def _abort(self) -> None:
        """Kill the program after an error and release its resources."""
        self._process.kill()
        self.close()

    def _greet(self) -> None:
        deadline = _Deadline(START_SECONDS)
        try:
            status = self._number(deadline)
        except _EndedError as error:
            if error.code == _NOT_STARTED:
                raise RuntimeUnavailableError(str(error)) from error
            raise
        if status == _UNAVAILABLE:
            raise RuntimeUnavailableError(f"{self._runtime}: {self._text(deadline)}")
        if status == _REFUSED:
            raise InputError(f"{self._runtime} refuses the file: {self._text(deadline)}")
        if status:
            self._violation(f"its first word is {status}")
        pairs = (line.partition("\t") for line in self._bytes(deadline).decode("utf-8", "replace").splitlines())
        known = (*_NEEDED, *_ON_CUDA, *_NAMES)
        said = {key: printable(value) for key, _, value in pairs if key in known}
        self.inputs, self.outputs = (self._names(said.pop(key, "[]")) for key in _NAMES)
        for key in _NEEDED:
            if key not in said:
                self._violation(f"it does not say its {key}")
        self.details = said
        device = [] if said["device"] in said["provider"] else [said["device"]]
        driver = [f"driver {said['driver']}"] if "driver" in said else []
        self.where = ", ".join([said["library"], said["provider"], *device, *driver])

    def _names(self, text: str) -> list[str]:
        try:
            found = json_text.parse(text)
        except ValueError:
            found = None
        if not isinstance(found, list) or any(type(name) is not str for name in found):
            self._violation("it does not say its names")
        return found

    def _code(self, number: int, given: NDArray[np.generic]) -> int:
        """Return the protocol's number for the type of an input."""
        code = code_of(given.dtype)
        if code is None:
            raise InputError(f"{self._runtime}: input {number} is {given.dtype}; {self._name} takes {TYPE_NAMES}")
        return code

    def _ask(self, inputs: Sequence[NDArray[np.generic]], codes: list[int]) -> tuple[NDArray[np.generic], ...] | str:
        """Return the outputs, or the text of a refusal."""
        deadline = _Deadline(ANSWER_SECONDS)
        self._send(struct.pack("<I", len(inputs)), deadline)
        for given, code in zip(inputs, codes, strict=True):
            self._send(struct.pack("<I", code) + packed_shape(given.shape), deadline)
            self._send(packed(given, TYPES[code]), deadline)
        status = self._number(deadline)
        if status == _REFUSED:
            return self._text(deadline)
        if status == _UNAVAILABLE:  # its device failed during the run
            raise RuntimeUnavailableError(f"{self._runtime}: {self._text(deadline)}")
        if status:
            self._violation(f"an answer begins with {status}")
        count, left = self._number(deadline), MAX_NUMBERS
        if count > MAX_VALUES:
            self._violation(f"an answer has {count} outputs")
        outputs: list[NDArray[np.generic]] = []
        for _ in range(count):
            outputs.append(self._array(left, deadline))
            left -= outputs[-1].size
        return tuple(outputs)

    def _array(self, most: int, deadline: "_Deadline") -> NDArray[np.generic]:
        """Read one output of at most ``most`` numbers."""
        code, rank = self._number(deadline), self._number(deadline)
        if code not in TYPES:
            self._violation(f"an output is of type {code}")
        if rank > MAX_RANK:
            self._violation(f"an output has {rank} axes")
        shape = struct.unpack(f"<{rank}Q", self._receive(8 * rank, deadline))
        # Each size has a limit of its own: with a size of 0 the product is 0, whatever the other sizes are.
        if max(shape, default=0) > MAX_NUMBERS or math.prod(shape) > most:
            self._violation(f"an output has the shape {shape}")
        dtype = TYPES[code]
        found = unpacked(self._receive(dtype.itemsize * math.prod(shape), deadline), dtype, shape)
        if odd_truths(found):
            self._violation("an output has truth values that are neither 0 nor 1")
        return found

    def _number(self, deadline: "_Deadline") -> int:
        return int.from_bytes(self._receive(4, deadline), "little")

    def _bytes(self, deadline: "_Deadline") -> bytes:
        length = self._number(deadline)
        if length > MAX_TEXT:
            self._violation(f"a text has {length:,} bytes")
        return self._receive(length, deadline)

    def _text(self, deadline: "_Deadline") -> str:
        """Read one line of text, without the path of the artifact's folder."""
        return self._shown(self._bytes(deadline))

    def _shown(self, said: bytes) -> str:
        text = said.decode("utf-8", "replace").strip()
        return printable(text.replace(self._folder, "") if self._folder else text)

    def _send(self, data: bytes, deadline: "_Deadline") -> None:
        view = memoryview(data)
        while view:
            self._wait(self._input, selectors.EVENT_WRITE, deadline)
            try:
                view = view[os.write(self._input, view) :]
            except BlockingIOError:
                continue
            except OSError:
                self._ended()

    def _receive(self, count: int, deadline: "_Deadline") -> bytes:
        """Read exactly ``count`` bytes; memory grows with the bytes that arrive, not with the announced count."""
        pieces: list[bytes] = []
        while count:
            self._wait(self._output, selectors.EVENT_READ, deadline)
            piece = os.read(self._output, min(count, 2**20))
            if not piece:
                self._ended()
            pieces.append(piece)
            count -= len(piece)
        return b"".join(pieces)

    def _wait(self, pipe: int, event: int, deadline: "_Deadline") -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(pipe, event)
            if not selector.select(deadline.left):
                raise InputError(f"{self._runtime}: {self._name} gave no answer within {deadline.seconds:g} s")

    def _violation(self, what: str) -> NoReturn:
        raise InputError(f"{self._runtime}: {self._name} does not keep to the protocol: {what}")

    def _ended(self) -> NoReturn:
        """Report a program that closed its pipes before the session was over."""
        code = _waited(self._process, END_SECONDS)
        how = "closed its output" if code is None else f"ended with exit code {code}"
        if code is not None and code < 0:
            how = f"ended with signal {-code}"
        last = self._shown(stderr_tail(self._errors))
        error = _EndedError(f"{self._runtime}: {self._name} {how}{f': {last}' if last else ''}", code)
        raise no_memory(error) or error


class _EndedError(InputError):
    """The program has ended.

    Attributes:
        code: its exit code, ``None`` if unknown.
    """

    def __init__(self, text: str, code: int | None) -> None:
        super().__init__(text)
        self.code = code


class _Deadline:
    """A time limit that starts now."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """Seconds left, at least 0."""
        return max(0.0, self._end - time.monotonic())


def _waited(process: subprocess.Popen[Any], seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None


def _end(process: subprocess.Popen[bytes] | None, errors: IO[bytes], keep: object) -> None:
    """End a program: close its pipes, then kill it if it does not end in time."""
    if process is not None:
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            with contextlib.suppress(OSError):
                pipe.close()
        if _waited(process, END_SECONDS) is None:
            process.kill()
            process.wait()
    errors.close()
    if isinstance(keep, tempfile.TemporaryDirectory):
        keep.cleanup()


def serve(runtime: str, program: str, name: str, data: bytes, options: RunOptions) -> ProgramSession:
    """Start a session of one of the programs that ``make cpp`` builds.

    Args:
        runtime: name of the runtime, for messages.
        program: name of the program.
        name: file name of the artifact, in a private folder that is removed with the session.
        data: the artifact.
        options: only the number of threads is passed on.

    Raises:
        RuntimeUnavailableError: the program is not there, see :func:`find_program`.
        InputError: see :class:`ProgramSession`.
    """
    threads = [] if options.threads is None else ["--threads", str(options.threads)]
    return served(runtime, [find_program(runtime, program)], name, data, ["--serve", *threads])


def served(
    runtime: str, command: Sequence[str], name: str, data: bytes, more: Sequence[str] = (), *, called: str = ""
) -> ProgramSession:
    """Start a session of any program that speaks the protocol.

    Args:
        runtime: name of the runtime, for messages.
        command: the program and its arguments, before the path of the artifact.
        name: file name of the artifact, in a private folder that is removed with the session.
        data: the artifact.
        more: arguments after the path.
        called: name of the program in messages; by default its file's name.

    Raises:
        InputError: see :class:`ProgramSession`.
    """
    keep = tempfile.TemporaryDirectory(prefix="nalu_export.")
    path = Path(keep.name) / name
    try:
        path.write_bytes(data)
    except OSError as error:
        keep.cleanup()
        raise InputError(f"{runtime}: the temporary folder cannot be written: {error.strerror}") from error
    return ProgramSession(runtime, [*command, str(path), *more], called=called, keep=keep)


def find_program(runtime: str, program: str) -> str:
    """The absolute path of a program in the folder that the environment variable NALU_EXPORT_CPP names.

    It is looked for nowhere else: whoever checks files in somebody's folder must not run the programs of that folder.

    Raises:
        RuntimeUnavailableError: the variable is not set, or the program is not there.
    """
    folder = os.environ.get(FOLDER)
    if not folder:
        raise RuntimeUnavailableError(
            f"{runtime}: {FOLDER} is not set; set it to the folder that holds {program}: make cpp builds it into "
            "examples/cpp/build of the source repository"
        )
    path = Path(folder).absolute() / program
    if path.is_file() and os.access(path, os.X_OK):
        return str(path)
    raise RuntimeUnavailableError(
        f"{runtime}: {program} is not in {printable(folder)}, the folder of {FOLDER}; make cpp builds it into "
        "examples/cpp/build of the source repository"
    )
