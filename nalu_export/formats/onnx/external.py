"""Finds tensors whose bytes an ONNX file keeps in another file, wherever they stand in it.

``onnx.external_data_helper`` has such a walk, but a private and recursive one that passes over sparse tensors and
training information.
"""

from collections.abc import Iterator

from google.protobuf.message import Message
from onnx import ModelProto, SparseTensorProto, TensorProto

# What may have a tensor somewhere in it, by the kind of message: fields that are there once, and those that repeat.
# Those of an attribute count whatever it says it is.
_ONE: dict[str, tuple[str, ...]] = {
    "ModelProto": ("graph",),
    "TrainingInfoProto": ("initialization", "algorithm"),
    "AttributeProto": ("t", "sparse_tensor", "g"),
}
_MANY: dict[str, tuple[str, ...]] = {
    "ModelProto": ("functions", "training_info"),
    "GraphProto": ("initializer", "sparse_initializer", "node"),
    "FunctionProto": ("node", "attribute_proto"),
    "NodeProto": ("attribute",),
    "AttributeProto": ("tensors", "sparse_tensors", "graphs"),
}


def external_tensor(proto: ModelProto) -> str | None:
    """Name of the first tensor that is kept in another file, ``None`` where the file holds all of them."""
    for tensor in _tensors(proto):
        # A location counts as well: a runtime that looks at it first would read it.
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            return tensor.name or "a tensor"
    return None


def _tensors(proto: ModelProto) -> Iterator[TensorProto]:
    """Every tensor, those of the main graph first.

    The way down is a list and no recursion. Each message is asked for when it is looked at: one that Python has seen
    takes a hundred bytes more for as long as it is held.
    """
    way: list[Iterator[Message]] = [iter((proto,))]
    while way:
        message = next(way[-1], None)
        if message is None:
            way.pop()
        elif isinstance(message, TensorProto):
            yield message
        elif isinstance(message, SparseTensorProto):
            yield from (message.values, message.indices)
        else:
            way.append(_inside(message))


def _inside(message: Message) -> Iterator[Message]:
    kind = type(message).__name__
    for name in _ONE.get(kind, ()):
        if message.HasField(name):
            yield getattr(message, name)
    for name in _MANY.get(kind, ()):
        yield from getattr(message, name)
