"""nalu_export.reports.junit: what CI systems read."""

import dataclasses
import re
import xml.etree.ElementTree as ET

import pytest

from nalu_export import reports
from nalu_export.parity.report import Report, Row
from tests.reports.conftest import row, runtime


def _parsed(report: Report) -> ET.Element:
    return ET.fromstring(reports.get("junit").render(report))


def _case(root: ET.Element, suite: str, name: str) -> ET.Element:
    (found,) = root.findall(f"./testsuite[@name='{suite}']/testcase[@name='{name}']")
    return found


def _failure(report: Report, suite: str, name: str) -> ET.Element:
    found = _case(_parsed(report), suite, name).find("failure")
    assert found is not None
    return found


def test_a_suite_for_each_runtime_and_a_case_for_each_distribution(passing: Report) -> None:
    root = _parsed(passing)
    assert root.tag == "testsuites"
    assert [suite.get("name") for suite in root] == ["onnxruntime-cpu", "torch", "onnxruntime-cuda"]
    assert [case.get("name") for case in root[0].findall("testcase")] == ["0.1..1", "zeros"]
    assert {case.get("classname") for case in root[0].findall("testcase")} == {"nalu_export.parity.onnxruntime-cpu"}
    skipped = _case(root, "onnxruntime-cuda", "not run").find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "no CUDA device"


def test_totals_are_those_of_the_cases(any_report: Report) -> None:
    root = _parsed(any_report)
    for element in (root, *root):
        assert element.get("tests") == str(len(element.findall(".//testcase")))
        assert element.get("failures") == str(len(element.findall(".//failure")))
        assert element.get("skipped") == str(len(element.findall(".//skipped")))
        assert element.get("errors") == "0"


def test_it_has_a_failure_exactly_if_the_report_did_not_pass(any_report: Report) -> None:
    assert (_parsed(any_report).find(".//failure") is None) is any_report.accepted


def test_a_runtime_that_compared_nothing_is_a_failure() -> None:
    empty = row(outputs=8, undetermined=8, status="nothing compared", reasons=("y may be 0",))
    for rows, said in (((), ""), ((empty,), ": all 8 outputs were left out; y may be 0")):
        report = Report((*rows, row("tract")), (runtime(), runtime("tract")), "bound", 0)
        message = f"nothing was compared for onnxruntime-cpu{said}"
        assert _failure(report, "onnxruntime-cpu", "compared").get("message") == message
        assert len(_parsed(report).findall(".//failure")) == 1
        allowed = _parsed(dataclasses.replace(report, allow_empty=True))
        assert allowed.find(".//failure") is None
        skipped = _case(allowed, "onnxruntime-cpu", "compared").find("skipped")
        assert skipped is not None
        assert skipped.get("message") == message


def test_a_row_that_compared_nothing_is_skipped_with_the_reason() -> None:
    empty = row(distribution="ones", outputs=8, undetermined=8, status="nothing compared", reasons=("y may be 0",))
    root = _parsed(Report((row(undetermined=3, reasons=("z",)), empty), (runtime(),), "bound", 0))
    assert root.find(".//failure") is None
    skipped = _case(root, "onnxruntime-cpu", "ones").find("skipped")
    assert skipped is not None
    assert skipped.get("message") == "nothing compared: 8 of 8 outputs left out: y may be 0"
    assert "left out of the comparison: 3\nleft out because: z" in "".join(
        _case(root, "onnxruntime-cpu", "zeros").itertext()
    )


def test_zeros_of_the_wrong_sign_are_told() -> None:
    report = Report((row(status="failed", wrong_zeros=2),), (runtime(),), "bound", 0)
    assert (
        _failure(report, "onnxruntime-cpu", "zeros").get("message") == "2 of 2048 outputs are zeros of the wrong sign"
    )


def test_comparing_nothing_is_a_failure(empty: Report) -> None:
    assert _failure(empty, "check", "compared").get("message") == "nothing was compared"


@pytest.mark.parametrize(
    ("suite", "distribution", "message"),
    [
        ("onnxruntime-cpu", "1..10", "the error is 109 times its bound, E 1001"),
        (
            "onnxruntime-cpu",
            "zeros",
            "768 of 2048 outputs are NaN or infinite where they should not be, or the reverse",
        ),
        ("tract", "ones", r"batch refused:\x1b[31m no\nsuch shape"),
        ("tract", "zeros", "the error is NaN times its bound, E NaN"),
    ],
)
def test_a_failure_says_what_is_wrong_in_one_line(failing: Report, suite: str, distribution: str, message: str) -> None:
    failure = _failure(failing, suite, distribution)
    assert failure.get("message") == message
    assert (failure.text or "").startswith(message + "\n")


def test_the_detail_has_the_numbers_and_where_it_breaks(failing: Report) -> None:
    text = _failure(failing, "onnxruntime-cpu", "1..10").text or ""
    assert "largest error over its bound: 109\nlargest E: 1001\n" in text
    assert "distance from the reference, in float32 steps: 8321\n" in text
    assert text.endswith("first divergence: layers.0.log[3] = log(abs) is -∞, expected -23.0258509 ± 5.6e-6")


def test_nearness_to_pytorch_is_told_in_steps() -> None:
    report = Report((row(status="failed", max_ulp_torch=1, max_ulp=2),), (runtime(),), "rtol 1e-06", 0)
    message = _failure(report, "onnxruntime-cpu", "zeros").get("message")
    assert message == "1 ULP from PyTorch, 2 from float64; allowed: rtol 1e-06"


def test_what_does_not_decide_is_skipped_with_its_numbers(failing: Report) -> None:
    skipped = _case(_parsed(failing), "torch", "zeros").find("skipped")
    assert skipped is not None
    message = "for comparison, not decisive: the error is 28.5 times its bound, E 3.87"
    assert skipped.get("message") == message


def test_the_environment_is_in_the_properties(passing: Report) -> None:
    ran = dataclasses.replace(passing.runtimes[0], remarks=("denormals are kept",))
    root = _parsed(dataclasses.replace(passing, runtimes=(ran,)))
    found = {item.get("name"): item.get("value") for item in root[0].findall("./properties/property")}
    assert found == {
        "criterion": "bound",
        "seed": "7",
        "where": "CPU, ONNX Runtime 1.31.1",
        "decisive": "yes",
        "runtime.provider": "CPUExecutionProvider",
        "runtime.options": "",
        "remark.1": "denormals are kept",
        "environment.torch": "2.13.0",
        "subject.model": "runs/my model.pt",
        "subject.artifact": "model.onnx",
        "subject.weights": "folded",
    }


def test_notes_are_properties(passing: Report) -> None:
    noted = dataclasses.replace(passing, notes=("one", "another"))
    suite = _parsed(noted).find("testsuite")
    assert suite is not None
    found = {item.get("name"): item.get("value") for item in suite.iter("property")}
    assert (found["note.1"], found["note.2"]) == ("one", "another")


def test_no_character_that_xml_forbids_is_left(hostile: Report) -> None:
    text = reports.get("junit").render(hostile).decode()
    assert not re.search("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text)
    assert "\u202e" not in text
    name = ET.fromstring(text)[0].get("name") or ""
    assert name.startswith("<script>alert('x')</script>")
    assert name.endswith(r"\x00\x1b[31m\n\u202e\ud800\ufffe")


def test_rows_of_no_known_runtime_are_not_invented() -> None:
    rows: tuple[Row, ...] = (row("ghost"),)
    assert _parsed(Report(rows, (runtime(),), "bound", 0)).find(".//testcase[@name='zeros']") is None
