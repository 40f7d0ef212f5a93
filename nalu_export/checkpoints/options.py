"""How a file is to be read, where it does not tell."""

from dataclasses import dataclass, fields
from typing import Literal, TypedDict

from nalu_export.checkpoints.factory import Factory
from nalu_export.errors import InputError

Task = Literal["classification", "regression"]

# They say what a public layout leaves open.
LAYOUT_OPTIONS = ("layout", "eps", "backbone", "task")


@dataclass(frozen=True)
class ReadOptions:
    """How a file is to be read, where it does not tell.

    Attributes:
        model: builds the module that the weights go into, for a model with layers of the user's own; or the file that
            has the classes of a pickled module.
        layout: ``"owner"`` or ``"owner:unit"`` of a public layout, where keys and shapes fit several.
        eps: ε in place of the one that the layout publishes.
        prefix: the model is what stands under it in a larger state_dict, or this part of a pickled module.
        key: of the dict of tensors in the file that holds the weights, where there are several.
        backbone: builds the CNN before a head, for files that hold a head with one.
        task: ``"classification"`` or ``"regression"``, where such a file is open to both.
        trust: load a pickled module, as it is, or the weights of a TorchScript archive too, which runs what is in it.
        strict: refuse a faux NAC, and whatever would have to be assumed because the file does not say it.
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
        """A module in memory is read from nowhere.

        Raises:
            InputError: an option is given that says how to read a file.
        """
        for option in fields(ReadOptions):
            if getattr(self, option.name) != option.default:
                raise InputError(f"{option.name} is for reading a file, and the source is a module in memory")


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
