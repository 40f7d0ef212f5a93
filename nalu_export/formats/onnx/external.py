"""Finds tensors whose bytes an ONNX file keeps in another file, wherever they stand in it.

``onnx.external_data_helper`` has such a walk, but a private and recursive one that passes over sparse tensors and
training information.
"""

from collections.abc import Iterator

from google.protobuf.message import Message
from onnx import ModelProto, SparseTensorProto, TensorProto

# Fields that can contain a tensor, by kind of message: single fields here, repeated fields below. All these fields of
# an attribute are looked at, whatever type the attribute declares.
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
    """Return the name of the first tensor that is stored in another file, ``None`` if the file holds all tensors."""
    for tensor in _tensors(proto):
        # external_data counts without data_location too: a runtime that looks at it first would read the other file.
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            return tensor.name or "a tensor"
    return None


def _tensors(proto: ModelProto) -> Iterator[TensorProto]:
    """Yield every tensor, those of the main graph first.

    A list of iterators replaces recursion. A message is fetched only when it is visited, because a message that Python
    has a wrapper for takes a hundred bytes more while the wrapper lives.
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
