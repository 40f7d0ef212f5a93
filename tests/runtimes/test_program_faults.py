"""A program behind pipes: whatever it does wrong is one line and leaves nothing behind."""

import tempfile
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.runtimes import _program
from nalu_export.runtimes._program import MAX_NUMBERS, ProgramSession
from tests.runtimes.programs import program
from tests.runtimes.sessions import Start, failing, gone, refusing


class TestItCannotStart:
    def test_the_device_is_not_there(self, start: Start) -> None:
        text = failing(start, "say(2, b'no CUDA here')", RuntimeUnavailableError)
        assert text == "fake: no CUDA here"

    def test_the_file_is_refused(self, start: Start) -> None:
        assert failing(start, "say(1, b'two\\nlines')") == r"fake refuses the file: two\nlines"

    def test_the_private_folder_is_not_shown(self, tmp_path: Path) -> None:
        keep = tempfile.TemporaryDirectory()
        fake = program(tmp_path / "fake", "say(1, f'cannot read {sys.argv[1]}/model.onnx'.encode())")
        with pytest.raises(InputError) as caught:
            ProgramSession("fake", [str(fake), keep.name], keep=keep)
        assert str(caught.value) == "fake refuses the file: cannot read model.onnx"
        assert not Path(keep.name).exists()

    def test_a_library_is_missing(self, start: Start) -> None:
        """What the dynamic loader does."""
        text = failing(start, "sys.stderr.write('no libx.so\\n'); sys.exit(127)", RuntimeUnavailableError)
        assert text == "fake: fake_infer ended with exit code 127: no libx.so"

    @pytest.mark.parametrize(
        ("name", "reason"),
        [("nothing", "No such file or directory"), ("text", "Permission denied"), ("a\0b", "embedded null byte")],
    )
    def test_it_is_no_program(self, name: str, reason: str, tmp_path: Path) -> None:
        (tmp_path / "text").write_text("hello", encoding="utf-8")
        keep = tempfile.TemporaryDirectory()
        with pytest.raises(RuntimeUnavailableError) as caught:
            ProgramSession("fake", [str(tmp_path / name)], keep=keep)
        assert str(caught.value) == f"fake: {name} cannot be started: {reason}"
        assert not Path(keep.name).exists()


DEATHS = {
    "sys.exit(3)": "ended with exit code 3",
    "sys.exit(0)": "ended with exit code 0",
    "os.kill(os.getpid(), signal.SIGSEGV)": "ended with signal 11",
    "sys.stderr.write('first\\n  the last\\x1b[31m\\n\\n'); sys.exit(1)": r"ended with exit code 1: the last\x1b[31m",
    "sys.stderr.write('x' * 9000); sys.exit(1)": f"ended with exit code 1: {'x' * 4096}",
}


@pytest.mark.parametrize("body", DEATHS)
def test_its_death_is_told(body: str, start: Start) -> None:
    """Before it says anything, instead of an answer, within one, and within a request."""
    text = f"fake: fake_infer {DEATHS[body]}"
    assert failing(start, body) == text
    for before in ("request()", "request(); put(b'\\0\\0\\0\\0\\1')", "given.read(1)"):
        session = start(f"hello(); {before}; {body}")
        assert refusing(session) == text
        assert gone(session)
        assert refusing(session) == text


def test_a_request_that_nobody_reads(start: Start) -> None:
    session = start("hello(); sys.exit(4)")
    with pytest.raises(InputError, match=r"^fake: fake_infer ended with exit code 4$"):
        session.run([np.zeros(2**20, np.float32)])


@pytest.mark.usefixtures("impatient")
class TestSilence:
    def test_at_the_start(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(_program, "START_SECONDS", 0.5)
        assert failing(start, "time.sleep(99)") == "fake: fake_infer gave no answer within 0.5 s"

    @pytest.mark.parametrize(
        "body", ["request(); time.sleep(99)", "request(); put(b'\\0\\0'); time.sleep(99)", "time.sleep(99)"]
    )
    def test_later(self, body: str, start: Start) -> None:
        """The last one does not even read a request that is larger than what a pipe holds."""
        session = start(f"hello(); {body}")
        x = np.zeros(2**20, np.float32)
        begun = time.monotonic()
        with pytest.raises(InputError) as caught:
            session.run([x])
        assert str(caught.value) == "fake: fake_infer gave no answer within 0.5 s"
        assert time.monotonic() - begun < 60  # what it waits for takes 99 s
        assert session._process.returncode == -9

    def test_drop_by_drop_is_late_as_well(self, start: Start) -> None:
        session = start("hello(); request()\nwhile True: put(b'\\0'); time.sleep(0.2)")
        assert refusing(session) == "fake: fake_infer gave no answer within 0.5 s"

    def test_pipes_that_are_closed(self, start: Start) -> None:
        session = start("hello(); request(); os.close(out); os.close(1); time.sleep(99)")
        assert refusing(session) == "fake: fake_infer closed its output"
        assert gone(session)


BAD_STARTS = {
    "put(struct.pack('<II', 7, 0))": "its first word is 7",
    "put(b'Hello, world')": f"its first word is {int.from_bytes(b'Hell', 'little')}",
    "put(struct.pack('<II', 0, 2**32 - 1))": "a text has 4,294,967,295 bytes",
    "put(struct.pack('<II', 1, 2**16 + 1))": "a text has 65,537 bytes",
    "say(0, b'')": "it does not say its library",
    "hello(threads=None)": "it does not say its threads",
    "say(0, b'\\xff\\xfe\\n\\t\\n')": "it does not say its library",
}
BAD_ANSWERS = {
    "put(struct.pack('<I', 3))": "an answer begins with 3",
    "put(b'nonsense')": f"an answer begins with {int.from_bytes(b'nons', 'little')}",
    "put(struct.pack('<II', 0, 65))": "an answer has 65 outputs",
    "put(struct.pack('<II', 0, 2**32 - 1))": "an answer has 4294967295 outputs",
    "put(struct.pack('<IIII', 0, 1, 0, 0))": "an output is of type 0",
    "put(struct.pack('<IIII', 0, 1, 6, 0))": "an output is of type 6",
    "put(struct.pack('<IIII', 0, 1, 1, 17))": "an output has 17 axes",
    "put(struct.pack('<IIII', 0, 1, 1, 2**32 - 1))": "an output has 4294967295 axes",
    "put(struct.pack('<IIIIQ', 0, 1, 1, 1, 2**26 + 1))": "an output has the shape (67108865,)",
    "put(struct.pack('<IIIIQQ', 0, 1, 4, 2, 2**40, 2**40))": "an output has the shape (1099511627776, 1099511627776)",
    "put(struct.pack('<IIIIQQ', 0, 1, 2, 2, 0, 2**63))": "an output has the shape (0, 9223372036854775808)",
    "put(struct.pack('<IIIIQ', 0, 2, 5, 1, 1) + b'\\0' + struct.pack('<IIQ', 5, 1, 2**26))": (
        "an output has the shape (67108864,)"
    ),
    "put(struct.pack('<IIIIQ', 0, 1, 5, 1, 3) + b'\\0\\1\\2')": ("an output has truth values that are neither 0 nor 1"),
    "put(struct.pack('<II', 1, 2**31))": "a text has 2,147,483,648 bytes",
}


@pytest.mark.parametrize("body", BAD_STARTS)
def test_a_start_that_breaks_the_protocol(body: str, start: Start) -> None:
    text = f"fake: fake_infer does not keep to the protocol: {BAD_STARTS[body]}"
    assert failing(start, f"{body}; time.sleep(99)") == text


@pytest.mark.parametrize("body", BAD_ANSWERS)
def test_an_answer_that_breaks_the_protocol(body: str, start: Start) -> None:
    session = start(f"hello(); request(); {body}; time.sleep(99)")
    text = f"fake: fake_infer does not keep to the protocol: {BAD_ANSWERS[body]}"
    assert refusing(session) == text
    assert gone(session)
    assert refusing(session) == text


def test_a_promise_takes_no_memory(start: Start) -> None:
    session = start(f"hello(); request(); put(struct.pack('<IIIIQ', 0, 1, 1, 1, {MAX_NUMBERS})); sys.exit(0)")
    tracemalloc.start()
    try:
        assert refusing(session) == "fake: fake_infer ended with exit code 0"
        assert tracemalloc.get_traced_memory()[1] < 2**22
    finally:
        tracemalloc.stop()
