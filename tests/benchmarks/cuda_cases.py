"""What the tests of the benchmarks on a device measure and find."""

from benchmarks.cuda_parity import Outcome, Subject
from nalu_export import NALU
from nalu_export.parity import CheckOptions, Row
from nalu_export.parity.verdict import Status

TINY = Subject("tiny", lambda: NALU(2, 1), (2,))
QUICK = CheckOptions(samples=8, search=0)


def row_of(runtime: str, distribution: str, ratio: float, e: float, *, passed: bool = True) -> Row:
    return Row(runtime, distribution, 8, 8, ratio, e, 1, 1, 0, 0, 0, Status.PASSED if passed else Status.FAILED)


def outcome_of(*rows: Row) -> Outcome:
    passed = all(row.passed for row in rows)
    return Outcome(rows, passed, "" if passed else "it is wrong")
