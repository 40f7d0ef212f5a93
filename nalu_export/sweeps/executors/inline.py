"""Does checkpoints in this process, one after the other: for tests, and to look for a fault with a debugger."""

from collections.abc import Iterator

from nalu_export.sweeps.running import run
from nalu_export.sweeps.task import Answer, Task


class Inline:
    """See :class:`nalu_export.sweeps.executors.base.Executor`. A checkpoint that crashes ends the process."""

    def answers(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Answer]]:
        """Yield each task with its answer."""
        for task in tasks:
            yield task, run(task)

    def close(self) -> None:
        """Nothing is left to end."""
