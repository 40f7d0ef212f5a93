"""Sweeps on a real Dask cluster: a scheduler and workers in processes of their own, on the loopback device."""

import contextlib
import gc
import importlib
import importlib.util
import json
import os
import pickle
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

import nalu_export
from nalu_export import RuntimeUnavailableError
from nalu_export.sweeps.executors.remote import carry_out
from nalu_export.sweeps.result import Tally
from nalu_export.sweeps.task import Limits, Stopped, Task
from tests.sweeps.conftest import Zoo
from tests.sweeps.executors.test_processes import NET, recorded

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("distributed") is None, reason="distributed is not installed: pip install '.[dask]'"
)


class Cluster:
    """A scheduler and two workers of one thread, which can be killed and started again."""

    def __init__(self, folder: Path, failures: int = 3) -> None:
        self.folder, self.failures = folder, failures
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"tcp://127.0.0.1:{self.port}"
        self.scheduler: subprocess.Popen[bytes] | None = None
        self.workers: list[subprocess.Popen[bytes]] = []

    def start(self, workers: int = 2) -> "Cluster":
        self.scheduler = self._run("dask_scheduler", "--host", "127.0.0.1", "--port", str(self.port), "--no-show")
        self.workers = [self.start_worker() for _ in range(workers)]
        return self

    def start_worker(self) -> "subprocess.Popen[bytes]":
        return self._run("dask_worker", self.address, "--nthreads", "1", "--no-nanny")

    def kill(self) -> None:
        for process in (self.scheduler, *self.workers):
            if process is not None:
                with contextlib.suppress(OSError):
                    process.kill()
                process.wait()
        self.workers = []

    def _run(self, program: str, *arguments: str) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-W", "ignore", "-m", f"distributed.cli.{program}", *arguments, "--no-dashboard"]
        root = str(Path(nalu_export.__file__).parents[1])
        log = (self.folder / "log").open("ab")
        environment = os.environ | {
            "PYTHONPATH": root,
            "DASK_DISTRIBUTED__COMM__TIMEOUTS__CONNECT": "30s",
            "DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": str(self.failures),
        }
        with log:
            return subprocess.Popen(command, cwd=self.folder, env=environment, stdout=log, stderr=log)


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    folder = tmp_path / "cluster"
    folder.mkdir()
    cluster = Cluster(folder)
    try:
        yield cluster.start()
    finally:
        cluster.kill()


def after(results: int, act: Callable[[], None]) -> tuple[Callable[[Tally], None], list[str]]:
    """A progress function that acts once after so many results, and the notes that it heard."""
    notes: list[str] = []
    acts = [act]

    def progress(tally: Tally) -> None:
        if tally.note:
            notes.append(tally.note)
        elif tally.done >= results and acts:
            acts.pop()()

    return progress, notes


@pytest.mark.slow
def test_a_worker_and_the_scheduler_are_killed(zoo: Zoo, tmp_path: Path, cluster: Cluster) -> None:
    folder, out = zoo(10), tmp_path / "out"
    (folder / "bad.pt").write_bytes(b"nonsense")
    (folder / "net.py").write_text(NET, encoding="utf-8")
    model = f"{folder}/net.py:slow"
    progress, notes = after(3, lambda: cluster.workers[0].send_signal(signal.SIGKILL))
    first = nalu_export.sweep(
        folder / "m[0-4].pt", out, dask=cluster.address, samples=4, model=model, progress=progress
    )
    assert (first.counts["passed"], notes) == (5, [])

    def restart() -> None:
        cluster.kill()
        cluster.start()

    progress, notes = after(7, restart)
    found = nalu_export.sweep(folder, out, dask=cluster.address, samples=4, model=model, progress=progress)
    assert found.counts == {"failed": 0, "crashed": 0, "refused": 1, "passed": 10}
    assert found.reused == 5
    assert notes[0] == f"dask: lost the scheduler at {cluster.address}; waiting up to 60 seconds for it"
    assert notes[-1].startswith(f"dask: the scheduler at {cluster.address} is back; ")
    names = Counter(row["name"] for row in recorded(out))
    assert names == Counter([*(f"m{number}" for number in range(10)), "bad"])
    alone = nalu_export.export(folder / "m9.pt", samples=4, model=model)
    assert (out / "m9.onnx").read_bytes() == alone.data


def test_a_machine_that_does_not_find_the_file(tmp_path: Path) -> None:
    task = Task(f"{tmp_path}/none.pt", "none.pt", "none", "0", {}, "0", "t", "onnx", "none.onnx", out=str(tmp_path))
    assert carry_out(pickle.dumps(task), Limits(), "ship it") == Stopped(
        f"{tmp_path}/none.pt: a worker of the cluster does not find it; ship it"
    )
    sent = replace(task, files=(("none.pt", b""),), out=f"{tmp_path}/out")
    assert carry_out(pickle.dumps(sent), Limits(), "ship it") == Stopped(
        f"{tmp_path}/out: a worker of the cluster does not find it; ship it"
    )


@pytest.mark.slow
def test_bytes_are_sent_and_a_crash_does_not_reach_the_cluster(zoo: Zoo, tmp_path: Path, cluster: Cluster) -> None:
    folder = zoo(2)
    found = nalu_export.sweep(folder, tmp_path / "sent", dask=cluster.address, samples=4, ship=True)
    local = nalu_export.sweep(folder, tmp_path / "local", jobs=1, samples=4)
    assert found.passed
    for name in ("m0.onnx", "m1.onnx"):
        assert (found.out / name).read_bytes() == (local.out / name).read_bytes()
    (folder / "net.py").write_text(NET, encoding="utf-8")
    crashed = nalu_export.sweep(
        folder / "m0.pt", tmp_path / "crashed", dask=cluster.address, samples=4, model=f"{folder}/net.py:always"
    )
    assert crashed.records[0].error == "its worker was ended by SIGSEGV in a library or a runtime"
    late = nalu_export.sweep(
        folder / "m0.pt",
        tmp_path / "late",
        dask=cluster.address,
        samples=4,
        file_timeout=1,
        model=f"{folder}/net.py:endless",
    )
    assert late.records[0].error == "took longer than 1 seconds"
    assert all(process.poll() is None for process in cluster.workers)


def test_no_scheduler(zoo: Zoo, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{free.getsockname()[1]}"
    with pytest.raises(RuntimeUnavailableError, match=rf"^dask: no scheduler answers at {address}: "):
        nalu_export.sweep(zoo(1), tmp_path / "out", dask=address, dask_timeout=1)


@pytest.mark.parametrize("address", ["nonsense://x", "", "tcp://"])
def test_a_wrong_address(address: str, zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kind, closed = importlib.import_module("distributed").Client, list[str]()
    # The finalizer of an open client can wait forever for another client that starts.
    monkeypatch.setattr(kind, "__del__", lambda client: closed.append(client.status))
    with pytest.raises(RuntimeUnavailableError, match=r"^dask: no scheduler answers at "):
        nalu_export.sweep(zoo(1), tmp_path / "out", dask=address, dask_timeout=1)
    gc.collect()
    assert set(closed) == {"closed"}


@pytest.mark.slow
def test_a_checkpoint_that_kills_its_dask_worker(zoo: Zoo, tmp_path: Path) -> None:
    folder, cluster = zoo(2), Cluster(tmp_path, failures=0)
    code = "import os, signal\ndef build():\n    os.kill(os.getppid(), signal.SIGKILL)\n    signal.pause()\n"
    (folder / "killer.py").write_text(code, encoding="utf-8")
    rows = [{"path": "m0.pt", "model": f"{folder}/killer.py:build"}, {"path": "m1.pt"}]
    (folder / "list.txt").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    try:
        cluster.start()
        found = nalu_export.sweep(f"@{folder}/list.txt", tmp_path / "out", dask=cluster.address, samples=4, trust=True)
    finally:
        cluster.kill()
    killed, passed = found.records
    assert (killed.status, killed.error) == ("crashed", "the workers of the cluster that had it died")
    assert passed.passed


@pytest.mark.slow
def test_a_cluster_without_workers(zoo: Zoo, tmp_path: Path) -> None:
    cluster = Cluster(tmp_path)
    try:
        cluster.start(workers=0)
        time.sleep(1)
        with pytest.raises(RuntimeUnavailableError, match=r"has had no worker for 3 seconds; 0 of 1 files are done"):
            nalu_export.sweep(zoo(1), tmp_path / "out", dask=cluster.address, dask_timeout=3)
    finally:
        cluster.kill()


def test_it_is_not_installed(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(
        RuntimeUnavailableError, match=r"^dask: distributed is not installed; pip install 'nalu_export\[dask\]'; 0 of 1"
    ):
        nalu_export.sweep(zoo(1), tmp_path / "out", dask="tcp://127.0.0.1:1")
