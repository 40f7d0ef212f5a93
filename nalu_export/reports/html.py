"""The report as one self-contained page for people: no script, no network, for light and dark, screen and paper."""

import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import jinja2
from markupsafe import Markup, escape

from nalu_export.io.figures import figure
from nalu_export.io.text import in_memory, printable
from nalu_export.parity.row import INTERMEDIATE
from nalu_export.parity.verdict import Status
from nalu_export.parity.wording import NOT_A_PASS
from nalu_export.reports import _matrix, _plots, _weights, _worst
from nalu_export.reports._text import clipped, count
from nalu_export.reports.base import Reporter

if TYPE_CHECKING:
    from nalu_export.parity.report import Report

LONGEST_HEAD = 80  # characters of a name in a heading; the section Runtimes shows all of it
WORST = "REPORT.worst.npz"  # the file of the worst inputs beside the report
Table = tuple[list[str], list[list[str]]]
# For each verdict, the class of the banner and the path of its mark.
_LOOKS = {
    Status.PASSED: ("pass", "M4 13L9.5 18.5L20 6.5"),
    Status.FAILED: ("fail", "M6 6L18 18M18 6L6 18"),
    Status.NOTHING: ("nothing", "M5 12H19"),
}


class HtmlReporter(Reporter):
    """A self-contained page; all names and texts from files are shown as text."""

    name = "html"
    suffix = ".html"

    def render(self, report: "Report") -> bytes:
        """Return UTF-8 with a final line feed; see :meth:`Reporter.render`."""
        template = environment().get_template("page.html.jinja")
        page = template.render(
            report=report,
            headline=_headline(report),
            verdict=(report.status.shown, *_LOOKS[report.status]),
            divergences=_divergences(report),
            subject=_facts(report.subject),
            tables=_tables(report.subject),
            distributions=_matrix.distributions(report),
            lines=_matrix.lines(report),
            plots=_plots.plots(report),
            frame=_plots,
            intermediate=INTERMEDIATE,
            weights=_weights.weights(report),
            samples=_worst.samples(report),
            replay=_replay(report),
        )
        return (page.rstrip() + "\n").encode()


def environment(*loaders: jinja2.BaseLoader) -> jinja2.Environment:
    """Return what renders a page in the style of a report, with every text of it escaped.

    Args:
        *loaders: find the templates that are not those of a report.
    """
    environment = jinja2.Environment(
        loader=jinja2.ChoiceLoader([jinja2.PackageLoader("nalu_export.reports", "_page"), *loaders]),
        autoescape=True,
        finalize=_shown,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["figure"] = figure
    environment.filters["head"] = lambda text: clipped(printable(text), LONGEST_HEAD)
    return environment


def _shown(value: object) -> object:
    """Return the text of an expression of the template; :class:`Markup` comes from this package and is kept."""
    if isinstance(value, Markup):
        return value
    if isinstance(value, float):
        return f"{value:g}"  # a coordinate; measured numbers use the filter ``figure``
    return clipped(printable(str(value)))


def _headline(report: "Report") -> str:
    """Return the numbers of rows, runtimes and outputs in a sentence."""
    rows = report.decisive
    if not rows:
        ran = count(len(report.runtimes), "runtime")
        return f"{NOT_A_PASS}: {ran} ran, {len(report.missing)} did not run."
    good, empty = sum(row.passed for row in rows), sum(not row.passed and not row.failed for row in rows)
    runtimes = len({row.runtime for row in rows})
    passed = [f"{good} of {len(rows)} rows of the tables passed"]
    if empty:
        passed.append(f"{empty} compared nothing")
    who = [count(runtimes, "decisive runtime")]
    if len(report.runtimes) > runtimes:
        who.append(f"{len(report.runtimes) - runtimes} for comparison")
    if report.missing:
        who.append(f"{len(report.missing)} not run")
    left_out = sum(row.undetermined for row in rows)
    compared = [f"{sum(row.outputs for row in rows) - left_out:,} numbers compared"]
    if left_out:
        compared.append(f"{left_out:,} left out")
    # If that is the verdict, the summary names the runtimes.
    names = report.uncompared if report.status is Status.FAILED else ()
    nothing = "".join(f" Nothing could be compared of {name}." for name in names)
    return "; ".join(map(", ".join, (passed, who, compared))) + "." + nothing


def _divergences(report: "Report") -> list[tuple[str, str]]:
    """Return (runtime, first divergence) for each runtime that has one."""
    nowhere = "every intermediate value is within its error bound"
    return [
        (
            found.runtime,
            "; ".join(filter(None, dict.fromkeys((found.text, found.reason)))) or nowhere,
        )
        for found in report.divergences
    ]


def _facts(data: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return everything that is not a table, as (what, value)."""
    facts: list[tuple[str, str]] = []
    for key, value in data.items():
        if isinstance(value, Mapping):
            facts += [(f"{key}: {inner}", _plain(item)) for inner, item in value.items()]
        elif key != "replay" and not _is_table(value):
            facts.append((key.replace("_", " "), _plain(value)))
    return facts


def _tables(data: Mapping[str, Any]) -> list[tuple[str, Table]]:
    """Return every list of records, such as the layers, as (what, columns and rows)."""
    return [(key, _table(value)) for key, value in data.items() if _is_table(value)]


def _is_table(value: object) -> bool:
    return isinstance(value, Sequence) and bool(value) and all(isinstance(row, Mapping) for row in value)


def _table(records: Sequence[Mapping[str, Any]]) -> Table:
    columns = list(dict.fromkeys(key for record in records for key in record))
    return columns, [[_plain(record.get(column, "")) for column in columns] for record in records]


def _plain(value: object) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, Mapping):
        return "; ".join(f"{key}: {_plain(item)}" for key, item in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        nested = any(isinstance(item, (list, tuple, Mapping)) for item in value)
        return (", " if nested else " × ").join(_plain(item) for item in value)
    return figure(value, 6) if isinstance(value, float) else str(value)


def _replay(report: "Report") -> list[Markup]:
    """Return the commands that repeat the check: those of the subject's ``replay``, else ``nalu-export check``."""
    given = report.subject.get("replay")
    if given:
        return [_command(line) for line in ([given] if isinstance(given, str) else given)]
    model, artifact = report.subject.get("model"), report.subject.get("artifact")
    if not isinstance(model, str) or not isinstance(artifact, str) or report.subject.get("model_sha256") == "":
        return []  # the model is a module in memory, without a path
    if artifact == in_memory(str(report.subject.get("format"))):
        return []
    check = ["nalu-export", "check", model, artifact]
    for runtime in report.runtimes:
        check += ["--runtime", runtime.name]
    return [_command(shlex.join([*check, *rest])) for rest in (["--seed", str(report.seed)], ["--replay", WORST])]


def _command(line: object) -> Markup:
    return escape(printable(str(line)))  # not clipped, so that it can be copied


REPORTER = HtmlReporter()
