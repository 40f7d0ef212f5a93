"""Options for reading a file."""

from dataclasses import dataclass, fields
from typing import Literal, TypedDict

from nalu_export.checkpoints.factory import Factory
from nalu_export.errors import InputError

Task = Literal["classification", "regression"]

# Options about what a file in a public layout leaves open.
LAYOUT_OPTIONS = ("layout", "eps", "backbone", "task")


@dataclass(frozen=True)
class ReadOptions:
    """Options for reading a file, about what the file itself does not say.

    Attributes:
        model: builds the module that the weights go into, for a model with layers of the user's own; or the file that
            has the classes of a pickled module.
        layout: ``"owner"`` or ``"owner:unit"`` of a public layout, where keys and shapes fit several.
        eps: ε instead of the one that the layout publishes.
        prefix: prefix of the model's names in a larger state_dict, or path of a part of a pickled module.
        key: key of the dict that holds the weights, where a file has several dicts of tensors.
        backbone: builds the CNN before a head, for files that hold a head with a CNN.
        task: ``"classification"`` or ``"regression"``, where such a file fits both.
        trust: also load a pickled module, or the weights of a TorchScript archive, which runs code from the file.
        strict: refuse a faux NAC (a layer whose weight was computed once and stored), and refuse to assume anything
            that the file does not say.
    """

    model: Factory | None = None
    layout: str | None = None
    eps: float | None = None
    prefix: str | None = None
    key: str | None = None
    backbone: Factory | None = None
    task: Task | None = None
    trust: bool = False
    strict: bool = False

    def refuse_for_a_module(self) -> None:
        """Refuse options together with a module in memory, for which no file is read.

        Raises:
            InputError: an option is given.
        """
        for option in fields(ReadOptions):
            if getattr(self, option.name) != option.default:
                raise InputError(
                    f"{option.name} is for reading files, but the source is a module in memory; leave it out"
                )


class FileKeywords(TypedDict, total=False):
    """:class:`ReadOptions` without ``model``, as keyword arguments."""

    layout: str | None
    eps: float | None
    prefix: str | None
    key: str | None
    backbone: Factory | None
    task: Task | None
    trust: bool
    strict: bool
