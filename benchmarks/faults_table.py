"""Which of the planted faults our check and the checks of others find."""

from benchmarks.fault_peers import ATOL, EXAMPLES, LARGE_ABSOLUTE, LARGE_RELATIVE, OURS, PEERS, RTOL, SAMPLES
from benchmarks.report import Section, Target
from tests.faults import FAULTS, SUBJECTS, Fault, right

Row = dict[str, str]


def judged(faults: tuple[Fault, ...]) -> dict[str, Row]:
    """``{fault: {tool: verdict}}``."""
    found: dict[str, Row] = {}
    for fault in faults:
        planted = fault.plant()
        found[fault.name] = {peer.name: peer.judge(planted) for peer in PEERS}
    return found


def right_ones(subjects: tuple[str, ...]) -> dict[str, Row]:
    """The same for what has no fault; a tool that finds one there proves nothing by finding others."""
    return {name: {peer.name: peer.judge(right(name)) for peer in PEERS} for name in subjects}


def benchmark(*, quick: bool) -> Section:
    """The table of faults by tool."""
    faults = tuple({fault.group: fault for fault in FAULTS}.values()) if quick else FAULTS
    found = judged(faults)
    unplanted = right_ones(tuple(SUBJECTS)[:1] if quick else tuple(SUBJECTS))
    rows = [
        (fault.name, fault.group, fault.subject, *(found[fault.name][peer.name] for peer in PEERS)) for fault in faults
    ]
    for title, verdicts in (("**caught**", found), ("**right files taken for wrong**", unplanted)):
        rows.append((title, "", "", *(_rate([row[peer.name] for row in verdicts.values()]) for peer in PEERS)))
    missed = [name for name, row in found.items() if row[OURS.name] == "missed"]
    alarms = [name for name, row in unplanted.items() if row[OURS.name] == "caught"]
    return Section(
        title=f"{len(faults)} planted faults: who finds them",
        method=(
            "Each fault is planted into a right file of ours or into the runtime that runs it (`tests/faults/`). "
            "nalu_export: the default check. torch.onnx: what `torch.onnx.export(verify=True)` looks at, the ONNX "
            "checker, a run in ONNX Runtime and `torch.onnx.verification.verify_onnx_program` on the example inputs "
            f"(`torch.randn`, {EXAMPLES} samples); it only logs, and caught means an error, an absolute difference of "
            f"{LARGE_ABSOLUTE:g} or a relative one of {LARGE_RELATIVE:g}, where it logs a warning. numpy: "
            f"`allclose(out, torch_out, rtol={RTOL:g}, atol={ATOL:g})` on {SAMPLES} samples of uniform 0..1. "
            "Polygraphy: `Comparator.run` and `compare_accuracy` against PyTorch with their defaults (one sample of "
            "uniform 0..1, absolute and relative tolerance 1e-5). An exception counts as caught. The last row says "
            "how many right files a tool complains of."
        ),
        header=("fault", "kind", "planted into", *(peer.name for peer in PEERS)),
        rows=tuple(rows),
        targets=(
            Target("ours catches every fault" + (f" (missed: {', '.join(missed)})" if missed else ""), not missed),
            Target("ours passes every right file" + (f" (not {', '.join(alarms)})" if alarms else ""), not alarms),
        ),
    )


def _rate(verdicts: list[str]) -> str:
    judged = [verdict for verdict in verdicts if not verdict.startswith("n/a")]
    return f"{judged.count('caught')} of {len(judged)}"
