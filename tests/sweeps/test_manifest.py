import json
import math
from pathlib import Path

import pytest

from nalu_export import InputError
from nalu_export.sweeps.manifest import Manifest
from nalu_export.sweeps.records import Outcome, Record

RECORD = Record("a.pt", "a", "00", "11", "t 1", Outcome.PASSED, error_over_bound=0.5, max_e=1.0, layers=("NALUCell",))


def test_records_come_back(tmp_path: Path) -> None:
    failed = Record("b\n\udcff.pt", "b", "01", "11", "t 1", Outcome.FAILED, "wrong", error_over_bound=math.inf)
    with Manifest(tmp_path) as manifest:
        manifest.append(RECORD)
        manifest.append(failed)
    with Manifest(tmp_path) as manifest:
        assert manifest.known == {RECORD.key: {"a": RECORD}, failed.key: {"b": failed}}
    lines = (tmp_path / "manifest.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["error_over_bound"] for line in lines] == [0.5, "inf"]


@pytest.mark.parametrize("cut", [1, 30, 200])
def test_a_torn_last_line_is_dropped(cut: int, tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.append(RECORD)
    path = tmp_path / "manifest.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:-cut])
    with Manifest(tmp_path) as manifest:
        assert list(manifest.known) == [RECORD.key]
        manifest.append(RECORD)
    assert path.read_bytes() == whole * 2


@pytest.mark.parametrize(
    "line", [b"null", b"[]", b"nonsense", b'{"schema": "nalu_export.sweep/1"}', b"[" * 100_000, b"\xff"], ids=str
)
def test_a_damaged_line_says_nothing(line: bytes, tmp_path: Path) -> None:
    with Manifest(tmp_path) as manifest:
        manifest.append(RECORD)
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(line + b"\n" + path.read_bytes())
    with Manifest(tmp_path) as manifest:
        assert list(manifest.known) == [RECORD.key]


def test_two_sweeps_never_write_into_one_folder(tmp_path: Path) -> None:
    with Manifest(tmp_path):
        with pytest.raises(InputError) as caught, Manifest(tmp_path):
            pass
        assert str(caught.value) == f"{tmp_path}: another sweep writes into this folder; wait for it, or choose another"
    with Manifest(tmp_path):
        pass
