"""What a fault is, and the four places where one can be planted: the file, the model, the bytes, the runtime."""

import copy
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import onnx
from torch import nn

from tests.faults import subjects
from tests.faults.planted import Planted, Wrap

# What a changed archive is: the bytes, and the files that lie beside it.
Files = tuple[bytes, Mapping[str, bytes]]


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        name: of the fault, unique.
        group: the file of this package that holds it.
        models: what it stands for in the real world, in one sentence.
        subject: name of the subject that it is planted into.
        how: plants it.
    """

    name: str
    group: str
    models: str
    subject: str
    how: Callable[[Planted], Planted]

    def right(self) -> Planted:
        """The subject without the fault; unless that passes, nothing is said by the fault's being found."""
        return subjects.right(self.subject)

    def plant(self) -> Planted:
        """The subject with the fault."""
        return self.how(self.right())


def in_file(subject: str) -> Callable[[Callable[[onnx.ModelProto], None]], Fault]:
    """Decorates a function that changes the ONNX model in place."""

    def decorate(edit: Callable[[onnx.ModelProto], None]) -> Fault:
        def how(right: Planted) -> Planted:
            proto = onnx.load_from_string(right.data)
            edit(proto)
            return replace(right, data=proto.SerializeToString())

        return _fault(edit, subject, how)

    return decorate


def in_model(subject: str) -> Callable[[Callable[[nn.Module], nn.Module]], Fault]:
    """Decorates a function that gives what is exported instead of the model, from a copy of it."""

    def decorate(change: Callable[[nn.Module], nn.Module]) -> Fault:
        def how(right: Planted) -> Planted:
            return replace(right, data=subjects.emit(subject, change(copy.deepcopy(right.model)).eval()))

        return _fault(change, subject, how)

    return decorate


def in_bytes(subject: str) -> Callable[[Callable[[bytes], Files]], Fault]:
    """Decorates a function that damages the file, or moves parts of it into files beside it."""

    def decorate(damage: Callable[[bytes], Files]) -> Fault:
        def how(right: Planted) -> Planted:
            data, beside = damage(right.data)
            return replace(right, data=data, beside=beside)

        return _fault(damage, subject, how)

    return decorate


def in_runtime(subject: str) -> Callable[[Wrap], Fault]:
    """Decorates a function that turns a right run into a faulty one; a new one for each session."""

    def decorate(wrap: Wrap) -> Fault:
        return _fault(wrap, subject, lambda right: replace(right, wrap=wrap))

    return decorate


def _fault(function: Callable[..., object], subject: str, how: Callable[[Planted], Planted]) -> Fault:
    models = inspect.getdoc(function)
    assert models is not None, function
    group = function.__module__.rpartition(".")[2]
    return Fault(function.__name__.replace("_", " "), group, " ".join(models.split()), subject, how)
