"""Finds the dict in a file that holds the weights: the only one, or the one that the user names."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from nalu_export.checkpoints._inert import Inert
from nalu_export.errors import InputError, option
from nalu_export.io.text import short

# Keys under which training loops keep the weights, beside an optimizer, an epoch and so on.
WRAPPERS = ("state_dict", "model_state_dict", "model")
# At most this many keys lead to the weights.
MAX_WRAPPERS = 4
MAX_LISTED = 6
# With more dicts than this, averages are not looked for. No real file has so many.
MAX_COMPARED = 64
_OPTIMIZER = re.compile(r"(?:^|[_.])opt(?:s|im|ims)?(?:$|[_.])|optimi[sz]er", re.IGNORECASE)
_AVERAGED = re.compile(r"(?:^|[_.])(?:ema|swa|averaged?|shadow)(?:$|[_.])", re.IGNORECASE)
# Prefixes that DataParallel, torch.compile and Lightning modules put before every name.
PREFIX = re.compile(r"(?:module|_orig_mod|net)\.")
_PREFIXES = re.compile(f"(?:{PREFIX.pattern})+")


@dataclass(frozen=True)
class Held:
    """A dict of tensors in a file.

    Attributes:
        keys: keys that lead to it.
        state: its content.
    """

    keys: tuple[str, ...]
    state: Mapping[Any, Any]

    @property
    def path(self) -> str:
        """The keys as ``--key`` takes them."""
        return ".".join(self.keys)

    @property
    def averaged(self) -> bool:
        """Whether its keys say that it is an average over training steps."""
        return any(map(_AVERAGED.search, self.keys))


def weights_in(payload: Any) -> list[Held]:
    """Return the dicts of tensors in the content of a file, without those of an optimizer.

    The dicts with the fewest keys on their path come first. Each dict is looked at once, however often the content
    refers to it.
    """
    found: list[Held] = []
    level: list[Held] = [Held((), payload)] if type(payload) is dict else []
    seen = {id(payload)}
    for _ in range(MAX_WRAPPERS):
        following: list[Held] = []
        for holder in level:
            for key, value in _dicts(holder.state):
                if id(value) not in seen:
                    seen.add(id(value))
                    (found if _holds_weights(key, value) else following).append(Held((*holder.keys, key), value))
        level = following
    return found


def _dicts(holder: Mapping[Any, Any]) -> list[tuple[str, dict[Any, Any]]]:
    """Return the dicts in a dict that may lead to weights; known wrappers come first."""
    if _is_optimizer(holder):
        return []
    found = [
        (key, value)
        for key, value in holder.items()
        if type(value) is dict and value and isinstance(key, str) and not _OPTIMIZER.search(key)
    ]
    return sorted(found, key=lambda item: WRAPPERS.index(item[0]) if item[0] in WRAPPERS else len(WRAPPERS))


def _is_optimizer(holder: Mapping[Any, Any]) -> bool:
    return "param_groups" in holder and "state" in holder


def _holds_weights(key: str, value: dict[Any, Any]) -> bool:
    # A dict without a weight is something else: metrics are numbers, states of random generators are bytes.
    if not any(map(_is_weight, value.values())):
        return False
    # A dict under a known key counts even if it has other values among the tensors.
    return key in WRAPPERS or all(
        isinstance(name, str) and isinstance(entry, (Tensor, Inert)) for name, entry in value.items()
    )


def _is_weight(value: Any) -> bool:
    return isinstance(value, Tensor) and value.is_floating_point() and value.ndim > 0


def the_only(payload: Any) -> tuple[Held, tuple[str, ...]] | None:
    """Return the only dict of weights, with notes about what was left out; ``None`` if there is no such dict.

    Raises:
        InputError: there are several; the text lists them.
    """
    found = weights_in(payload)
    averages = _averages(found)
    raw = [held for held in found if not any(held is other for other in averages)]
    if not found:
        return None
    if len(raw) > 1:
        raise InputError(f"holds several dicts of tensors: {listed(found)}; say which with {option('key', 'NAME')}")
    loose = _loose(payload, raw[0].keys)
    if loose and raw[0].averaged:
        raise InputError(
            f"holds tensors outside any dict of weights ({_some(loose)}) and averaged tensors under "
            f"{short(raw[0].path)}; give {option('key', raw[0].path)} for the average, or save the state_dict that you "
            "want in a file of its own"
        )
    notes = [f"the weights were read from {short(raw[0].path)}"]
    if averages:
        taken = option("key", averages[0].path)
        notes.append(f"averaged weights were left out: {listed(averages)}; {taken} takes them")
    if loose:
        notes.append(f"tensors beside the weights were left out: {_some(loose)}")
    return raw[0], tuple(notes)


def _averages(found: list[Held]) -> list[Held]:
    """Return the dicts that are averages of others.

    The names of both are the same, except for counters and buffers, which one of them may lack.
    """
    if len(found) > MAX_COMPARED:
        return []
    raw = [_bare(held.state) for held in found if not held.averaged]
    averaged = [(held, _bare(held.state)) for held in found if held.averaged]
    return [held for held, names in averaged if any(names <= other or other <= names for other in raw)]


def _bare(state: Mapping[Any, Any]) -> set[str]:
    return {_bare_name(name) for name in state if isinstance(name, str) and name != "n_averaged"}


def _bare_name(name: str) -> str:
    match = _PREFIXES.match(name)
    return name if match is None else name[match.end() :]


def _loose(payload: Any, keys: tuple[str, ...]) -> list[str]:
    """Return the names of tensors in the dicts around the one that was taken."""
    found: list[str] = []
    for key in keys:
        found += [name for name, value in payload.items() if isinstance(name, str) and _is_weight(value)]
        payload = payload[key]
    return found


def named(payload: Any, key: str) -> Any:
    """Return the dict under a key that the user gave; ``model.ema`` may be one key or two.

    Raises:
        InputError: there is nothing, or no dict of weights; the text lists the keys that would do.
    """
    if not isinstance(payload, dict):
        raise InputError(f"holds no dict, so there is nothing under {short(key)}; leave {option('key')} out")
    if payload and all(isinstance(value, Tensor) for value in payload.values()):
        instead = f"leave {option('key')} out, or give {option('prefix')} for a part of it"
        raise InputError(f"is one dict of tensors without dicts inside it; {instead}")
    at, left = payload, key
    while left:
        if not isinstance(at, dict):
            raise _unknown(payload, key)
        cuts = [left, *(left[:index] for index in range(len(left) - 1, 0, -1) if left[index] == ".")]
        name = next((cut for cut in cuts if cut in at), None)
        if name is None:
            raise _unknown(payload, key)
        if _OPTIMIZER.search(name) or _is_optimizer(at):
            raise InputError(f"has the state of an optimizer under {short(key)}, not weights{_others(payload)}")
        at, left = at[name], left[len(name) + 1 :]
    held = isinstance(at, dict) and (any(isinstance(value, Tensor) for value in at.values()) or weights_in(at))
    if not held or _is_optimizer(at):
        raise InputError(f"has no dict of tensors under {short(key)}{_others(payload)}")
    return at


def _unknown(payload: Any, key: str) -> InputError:
    return InputError(f"has nothing under {short(key)}{_others(payload)}")


def _others(payload: Any) -> str:
    found = weights_in(payload)
    return f"; {option('key')} takes one of {listed(found)}" if found else f"; leave {option('key')} out"


def listed(found: list[Held]) -> str:
    """Write the paths of a few dicts, with their numbers of tensors."""
    sizes = [(held.path, len(held.state)) for held in found[:MAX_LISTED]]
    shown = [f"{short(path)} ({size:,} tensor{'s' if size > 1 else ''})" for path, size in sizes]
    return ", ".join(shown) + (f" and {len(found) - MAX_LISTED:,} more" if len(found) > MAX_LISTED else "")


def _some(names: list[str]) -> str:
    shown = ", ".join(map(short, names[:3]))
    return shown if len(names) <= 3 else f"{shown} and {len(names) - 3:,} more"
