"""Makes the scripts of digits_sum importable by their own names, as they are when run, and builds the C++ programs."""

import fcntl
import sys

import pytest

from tests.examples.programs import CPP, EXAMPLES, Programs, make_cpp

sys.path.insert(0, str(EXAMPLES / "digits_sum"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Building the programs takes minutes where ``make cpp`` has not done it."""
    for item in items:
        if "programs" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def programs() -> Programs:
    """Built by the script of ``make cpp``; what is up to date is used as it is."""
    (CPP / "build").mkdir(exist_ok=True)
    with (CPP / "build" / ".tests").open("w") as lock:
        # The processes of pytest-xdist share the folder. build.py locks the build alone.
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = make_cpp()
    if done.code == 2 and done.err.startswith("build.py: ") and " missing" in done.err:
        pytest.skip(done.err.strip())
    assert (done.code, done.err) == (0, ""), done.out + done.err
    return Programs(CPP / "build", done.out)
