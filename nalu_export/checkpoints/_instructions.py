"""The instructions of a pickle: each reads its arguments from the file and changes the stack of the machine."""

import struct
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from torch import Tensor

from nalu_export.checkpoints._inert import Inert, of_type
from nalu_export.checkpoints._refusals import damaged

if TYPE_CHECKING:
    from nalu_export.checkpoints._machine import Machine

# Reading a number of N digits takes quadratic time, hashing it linear time. States of random number generators have 16
# bytes.
MAX_NUMBER_BYTES = 255

# Python's hash of a number is modulo this. Larger numbers can be chosen to collide in a dictionary, which would then
# take quadratic time.
MAX_KEY = 2**61 - 1

_PLAIN_KEYS = frozenset({str, bool, float, bytes, type(None)})


def as_key(value: Any) -> Any:
    """Return a value as the key of a dictionary; a stand-in for its type if it could be slow to hash or compare."""
    kind = type(value)
    if kind in _PLAIN_KEYS or isinstance(value, Inert) or (kind is int and -MAX_KEY < value < MAX_KEY):
        return value
    return of_type(kind)


def _set_items(target: Any, items: list[Any]) -> None:
    if len(items) % 2:
        raise damaged("has a key without a value")
    if type(target) is dict:
        for index in range(0, len(items), 2):
            target[as_key(items[index])] = items[index + 1]
    elif not isinstance(target, Inert):
        raise damaged("adds entries to something that is not a dictionary")


def _append(target: Any, items: list[Any]) -> None:
    if type(target) is list:
        target.extend(items)
    elif not isinstance(target, Inert):
        raise damaged("adds entries to something that is not a list")


def _number(content: bytes) -> int:
    if len(content) > MAX_NUMBER_BYTES:
        raise damaged(f"has a number of more than {MAX_NUMBER_BYTES} bytes")
    return int.from_bytes(content, "little", signed=True)


def _digits(content: bytes) -> int | bool:
    if content in (b"00", b"01"):
        return content == b"01"  # how protocols 0 and 1 write False and True
    if len(content) > MAX_NUMBER_BYTES:
        raise damaged(f"has a number of more than {MAX_NUMBER_BYTES} bytes")
    try:
        return int(content.removesuffix(b"L"))
    except ValueError as error:
        raise damaged("has a number that cannot be read") from error


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _old_text(content: bytes) -> str | bytes:
    """Read a string of Python 2, which had one type for texts and bytes."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content


def _protocol(machine: "Machine") -> None:
    if machine.take(1)[0] > 5:
        raise damaged("is in a protocol later than 5")


def _remember(machine: "Machine", index: int) -> None:
    machine.memo[index] = machine.stack[-1]


def _recall(machine: "Machine", index: int) -> None:
    if index not in machine.memo:
        raise damaged("reads a memo entry that it did not write")
    machine.stack.append(machine.memo[index])


def _one(machine: "Machine") -> None:
    machine.stack[-1] = (machine.stack[-1],)


def _pair(machine: "Machine") -> None:
    second = machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], second)


def _triple(machine: "Machine") -> None:
    third, second = machine.stack.pop(), machine.stack.pop()
    machine.stack[-1] = (machine.stack[-1], second, third)


def _push(machine: "Machine", value: Any) -> None:
    machine.stack.append(value)


def _mark(machine: "Machine") -> None:
    machine.marks.append(machine.stack)
    machine.stack = []


# Each of these calls since_mark first, because since_mark replaces machine.stack with another list.


def _as_tuple(machine: "Machine") -> None:
    items = machine.since_mark()
    machine.stack.append(tuple(items))


def _as_list(machine: "Machine") -> None:
    items = machine.since_mark()
    machine.stack.append(items)


def _as_dict(machine: "Machine") -> None:
    items = machine.since_mark()
    made: dict[Any, Any] = {}
    _set_items(made, items)
    machine.stack.append(made)


def _some_items(machine: "Machine") -> None:
    items = machine.since_mark()
    _set_items(machine.stack[-1], items)


def _one_item(machine: "Machine") -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    _set_items(machine.stack[-1], [key, value])


def _some_entries(machine: "Machine") -> None:
    items = machine.since_mark()
    _append(machine.stack[-1], items)


def _one_entry(machine: "Machine") -> None:
    value = machine.stack.pop()
    _append(machine.stack[-1], [value])


def _set_entries(machine: "Machine") -> None:
    machine.since_mark()
    if not isinstance(machine.stack[-1], Inert):
        raise damaged("adds entries to something that is not a set")


def _pop(machine: "Machine") -> None:
    if machine.stack:
        machine.stack.pop()
    else:
        machine.since_mark()


def _pop_mark(machine: "Machine") -> None:
    machine.since_mark()


def _frozen_set(machine: "Machine") -> None:
    machine.since_mark()
    machine.stack.append(of_type(frozenset))


def _frame(machine: "Machine") -> None:
    machine.take(8)  # the size of the frame, of use only when reading from a stream


def _name_in_lines(machine: "Machine") -> None:
    module, name = _text(machine.line()), _text(machine.line())
    machine.stack.append(machine.find(module, name))


def _name_on_stack(machine: "Machine") -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if type(name) is not str or type(module) is not str:
        raise damaged("has a name that is not a text")
    machine.stack.append(machine.find(module, name))


def _reduce(machine: "Machine") -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.make(function, arguments))


def _new_with_keywords(machine: "Machine") -> None:
    machine.stack.pop()
    _reduce(machine)


def _object(machine: "Machine") -> None:
    function, *arguments = machine.since_mark() or [None]
    made = machine.make(function, tuple(arguments))
    machine.stack.append(made)


def _instance(machine: "Machine") -> None:
    function = machine.find(_text(machine.line()), _text(machine.line()))
    arguments = machine.since_mark()
    made = machine.make(function, tuple(arguments))
    machine.stack.append(made)


def _build(machine: "Machine") -> None:
    """Skip the attributes of an object: none of them matters (_metadata of a state_dict, hooks of a tensor)."""
    machine.stack.pop()
    if not isinstance(machine.stack[-1], (dict, Tensor, Inert)):
        raise damaged("sets attributes of a plain value")


def _persistent(machine: "Machine") -> None:
    if machine.persistent is None:
        raise damaged("refers to bytes that are not in it")
    machine.stack.append(machine.persistent(machine.stack.pop()))


Handler = Callable[["Machine"], None]


def _constant(value: Any) -> Handler:
    return lambda machine: machine.stack.append(value)


def _packed(layout: str, use: Callable[["Machine", Any], None] = _push) -> Handler:
    """Return the handler of an instruction with one argument of fixed size."""
    form = struct.Struct(layout)
    return lambda machine: use(machine, form.unpack(machine.take(form.size))[0])


def _sized(layout: str, decode: Callable[[bytes], Any]) -> Handler:
    """Return the handler of an instruction whose argument follows its size."""
    form = struct.Struct(layout)
    return lambda machine: machine.stack.append(decode(machine.take(form.unpack(machine.take(form.size))[0])))


STOP = ord(".")
_TABLE: dict[bytes, Handler] = {
    b"\x80": _protocol,
    b"\x95": _frame,
    b"N": _constant(None),
    b"\x88": _constant(True),
    b"\x89": _constant(False),
    b")": _constant(()),
    b"\x8f": _constant(of_type(set)),
    b"]": lambda machine: machine.stack.append([]),
    b"}": lambda machine: machine.stack.append({}),
    b"J": _packed("<i"),
    b"K": _packed("<B"),
    b"M": _packed("<H"),
    b"G": _packed(">d"),
    b"\x8a": _sized("<B", _number),
    b"\x8b": _sized("<i", _number),
    b"I": lambda machine: machine.stack.append(_digits(machine.line())),
    b"L": lambda machine: machine.stack.append(_digits(machine.line())),
    b"X": _sized("<I", _text),
    b"\x8c": _sized("<B", _text),
    b"\x8d": _sized("<Q", _text),
    b"T": _sized("<i", _old_text),
    b"U": _sized("<B", _old_text),
    b"B": _sized("<I", bytes),
    b"C": _sized("<B", bytes),
    b"\x8e": _sized("<Q", bytes),
    b"\x96": _sized("<Q", bytes),
    b"(": _mark,
    b"t": _as_tuple,
    b"\x85": _one,
    b"\x86": _pair,
    b"\x87": _triple,
    b"l": _as_list,
    b"d": _as_dict,
    b"\x91": _frozen_set,
    b"a": _one_entry,
    b"e": _some_entries,
    b"s": _one_item,
    b"u": _some_items,
    b"\x90": _set_entries,
    b"0": _pop,
    b"1": _pop_mark,
    b"2": lambda machine: machine.stack.append(machine.stack[-1]),
    b"q": _packed("<B", _remember),
    b"r": _packed("<I", _remember),
    b"\x94": lambda machine: _remember(machine, len(machine.memo)),
    b"h": _packed("<B", _recall),
    b"j": _packed("<I", _recall),
    b"c": _name_in_lines,
    b"\x93": _name_on_stack,
    b"R": _reduce,
    b"\x81": _reduce,
    b"\x92": _new_with_keywords,
    b"o": _object,
    b"i": _instance,
    b"b": _build,
    b"Q": _persistent,
}
HANDLERS: list[Handler | None] = [_TABLE.get(bytes([code])) for code in range(256)]
