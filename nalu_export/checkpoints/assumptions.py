"""What has to be assumed of a file in a public layout."""

from nalu_export.assumption import Assumption
from nalu_export.checkpoints.fitting import Fit


def of_layout(
    fit: Fit, *, layout: str | None = None, eps: float | None = None, task: str | None = None
) -> tuple[Assumption, ...]:
    """What is assumed of a file in a public layout, besides what the user states.

    Args:
        fit: the unit that explains it.
        layout: as the user gives it.
        eps: likewise.
        task: likewise.
    """
    found: list[Assumption] = []
    if layout is None:
        why = "by the names and shapes of its tensors; the file does not store it"
        found.append(Assumption("formula", f"that of {fit.name}", why, f"--layout {fit.name}"))
    if fit.unit.eps is not None and eps is None and not _stores_eps(fit):
        why = f"as {fit.name} has it; the file does not store it"
        found.append(Assumption("eps", f"{fit.unit.eps:g}", why, f"--eps {fit.unit.eps:g}"))
    if fit.unit.around is not None and task is None and fit.dims[-1] > 1:
        why = f"because {fit.name} gives one number for regression and this {fit.dims[-1]}; the file does not store it"
        found.append(Assumption("task", "classification", why, "--task classification"))
    return tuple(found)


def _stores_eps(fit: Fit) -> bool:
    return any(key.argument == "eps" for key in fit.unit.keys.values())
