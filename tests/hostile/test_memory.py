"""Memory of reading, as a number: files that are made to take much of it, each in a process of its own."""

from pathlib import Path

import pytest

from fuzz.bombs import BOMBS, MEGABYTE, taken

pytestmark = pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the highest mark is one of Linux")

#: MiB that reading takes at the most, by measurement and half of it more; before they were counted, ten megabytes of
#: attributes took 900 and of graphs 3,100.
MEBIBYTES = {
    "10 MB of nodes": 15,
    "10 MB of attributes with an empty graph": 15,
    "10 MB of graphs": 15,
    "as many graphs as there may be": 100,
    "as many outputs as there may be": 40,
}


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", MEBIBYTES)
def test_reading_takes_no_more_than_this(name: str) -> None:
    found = taken(name)
    assert found.memory < MEBIBYTES[name] * MEGABYTE, found
    assert found.memory <= 64 * (found.size + MEGABYTE)


def test_each_of_them_is_one_of_those_that_are_measured() -> None:
    assert BOMBS.keys() >= MEBIBYTES.keys()
