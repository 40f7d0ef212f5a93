"""Assumptions about a file of weights without a description of its model."""

from nalu_export.checkpoints.fitting import Fit
from nalu_export.checkpoints.options import ReadOptions
from nalu_export.checkpoints.recognise import OURS, Recognised
from nalu_export.io.assumption import CODE, Assumption


def of_layout(recognised: Recognised, options: ReadOptions) -> tuple[Assumption, ...]:
    """List what is assumed about a file in a recognised layout and is not stated by the user.

    Args:
        recognised: the layout.
        options: the options that the user stated.
    """
    fit = recognised.fit
    found: list[Assumption] = []
    if options.layout is None:
        why = "recognised by the names and shapes of its tensors; the file does not store it"
        found.append(Assumption("formula", f"that of {fit.name}", why, f"--layout {fit.name}"))
    if recognised.decided_by == "names":
        sizes = " → ".join(map(str, fit.dims))
        why = f"as {fit.owner} stores it; transposed, its matrices would fit as well"
        found.append(Assumption("orientation", sizes, why, f"--layout {fit.name}"))
    if fit.unit.eps is not None and options.eps is None and not _stores_eps(fit):
        why = f"as {fit.name} defines it; the file does not store it"
        found.append(Assumption("eps", f"{fit.unit.eps:g}", why, f"--eps {fit.unit.eps:g}"))
    if fit.unit.around is not None and options.task is None and fit.dims[-1] > 1:
        one = f"because {fit.name} has one output for regression and this file has {fit.dims[-1]}"
        why = f"{one}; the file does not store it"
        found.append(Assumption("task", "classification", why, "--task classification"))
    if fit.unit.around is not None and fit.owner == OURS:
        why = "the default of build_head; the file does not store it"
        found.append(Assumption("pooling", "the average", why, CODE))
    return tuple(found)


def _stores_eps(fit: Fit) -> bool:
    return any(key.argument == "eps" for key in fit.unit.keys.values())
