"""Every fault of tests/faults fails the check, and what it is planted into passes."""

from functools import cache

import pytest

from tests.faults import FAULTS, SUBJECTS, Fault, Planted, Verdict, right

ENOUGH = 32
BY_NAME = {fault.name: fault for fault in FAULTS}


@cache
def _right(subject: str) -> Verdict:
    """Checked once for all the faults that are planted into it."""
    return right(subject).check()


@cache
def _plant(name: str) -> Planted:
    return BY_NAME[name].plant()


@cache
def _planted(name: str) -> Verdict:
    return _plant(name).check()


@pytest.mark.quick(20)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_planted_fault_is_found(fault: Fault) -> None:
    before = _right(fault.subject)
    assert before.passed, before.text
    found = _planted(fault.name)
    assert not found.passed, found.text
    assert found.text
    assert "\n" not in found.text


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_is_planted_where_it_says(fault: Fault) -> None:
    """A fault that a runtime refuses to load for another reason, or that changes nothing, proves nothing."""
    before, planted = fault.right(), _plant(fault.name)
    assert (planted.data != before.data) != (planted.wrap is not None)
    assert planted.model is before.model
    if fault.group != "files":
        assert _planted(fault.name).report is not None


def test_the_library_is_complete_and_describes_itself() -> None:
    names = [fault.name for fault in FAULTS]
    assert len(set(names)) == len(names) >= ENOUGH
    assert {fault.subject for fault in FAULTS} == set(SUBJECTS)
    for fault in FAULTS:
        assert fault.models.endswith(".")
        assert "\n" not in fault.models
