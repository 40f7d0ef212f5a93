"""A pickle machine that builds plain data and tensors and calls nothing.

A pickle is a program for a stack machine, and two of its instructions import and call whatever it names. This machine
takes names from a table (:mod:`nalu_export.checkpoints._globals`) to functions of this package that look at their
arguments; any other name ends the reading. Each instruction takes bounded time and memory, and there is a limit on how
many are followed.
"""

from collections.abc import Callable
from typing import Any, NoReturn

from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints._instructions import HANDLERS, STOP
from nalu_export.checkpoints._refusals import SAVE_INSTEAD, CodeError, damaged
from nalu_export.checkpoints._storage import UnfitTensorError
from nalu_export.errors import InputError, option
from nalu_export.io.text import printable, short

# Instructions in one file. Each makes at most some 75 bytes of objects. The largest public models need 300,000.
MAX_STEPS = 1_000_000

# With its storage a tensor takes some 1,500 bytes of memory and can take 25 in a file. Public models have up to 30,000.
MAX_TENSORS = 50_000


class Global(Inert):
    """A name that a pickle may use.

    Args:
        name: in full.
        make: gives what calling it stands for; without it that is an :class:`Inert` that names the type.
        value: what the name itself stands for, a dtype for example.
    """

    __slots__ = ("_make", "made", "name", "value")

    def __init__(
        self, name: str, make: "Callable[[Machine, tuple[Any, ...]], Any] | None" = None, value: object = None
    ) -> None:
        super().__init__(f"the name {name}")
        self.name, self.value, self._make = name, value, make
        self.made = Inert(f"a value of type {name.removeprefix('builtins.')}")

    def call(self, machine: "Machine", arguments: Any) -> Any:
        """What calling it with these arguments stands for."""
        if self._make is None:
            return self.made
        if type(arguments) is not tuple:
            raise damaged(f"calls {self.name} without arguments")
        try:
            return self._make(machine, arguments)
        except InputError:
            raise
        except (TypeError, ValueError, LookupError, AttributeError) as error:
            raise damaged(f"calls {self.name} with other arguments than it takes") from error


class Machine:
    """Reads the pickles in ``data`` one after the other; the limits hold for all of them together.

    Args:
        data: the pickles, and whatever is behind them.
        resolve: what a name stands for, ``None`` if it is not known to be harmless.
        persistent: gives what a persistent id stands for; without it there may be none.
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
        """The next value; ``position`` is then behind it.

        Raises:
            CodeError: it names something that would run code.
            InputError: it ends too early, makes no sense or is too large.
        """
        self.stack, self.marks, self.memo = [], [], {}
        try:
            self._run()
            return self.stack.pop()
        except IndexError as error:
            raise damaged("takes more from its stack than is there") from error
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
                raise InputError(f"holds more than {MAX_STEPS:,} values beside its tensors; {SAVE_INSTEAD}")
            handler = HANDLERS[code]
            if handler is None:
                raise damaged(f"has the instruction {code:#04x} at {self.position - 1}, which torch.save never writes")
            handler(self)
        raise damaged("ends too early")

    def copied(self, values: int) -> None:
        """Account for values that go from one container to another, each of which is once in the file."""
        self._copied += values
        if self._copied > min(len(self.data), MAX_STEPS):
            raise damaged("copies its values again and again")

    def encoded(self, text: str) -> None:
        """Account for a text that is turned into bytes; each is once in the file."""
        self._encoded += len(text)
        if self._encoded > len(self.data):
            raise damaged("turns one text into bytes again and again")

    def another_tensor(self) -> None:
        """Account for a tensor."""
        self._tensors += 1
        if self._tensors > MAX_TENSORS:
            raise InputError(f"holds more than {MAX_TENSORS:,} tensors; {SAVE_INSTEAD}")

    def take(self, size: int) -> bytes:
        """The next bytes of the file."""
        start, self.position = self.position, self.position + size
        if size < 0 or self.position > len(self.data):
            raise damaged("ends too early")
        return self.data[start : self.position]

    def line(self) -> bytes:
        """The next bytes up to a line feed."""
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise damaged("ends too early")
        return self.take(end + 1 - self.position)[:-1]

    def since_mark(self) -> list[Any]:
        """What was put on the stack since the last mark."""
        found, self.stack = self.stack, self.marks.pop()
        return found

    def find(self, module: str, name: str) -> Global:
        """What a name stands for."""
        found = self.resolve(module, name)
        if found is None:
            self._refuse(printable(f"{module}.{name}"[:200]))
        return found

    def _refuse(self, name: str) -> NoReturn:
        """What torch.save(model) writes: a class that is the whole payload, made by NEWOBJ; legacy files mark it."""
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
        """What calling ``function`` stands for; a tensor that does not fit is refused under the name before it."""
        if not isinstance(function, Global):
            raise damaged("calls what is no function")
        try:
            return function.call(self, arguments)
        except UnfitTensorError as error:
            raise InputError(f"has {self._name()} {error}") from error

    def _name(self) -> str:
        """The key that the value being made is for: the last text on the stack, behind at most a few functions."""
        for frame in (self.stack, *self.marks[:-3:-1]):
            for value in frame[:-4:-1]:
                if type(value) is str:
                    return short(value)
        return "a tensor"
