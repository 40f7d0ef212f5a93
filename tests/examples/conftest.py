"""Makes the scripts of digits_sum importable by their own names, as they are when run, and builds the C++ programs."""

import sys

import pytest

from tests.examples.programs import CPP, EXAMPLES, Programs, make_cpp

sys.path.insert(0, str(EXAMPLES / "digits_sum"))


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Built by the script of ``make cpp``; what is up to date is used as it is."""
    done = make_cpp()
    if done.code == 2 and done.err.startswith("build.py: ") and " missing" in done.err:
        pytest.skip(done.err.strip())
    assert (done.code, done.err) == (0, ""), done.out + done.err
    return Programs(CPP / "build", done.out)
