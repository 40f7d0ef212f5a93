"""nalu_export.cli.supervisor: the command ends when it should, whatever it does, and its exit code is true."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="without fork nobody waits for the command")

# A command that computes without end in C and keeps the interpreter's lock: no signal handler of Python ever runs.
STUCK = "import itertools; sum(itertools.repeat(0))"
BEGIN = "import sys, os, time, signal; from nalu_export.cli.supervisor import limit_time, supervised\ndef command():\n"


def _as_a_terminal_starts_it() -> None:
    """In the background of a shell, or under nohup, these are ignored."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


def started(body: str, **options: object) -> "subprocess.Popen[bytes]":
    code = BEGIN + "".join(f"    {line}\n" for line in body.splitlines()) + "supervised(command)\n"
    return subprocess.Popen(
        [sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        preexec_fn=_as_a_terminal_starts_it,
    )


def ended(body: str) -> tuple[int, bytes, bytes]:
    process = started(body)
    out, err = process.communicate(timeout=60)
    return process.returncode, out, err


@pytest.mark.parametrize(
    ("body", "code", "out", "err"),
    [
        ("print('done')", 0, b"done\n", b""),
        ("sys.exit(3)", 3, b"", b""),
        ("limit_time(60)\nsys.exit(1)", 1, b"", b""),
        ("limit_time(0.2)\nlimit_time(60)\ntime.sleep(0.5)", 0, b"", b""),
        ("os._exit(0)", 70, b"",
         b"nalu-export: code of the model or of a library ended the process; there is no verdict\n"),
        ("limit_time(60)\nos._exit(7)", 70, b"",
         b"nalu-export: code of the model or of a library ended the process; there is no verdict\n"),
        (f"limit_time(0.5)\n{STUCK}", 2, b"",
         b"nalu-export: not finished within 0.5 seconds, the limit of --timeout\n"),
        ("limit_time(0.3)\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(60)", 2, b"",
         b"nalu-export: not finished within 0.3 seconds, the limit of --timeout\n"),
        ("os.abort()", 70, b"",
         b"nalu-export: ended by SIGABRT in a library or a runtime; there is no verdict\n"),
        ("os.kill(os.getpid(), signal.SIGSEGV)", 70, b"",
         b"nalu-export: ended by SIGSEGV in a library or a runtime; there is no verdict\n"),
        ("os.kill(os.getpid(), signal.SIGKILL)", 70, b"",
         b"nalu-export: ended by SIGKILL, perhaps because memory ran out; there is no verdict\n"),
    ],
    ids=["prints", "exits", "in time", "more time", "from within", "from within, limited",
         "stuck", "deaf", "aborts", "crashes", "killed"],
)  # fmt: skip
def test_how_it_ends(body: str, code: int, out: bytes, err: bytes) -> None:
    assert ended(body) == (code, out, err)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_to_a_command_that_hears_nothing(number: signal.Signals) -> None:
    process = started(f"print('here', flush=True)\n{STUCK}")
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    time.sleep(1)  # until it is there
    began = time.monotonic()
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    text = "interrupted" if number == signal.SIGINT else f"ended by {number.name}"
    assert (process.returncode, err) == (128 + number, f"nalu-export: {text}\n".encode())
    assert time.monotonic() - began < 30


def test_ctrl_c_is_heard_once() -> None:
    body = (
        "try:\n    print('here', flush=True); time.sleep(60)\n"
        "except KeyboardInterrupt:\n    time.sleep(0.5); sys.exit(130)"
    )
    process = started(body)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    for _ in range(3):
        process.send_signal(signal.SIGINT)
        time.sleep(0.05)
    assert (process.wait(60), process.communicate()[1]) == (130, b"")


@pytest.mark.skipif(sys.platform != "linux", reason="needs prctl and /proc")
@pytest.mark.parametrize("way", ["killed", "timeout"])
def test_nothing_is_left_running(way: str, tmp_path: Path) -> None:
    """Neither the command, when the process that waits is killed, nor what it started, when its time is over."""
    body = (
        "import subprocess\n"
        "other = subprocess.Popen(['sleep', '1000'], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{other.pid}}')\n"
        "print('here', flush=True)\n"
        f"limit_time({0.1 if way == 'timeout' else 100})\n{STUCK}"
    )
    process = started(body)
    assert process.stdout is not None
    assert process.stdout.readline() == b"here\n"
    pids = [int(pid) for pid in (tmp_path / "pids").read_text().split()]
    if way == "killed":
        process.kill()
        pids = pids[:1]
    process.communicate(timeout=60)
    limit = time.monotonic() + 20
    while any(Path(f"/proc/{pid}").exists() and b"\nState:\tZ" not in _status(pid) for pid in pids):
        assert time.monotonic() < limit
        time.sleep(0.05)


def _status(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/status").read_bytes()
    except OSError:
        return b"\nState:\tZ"


def test_inside_another_program_nothing_is_forked_and_nothing_limited() -> None:
    code = (
        "import os, threading; from nalu_export.cli.supervisor import is_supervised, limit_time, supervised\n"
        "threading.Thread(target=lambda: __import__('time').sleep(1)).start(); before = os.getpid()\n"
        "def command():\n    limit_time(0.01)\n    print(os.getpid() == before, is_supervised())\n"
        "supervised(command)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=False)
    assert (done.returncode, done.stdout) == (0, b"True False\n")
