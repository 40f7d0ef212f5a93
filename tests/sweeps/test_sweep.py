"""The sweep itself, with everything in this process."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import nalu_export
from nalu_export import InputError, RuntimeUnavailableError
from nalu_export.parity import CheckRequest
from nalu_export.sweeps import running
from nalu_export.sweeps import sweep as sweeping
from nalu_export.sweeps.executors.inline import Inline
from nalu_export.sweeps.result import Tally
from nalu_export.sweeps.task import Answer, Stopped, Task
from tests.sweeps.conftest import Zoo, names_in


def lines(out: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in (out / "manifest.jsonl").read_text(encoding="utf-8").splitlines()]


def test_every_result_is_recorded(zoo: Zoo, exported: list[str], tmp_path: Path) -> None:
    folder, tallies = zoo(2), list[Tally]()
    (folder / "bad.pt").write_bytes(b"nonsense")
    found = nalu_export.sweep(folder, tmp_path / "out", samples=4, progress=tallies.append)
    assert found.counts == {"failed": 0, "crashed": 0, "refused": 1, "passed": 2}
    assert not found.passed
    assert names_in(found.out) == [
        ".sweep.lock",
        "m0.onnx",
        "m1.onnx",
        "manifest.jsonl",
        "manifest.parquet",
        "overview.html",
        "reports/m0.json",
        "reports/m1.json",
    ]
    assert [row["status"] for row in lines(found.out)] == ["refused", "passed", "passed"]
    bad, good, _ = found.records
    assert bad.error == f"{folder}/bad.pt: is not a file of torch.save; expected a model.pt"
    report = json.loads((found.out / "reports/m0.json").read_text(encoding="utf-8"))
    assert report["subject"]["artifact"] == str(found.out / "m0.onnx")
    assert report["subject"]["artifact_sha256"] == good.artifact_sha256
    worst = max(row["max_ratio"] for row in report["rows"] if row["runtime"] == good.runtime and row["max_e"] > 0)
    assert good.error_over_bound == worst
    assert tallies[-1] == Tally(3, 3, 0, 1)
    assert "3 checkpoints, 1 refused, 2 passed" in repr(found)
    assert "nonsense" not in found._repr_html_()


def test_the_artifact_is_that_of_a_single_export(zoo: Zoo, exported: list[str], tmp_path: Path) -> None:
    folder = zoo(1)
    nalu_export.sweep(folder, tmp_path / "out", samples=4, weights="live", opset=18)
    alone = nalu_export.export(folder / "m0.pt", samples=4, weights="live", opset=18)
    assert (tmp_path / "out/m0.onnx").read_bytes() == alone.data


def test_nothing_is_done_twice(zoo: Zoo, exported: list[str], tmp_path: Path) -> None:
    folder, out = zoo(3), tmp_path / "out"
    (folder / "bad.pt").write_bytes(b"nonsense")
    nalu_export.sweep(folder, out, samples=4)
    assert sorted(exported) == ["bad.pt", "m0.pt", "m1.pt", "m2.pt"]
    exported.clear()
    found = nalu_export.sweep(folder, out, samples=4)
    assert (exported, found.reused, len(lines(out))) == ([], 4, 4)
    # Another option, an artifact that was changed, and one that is gone.
    nalu_export.sweep(folder / "m0.pt", out, samples=4, opset=18)
    assert exported == ["m0.pt"]
    exported.clear()
    (out / "m1.onnx").write_bytes(b"changed")
    (out / "m2.onnx").unlink()
    nalu_export.sweep(folder, out, samples=4)
    assert exported == ["m0.pt", "m1.pt", "m2.pt"], "m0.onnx is now that of another opset"
    exported.clear()
    nalu_export.sweep(folder, out, samples=4, retry_failed=True)
    assert exported == ["bad.pt"]


def test_a_renamed_or_copied_file_is_not_done_again(zoo: Zoo, exported: list[str], tmp_path: Path) -> None:
    folder, out = zoo(2), tmp_path / "out"
    shutil.copy(folder / "m0.pt", folder / "twin.pt")
    found = nalu_export.sweep(folder, out, samples=4)
    assert sorted(exported) == ["m0.pt", "m1.pt"]
    assert [record.copied_from for record in found.records] == [None, None, "m0"]
    assert (out / "twin.onnx").read_bytes() == (out / "m0.onnx").read_bytes()
    exported.clear()
    (folder / "m1.pt").rename(folder / "new.pt")
    found = nalu_export.sweep(folder, out, samples=4)
    assert exported == []
    assert found.passed
    assert (out / "new.onnx").read_bytes() == (out / "m1.onnx").read_bytes()


def test_copies_that_are_in_progress_at_the_same_time(
    zoo: Zoo, exported: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Ahead(Inline):
        def answers(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Answer]]:
            return super().answers(iter(list(tasks)))

    folder, out = zoo(1), tmp_path / "out"
    for name in ("bad.pt", "bad2.pt"):
        (folder / name).write_bytes(b"nonsense")
    shutil.copy(folder / "m0.pt", folder / "twin.pt")
    monkeypatch.setattr(sweeping, "Processes", lambda *_: Ahead())
    found = nalu_export.sweep(folder, out, samples=4)
    assert exported == ["bad.pt", "m0.pt"]
    assert [(record.name, str(record.status)) for record in found.records] == [
        ("bad", "refused"),
        ("bad2", "refused"),
        ("m0", "passed"),
        ("twin", "passed"),
    ]
    assert (out / "twin.onnx").read_bytes() == (out / "m0.onnx").read_bytes()


def test_only_a_check(zoo: Zoo, exported: list[str], tmp_path: Path) -> None:
    folder, out = zoo(1), tmp_path / "out"
    found = nalu_export.sweep(folder, out, samples=4, check_only=True)
    assert found.passed
    assert (found.records[0].artifact, found.records[0].bytes) == (None, 1831)
    assert not [name for name in names_in(out) if name.endswith(".onnx")]
    nalu_export.sweep(folder, out, samples=4, check_only=True)
    assert exported == ["m0.pt"]
    # What was only checked is not an export; what was exported was checked.
    nalu_export.sweep(folder, out, samples=4)
    nalu_export.sweep(folder, out, samples=4, check_only=True)
    assert exported == ["m0.pt", "m0.pt"]


def test_a_failed_check(zoo: Zoo, exported: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The worst row of it is in the record, and its worst inputs are kept."""
    from nalu_export.api import export as exporting
    from nalu_export.api import verify as verifying
    from tests.captured import graph_of

    torch.manual_seed(99)
    real, other = verifying.verify, graph_of(nalu_export.NALU(2, 1))

    def verify(request: CheckRequest, format_name: str) -> object:
        return real(replace(request, graph=other), format_name)

    folder, out = zoo(1), tmp_path / "out"
    with monkeypatch.context() as patch:
        patch.setattr(exporting, "verify_file", verify)
        found = nalu_export.sweep(folder, out, samples=4, html_reports=True)
    (record,) = found.records
    assert (record.status, record.artifact) == ("failed", None)
    assert record.error_over_bound is not None
    assert record.error_over_bound > 1
    assert record.error.startswith("onnxruntime-cpu on distribution ")
    assert [name for name in names_in(out) if "m0" in name] == [
        "reports/m0.html",
        "reports/m0.json",
        "reports/m0.worst.npz",
    ]
    assert found.counts["failed"] == 1
    # A failure is a result, and is not tried again unless that is asked for.
    assert not nalu_export.sweep(folder, out, samples=4).passed
    assert exported == ["m0.pt"]
    assert nalu_export.sweep(folder, out, samples=4, retry_failed=True).passed


def test_bytes_that_are_sent(zoo: Zoo, exported: list[str], tmp_path: Path) -> None:
    folder = zoo(1)
    (folder / "bad.pt").write_bytes(b"nonsense")
    found = nalu_export.sweep(folder, tmp_path / "out", samples=4, ship=True)
    bad, good = found.records
    assert bad.error == f"{folder}/bad.pt: is not a file of torch.save; expected a model.pt"
    assert good.passed
    alone = nalu_export.export(folder / "m0.pt", samples=4)
    assert (found.out / "m0.onnx").read_bytes() == alone.data


@pytest.mark.parametrize(
    ("answer", "error", "text"),
    [
        (Stopped("no runtime", runtime_missing=True), RuntimeUnavailableError, "no runtime"),
        (Stopped("out/m0.onnx: cannot be written: No space left on device"), InputError, "out/m0.onnx: cannot .*"),
    ],
    ids=["runtime", "disk"],
)
def test_what_ends_a_sweep(
    answer: Stopped, error: type[Exception], text: str, zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stopping:
        def answers(self, tasks: object) -> object:
            yield next(tasks), answer  # type: ignore[call-overload]

        def close(self) -> None:
            pass

    monkeypatch.setattr(sweeping, "Processes", lambda *_: Stopping())
    with pytest.raises(error, match=f"^{text}; 0 of 2 files are done; the same call goes on from there$"):
        nalu_export.sweep(zoo(2), tmp_path / "out")


def test_a_worker_with_another_version(zoo: Zoo, exported: list[str], tmp_path: Path) -> None:
    task = next(iter(_tasks(zoo(1), tmp_path)))
    answer = running.run(replace(task, tool="nalu_export 9"))
    assert isinstance(answer, Stopped)
    assert answer.text.endswith(", and this sweep nalu_export 9; install the same on both")


def _tasks(folder: Path, out: Path) -> list[Task]:
    from nalu_export.sweeps.manifest import Manifest
    from nalu_export.sweeps.plan import Plan, Wanted
    from nalu_export.sweeps.sources import find

    with Manifest(out) as manifest:
        plan = Plan(find([folder]), Wanted(out, "onnx", {}), manifest, lambda *_: None)
        return list(plan.tasks())


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"jobs": 0}, r"^jobs is 0; at least 1 worker is needed$"),
        ({"jobs": 2, "dask": "tcp://x"}, r"^jobs and dask are both given; the cluster has its own workers$"),
        ({"check": False}, r"^a sweep always checks; leave check out$"),
        ({"opset": 18, "format": "cpp"}, r"^opset is given, but format cpp does not have this option; leave it out$"),
        ({"weights": "frozen"}, r"^weights is 'frozen'"),
        ({"runtimes": "nothing"}, r"^runtime is 'nothing'; allowed: "),
        ({"model": "none.py:build"}, r"^model='none\.py:build': there is no such file"),
        ({"wieghts": "live"}, r"^sweep takes no argument 'wieghts'; did you mean 'weights'\?$"),
    ],
    ids=str,
)
def test_what_is_wrong_for_every_checkpoint(options: dict[str, object], text: str, zoo: Zoo, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=text):
        nalu_export.sweep(zoo(1), tmp_path / "out", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("ship", [False, True], ids=["here", "sent"])
def test_a_name_that_cannot_be_written_is_the_fault_of_one_file(
    ship: bool, zoo: Zoo, exported: list[str], tmp_path: Path
) -> None:
    folder = zoo(1)
    shutil.copy(folder / "m0.pt", folder / f"{'x' * 250}.pt")
    (folder / "n.pt").write_bytes((folder / "m0.pt").read_bytes())
    nalu_export.save(nalu_export.NALU(3, 1), folder / f"{'y' * 250}.pt")
    found = nalu_export.sweep(folder, tmp_path / "out", samples=4, ship=ship, format="torchscript")
    said = {record.name[0]: (record.status, record.error) for record in found.records}
    assert said["m"] == said["n"] == ("passed", "")
    for name in "xy":
        assert said[name][0] == "refused"
        assert said[name][1].endswith("cannot be written: File name too long")


def test_a_disk_that_is_full_at_the_end(
    zoo: Zoo, exported: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise InputError("out/overview.html: cannot be written: No space left on device")

    monkeypatch.setattr(sweeping, "write_files", full)
    with pytest.raises(InputError, match=r"No space left on device; 1 of 1 files are done; the same call goes on"):
        nalu_export.sweep(zoo(1), tmp_path / "out", samples=4)
