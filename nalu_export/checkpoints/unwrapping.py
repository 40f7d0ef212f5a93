"""Takes the tensors of a model out of the content of a file: out of dicts, and without prefixes of their names."""

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nalu_export.checkpoints._inert import Inert
from nalu_export.checkpoints._refusals import SAVE_INSTEAD
from nalu_export.checkpoints.holding import MAX_WRAPPERS, PREFIX, WRAPPERS, named, the_only
from nalu_export.errors import InputError, option
from nalu_export.io.text import short

# A counter that torch.optim.swa_utils.AveragedModel keeps beside the averaged weights.
COUNTER = "n_averaged"
MAX_NAME = 1000
# Number of dots in a name up to which prefixes are looked for.
MAX_DEPTH = 8

State = dict[str, Tensor]


def state_of(payload: Any, key: str | None = None) -> tuple[State, tuple[str, ...]]:
    """Return the state_dict in the content of a file, and notes about where it was.

    Args:
        payload: the content.
        key: key of the dict that holds the weights, if the user gave it.

    Raises:
        InputError: there is no state_dict, there are several, or it holds other values than dense tensors.
    """
    notes: tuple[str, ...] = ()
    before = ""
    if key is not None:
        payload, notes = named(payload, key), (f"the weights were read from {short(key)}",)
        before = f"{key}."
    if isinstance(payload, dict) and not _is_state(payload):
        found = the_only(payload)
        if found is None:
            return _checked(_known(payload)), notes
        held, notes = found
        payload = held.state
        if before:
            notes = (f"the weights were read from {short(before + held.path)}", *notes[1:])
    return _checked(payload), notes


def _known(payload: Any) -> Any:
    """Return what stands under the keys that training loops use for weights, so that the error names what is there."""
    for _ in range(MAX_WRAPPERS):
        if not isinstance(payload, dict):
            break
        inside = next((payload[name] for name in WRAPPERS if isinstance(payload.get(name), (dict, Inert))), None)
        if inside is None:
            break
        payload = inside
    return payload


def _is_state(payload: dict[Any, Any]) -> bool:
    return bool(payload) and all(isinstance(value, Tensor) for value in payload.values())


def _checked(payload: Any) -> State:
    if isinstance(payload, Inert):
        raise InputError(f"holds {payload.what}; {SAVE_INSTEAD}")
    if not isinstance(payload, dict):
        raise InputError(f"holds a {type(payload).__name__}; {SAVE_INSTEAD}")
    for key, value in payload.items():
        if isinstance(value, Inert) and isinstance(key, str):
            raise InputError(f"has {short(key)} as {value.what}; expected a dense floating point tensor")
        if not isinstance(key, str) or not isinstance(value, Tensor):
            name = key.what if isinstance(key, Inert) else short(key)
            only = f"a state_dict has names and tensors only; {SAVE_INSTEAD}"
            raise InputError(f"has {name} of type {type(value).__name__}; {only}")
        if len(key) > MAX_NAME:
            raise InputError(f"has a tensor with a name of {len(key):,} characters; at most {MAX_NAME:,} are allowed")
        if value.is_complex():
            raise InputError(f"has {short(key)} as a complex tensor; expected a dense floating point tensor")
    return dict(payload)


def without_wrappers(state: State) -> tuple[State, tuple[str, ...]]:
    """Remove the prefixes that wrappers of a model put before all of its names; return the state and a note."""
    taken = ""
    counted = COUNTER in state and len(state) > 1
    found = {name: value for name, value in state.items() if name != COUNTER} if counted else dict(state)
    while match := PREFIX.match(next(iter(found), "")):
        prefix = match[0]
        if not all(name.startswith(prefix) and len(name) > len(prefix) for name in found):
            break
        found = {name.removeprefix(prefix): value for name, value in found.items()}
        taken += prefix
    if not taken:
        return state, ()
    return found, (f"the prefix {taken!r} was removed from the names of its tensors",)


def under(state: State, prefix: str) -> State:
    """Return the tensors whose names begin with ``prefix``, by their names without it.

    Raises:
        InputError: there are none; the text lists some prefixes of the state.
    """
    dotted = prefix if prefix.endswith(".") or not prefix else f"{prefix}."
    found = {name.removeprefix(dotted): value for name, value in state.items() if name.startswith(dotted)}
    if not found:
        firsts = list(dict.fromkeys(name.partition(".")[0] + "." for name in state if "." in name))
        there = f"; it has names under {', '.join(map(short, firsts[:5]))}" if firsts else ""
        does = f"give {option('prefix')} the part of the names before the layers"
        raise InputError(f"has no name under {short(dotted)}{there}; {does}")
    return found


def left_out(state: Mapping[str, Tensor], prefix: str) -> str:
    """Write how many tensors are not under a prefix, and some of their names; empty if all are."""
    names = [name for name in state if not name.startswith(prefix)]
    shown = ", ".join(map(short, names[:3])) + (" …" if len(names) > 3 else "")
    return f"{len(names):,} tensor{'s' if len(names) > 1 else ''} ({shown})" if names else ""


def prefixes(state: Mapping[str, Tensor]) -> list[str]:
    """Return the prefixes of a few dots under which a whole model may be, the shortest first.

    Two kinds of prefixes are left out. One layer of several that are numbered is only a part of a stack. Where a module
    has tensors of its own beside the prefix, these may be a gate of the layer under the prefix.
    """
    found: set[str] = set()
    numbers: dict[str, set[str]] = {}
    for name in state:
        # All prefixes of a name with 500 dots would take up to 500 times its memory.
        *parts, _ = name.split(".", MAX_DEPTH)
        starts = ["".join(f"{part}." for part in parts[:count]) for count in range(len(parts) + 1)]
        found.update(starts[1:])
        for start, part in zip(starts, parts, strict=False):
            if part.isdecimal():
                numbers.setdefault(start, set()).add(part)
    stacks = {f"{start}{number}." for start, several in numbers.items() if len(several) > 1 for number in several}
    owners = {name[: name.rfind(".") + 1] for name in state}
    return sorted(
        (prefix for prefix in found if not _starts(prefix) & stacks and _parent(prefix) not in owners),
        key=lambda prefix: (prefix.count("."), prefix),
    )


def _parent(prefix: str) -> str:
    return prefix[: prefix.rfind(".", 0, -1) + 1]


def _starts(prefix: str) -> set[str]:
    """Return the prefix and all shorter prefixes that it begins with."""
    return {prefix[: index + 1] for index, character in enumerate(prefix) if character == "."}
