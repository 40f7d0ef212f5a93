"""nalu_export.reports.json: the documented schema, and nothing that JSON does not know."""

import json
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import numpy as np
import pytest

import nalu_export
from nalu_export import reports
from nalu_export.parity.report import SCHEMA, Report

Data = dict[str, Any]
DOCS = Path(nalu_export.__file__).parent.parent / "docs" / "report.md"


@pytest.fixture(scope="module")
def schema() -> Data:
    found: Data = json.loads((resources.files("nalu_export.reports") / "report.schema.json").read_text("utf-8"))
    return found


def _strict(schema: Data) -> Data:
    """No field besides those that the schema names, so that a new one is documented; readers stay lenient."""
    closed = {"additionalProperties": False}
    definitions = {name: found | closed if "properties" in found else found for name, found in schema["$defs"].items()}
    return schema | closed | {"$defs": definitions}


def _rendered(report: Report) -> Data:
    found: Data = json.loads(reports.get("json").render(report), parse_constant=pytest.fail)
    return found


def test_every_report_follows_the_schema(schema: Data, any_report: Report) -> None:
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(_rendered(any_report), _strict(schema), jsonschema.Draft202012Validator)


def test_the_schema_is_of_this_version(schema: Data) -> None:
    assert schema["title"] == schema["properties"]["schema"]["const"] == SCHEMA


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("passed",), "yes"),
        (("status",), "pass"),
        (("rows", 0, "status"), "nothing"),
        (("schema",), "nalu_export.report/1"),
        (("rows", 0, "max_e"), None),
        (("rows", 0, "max_e"), "infinity"),
        (("rows", 0, "samples"), -1),
        (("worst", 0, "inputs"), [[0.1]]),
        (("worst", 0, "inputs"), {"input": [["0.1"]]}),
        (("worst", 0, "output"), None),
        (("runtimes", 0, "details"), {"threads": 1}),
    ],
)
def test_the_schema_finds_a_fault(schema: Data, passing: Report, path: tuple[Any, ...], value: object) -> None:
    data = _rendered(passing)
    target: Any = data
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(data, schema)


def test_nan_and_infinity_are_texts_everywhere(failing: Report, passing: Report) -> None:
    found = _rendered(failing)
    assert [row["max_ratio"] for row in found["rows"]] == [108.7, "inf", "inf", "nan", 28.5]
    assert found["divergences"][0]["got"] == "-inf"
    assert found["divergences"][1]["got"] == "nan"
    assert found["curves"][0]["error"] == ["inf", 50.0]
    assert _rendered(passing)["subject"]["options"] == {"tf32": False, "scale": "nan"}


def test_the_worst_input_comes_back_exactly(passing: Report) -> None:
    for found, worst in zip(_rendered(passing)["worst"], passing.worst, strict=True):
        assert list(found["inputs"]) == list(worst.inputs)
        for name, x in worst.inputs.items():
            assert np.array_equal(np.array(found["inputs"][name], np.float32), x)
        assert np.array_equal(np.array(found["reference"], np.float64), worst.reference)


def test_the_verdict_and_order_are_the_reports(passing: Report) -> None:
    found = _rendered(passing)
    assert found["passed"] is True
    assert found["summary"] == passing.summary()
    assert list(found) == list(passing.to_dict())


def test_text_stays_readable_and_a_path_that_is_not_utf8_comes_back(passing: Report) -> None:
    report = Report((), (), "bound", 0, subject={"model": "σ\udcff"})
    assert b'"\xcf\x83\\udcff"' in reports.get("json").render(report)
    assert _rendered(report)["subject"]["model"] == "σ\udcff"


def test_the_documentation_names_every_field_and_its_example_is_valid(schema: Data) -> None:
    text = DOCS.read_text(encoding="utf-8")
    fields = set(schema["properties"])
    for name in ("runtime", "row", "worst", "break", "curve"):
        fields |= set(schema["$defs"][name]["properties"])
    assert not {field for field in fields if f"`{field}`" not in text}
    example = text.split("```json\n")[1].split("```")[0]
    jsonschema.validate(json.loads(example), _strict(schema))
