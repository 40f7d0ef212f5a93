"""Tensors in nested tuples, lists, dicts, named tuples and dataclasses, as ``forward`` takes and returns them."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

Path = tuple[str | int, ...]
MAX_NAME = 200


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Yield every value that is not a container, with its path of keys, fields and positions, in order."""
    parts = _parts(value)
    if parts is None:
        yield path, value
        return
    for key, part in parts:
        yield from leaves(part, (*path, key if isinstance(key, int) else str(key)))


def mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    """Return the same containers with ``change`` applied to each leaf."""
    parts = _parts(value)
    if parts is None:
        return change(value)
    changed = {key: mapped(part, change) for key, part in parts}
    if isinstance(value, Mapping):
        return type(value)(changed) if isinstance(value, dict) else changed
    if dataclasses.is_dataclass(value):
        return dataclasses.replace(value, **changed)  # type: ignore[type-var]
    if hasattr(value, "_fields"):
        return type(value)(*changed.values())
    return list(changed.values()) if isinstance(value, list) else tuple(changed.values())


def _parts(value: Any) -> list[tuple[Any, Any]] | None:
    """Return the parts of a container by key, field or position; ``None`` for a leaf."""
    if isinstance(value, Mapping):
        return list(value.items())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return [(field.name, getattr(value, field.name)) for field in dataclasses.fields(value)]
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return list(zip(value._fields, value, strict=True))
    return list(enumerate(value)) if isinstance(value, (tuple, list)) else None


def names_of(paths: Sequence[Path], alone: str, taken: Collection[str] = ()) -> list[str]:
    """Return a unique name for each tensor: the last key or field of its path if that is unique, else the whole path.

    ``{"ids": …}`` is ``ids``, the second tensor of ``state = (h, c)`` is ``state_1``.

    Args:
        paths: paths of the tensors.
        alone: name of a tensor that is in no container, and prefix of names that consist of positions.
        taken: names that are already used.
    """
    short = [_short(path) for path in paths]
    names: list[str] = []
    for place, (path, name) in enumerate(zip(paths, short, strict=True)):
        full = "_".join(map(str, path if any(isinstance(key, str) for key in path) else (alone, *path)))
        candidates = (*([name] if short.count(name) == 1 else []), full, f"{alone}_{place}")
        chosen = next(candidate for candidate in candidates if is_name(candidate))
        names.append(free_name(chosen, alone, {*taken, *names}))
    return names


def free_name(name: str, kind: str, taken: Collection[str]) -> str:
    """Return the name, or if it is taken the name followed by its kind and, if needed, a number."""
    candidates = (name, f"{name}_{kind}", *(f"{name}_{kind}_{count}" for count in range(2, len(taken) + 3)))
    return next(candidate for candidate in candidates if candidate not in taken)


def is_name(text: str) -> bool:
    """Return whether a file can use ``text`` as the name of a tensor."""
    return text.isprintable() and 0 < len(text) <= MAX_NAME


def _short(path: Path) -> str:
    return path[-1] if path and isinstance(path[-1], str) else ""
