"""TF32: left on, it must fail the default check; asked for, it must pass the bound that is widened for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from unittest import mock

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from benchmarks.cuda_parity import Outcome, Subject, cnn, outcomes_of, saturated
from benchmarks.cuda_setup import OUT_OF_TIME, Setup, brief
from benchmarks.report import Section, Target
from nalu_export import NAC, NALU, formats, runtimes
from nalu_export.formats.base import EmitOptions
from nalu_export.graph import ModelGraph
from nalu_export.parity import CheckOptions
from nalu_export.runtimes.base import RunOptions, Session

SAMPLES, SEARCH, BATCH = 256, 4, 256
UNTIL = 320.0


def all_subjects(*, quick: bool) -> list[Subject]:
    """Wide enough for kernels that use TF32: cuBLAS takes it for large products, of multiples of 8 (cuda-probe)."""
    found = [
        Subject("NALU [64, 64, 8]", lambda: NALU(64, 64, 8), (64,)),
        Subject("NAC [512, 512]", lambda: NAC(512, 512), (512,)),
        Subject("saturated cell, 64 inputs", partial(saturated, 64), (64,)),
        Subject("CNN + head", partial(cnn, 8, 32, 64, 8), (8, 16, 16)),
    ]
    return found[:1] if quick else found


@contextmanager
def forced(name: str) -> Iterator[None]:
    """A runtime that uses TF32 whatever is asked of it, as ONNX Runtime's provider does by default."""
    runtime = runtimes.get(name)
    load = runtime.load

    def with_tf32(model: nn.Module, data: bytes, options: RunOptions) -> Session:
        return load(model, data, replace(options, tf32=True))

    with mock.patch.object(runtime, "load", with_tf32):
        yield


@dataclass(frozen=True)
class Trial:
    """One file in one runtime.

    Attributes:
        changes: share of the outputs of one batch that TF32 changes; 0 where no kernel uses it.
        off: default check with TF32 off.
        on: default check with TF32 on.
        widened: check with ``tf32=True``, TF32 on.
    """

    changes: float
    off: Outcome
    on: Outcome
    widened: Outcome


def try_out(subject: Subject, name: str) -> Trial:
    """The three checks, on the same inputs."""
    plain = CheckOptions(samples=SAMPLES, search=SEARCH)

    def outcome(options: CheckOptions) -> Outcome:
        return outcomes_of(subject, "folded", "float32", [name], options, {})[name]

    off = outcome(plain)
    with forced(name):
        return Trial(changed(subject, name), off, outcome(plain), outcome(replace(plain, tf32=True)))


def changed(subject: Subject, name: str) -> float:
    """Share of outputs that differ, to the bit, between TF32 on and off."""
    x = np.random.default_rng(0).uniform(1, 10, (BATCH, *subject.shape)).astype(np.float32)
    off, on = off_and_on(name, subject.graph(), x)
    return float(np.mean(on != off))


def off_and_on(name: str, graph: ModelGraph, x: NDArray[np.float32]) -> list[NDArray[np.generic]]:
    """The output of a folded file with TF32 off, and with it on, whatever :func:`forced` does."""
    runtime = runtimes.get(name)
    data = formats.get(runtime.format).emit(graph, EmitOptions()).to_bytes({}) if runtime.format else b""
    found = []
    for tf32 in (False, True):
        session = type(runtime).load(runtime, graph.called(graph.module), data, RunOptions(tf32=tf32))
        (out,) = session.run([x])
        found.append(out.copy())
    return found


def capability() -> str:
    """Why this device has no TF32, else empty."""
    if torch.cuda.is_available() and torch.cuda.get_device_capability() < (8, 0):
        return "this device has no TF32: it came with compute capability 8.0"
    return ""


def measure(setup: Setup, *, quick: bool) -> dict[tuple[str, str], Trial | str]:
    """``{(model, runtime): trial, or why there is none}``."""
    found: dict[tuple[str, str], Trial | str] = {}
    for subject in all_subjects(quick=quick):
        for name in setup.names:
            key = subject.name, name
            if reason := capability():
                found[key] = reason
            elif setup.late(UNTIL):
                found[key] = OUT_OF_TIME
            else:
                setup.progress(f"TF32: {subject.name}, {name}")
                try:
                    found[key] = try_out(subject, name)
                except Exception as error:  # noqa: BLE001  a failing item is a line of the table
                    found[key] = brief(error)
    return found


def section(found: dict[tuple[str, str], Trial | str], setup: Setup) -> Section:
    """The table."""
    trials = {key: trial for key, trial in found.items() if isinstance(trial, Trial)}
    used = {key: trial for key, trial in trials.items() if trial.changes}
    caught = [trial for trial in used.values() if trial.off.passed and trial.on.rows and not trial.on.passed]
    held = [trial for trial in trials.values() if trial.widened.passed]
    everywhere = {name for _, name in used} == set(setup.names) and len(trials) == len(found)
    targets = (
        Target(
            f"TF32 is caught by default, in every runtime ({len(caught)} of {len(used)})",
            everywhere and len(caught) == len(used),
        ),
        Target(
            f"with tf32=True everything passes its widened bound ({len(held)} of {len(found)})",
            len(held) == len(found),
        ),
    )
    return Section(
        title="TF32",
        method=(
            "Folded files in float32. On: the session computes with TF32 though the check does not know of it, as ONNX "
            "Runtime's provider does when nobody says use_tf32=0. Share changed: outputs of one batch of "
            f"{BATCH} that are other bits with TF32 on; where none are, no kernel used it and there is nothing to "
            "catch. The distribution is the one that fails by most."
        ),
        header=("model", "runtime", "changed", "off, default check", "on, default check", "on, tf32=True"),
        rows=tuple(_row(key, trial) for key, trial in found.items()),
        targets=() if capability() else targets,
    )


def _row(key: tuple[str, str], trial: Trial | str) -> tuple[str, ...]:
    if isinstance(trial, str):
        return (*key, trial, "", "", "")
    return (*key, f"{trial.changes:.0%}", str(trial.off), str(trial.on), str(trial.widened))
