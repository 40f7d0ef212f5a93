"""Has checkpoints done by worker processes of this machine."""

import itertools
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from multiprocessing.connection import wait

from nalu_export.errors import InputError
from nalu_export.process import memory
from nalu_export.sweeps.records import Outcome
from nalu_export.sweeps.task import Answer, Done, Limits, Task, blank
from nalu_export.sweeps.worker import Worker


class Processes:
    """See :class:`nalu_export.sweeps.executors.base.Executor`.

    A worker that dies takes only its own checkpoint with it. That checkpoint runs once more when nothing else does, for
    the fault may be another's: a second checkpoint that took all the memory, or a user who ended the process. If its
    worker dies again, the checkpoint has crashed. One that takes too long does not run again.

    Args:
        jobs: number of workers; by default that of the CPUs that this process may use.
        limits: what a worker may take.
        quiet: whether to discard what the workers print.
        sharing: number of workers that share the memory; by default ``jobs``.
    """

    def __init__(
        self, jobs: int | None = None, limits: Limits | None = None, *, quiet: bool = True, sharing: int | None = None
    ) -> None:
        if os.name != "posix":
            raise InputError("local workers need Linux or macOS; use a Dask cluster")
        self.jobs = jobs or cpus()
        given = limits or Limits()
        free = memory.allowed() if given.memory is None else given.memory
        self._limits = replace(given, memory=None if free is None else max(free // (sharing or self.jobs), 1))
        self._quiet = quiet
        self._workers: list[Worker] = []
        self._failed_starts = 0

    def answers(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Answer]]:
        """Yield each task with its answer as soon as it is there."""
        ahead: deque[Task] = deque()
        suspects: deque[Task] = deque()
        while True:
            # One task for each worker is fetched ahead, so that no worker waits while this process reads a file.
            self._feed(ahead, self.jobs)
            ahead.extend(itertools.islice(tasks, self.jobs - len(ahead)))
            self._feed(ahead, self.jobs)
            busy = [worker for worker in self._workers if worker.task is not None]
            if not busy and not ahead:
                if not suspects:
                    return
                yield self._alone(suspects.popleft())
                continue
            for worker in self._changed(busy):
                task = worker.task
                try:
                    answer = worker.answer()
                except EOFError:
                    how = self._remove(worker)
                    if task is not None and worker.timed_out:
                        yield task, _crashed(task, how)
                    elif task is not None:
                        suspects.append(task)
                else:
                    self._failed_starts = 0
                    if answer is not None and task is not None:
                        yield task, answer

    def close(self) -> None:
        """End all workers."""
        while self._workers:
            self._workers.pop().close()

    def _feed(self, ahead: deque[Task], most: int) -> None:
        """Give tasks to workers that wait for one, and start workers while there are fewer than ``most``."""
        while ahead:
            worker = next((worker for worker in self._workers if worker.task is None), None)
            if worker is None and len(self._workers) < most:
                worker = Worker(self._limits, quiet=self._quiet)
                self._workers.append(worker)
            if worker is None:
                return
            worker.give(ahead.popleft())

    def _changed(self, busy: list[Worker]) -> list[Worker]:
        """Wait until a worker has an answer, has ended, or is late; return those."""
        left = [seconds for seconds in (worker.seconds_left() for worker in busy) if seconds is not None]
        found = wait([worker.connection for worker in busy], min(left, default=None))
        for worker in busy:
            if worker.connection not in found:
                worker.end_if_late()
        return [worker for worker in busy if worker.connection in found or worker.timed_out]

    def _alone(self, task: Task) -> tuple[Task, Answer]:
        """Run a task while nothing else runs."""
        self._feed(deque([task]), 1)
        while True:
            (worker,) = self._changed([worker for worker in self._workers if worker.task is not None])
            try:
                answer = worker.answer()
            except EOFError:
                return task, _crashed(task, self._remove(worker))
            if answer is not None:
                return task, answer

    def _remove(self, worker: Worker) -> str:
        """Remove a worker that has ended, and return how it ended.

        Raises:
            InputError: workers end before they have imported everything.
        """
        self._workers.remove(worker)
        how = worker.how_it_ended()
        worker.close()
        if not worker.ready:
            self._failed_starts += 1
            if self._failed_starts > self.jobs:
                raise InputError(f"the worker processes cannot be started: {how}")
        return how


def cpus() -> int:
    """Return the number of CPUs that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _crashed(task: Task, how: str) -> Done:
    return Done(blank(task, Outcome.CRASHED, how))
