"""A program behind pipes that does what it should: what it says is used, and it ends with its session."""

import struct
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.runtimes._program import ProgramSession
from tests.runtimes.programs import program
from tests.runtimes.sessions import Start, X, echoed, gone, refusing


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
