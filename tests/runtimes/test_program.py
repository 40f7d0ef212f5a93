"""A program behind pipes: what it says is used, and whatever it does wrong is one line and leaves nothing behind."""

import struct
import subprocess
import sys
import tempfile
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nalu_export.errors import InputError, NaluExportError, RuntimeUnavailableError
from nalu_export.runtimes import _program
from nalu_export.runtimes._program import MAX_NUMBERS, ProgramSession, find_program, serve
from nalu_export.runtimes.base import RunOptions
from tests.runtimes.programs import program

Start = Callable[[str], ProgramSession]
X = np.arange(8, dtype=np.float32).reshape(2, 4)


@pytest.fixture
def start(tmp_path: Path) -> Start:
    return lambda body: ProgramSession("fake", [str(program(tmp_path / "fake_infer", body))])


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """With programs that run; how long one takes to start is its machine's business."""
    monkeypatch.setattr(_program, "ANSWER_SECONDS", 0.5)
    monkeypatch.setattr(_program, "END_SECONDS", 0.2)


def failing(start: Start, body: str, kind: type[NaluExportError] = InputError) -> str:
    """What is said of a program that does not even start."""
    with pytest.raises(kind) as caught:
        start(body)
    assert type(caught.value) is kind or kind is InputError
    return str(caught.value)


def refusing(session: ProgramSession) -> str:
    with pytest.raises(InputError) as caught:
        session.run([X])
    return str(caught.value)


def echoed(session: ProgramSession, x: NDArray[np.generic]) -> NDArray[np.generic]:
    """What a session that gives back what it is given makes of one array."""
    (found,) = session.run([x])
    return found


def gone(session: ProgramSession) -> bool:
    return session._process.poll() is not None and session._errors.closed


class TestAGoodOne:
    @pytest.mark.parametrize("shape", [(0, 4), (1, 4), (5, 4), (3, 1, 7, 5), (), (300, 1000)])
    def test_batches_of_any_shape(self, shape: tuple[int, ...], start: Start) -> None:
        """The last one is larger than what a pipe holds."""
        session = start("hello(); serve()")
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        for _ in range(2):
            out = echoed(session, x)
            np.testing.assert_array_equal(out, x, strict=True)
            out[...] = 0  # it is the caller's own
        session.close()

    def test_what_is_not_contiguous_or_of_another_byte_order(self, start: Start) -> None:
        session = start("hello(); serve()")
        for x in (X.T, X[:, ::2], X.astype(">f4"), X.astype(">i8").T):
            np.testing.assert_array_equal(echoed(session, x), x)

    @pytest.mark.parametrize("dtype", [np.float32, np.float64])
    def test_every_bit_passes(self, dtype: type[np.floating], start: Start) -> None:
        x = np.array([np.nan, np.inf, -np.inf, -0.0, np.finfo(dtype).smallest_subnormal, np.finfo(dtype).max], dtype)
        found = echoed(start("hello(); serve()"), x)
        assert (found.dtype, found.tobytes()) == (x.dtype, x.tobytes())

    def test_several_of_several_types(self, start: Start) -> None:
        session = start("hello(); serve()")
        batches: list[list[NDArray[np.generic]]] = [
            [X, np.array([-(2**63), 2**63 - 1]), np.array(True), np.array([], np.int32), X.astype(np.float64)],
            [np.array([[True], [False]]), np.array(-1, np.int32)],
            [],
        ]
        for batch in batches:
            found = session.run(batch)
            assert isinstance(found, tuple)
            for out, given in zip(found, batch, strict=True):
                np.testing.assert_array_equal(out, given, strict=True)

    def test_the_bytes_of_a_request(self, start: Start) -> None:
        data = struct.pack("<IIIQQ", 2, 1, 2, 1, 2) + struct.pack("<ff", 1, 2) + struct.pack("<IIQ", 5, 1, 1) + b"\1"
        body = f"hello(); got = given.read({len(data)}); say(1, got.hex().encode()); serve()"
        with pytest.raises(InputError) as caught:
            start(body).run([np.array([[1, 2]], np.float32), np.array([True])])
        assert str(caught.value) == f"fake: {data.hex()}"

    def test_a_type_that_it_does_not_take_is_not_the_end(self, start: Start) -> None:
        session = start("hello(); serve()")
        with pytest.raises(InputError) as caught:
            session.run([X, X.astype(np.float16)])
        text = "fake: input 1 is float16; fake_infer takes float32, float64, int32, int64, bool"
        assert str(caught.value) == text
        np.testing.assert_array_equal(echoed(session, X), X)

    def test_where_it_ran(self, start: Start) -> None:
        session = start("hello(unknown='x', options='a=\\x1b[31m'); serve()")
        assert session.where == "fake 1.0, Fake, CPU"
        assert session.details == {
            "library": "fake 1.0",
            "device": "CPU",
            "provider": "Fake",
            "options": r"a=\x1b[31m",
            "threads": "1",
        }
        assert session.remarks == ()

    def test_where_it_ran_on_a_device(self, start: Start) -> None:
        session = start("hello(device='Some GPU', provider='CUDA', driver='1.2', cuda='13.0'); serve()")
        assert session.where == "fake 1.0, CUDA, Some GPU, driver 1.2"
        assert (session.details["driver"], session.details["cuda"]) == ("1.2", "13.0")
        assert start("hello(provider='CPUProvider'); serve()").where == "fake 1.0, CPUProvider"

    def test_a_device_that_fails_is_the_end(self, start: Start) -> None:
        session = start("hello(); request(); say(2, b'out of memory'); serve()")
        with pytest.raises(RuntimeUnavailableError, match=r"^fake: out of memory$"):
            session.run([np.ones((1, 2), np.float32)])
        assert refusing(session) == "fake: out of memory"

    def test_a_batch_that_is_refused_is_not_the_end(self, start: Start) -> None:
        session = start("hello()\nrequest(); say(1, b'not this\\n\\x1b[31m one ')\nserve()")
        assert refusing(session) == r"fake: not this\n\x1b[31m one"
        np.testing.assert_array_equal(echoed(session, X), X)

    def test_it_may_talk_a_lot_to_stderr(self, start: Start) -> None:
        session = start("hello(); sys.stderr.write('x' * 2**22); sys.stderr.flush(); serve()")
        np.testing.assert_array_equal(echoed(session, X), X)


class TestItsEnd:
    def test_close(self, start: Start) -> None:
        session = start("hello(); serve()")
        session.close()
        assert gone(session)
        assert session._process.returncode == 0
        assert refusing(session) == "fake: the session is closed"
        session.close()

    def test_with_the_session(self, tmp_path: Path) -> None:
        keep = tempfile.TemporaryDirectory()
        session = ProgramSession("fake", [str(program(tmp_path / "fake", "hello(); serve()"))], keep=keep)
        process, folder = session._process, Path(keep.name)
        del keep
        assert folder.exists()
        assert process.poll() is None
        del session
        assert process.returncode == 0
        assert not folder.exists()

    @pytest.mark.slow
    def test_with_the_interpreter(self, tmp_path: Path) -> None:
        """No warning, no process and no folder are left."""
        fake = program(tmp_path / "fake", "hello(); open(sys.argv[1], 'w').write(str(os.getpid())); serve()")
        code = (
            "import sys, tempfile\n"
            "from nalu_export.runtimes._program import ProgramSession\n"
            "keep = tempfile.TemporaryDirectory(dir=sys.argv[2])\n"
            "session = ProgramSession('fake', [sys.argv[1], sys.argv[3]], keep=keep)\n"
        )
        folder, number = tmp_path / "temporary", tmp_path / "pid"
        folder.mkdir()
        command = [sys.executable, "-W", "error", "-c", code, str(fake), str(folder), str(number)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
        assert list(folder.iterdir()) == []
        assert not Path("/proc", number.read_text(encoding="utf-8")).exists()

    def test_one_that_does_not_want_to_go(self, start: Start, impatient: None) -> None:
        session = start("hello()\nwhile True: time.sleep(9)")
        session.close()
        assert session._process.returncode == -9

    def test_an_interruption_ends_it(self, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
        """An answer that is still in the pipe would be taken for the next one."""
        session = start("hello(); serve()")

        def interrupted(count: int, deadline: object) -> bytes:
            raise KeyboardInterrupt

        monkeypatch.setattr(session, "_receive", interrupted)
        with pytest.raises(KeyboardInterrupt):
            session.run([X])
        assert gone(session)
        assert refusing(session) == "fake: the run was interrupted"


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


class TestWhereProgramsAre:
    """Where the environment says, and nowhere else."""

    @pytest.fixture(autouse=True)
    def _not_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NALU_EXPORT_CPP", raising=False)

    @pytest.mark.parametrize("named", ["absolute", "relative"])
    def test_named(self, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        program(tmp_path / "x_infer", "")
        monkeypatch.setenv("NALU_EXPORT_CPP", str(tmp_path) if named == "absolute" else ".")
        assert find_program("x", "x_infer") == str(tmp_path / "x_infer")

    @pytest.mark.parametrize("value", [None, ""])
    def test_not_in_the_working_directory(
        self, value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        if value is not None:
            monkeypatch.setenv("NALU_EXPORT_CPP", value)
        program(tmp_path / "x_infer", "")
        (tmp_path / "examples" / "cpp" / "build").mkdir(parents=True)
        program(tmp_path / "examples" / "cpp" / "build" / "x_infer", "")
        with pytest.raises(RuntimeUnavailableError) as caught:
            find_program("x", "x_infer")
        assert str(caught.value) == (
            "x: NALU_EXPORT_CPP is not set; set it to the folder that holds x_infer: make cpp builds it into "
            "examples/cpp/build of the source repository"
        )
        assert caught.value.exit_code == 3

    @pytest.mark.parametrize("what", ["nothing", "a folder", "a text"])
    def test_not_where_it_is_said_to_be(self, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "a\nb"
        folder.mkdir()
        monkeypatch.setenv("NALU_EXPORT_CPP", str(folder))
        if what == "a folder":
            (folder / "x_infer").mkdir()
        elif what == "a text":
            (folder / "x_infer").write_text("hello", encoding="utf-8")
        with pytest.raises(RuntimeUnavailableError) as caught:
            find_program("x", "x_infer")
        assert str(caught.value) == (
            rf"x: x_infer is not in {tmp_path}/a\nb, the folder of NALU_EXPORT_CPP; make cpp builds it into "
            "examples/cpp/build of the source repository"
        )


class TestServing:
    ECHO = "hello(options=' '.join(sys.argv[2:]), library=open(sys.argv[1]).read(), device=sys.argv[1]); serve()"

    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NALU_EXPORT_CPP", str(tmp_path))

    @pytest.mark.parametrize(("threads", "said"), [(None, "--serve"), (3, "--serve --threads 3")])
    def test_the_artifact_is_in_a_private_folder(self, threads: int | None, said: str, tmp_path: Path) -> None:
        program(tmp_path / "x_infer", self.ECHO)
        session = serve("x", "x_infer", "model.x", b"the file", RunOptions(threads=threads))
        assert (session.details["options"], session.details["library"]) == (said, "the file")
        path = Path(session.details["device"])
        assert path.name == "model.x"
        assert path.parent.stat().st_mode & 0o777 == 0o700
        session.close()
        assert not path.parent.exists()

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program(tmp_path / "x_infer", self.ECHO)
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))

        def full(path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError) as caught:
            serve("x", "x_infer", "model.x", b"", RunOptions())
        assert str(caught.value) == "x: the temporary folder cannot be written: No space left on device"
        assert list(temporary.iterdir()) == []
