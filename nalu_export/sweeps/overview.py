"""One web page on a whole sweep: counts, and every checkpoint, the worst first; no script, no network, dark mode."""

from pathlib import Path
from urllib.parse import quote

import jinja2
from markupsafe import Markup, escape

from nalu_export.reports.html import environment
from nalu_export.sweeps.records import Outcome, Record
from nalu_export.sweeps.result import Sweep

NAME = "overview.html"
# Class and mark of the banner, as in a report.
_GOOD, _BAD = ("pass", "M4 13L9.5 18.5L20 6.5"), ("fail", "M6 6L18 18M18 6L6 18")


def render(sweep: Sweep) -> bytes:
    """Return the page of a sweep. Whatever a file or its name holds is shown as text."""
    templates = environment(jinja2.PackageLoader("nalu_export.sweeps", "_page"))
    page = templates.get_template("overview.html.jinja").render(
        sweep=sweep,
        verdict="passed" if sweep.passed else "NOT passed",
        look=_GOOD if sweep.passed else _BAD,
        headline=headline(sweep),
        rows=[(record, _links(sweep.out, record)) for record in sweep.worst],
    )
    return (page.rstrip() + "\n").encode("utf-8", "backslashreplace")


def headline(sweep: Sweep) -> str:
    """Return the counts in words: ``998 passed, 1 failed, 1 refused``."""
    counts = sweep.counts
    names = [str(Outcome.PASSED), *(name for name in counts if name != Outcome.PASSED and counts[name])]
    return ", ".join(f"{counts[name]:,} {name}" for name in names)


def _links(out: Path, record: Record) -> list[tuple[str, Markup]]:
    """Return what there is to open of a checkpoint, as (name, path)."""
    named = (("report", record.html), ("JSON", record.report), ("worst inputs", record.worst))
    found = [(name, path) for name, path in (*named, ("file", record.artifact)) if path and (out / path).is_file()]
    return [(name, Markup(escape(quote(path, errors="surrogateescape")))) for name, path in found]
