"""The report as JUnit XML, which Jenkins, GitLab and the test reporters of GitHub show."""

import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from nalu_export.io.figures import figure
from nalu_export.io.text import printable
from nalu_export.parity.wording import FIGURES, NOT_A_PASS, compared_nothing
from nalu_export.reports._text import clipped
from nalu_export.reports.base import Reporter

if TYPE_CHECKING:
    from nalu_export.parity.report import Report, Row, RuntimeInfo

PREFIX = "nalu_export.parity"
Properties = dict[str, str]


class JunitReporter(Reporter):
    """A test suite for each runtime, with a test case for each input distribution.

    The file contains a failure if and only if the report is not accepted. A row that compared nothing, and a failed
    row of a runtime that is not decisive, are skipped test cases. A runtime for which nothing, or nothing of one
    output, could be compared has a failing test case of its own, which is skipped if an empty comparison is allowed.
    """

    name = "junit"
    suffix = ".xml"

    def render(self, report: "Report") -> bytes:
        """Return indented UTF-8 with a final line feed. Times are 0, because some readers need the attribute."""
        root = ET.Element("testsuites", name=PREFIX)
        if not any(runtime.decisive for runtime in report.runtimes):
            _add_suite(root, "check", [_nothing("check", report)], {})
        for runtime in report.runtimes:
            rows = [row for row in report.rows if row.runtime == runtime.name]
            cases = [_case(row, runtime, report) for row in rows]
            if runtime.name in report.uncompared:
                cases.append(_nothing(runtime.name, report))
            _add_suite(root, runtime.name, cases, _properties(report, runtime))
        for name, reason in report.missing.items():
            _add_suite(root, name, [_skipped(name, "not run", reason)], _properties(report, None))
        _count(root, list(root))
        ET.indent(root)
        data: bytes = ET.tostring(root, encoding="utf-8", xml_declaration=True)
        return data + b"\n"


def _text(value: object) -> str:
    return clipped(printable(str(value)))


def _add_suite(root: ET.Element, name: str, cases: list[ET.Element], properties: Properties) -> None:
    suite = ET.SubElement(root, "testsuite", name=_text(name))
    if properties:
        parent = ET.SubElement(suite, "properties")
        for key, value in properties.items():
            ET.SubElement(parent, "property", name=_text(key), value=_text(value))
    suite.extend(cases)
    _count(suite, cases)


def _count(element: ET.Element, children: list[ET.Element]) -> None:
    """Set the totals of a suite from its cases, or those of the whole file from its suites."""
    element.set("tests", str(sum(int(child.get("tests", "1")) for child in children)))
    for total, tag in (("failures", "failure"), ("skipped", "skipped")):
        element.set(total, str(sum(int(child.get(total, str(len(child.findall(tag))))) for child in children)))
    element.set("errors", "0")
    element.set("time", "0")


def _bare(runtime: str, name: str) -> ET.Element:
    return ET.Element("testcase", classname=_text(f"{PREFIX}.{runtime}"), name=_text(name), time="0")


def _failed(runtime: str, name: str, message: str, detail: str) -> ET.Element:
    case = _bare(runtime, name)
    ET.SubElement(case, "failure", type="parity", message=_text(message)).text = detail
    return case


def _nothing(runtime: str, report: "Report") -> ET.Element:
    said = report.nothing_compared()
    if report.allow_empty:
        return _skipped(runtime, "compared", said)
    return _failed(runtime, "compared", said, f"{NOT_A_PASS}.")


def _skipped(runtime: str, name: str, reason: str) -> ET.Element:
    case = _bare(runtime, name)
    ET.SubElement(case, "skipped", message=_text(reason))
    return case


def _case(row: "Row", runtime: "RuntimeInfo", report: "Report") -> ET.Element:
    if row.passed:
        case = _bare(row.runtime, row.distribution)
        ET.SubElement(case, "system-out").text = "\n".join(_numbers(row))
        return case
    if not row.failed:
        return _skipped(row.runtime, row.distribution, compared_nothing(row))
    message = row.wrong(report.criterion)
    if not runtime.decisive:
        return _skipped(row.runtime, row.distribution, f"for comparison, not decisive: {message}")
    return _failed(row.runtime, row.distribution, message, "\n".join(_detail(row, report)))


def _detail(row: "Row", report: "Report") -> list[str]:
    lines = [_text(row.wrong(report.criterion)), "", *_numbers(row)]
    found = [_text(found) for found in report.divergences if found.runtime == row.runtime and str(found)]
    return lines + (["", *found] if found else [])


def _numbers(row: "Row") -> list[str]:
    return [
        *(f"{text}: {_number(getattr(row, field))}" for field, text in FIGURES.items()),
        *(f"left out because: {_text(reason)}" for reason in row.reasons),
        *(f"uncompared output: {_text(name)}" for name in row.uncompared_outputs),
    ]


def _number(value: float) -> str:
    """Return a measured number to three digits, and a count in full."""
    return figure(value) if isinstance(value, float) else str(value)


def _properties(report: "Report", runtime: "RuntimeInfo | None") -> Properties:
    found = {"criterion": report.criterion, "seed": str(report.seed)}
    if runtime is not None:
        found |= {"where": runtime.where, "decisive": "yes" if runtime.decisive else "no, for comparison"}
        found |= {f"runtime.{key}": value for key, value in runtime.details.items()}
        found |= {f"remark.{number}": text for number, text in enumerate(runtime.remarks, 1)}
    found |= {f"note.{number}": text for number, text in enumerate(report.notes, 1)}
    found |= {f"assumption.{each.what}": str(each) for each in report.assumptions}
    found |= {f"environment.{key}": value for key, value in report.environment.items()}
    scalars = {key: value for key, value in report.subject.items() if isinstance(value, (str, int, float))}
    return found | {f"subject.{key}": str(value) for key, value in scalars.items()}


REPORTER = JunitReporter()
