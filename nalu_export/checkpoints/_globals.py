"""The names that a pickle may use: functions that rebuild tensors and plain data, and types found beside weights."""

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import torch
from torch import Tensor

from nalu_export.checkpoints._inert import Inert, of_type
from nalu_export.checkpoints._instructions import as_key
from nalu_export.checkpoints._machine import Global, Machine
from nalu_export.checkpoints._refusals import damaged
from nalu_export.checkpoints._storage import Storage, tensor
from nalu_export.errors import InputError
from nalu_export.io.text import printable

NO_STORAGE = "makes a tensor of something that is not a storage, or with something that is not a dtype"
# Types of lists of pairs. A tensor can be iterated as well, but an expanded tensor may have any number of rows.
_ROWS = (list, tuple)


class StorageType(NamedTuple):
    """The type of a storage, as ``torch.FloatStorage`` names it."""

    dtype: torch.dtype


def resolve(module: str, name: str) -> Global | None:
    """Return what a name in a pickle stands for; ``None`` for a name that is not known to be harmless.

    Args:
        module: dotted name of the module, as Python 2 or 3 and any version of torch and numpy write it.
        name: name of the function, class or value in it.
    """
    module = _RENAMED.get(module, module)
    if module.startswith("numpy._core"):
        module = module.replace("numpy._core", "numpy.core", 1)
    full = _PYTHON_2.get(f"{module}.{name}", f"{module}.{name}")
    if module.startswith(_BESIDE_MODULES):
        return Global(printable(full[:200]))
    return _KNOWN.get(full)


def _rebuild(machine: Machine, arguments: tuple[Any, ...]) -> Tensor | Inert:
    """Stand for ``_rebuild_tensor`` and ``_rebuild_tensor_v2``: storage, offset, size, stride and attributes."""
    storage, offset, size, stride = arguments[:4]
    return _tensor(machine, storage, None, (offset, size, stride), arguments[6:7])


def _rebuild_v3(machine: Machine, arguments: tuple[Any, ...]) -> Tensor | Inert:
    """Stand for ``_rebuild_tensor_v3``: as :func:`_rebuild`, with a dtype, because its storage is of bytes."""
    storage, offset, size, stride, _, _, dtype = arguments[:7]
    if not isinstance(dtype, Global) or not isinstance(dtype.value, torch.dtype):
        raise damaged(NO_STORAGE)
    return _tensor(machine, storage, dtype.value, (offset, size, stride), arguments[7:8])


def _tensor(
    machine: Machine, storage: Any, dtype: torch.dtype | None, place: tuple[Any, Any, Any], metadata: tuple[Any, ...]
) -> Tensor | Inert:
    """Return a tensor of type ``dtype``; by default of the type of its storage."""
    if not isinstance(storage, Storage):
        raise damaged(NO_STORAGE)
    for flags in metadata:
        if flags is not None and type(flags) is not dict:
            raise damaged("gives a tensor flags that are not a dictionary")
        if flags:
            # The flags mark a lazily negated or conjugated view, such as .imag of a conjugate. No state_dict has one.
            return Inert("a lazily negated or conjugated tensor")
    machine.another_tensor()
    return tensor(storage, storage.dtype if dtype is None else dtype, *place)


def _first(_: Machine, arguments: tuple[Any, ...]) -> Any:
    """Return the tensor inside a Parameter, a Variable or a tensor of another device; the rest is dropped."""
    if not isinstance(arguments[0], (Tensor, Inert)):
        raise damaged("makes a parameter of something that is not a tensor")
    return arguments[0]


def _typed(machine: Machine, arguments: tuple[Any, ...]) -> Any:
    """Stand for ``_rebuild_from_type_v2``: a tensor of a subclass, with attributes, made by another function."""
    function, _, inner = arguments[:3]
    # This function is not in _TENSOR_FUNCTIONS: a file could nest calls of it to any depth.
    if not isinstance(function, Global) or function.name not in _TENSOR_FUNCTIONS:
        raise damaged("makes a tensor with something that is not a function for tensors")
    return function.call(machine, inner)


def _size(_: Machine, arguments: tuple[Any, ...]) -> Any:
    return arguments[0] if type(arguments[0]) is tuple else of_type(torch.Size)


def _mapping(machine: Machine, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    """Return a new dictionary: empty, from a dictionary, or from pairs, as Python 2 writes an OrderedDict."""
    made: dict[Any, Any] = {}
    for source in arguments[:1]:
        if type(source) is not dict and type(source) not in _ROWS:
            raise damaged("makes a dictionary of something that is not a list of pairs")
        machine.copied(len(source))
        for pair in source.items() if type(source) is dict else source:
            if type(pair) not in _ROWS or len(pair) != 2:
                raise damaged("makes a dictionary of something that is not a list of pairs")
            made[as_key(pair[0])] = pair[1]
    return made


def _mapping_with_default(machine: Machine, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    return _mapping(machine, arguments[1:])


def _encode(machine: Machine, arguments: tuple[Any, ...]) -> bytes:
    """Return bytes, which protocols before 3 write as an encoded text."""
    text, encoding = arguments
    if type(text) is not str or type(encoding) is not str or encoding not in ("latin1", "latin-1", "utf-8"):
        raise damaged("encodes something that is not a text")
    machine.encoded(text)
    return text.encode(encoding)


def _bytes(_: Machine, arguments: tuple[Any, ...]) -> bytes | Inert:
    """Stand for ``bytes()`` and ``bytearray(content)``; ``bytearray(size)`` is not made: its size could be anything."""
    content = arguments[0] if arguments else b""
    return content if type(content) is bytes else of_type(bytes)


def _object(_: Machine, arguments: tuple[Any, ...]) -> Inert:
    """Stand for an object, which copyreg writes as its class and arguments."""
    kind = arguments[0]
    if not isinstance(kind, Global):
        raise damaged("makes an object of something that is not a class")
    return kind.made


def _not_saved_by_torch(_: Machine, _arguments: tuple[Any, ...]) -> NoReturn:
    raise InputError("was written by pickle.dump, not torch.save; use torch.save(model.state_dict(), path)")


def _always(what: str) -> Callable[[Machine, tuple[Any, ...]], Inert]:
    stand_in = Inert(what)
    return lambda _machine, _arguments: stand_in


# Protocols 1 and 2 are those of Python 2 and use its names.
_PYTHON_2 = {"builtins.xrange": "builtins.range", "builtins.unicode": "builtins.str", "builtins.long": "builtins.int"}
_RENAMED = {"__builtin__": "builtins", "copy_reg": "copyreg", "torch.tensor": "torch._tensor"}

_TENSOR_FUNCTIONS: dict[str, Callable[[Machine, tuple[Any, ...]], Any]] = {
    "torch._utils._rebuild_tensor": _rebuild,
    "torch._utils._rebuild_tensor_v2": _rebuild,
    "torch._utils._rebuild_tensor_v3": _rebuild_v3,
    "torch._utils._rebuild_parameter": _first,
    "torch._utils._rebuild_parameter_with_state": _first,
    "torch._utils._rebuild_device_tensor_from_cpu_tensor": _first,
    "torch._utils._rebuild_device_tensor_from_numpy": _always("a tensor stored as a numpy array"),
    "torch._utils._rebuild_xla_tensor": _always("a tensor stored as a numpy array"),
    "torch._utils._rebuild_meta_tensor_no_storage": _always("a meta tensor"),
    "torch._utils._rebuild_sparse_tensor": _always("a sparse tensor"),
    "torch._utils._rebuild_sparse_csr_tensor": _always("a sparse tensor"),
    "torch._utils._rebuild_qtensor": _always("a quantised tensor"),
    "torch._utils._rebuild_nested_tensor": _always("a nested tensor"),
    "torch._utils._rebuild_wrapper_subclass": _always("a tensor of a class of its own"),
    "torch.nn.parameter.Parameter": _first,
    "torch.nn.parameter.Buffer": _first,
    "torch.autograd.variable.Variable": _first,
    "torch.Tensor": _first,
}

_FUNCTIONS: dict[str, Callable[[Machine, tuple[Any, ...]], Any]] = {
    "torch._tensor._rebuild_from_type": _typed,
    "torch._tensor._rebuild_from_type_v2": _typed,
    "torch.Size": _size,
    "torch.storage._load_from_bytes": _not_saved_by_torch,
    "collections.OrderedDict": _mapping,
    "collections.Counter": _mapping,
    "collections.defaultdict": _mapping_with_default,
    "builtins.dict": _mapping,
    "builtins.bytes": _bytes,
    "builtins.bytearray": _bytes,
    "_codecs.encode": _encode,
    "copyreg._reconstructor": _object,
    "copyreg.__newobj__": _object,
}

_STORAGE_TYPES = {
    "Float": torch.float32, "Double": torch.float64, "Half": torch.float16, "BFloat16": torch.bfloat16,
    "Long": torch.int64, "Int": torch.int32, "Short": torch.int16, "Char": torch.int8, "Byte": torch.uint8,
    "Bool": torch.bool, "ComplexFloat": torch.complex64, "ComplexDouble": torch.complex128,
    "QInt8": torch.qint8, "QUInt8": torch.quint8, "QInt32": torch.qint32, "QUInt4x2": torch.quint4x2,
    "QUInt2x4": torch.quint2x4, "Untyped": torch.uint8, "_Untyped": torch.uint8,
}  # fmt: skip

# Types whose values stand beside the weights in checkpoints of common tools, by module. An Inert with the name of the
# type stands for such a value; the value is never made.
_BESIDE = {
    "builtins": "list tuple set frozenset int float bool str complex object slice range",
    "datetime": "datetime date time timedelta timezone",
    "pathlib": "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
    "pathlib._local": "Path PosixPath WindowsPath PurePath PurePosixPath PureWindowsPath",
    "numpy": "ndarray dtype",
    "numpy.random.bit_generator": "SeedSequence",
    "numpy.random._pcg64": "PCG64 PCG64DXSM",
    "numpy.random._mt19937": "MT19937",
    "argparse": "Namespace",
    "types": "SimpleNamespace",
    "collections": "deque",
    "decimal": "Decimal",
    "fractions": "Fraction",
    "uuid": "UUID",
    "typing": "Any",
    "torch": "device FloatTensor DoubleTensor HalfTensor LongTensor",
    "torch.torch_version": "TorchVersion",
    "pytorch_lightning.utilities.parsing": "AttributeDict",
    "lightning.pytorch.utilities.parsing": "AttributeDict",
    "lightning_fabric.utilities.data": "AttributeDict",
    "lightning.fabric.utilities.data": "AttributeDict",
    # Lightning before 1.5 has these classes as keys of a dictionary.
    "pytorch_lightning.callbacks.model_checkpoint": "ModelCheckpoint",
    "pytorch_lightning.callbacks.early_stopping": "EarlyStopping",
    "easydict": "EasyDict",
    "munch": "Munch",
    "addict.addict": "Dict",
    "yacs.config": "CfgNode",
}

# Functions that make such values, with the type of the value.
_MADE_BY = {
    "numpy.core.multiarray._reconstruct": "numpy.ndarray",
    "numpy.core.multiarray.scalar": "numpy.number",
    "numpy.core.numeric._frombuffer": "numpy.ndarray",
    "numpy.random._pickle.__generator_ctor": "numpy.random.Generator",
    "numpy.random._pickle.__bit_generator_ctor": "numpy.random.BitGenerator",
    "numpy.random._pickle.__randomstate_ctor": "numpy.random.RandomState",
    "numpy.random.bit_generator.__pyx_unpickle_SeedSequence": "numpy.random.SeedSequence",
    "torch.serialization._get_layout": "torch.layout",
}

# Modules in which every name is such a type.
_BESIDE_MODULES = ("numpy.dtypes", "omegaconf.")

_KNOWN: dict[str, Global] = {
    **{name: Global(name, function) for name, function in {**_TENSOR_FUNCTIONS, **_FUNCTIONS}.items()},
    **{f"{module}.{name}": Global(f"{module}.{name}") for module, names in _BESIDE.items() for name in names.split()},
    **{name: Global(name, _always(f"a value of type {kind}")) for name, kind in _MADE_BY.items()},
    **{
        f"{module}.{name}Storage": Global(f"{module}.{name}Storage", value=StorageType(dtype))
        for module in ("torch", "torch.cuda", "torch.storage")
        for name, dtype in _STORAGE_TYPES.items()
    },
    **{
        f"torch.{name}": Global(f"torch.{name}", value=value)
        for name, value in vars(torch).items()
        if isinstance(value, (torch.dtype, torch.qscheme, torch.layout, torch.memory_format))
    },
}
