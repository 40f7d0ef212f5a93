"""Has checkpoints done by an existing Dask cluster."""

import contextlib
import importlib
import itertools
import logging
import pickle
import queue
import time
from collections.abc import Callable, Iterator
from typing import Any

from nalu_export.errors import RuntimeUnavailableError, first_line, option
from nalu_export.io.text import printable
from nalu_export.process.locks import own_warnings
from nalu_export.sweeps.executors.remote import carry_out
from nalu_export.sweeps.records import Outcome
from nalu_export.sweeps.task import Answer, Done, Limits, Stopped, Task, blank

# Tasks in flight for each thread of the cluster: one that runs, and one that waits at the worker.
AHEAD = 2
# Seconds between looks at the cluster.
LOOK = 1.0
# What they log about a lost connection is said in one line here.
_LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application")


class _LostError(Exception):
    """The connection to the scheduler is lost."""


class Dask:
    """See :class:`nalu_export.sweeps.executors.base.Executor`.

    If the scheduler goes away, its checkpoints that have no answer yet are submitted again as soon as it is back. A
    checkpoint whose workers die several times (``distributed.scheduler.allowed-failures``) has crashed.

    Args:
        address: of the scheduler, such as ``tcp://host:8786``.
        limits: what a checkpoint may take.
        patience: seconds to wait for a scheduler or for workers.
        say: is called with a line for the user.

    Raises:
        RuntimeUnavailableError: ``distributed`` is not installed, or there is no scheduler at the address.
    """

    def __init__(self, address: str, limits: Limits, patience: float, say: Callable[[str], None]) -> None:
        try:
            self._distributed: Any = importlib.import_module("distributed")
        except ImportError as error:
            raise RuntimeUnavailableError(
                "dask: distributed is not installed; pip install 'nalu_export[dask]'"
            ) from error
        self._address, self._limits, self._patience, self._say = address, limits, patience, say
        self._quieted = {name: logging.getLogger(name).level for name in _LOGGERS}
        for name in _LOGGERS:
            logging.getLogger(name).setLevel(logging.CRITICAL + 1)
        self._client: Any = None
        self._finished: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._flying: dict[str, tuple[Task, Any]] = {}
        self._capacity = AHEAD
        self._looked = 0.0
        self._moved = time.monotonic()
        try:
            self._connect(min(patience, 10.0))
        except RuntimeUnavailableError:
            self.close()
            raise

    def answers(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Answer]]:
        """Yield each task with its answer as soon as it is there."""
        while True:
            try:
                self._look()
                for task in itertools.islice(tasks, max(self._capacity - len(self._flying), 0)):
                    self._submit(task)
                if not self._flying:
                    return
                with contextlib.suppress(queue.Empty):
                    found = self._collect(self._finished.get(timeout=LOOK))
                    if found is not None:
                        self._moved = time.monotonic()
                        yield found
            except _LostError:
                self._come_back()

    def close(self) -> None:
        """Leave the cluster; it goes on, and what it was doing for this sweep is cancelled."""
        client, self._client = self._client, None
        self._flying.clear()
        if client is not None:
            _close(client, 2)
        for name, level in self._quieted.items():
            logging.getLogger(name).setLevel(level)

    def _connect(self, seconds: float) -> None:
        """Connect to the scheduler.

        Raises:
            RuntimeUnavailableError: there is none.
        """
        kind, connected = self._distributed.Client, False
        # In two steps, so that a client that does not connect can be closed.
        client = kind.__new__(kind)
        try:
            # The client warns about other versions of packages; what decides the result is compared in the worker.
            with own_warnings(ignored=True):
                client.__init__(self._address, timeout=seconds, set_as_default=False)
            connected = True
        except (OSError, ValueError, TypeError) as error:  # what distributed raises about no or a wrong address
            why = printable(first_line(error))[:200]
            raise RuntimeUnavailableError(f"dask: no scheduler answers at {self._address}: {why}") from error
        finally:
            if not connected:
                _close(client, 1)
        self._client = client

    def _submit(self, task: Task) -> None:
        # Kept before it is sent: a task is never lost between the two.
        key = f"nalu_export-{id(self)}-{task.sha256[:12]}-{time.monotonic_ns()}"
        self._flying[key] = (task, None)
        try:
            with own_warnings(ignored=True):  # about large arguments, which --ship has on purpose
                future = self._client.submit(
                    carry_out, pickle.dumps(task), self._limits, _remedy(), key=key, pure=False
                )
        except Exception as error:
            raise _LostError from error
        self._flying[key] = (task, future)
        finished = self._finished
        future.add_done_callback(lambda _: finished.put(key))

    def _collect(self, key: str) -> tuple[Task, Answer] | None:
        """Return a task with its answer; ``None`` for one that was submitted again since."""
        if key not in self._flying:
            return None
        task, future = self._flying[key]
        if future.status == "cancelled":
            raise _LostError
        if future.status == "lost":  # its worker died before the result was fetched
            del self._flying[key]
            self._submit(task)
            return None
        error = None
        try:
            answer: Answer = future.result(timeout=self._patience)
        except (OSError, TimeoutError, self._distributed.CancelledError) as caught:  # the connection, not the task
            raise _LostError from caught
        except Exception as caught:  # noqa: BLE001  what a worker raises may be anything
            error = caught
        del self._flying[key]
        if error is None:
            return task, answer
        if isinstance(error, self._distributed.KilledWorker):
            return task, Done(blank(task, Outcome.CRASHED, "the workers of the cluster that had it died"))
        text = printable(f"{type(error).__name__}: {first_line(error)}")[:300]
        # Also where nalu_export or one of its parts cannot be imported: the scheduler unpickles what is sent.
        remedy = "install nalu_export[dask] in one version on scheduler and workers"
        return task, Stopped(f"dask: the cluster at {self._address} cannot do it: {text}; {remedy}")

    def _look(self) -> None:
        """Count the threads of the cluster, at most once in ``LOOK`` seconds.

        Raises:
            _LostError: the scheduler does not answer.
            RuntimeUnavailableError: it has had no worker for ``patience`` seconds.
        """
        now = time.monotonic()
        if now < self._looked + LOOK:
            return
        self._looked = now
        try:
            if self._client.status != "running":
                raise _LostError
            threads = sum(self._client.nthreads().values())
        except _LostError:
            raise
        except Exception as error:
            raise _LostError from error
        self._capacity = AHEAD * max(threads, 1)
        if threads:
            self._moved = now
        elif now > self._moved + self._patience:
            raise RuntimeUnavailableError(
                f"dask: the cluster at {self._address} has had no worker for {self._patience:g} seconds"
            )

    def _come_back(self) -> None:
        """Wait until the scheduler is back, and submit again what has no answer.

        Raises:
            RuntimeUnavailableError: it is not back in time.
        """
        self._say(f"dask: lost the scheduler at {self._address}; waiting up to {self._patience:g} seconds for it")
        ends = time.monotonic() + self._patience
        tasks = [task for task, _ in self._flying.values()]
        _close(self._client, 1)
        while True:
            try:
                self._connect(max(min(ends - time.monotonic(), 5.0), 0.5))
                self._flying.clear()
                for task in tasks:
                    self._submit(task)
            except (RuntimeUnavailableError, _LostError) as error:
                if time.monotonic() > ends:
                    raise RuntimeUnavailableError(
                        f"dask: the scheduler at {self._address} did not come back in {self._patience:g} seconds"
                    ) from error
                time.sleep(0.2)
            else:
                break
        self._moved, self._looked = time.monotonic(), 0.0
        self._say(f"dask: the scheduler at {self._address} is back; {len(tasks)} files are sent again")


def _remedy() -> str:
    return f"give paths that all machines share, or send the bytes with {option('ship', True)}"


def _close(client: Any, seconds: float) -> None:
    """Close a client, and leave nothing to its finalizer.

    The finalizer of an open client takes a lock that another client holds while it starts. If the garbage collector
    runs just then, both wait forever (seen with distributed 2026.8).
    """
    with contextlib.suppress(Exception):
        client.close(timeout=seconds)
    client.status = "closed"
