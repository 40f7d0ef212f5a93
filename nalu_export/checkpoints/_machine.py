"""A pickle machine that builds plain data and tensors and calls nothing.

A pickle is a program for a stack machine. Two of its instructions import any name and call it. This machine looks up
each name in a table (:mod:`nalu_export.checkpoints._globals`) of functions of this package, which check their
arguments. It stops at a name that is not in the table. Each instruction takes bounded time and memory, and the number
of instructions is limited.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints._instructions import HANDLERS, STOP
from nalu_export.checkpoints._refusals import SAVE_INSTEAD, CodeError, damaged
from nalu_export.checkpoints._storage import UnfitTensorError
from nalu_export.errors import InputError, option
from nalu_export.io.text import printable, short

# Instructions in one file. An instruction makes objects of at most some 75 bytes. The largest public models need
# 300,000 instructions.
MAX_STEPS = 1_000_000

# A tensor with its storage takes some 1,500 bytes of memory and may take only 25 bytes of the file. Public models have
# up to 30,000 tensors.
MAX_TENSORS = 50_000


class Global(Inert):
    """A name that a pickle may use.

    Args:
        name: the full name.
        make: returns the result of a call; without it the result is an :class:`Inert` with the name of the type.
        value: value that the name itself stands for, for example a dtype.
    """

    __slots__ = ("_make", "made", "name", "value")

    def __init__(
        self, name: str, make: "Callable[[Machine, tuple[Any, ...]], Any] | None" = None, value: object = None
    ) -> None:
        super().__init__(f"the name {name}")
        self.name, self.value, self._make = name, value, make
        self.made = Inert(f"a value of type {name.removeprefix('builtins.')}")

    def call(self, machine: "Machine", arguments: Any) -> Any:
        """Return the result of a call with these arguments."""
        if self._make is None:
            return self.made
        if type(arguments) is not tuple:
            raise damaged(f"calls {self.name} without arguments")
        try:
            return self._make(machine, arguments)
        except InputError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise damaged(f"calls {self.name} with arguments that it does not take") from error


class Machine:
    """Reads the pickles in ``data`` one after the other; the limits hold for all of them together.

    Args:
        data: the pickles, and any bytes after them.
        resolve: returns what a name stands for, ``None`` if the name is not known to be harmless.
        persistent: returns what a persistent id stands for; without it, persistent ids are refused.
    """

    def __init__(
        self,
        data: bytes,
        resolve: Callable[[str, str], Global | None],
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.data, self.resolve, self.persistent = data, resolve, persistent
        self.position = 0
        self.stack: list[Any] = []
        self.marks: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self._steps = self._copied = self._encoded = self._tensors = 0

    def read(self) -> Any:
        """Read the next pickle and return its value; ``position`` is then after it.

        Raises:
            CodeError: the pickle names something that would run code.
            InputError: the pickle ends too early, makes no sense or is too large.
        """
        self.stack, self.marks, self.memo = [], [], {}
        try:
            self._run()
            return self.stack.pop()
        except IndexError as error:
            raise damaged("takes more from its stack than the stack holds") from error
        except UnicodeDecodeError as error:
            raise damaged("has a text that is not UTF-8") from error

    def _run(self) -> None:
        data, end = self.data, len(self.data)
        while self.position < end:
            code = data[self.position]
            self.position += 1
            if code == STOP:
                return
            self._steps += 1
            if self._steps > MAX_STEPS:
                raise InputError(f"holds more than {MAX_STEPS:,} values besides its tensors; {SAVE_INSTEAD}")
            handler = HANDLERS[code]
            if handler is None:
                raise damaged(f"has the instruction {code:#04x} at {self.position - 1}, which torch.save never writes")
            handler(self)
        raise damaged("ends too early")

    def copied(self, values: int) -> None:
        """Count values that are copied from one container to another.

        In a valid file each value is copied once, so there are no more copies than bytes in the file.
        """
        self._copied += values
        if self._copied > min(len(self.data), MAX_STEPS):
            raise damaged("copies its values again and again")

    def encoded(self, text: str) -> None:
        """Count the characters of a text that is turned into bytes; a valid file does this once for each text."""
        self._encoded += len(text)
        if self._encoded > len(self.data):
            raise damaged("turns one text into bytes again and again")

    def another_tensor(self) -> None:
        """Count a tensor."""
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            raise InputError(f"holds more than {MAX_TENSORS:,} tensors; {SAVE_INSTEAD}")

    def take(self, size: int) -> bytes:
        """Return the next bytes of the file."""
        start, self.position = self.position, self.position + size
        if size < 0 or self.position > len(self.data):
            raise damaged("ends too early")
        return self.data[start : self.position]

    def line(self) -> bytes:
        """Return the next bytes up to a line feed."""
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise damaged("ends too early")
        return self.take(end + 1 - self.position)[:-1]

    def since_mark(self) -> list[Any]:
        """Return the values on the stack since the last mark, and restore the stack from before the mark."""
        found, self.stack = self.stack, self.marks.pop()
        return found

    def find(self, module: str, name: str) -> Global:
        """Return what a name stands for."""
        found = self.resolve(module, name)
        if found is None:
            self._refuse(printable(f"{module}.{name}"[:200]))
        return found

    def _refuse(self, name: str) -> NoReturn:
        """Refuse a name; the text says whether the file is a pickled module.

        ``torch.save(model)`` writes a class as the root of the pickle and makes it with NEWOBJ. A legacy file has the
        text ``"module"`` before the class.
        """
        following = self.position
        while self.data[following : following + 1] in (b"q", b"r"):
            following += 2 if self.data[following] == ord("q") else 5
        is_root = not self.marks and not self.stack and self.data[following : following + 2] == b")\x81"
        marked = len(self.marks) == 1 and not self.marks[0] and len(self.stack) == 1
        in_legacy = marked and type(self.stack[0]) is str and self.stack[0] == "module"
        if is_root or in_legacy:
            raise CodeError(
                f"is a pickled module ({name}), which runs code when loaded; {SAVE_INSTEAD}, "
                f"or give {option('trust', True)} if you made it yourself"
            )
        raise CodeError(f"holds Python objects ({name}), and loading it would run code; {SAVE_INSTEAD}")

    def make(self, function: Any, arguments: Any) -> Any:
        """Return the result of calling ``function``; the error about a tensor that does not fit has its key."""
        if not isinstance(function, Global):
            raise damaged("calls something that is not a function")
        try:
            return function.call(self, arguments)
        except UnfitTensorError as error:
            raise InputError(f"has {self._name()} {error}") from error

    def _name(self) -> str:
        """Return the key that the next value is for: the last text on the stack, at most a few entries down."""
        for frame in (self.stack, *self.marks[:-3:-1]):
            for value in frame[:-4:-1]:
                if type(value) is str:
                    return short(value)
        return "a tensor"
