"""The interface of executors."""

from collections.abc import Iterator
from typing import Protocol

from nalu_export.sweeps.task import Answer, Task


class Executor(Protocol):
    """Has checkpoints done, in any order."""

    def answers(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Answer]]:
        """Yield each task with its answer as soon as it is there.

        Few tasks are taken from the iterator ahead of their turn, so the memory does not grow with their number.
        Closing the generator ends what is in progress.

        Args:
            tasks: the checkpoints.
        """
        ...

    def close(self) -> None:
        """End all processes and connections."""
        ...
