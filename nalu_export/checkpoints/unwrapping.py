"""From what a file holds to the tensors of a model: the dict around them and the prefixes before their names."""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from nalu_export.checkpoints._inert import Inert
from nalu_export.errors import InputError
from nalu_export.text import short

# Under which training loops keep the weights, beside an optimizer, an epoch and so on.
WRAPPERS = ("state_dict", "model_state_dict", "model")
# What DataParallel, torch.compile and Lightning modules put before every name.
PREFIX = re.compile(r"(?:module|_orig_mod|net)\.")
# Which torch.optim.swa_utils.AveragedModel counts beside the averaged weights.
COUNTER = "n_averaged"
MAX_WRAPPERS = 4
MAX_NAME = 1000
# Names are cut at so many dots to find prefixes.
MAX_DEPTH = 8

State = dict[str, Tensor]


def state_of(payload: Any) -> tuple[State, tuple[str, ...]]:
    """The state_dict in the content of a file, and what stood around it.

    Raises:
        InputError: there is none, there are two, or it holds something else than dense tensors.
    """
    path: list[str] = []
    while isinstance(payload, dict) and not _is_state(payload):
        found = [name for name in WRAPPERS if isinstance(payload.get(name), (dict, Inert))]
        if not found or len(path) == MAX_WRAPPERS:
            break
        states = [payload[name] for name in found]
        if len(found) > 1 and any(state is not states[0] for state in states[1:]):
            names = " and ".join(map(repr, found))
            raise InputError(f"holds weights under both {names}; save the state_dict that you mean by itself")
        path.append(found[0])
        payload = states[0]
    state = _checked(payload)
    return state, ((f"the weights are those under {'.'.join(path)!r}",) if path else ())


def _is_state(payload: dict[Any, Any]) -> bool:
    return bool(payload) and all(isinstance(value, Tensor) for value in payload.values())


def _checked(payload: Any) -> State:
    if isinstance(payload, Inert):
        raise InputError(f"holds {payload.what}; expected a state_dict or a file of nalu_export.save")
    if not isinstance(payload, dict):
        raise InputError(f"holds a {type(payload).__name__}; expected a state_dict or a file of nalu_export.save")
    for key, value in payload.items():
        if isinstance(value, Inert) and isinstance(key, str):
            raise InputError(f"has {short(key)} as {value.what}; expected a dense floating point tensor")
        if not isinstance(key, str) or not isinstance(value, Tensor):
            name = key.what if isinstance(key, Inert) else short(key)
            raise InputError(f"has {name} of type {type(value).__name__}; a state_dict has names and tensors only")
        if len(key) > MAX_NAME:
            raise InputError(f"has a tensor with a name of {len(key):,} characters; no module has one this long")
        if value.is_complex():
            raise InputError(f"has {short(key)} as a complex tensor; expected a dense floating point tensor")
    return dict(payload)


def without_wrappers(state: State) -> tuple[State, tuple[str, ...]]:
    """The state with the prefixes off that wrappers of a model put before all of its names."""
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
    return found, (f"the prefix {taken!r} was taken off the names of its tensors",)


def under(state: State, prefix: str) -> State:
    """The tensors whose names begin with ``prefix``, without it.

    Raises:
        InputError: there is none; the text lists the prefixes there are.
    """
    dotted = prefix if prefix.endswith(".") or not prefix else f"{prefix}."
    found = {name.removeprefix(dotted): value for name, value in state.items() if name.startswith(dotted)}
    if not found:
        firsts = list(dict.fromkeys(name.partition(".")[0] + "." for name in state if "." in name))
        there = f"; it has names under {', '.join(map(short, firsts[:5]))}" if firsts else ""
        raise InputError(f"has no name under {short(dotted)}{there}; --prefix takes what stands before the layers")
    return found


def prefixes(state: Mapping[str, Tensor]) -> list[str]:
    """Every prefix of a few dots that some of the names share, the shortest first."""
    found = set()
    for name in state:
        # A name of 500 dots has 500 prefixes, which together take 500 times its memory.
        *parts, _ = name.split(".", MAX_DEPTH)
        found |= {".".join(parts[:count]) + "." for count in range(1, len(parts) + 1)}
    return sorted(found, key=lambda prefix: (prefix.count("."), prefix))
