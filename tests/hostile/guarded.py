"""A tensor is no container: while this watches, whoever walks one, counts its rows or asks if it is true is told."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock

import torch

#: What Python calls where a value is taken for a container, a text or a truth value.
ASKED = ("__iter__", "__len__", "__contains__", "__bool__", "__index__", "__int__", "__float__", "__eq__", "tolist")


@contextmanager
def guarded(asked: tuple[str, ...] = ASKED) -> Iterator[list[str]]:
    """The names of those that were called, each of which fails.

    What a library does inside of itself is not seen: it does not go through Python.
    """
    seen: list[str] = []

    def refuse(name: str) -> Callable[..., Any]:
        def asked_of(*_arguments: Any, **_options: Any) -> Any:
            seen.append(name)
            raise AssertionError(f"a tensor was asked for {name}")

        return asked_of

    with ExitStack() as patches:
        for name in asked:
            patches.enter_context(mock.patch.object(torch.Tensor, name, refuse(name)))
        yield seen
