"""tests.faults: the tools of others run as their users run them, and the table counts what they find."""

import warnings
from dataclasses import replace

import pytest

from benchmarks import fault_peers, faults_table
from benchmarks.fault_peers import NUMPY, OURS, PEERS, POLYGRAPHY, TORCH, Peer
from tests.faults import FAULTS, Planted, epsilon, files, outputs, right, runtimes
from tests.faults.edit import append
from tests.faults.fault import in_file


@in_file("cell")
def _doubled(proto: object) -> None:
    """Nobody could overlook it."""
    append(proto, "Mul", 2.0)  # type: ignore[arg-type]


def _caught(peer: Peer, planted: Planted) -> bool:
    """Without ``judge``, which takes an exception of the tool, and one of ours, for a finding."""
    if peer is POLYGRAPHY:
        pytest.importorskip("polygraphy")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return peer.caught(planted)


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_right_file_passes(peer: Peer) -> None:
    assert not _caught(peer, right("cell"))


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_a_blatant_fault_is_caught(peer: Peer) -> None:
    assert _caught(peer, _doubled.plant())


@pytest.mark.parametrize("peer", [TORCH, NUMPY, POLYGRAPHY], ids=lambda peer: peer.name)
def test_the_others_miss_eps_deleted(peer: Peer) -> None:
    """Random inputs hold no zero."""
    assert not _caught(peer, epsilon.eps_deleted.plant())


@pytest.mark.parametrize("peer", [OURS, NUMPY, POLYGRAPHY], ids=lambda peer: peer.name)
def test_a_fault_of_the_runtime_reaches_the_tool(peer: Peer) -> None:
    assert _caught(peer, runtimes.returns_zeros.plant())


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_an_exception_is_a_finding(peer: Peer) -> None:
    if peer is POLYGRAPHY:
        pytest.importorskip("polygraphy")
    assert peer.judge(files.file_cut_short.plant()) == "caught"


@pytest.mark.parametrize("peer", [TORCH, NUMPY, POLYGRAPHY], ids=lambda peer: peer.name)
def test_whole_external_data_pass(peer: Peer) -> None:
    """So that it is the missing half that they find; ours refuses any second file."""
    cut = files.external_data_cut_short.plant()
    data, weights = files.moved(right("cell").data)
    assert data == cut.data
    assert not _caught(peer, replace(cut, beside={files.BESIDE: weights}))


def test_what_a_tool_cannot_run_is_said() -> None:
    assert TORCH.judge(runtimes.returns_zeros.plant()) == "n/a (runs the file itself)"
    assert TORCH.judge(right("script")) == "n/a (not an ONNX file)"


def test_polygraphy_need_not_be_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fault_peers, "find_spec", lambda _: None)
    assert POLYGRAPHY.judge(right("cell")) == "n/a (not installed)"


def test_the_fault_leaves_the_runtime_with_its_patch() -> None:
    assert not runtimes.returns_zeros.plant().check().passed
    assert right("cell").check().passed


def test_the_table_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    few = (epsilon.eps_deleted, outputs.output_dropped, runtimes.returns_zeros)
    monkeypatch.setattr(faults_table, "FAULTS", few)
    monkeypatch.setattr(faults_table, "SUBJECTS", {"cell": None})
    monkeypatch.setattr(faults_table, "PEERS", (OURS, TORCH, NUMPY))
    section = faults_table.benchmark(quick=False)
    assert section.title == "3 planted faults: who finds them"
    assert section.rows[0] == ("eps deleted", "epsilon", "cell", "caught", "missed", "missed")
    assert section.rows[-2][3:] == ("3 of 3", "1 of 2", "2 of 3")
    assert section.rows[-1][3:] == ("0 of 1", "0 of 1", "0 of 1")
    assert all(target.reached for target in section.targets)


@pytest.mark.slow
def test_a_quick_run_takes_one_of_each_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(faults_table, "PEERS", (OURS,))
    section = faults_table.benchmark(quick=True)
    assert [row[1] for row in section.rows[:-2]] == list(dict.fromkeys(fault.group for fault in FAULTS))
