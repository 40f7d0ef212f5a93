"""The doctor: finds what is wrong with a trained model, in its file or module, and says what follows and what to do."""

import os
from dataclasses import replace
from typing import Unpack

from torch import nn

from nalu_export.doctor import findings
from nalu_export.doctor.diagnosis import Diagnosis, counted, in_order, summary
from nalu_export.doctor.findings.base import Examined, Finding
from nalu_export.doctor.running import run_subgraph
from nalu_export.doctor.settings import DoctorCompute, Settings
from nalu_export.doctor.subject import Subject, from_file, from_module
from nalu_export.io.keywords import part_of, public
from nalu_export.source.preparing import SourceKeywords, SourceOptions

__all__ = ["Diagnosis", "Finding", "Settings", "counted", "diagnose", "examine", "summary"]


class DiagnoseArguments(SourceKeywords, total=False):
    """:class:`Settings` and :class:`SourceOptions` as keyword arguments."""

    compute: DoctorCompute
    training_range: tuple[float, float]


@public(Settings, SourceOptions)
def diagnose(source: str | os.PathLike[str] | nn.Module, **options: Unpack[DiagnoseArguments]) -> Diagnosis:
    """Find out whether a model computes what its owner expects, and whether it will extrapolate.

    Args:
        source: a file, or a module in memory, which is not changed.
        **options: ``compute``, the type of the arithmetic that will run it: ``"float32"``, ``"float64"`` or
            ``"float16"``. ``training_range``, the range of training-like inputs, (0.1, 1.0) by default: weights and
            gates are judged on it and on 1000 times that range. ``strict`` treats every faux NAC as an error, whatever
            its weights are. How to read a file, see :func:`nalu_export.load`. The model's inputs if its layers do not
            determine them (``input_size`` or ``example_inputs``), and which modules are arithmetic (``arithmetic``).

    Returns:
        The findings. A file that an export refuses because two names of one parameter disagree is examined too.

    Raises:
        InputError: the file cannot be read, or an argument is none of those listed.
    """
    settings = part_of(Settings, options)
    read = replace(part_of(SourceOptions, options), strict=False)
    if isinstance(source, nn.Module):
        read.refuse_for_a_module()
        subject = from_module(source, read)
    else:
        subject = from_file(source, read)
    return examine(subject, settings)


def examine(subject: Subject, settings: Settings) -> Diagnosis:
    """Examine a model that was read already, as :func:`diagnose` does."""
    runs = tuple(run_subgraph(head, settings.training_range) for head in subject.heads)
    examined = Examined(subject, settings, runs)
    return Diagnosis(
        subject.path,
        subject.sha256,
        None if subject.fit is None else subject.fit.name,
        settings.compute,
        settings.training_range,
        subject.notes,
        in_order([finding for finder in findings.finders() for finding in finder.find(examined)]),
        subject.assumptions,
    )
