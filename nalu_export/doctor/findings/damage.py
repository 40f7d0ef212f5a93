"""Findings about NaN and infinite values, and about two names of one parameter that disagree."""

from collections.abc import Iterator

from torch import Tensor

from nalu_export.checkpoints.building import disagreeing_twins
from nalu_export.doctor.findings.base import Examined, Finder, Finding
from nalu_export.doctor.places import first_of
from nalu_export.doctor.running import span
from nalu_export.doctor.subject import Subject


def _find(examined: Examined) -> Iterator[Finding]:
    yield from _non_finite(examined)
    yield from _disagreeing(examined.subject)


def _non_finite(examined: Examined) -> Iterator[Finding]:
    """Yield a finding for each tensor that holds NaN or infinity; an error unless nothing reads the tensor."""
    subject = examined.subject
    unread, twins = set(subject.unread), _twins(subject)
    for key, value in subject.state.items():
        if not value.is_floating_point() or key in twins or bool(value.isfinite().all()):
            continue
        nans, infinities = int(value.isnan().sum()), int(value.isinf().sum())
        counts = [f"{number} {name}" for number, name in ((nans, "NaN"), (infinities, "infinite")) if number]
        what = f"{' and '.join(counts)} of {value.numel()} values; the first is at {list(first_of(~value.isfinite()))}."
        if key in unread:
            yield Finding(
                "info",
                "non-finite",
                key,
                what,
                "The model does not read this parameter, so no output depends on it.",
                "Nothing to do.",
            )
            continue
        yield Finding(
            "error",
            "non-finite",
            key,
            what,
            _lost(examined, key),
            "Find the step at which training diverged, and use a checkpoint from before it. Cells whose first weights "
            "are uninitialised memory may hold such values from the start.",
        )


def _twins(subject: Subject) -> set[str]:
    """Return second names of parameters: faults are reported under the first name, or as a disagreement of the two."""
    if subject.fit is None:
        return set()
    return {own + leaf for own in subject.fit.prefixes for leaf, key in subject.fit.unit.keys.items() if key.twin}


def _lost(examined: Examined, key: str) -> str:
    """Return how many outputs of the subgraph that reads a tensor are not finite, on training-like inputs."""
    for head, run in examined.heads():
        if run is not None and key in head.parameters:
            lost, total = int((~run.near.result.isfinite()).all(dim=0).sum()), run.near.result.shape[-1]
            if lost:
                return f"{lost} of {total} outputs {'is' if lost == 1 else 'are'} NaN or infinite for every input."
            near = span(examined.settings.training_range)
            return (
                f"No output is NaN or infinite for every input of {near}, because tanh and σ of infinity are finite. "
                "Training can no longer change the parameter."
            )
    return "Values that are computed from it are NaN or infinite too."


def _disagreeing(subject: Subject) -> Iterator[Finding]:
    """Yield a finding for each parameter that a file holds twice, with different values."""
    if subject.fit is None:
        return
    for second, first in disagreeing_twins(subject.fit, subject.state):
        yield Finding(
            "error",
            "aliases-disagree",
            second,
            f"{second} and {first} are two names of one parameter, but "
            f"{_difference(subject.state[second], subject.state[first])}.",
            f"The original code keeps the value that it loads last, that of {second}. Every other command of "
            f"nalu-export refuses the file. The other findings about this layer are about {first}.",
            "Remove the one that was not trained from the file, or write the trained one under both names.",
        )


def _difference(one: Tensor, other: Tensor) -> str:
    distance = (one.double() - other.double()).abs()
    differs = (one != other) & ~(one.isnan() & other.isnan())
    if not bool(differs.any()):
        names = [str(value.dtype).removeprefix("torch.") for value in (one, other)]
        return f"one is {names[0]} and the other {names[1]}"
    place = first_of(differs)
    finite = distance[differs & distance.isfinite()]
    far = f" by up to {float(finite.max()):.2g}" if finite.numel() else ""
    return f"{int(differs.sum())} of {one.numel()} values differ{far}, the first at {list(place)}"


FINDER = Finder(_find, ("non-finite", "aliases-disagree"), rank=10)
