"""nalu_export.runtimes._stderr_tail: one line of what a program wrote."""

import io

import pytest

from nalu_export.runtimes._stderr_tail import MOST, stderr_tail

PANIC = b"thread '<unnamed>' (1) panicked at a.rs:1:2:\nwhat is wrong\nnote: run with `RUST_BACKTRACE=1`\n"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"", b""),
        (b"\n \n", b""),
        (b"one\ntwo\n\n", b"two"),
        (b"memory is short\nnote: run with more\n", b"memory is short"),
        (b"note: nothing else\n", b""),
        (PANIC + b"  at a\n" * 5000 + b"thread caused non-unwinding panic. aborting.\n", b"what is wrong"),
        (b"thread panicked at the end", b"thread panicked at the end"),
        (b"first\n" + b"x" * 9000, b"x" * MOST),
        (b"x\n" * 5000 + b"last", b"last"),
    ],
)
def test_the_line(text: bytes, found: bytes) -> None:
    assert stderr_tail(io.BytesIO(text)) == found
