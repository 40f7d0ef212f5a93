"""What the tests of programs behind pipes ask of a session."""

from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from nalu_export.errors import InputError, NaluExportError
from nalu_export.runtimes._program import ProgramSession

Start = Callable[[str], ProgramSession]
X = np.arange(8, dtype=np.float32).reshape(2, 4)


def failing(start: Start, body: str, kind: type[NaluExportError] = InputError) -> str:
    """What is said of a program that does not even start."""
    with pytest.raises(kind) as caught:
        start(body)
    assert type(caught.value) is kind or kind is InputError
    return str(caught.value)


def refusing(session: ProgramSession) -> str:
    """What is said of a batch that gets no answer."""
    with pytest.raises(InputError) as caught:
        session.run([X])
    return str(caught.value)


def echoed(session: ProgramSession, x: NDArray[np.generic]) -> NDArray[np.generic]:
    """What a session that gives back what it is given makes of one array."""
    (found,) = session.run([x])
    return found


def gone(session: ProgramSession) -> bool:
    """Whether its process has ended and nothing of it is open."""
    return session._process.poll() is not None and session._errors.closed
