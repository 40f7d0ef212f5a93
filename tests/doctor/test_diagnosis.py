import json

import pytest

from nalu_export.doctor import Diagnosis, Finding, counted, diagnose, summary
from nalu_export.doctor.diagnosis import in_order
from tests.doctor.cases import HEALTHY, nac


def finding(level: str = "error", where: str = "x", code: str = "code") -> Finding:
    return Finding(level, code, where, "what", "effect", "remedy")


def diagnosis(*findings: Finding, path: str | None = "model.pt") -> Diagnosis:
    return Diagnosis(path, "ab", "owner:NAC", "float32", (0.1, 1.0), ("a note",), findings)


def test_the_gravest_first_and_then_by_place() -> None:
    places = [("info", "a"), ("error", "m.10"), ("warning", "a"), ("error", "m.2.W"), ("error", "m"), ("error", "m.2")]
    found = in_order([finding(*place) for place in places])
    assert [(item.level, item.where) for item in found] == [
        ("error", "m"), ("error", "m.2"), ("error", "m.2.W"), ("error", "m.10"), ("warning", "a"), ("info", "a"),
    ]  # fmt: skip


def test_places_of_any_name() -> None:
    """Digits of other scripts are no numbers to int(), and a number may be long."""
    places = ["²", "1", "٣", "", "9" * 5000, "a\n1", "1a"]
    assert len(in_order([finding(where=place) for place in places])) == len(places)


def test_plain_data() -> None:
    found = diagnosis(finding("warning", "layers.0")).to_dict()
    assert json.loads(json.dumps(found)) == {
        "path": "model.pt",
        "sha256": "ab",
        "layout": "owner:NAC",
        "compute": "float32",
        "inputs": [0.1, 1.0],
        "notes": ["a note"],
        "assumptions": [],
        "findings": [
            {
                "level": "warning",
                "code": "code",
                "where": "layers.0",
                "what": "what",
                "effect": "effect",
                "remedy": "remedy",
            }
        ],
        "counts": {"error": 0, "warning": 1, "info": 0},
    }


def test_an_error_fails() -> None:
    assert diagnosis(finding("info"), finding("error")).failed
    assert not diagnosis(finding("info"), finding("warning")).failed


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        ({"error": 1, "warning": 2, "info": 0}, "1 error, 2 warnings"),
        ({"error": 0, "warning": 0, "info": 1}, "1 remark"),
        ({"error": 2, "warning": 1, "info": 3}, "2 errors, 1 warning, 3 remarks"),
        ({"error": 0}, ""),
    ],
)
def test_counted(counts: dict[str, int], text: str) -> None:
    assert counted(counts) == text


def test_summary() -> None:
    found = diagnosis(finding(), finding("warning", code="far"), finding("warning", code="far"))
    more = "for details run nalu-export doctor model.pt with the same options"
    assert summary(found) == f"doctor: 1 error, 2 warnings (code, far); {more}"
    assert summary(diagnosis(finding(), path=None)) == "doctor: 1 error (code)"
    assert summary(diagnosis()) == "doctor: nothing found"


def test_summary_of_models() -> None:
    assert summary(diagnose(HEALTHY)) == "doctor: nothing found"
    assert summary(diagnose(nac([[0.5]]))) == "doctor: 1 warning (far-weights)"
