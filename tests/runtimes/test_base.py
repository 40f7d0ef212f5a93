"""What a session has when its runtime adds nothing."""

import numpy as np

from nalu_export.runtimes.base import Arrays, Session


class _Bare(Session):
    where = "nowhere"

    def run(self, inputs: Arrays) -> Arrays:
        return inputs


def test_a_session_that_cannot_be_looked_into() -> None:
    session = _Bare()
    assert session.values([np.zeros((1, 4), np.float32)], ["a"]) == {}
    assert dict(session.details) == {}
    assert session.remarks == ()
