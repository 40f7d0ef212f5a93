"""Bytes of checkpoint files, good and bad."""

import io
import json
import os
import pickle
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import nn

from nalu_export import NAC
from nalu_export.checkpoints.description import Description
from nalu_export.modules import jit


def torch_bytes(payload: Any, *, legacy: bool = False, protocol: int = 2) -> bytes:
    """What torch.save writes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TypedStorage is deprecated, and the legacy writer uses it
        torch.save(payload, buffer, _use_new_zipfile_serialization=not legacy, pickle_protocol=protocol)
    return buffer.getvalue()


def nac_state() -> dict[str, torch.Tensor]:
    """The state_dict of a NAC, 3 → 4 → 2."""
    return dict(NAC(3, 4, 2).state_dict())


def native(description: Any, state: Any = None, version: Any = 1) -> dict[str, Any]:
    """The payload of a file of nalu_export.save, with whatever description."""
    state = {} if state is None else state
    return {"format": "nalu_export", "version": version, "model": description, "state_dict": state}


def linear(**arguments: Any) -> Description:
    """The description of a Linear, 2 → 2 where not told otherwise."""
    return {"type": "Linear", "args": {"in_features": 2, "out_features": 2, "bias": False} | arguments}


def zip_bytes(
    members: dict[str, bytes], *, compression: int = zipfile.ZIP_STORED, date: tuple[int, ...] = (1980, 1, 1, 0, 0, 0)
) -> bytes:
    """A zip file with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name, date)  # type: ignore[arg-type]
            info.compress_type = compression
            archive.writestr(info, content)
    return buffer.getvalue()


def members_of(data: bytes) -> dict[str, bytes]:
    """The members of a zip file."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def recompressed(data: bytes) -> bytes:
    """The same archive, deflated."""
    return zip_bytes(members_of(data), compression=zipfile.ZIP_DEFLATED)


def bomb() -> bytes:
    """A checkpoint of some 50 kB with a member that unpacks to 50 MB."""
    return zip_bytes(members_of(torch_bytes(nac_state())) | {"archive/data/9": bytes(50_000_000)}, compression=8)


def encrypted(data: bytes) -> bytes:
    """The archive with the flag that says that its members are encrypted."""
    changed = bytearray(data)
    for signature, offset in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        start = changed.find(signature)
        while start >= 0:
            (flags,) = struct.unpack_from("<H", changed, start + offset)
            struct.pack_into("<H", changed, start + offset, flags | 1)
            start = changed.find(signature, start + 4)
    return bytes(changed)


def flipped_weight(bit: int) -> bytes:
    """A checkpoint with one bit of one weight flipped, as a bad disk does."""
    state = nac_state()
    data = bytearray(torch_bytes(state))
    content = state["layers.0.W_hat"].numpy().tobytes()
    data[data.index(content) + bit // 8] ^= 1 << bit % 8
    return bytes(data)


def big_endian(data: bytes, dtype: torch.dtype) -> bytes:
    """The checkpoint as a big-endian machine writes it, if all its storages are of this type."""
    unit = dtype.itemsize // (2 if dtype.is_complex else 1)
    members = members_of(data)
    for name, content in members.items():
        if "/data/" in name:
            members[name] = np.frombuffer(content, f"u{unit}").byteswap().tobytes()
    return zip_bytes(members | {"archive/byteorder": b"big"})


def safetensors_bytes(header: Any, content: bytes = b"") -> bytes:
    """A safetensors file with this header, whatever it says."""
    encoded = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + content


def exported(model: nn.Module, example: torch.Tensor) -> bytes:
    """What torch.export.save writes."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, about its pytree
        torch.export.save(torch.export.export(model.eval(), (example,)), buffer)
    return buffer.getvalue()


def torchscript() -> bytes:
    """A TorchScript archive of a NAC."""
    return jit.save(jit.trace(NAC(3, 2), (torch.zeros(1, 3),)), {})


class RunsCode:
    """Unpickled by pickle itself, it calls ``function`` with ``argument``."""

    def __init__(self, function: Callable[..., Any], argument: str) -> None:
        self.call = function, (argument,)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return self.call


def evil(command: str, *, legacy: bool = False, bare: bool = False) -> bytes:
    """A checkpoint that runs a shell command when it is unpickled."""
    payload = {"layers.0.W_hat": RunsCode(os.system, command)}
    return pickle.dumps(payload, protocol=2) if bare else torch_bytes(payload, legacy=legacy)


def whole_module() -> bytes:
    """``torch.save(model)``, which stores the class by reference."""
    return torch_bytes(nn.Sequential(nn.Linear(2, 2)))


def nested_list(depth: int) -> list[Any]:
    """A list in a list in a list."""
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def billion_laughs() -> list[Any]:
    """A list of 10^18 entries in a few hundred bytes, because each level holds the one below many times."""
    found: list[Any] = [1]
    for _ in range(9):
        found = [found] * 100
    return found


def nested_sequential(depth: int) -> Description:
    """A Sequential in a Sequential in a Sequential."""
    found = linear()
    for _ in range(depth):
        found = {"type": "Sequential", "children": {"0": found}}
    return found


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Fail instead of hanging: after so many seconds of this process, or twenty times as many of a busy machine."""
    import signal

    def late(_signal: int, _frame: Any) -> None:
        raise TimeoutError(f"took more than {seconds} s")

    timers = {signal.SIGPROF: (signal.ITIMER_PROF, seconds), signal.SIGALRM: (signal.ITIMER_REAL, 20 * seconds)}
    before = {number: signal.signal(number, late) for number in timers}
    for timer, limit in timers.values():
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for number, (timer, _) in timers.items():
            signal.setitimer(timer, 0)
            signal.signal(number, before[number])
