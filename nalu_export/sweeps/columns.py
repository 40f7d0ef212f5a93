"""The manifest of a sweep as a Parquet file, for data frames."""

import importlib
import io
import json
from collections.abc import Sequence
from typing import Any

from nalu_export.sweeps.records import Record

NAME = "manifest.parquet"
MISSING = "no manifest.parquet: pyarrow is not installed; pip install 'nalu_export[parquet]'"
_INTEGERS, _FLOATS = ("bytes",), ("error_over_bound", "max_e", "seconds")
_LISTS = ("layers", "inputs", "outputs", "assumptions")


def parquet(records: Sequence[Record]) -> bytes | None:
    """Return the records as a Parquet file with a row for each; ``None`` if pyarrow is not installed."""
    try:
        pyarrow = importlib.import_module("pyarrow")
        writer = importlib.import_module("pyarrow.parquet")
    except ImportError:
        return None
    fields = list(Record.__dataclass_fields__)
    columns = {name: [_cell(getattr(record, name)) for record in records] for name in fields}
    types = {name: _type(pyarrow, name) for name in fields}
    table = pyarrow.table(
        {name: pyarrow.array(column, types[name]) for name, column in columns.items()},
    )
    file = io.BytesIO()
    writer.write_table(table, file)
    return file.getvalue()


def _type(pyarrow: Any, name: str) -> Any:
    if name in _INTEGERS:
        return pyarrow.int64()
    if name in _FLOATS:
        return pyarrow.float64()
    return pyarrow.list_(pyarrow.string()) if name in _LISTS else pyarrow.string()


def _cell(value: Any) -> Any:
    if isinstance(value, tuple):
        return list(value)
    # Paths may hold what is no Unicode.
    return json.dumps(value)[1:-1] if isinstance(value, str) and not _is_unicode(value) else value


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
