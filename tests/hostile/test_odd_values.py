"""A value from a file may be of any type wherever it stands: a tensor of a hundred million rows is no pair of two."""

import pickle
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nalu_export import NAC, InputError, load
from nalu_export.checkpoints._globals import _KNOWN, _mapping
from nalu_export.checkpoints._machine import Machine
from nalu_export.checkpoints.container import unpack
from nalu_export.checkpoints.description import describe
from tests.checkpoints import files
from tests.checkpoints.files import time_limit
from tests.checkpoints.programs import LEGACY_HEAD, storage_program, tensor_program, with_program
from tests.hostile import mutations, seeds
from tests.hostile.guarded import guarded
from tests.hostile.readers import read

ROWS = 10**8
#: Values that something else was expected for. Those of many rows take a few bytes of a file.
ODD: dict[str, Callable[[], Any]] = {
    "two numbers": lambda: torch.zeros(2),
    "one number": lambda: torch.ones(()),
    "no number": lambda: torch.zeros(0),
    "truth values": lambda: torch.ones(2, dtype=torch.bool),
    "many rows": lambda: torch.zeros(1).expand(ROWS),
    "many pairs": lambda: torch.zeros(1, 1).expand(ROWS, 2),
    "two rows of many": lambda: torch.zeros(1, 1).expand(2, ROWS),
    "an array": lambda: np.zeros(2),
    "a set": lambda: {1, 2},
    "a list of a tensor": lambda: [torch.zeros(1).expand(ROWS)],
    "a pair of tensors": lambda: (torch.zeros(2), torch.zeros(2)),
    "a dictionary of a tensor": lambda: {"a": torch.zeros(2)},
    "bytes": lambda: b"ab",
    "a text": lambda: "ab",
    "nothing": lambda: None,
    "an empty list": list,
    "a large number": lambda: 2**300,
}
ASSUMPTION = {"what": "eps", "value": "1e-10", "why": "because", "option": "--eps 1e-10"}


def payloads() -> dict[str, Any]:
    """What files hold: our own format, a layout, what a training loop saves."""
    model = NAC(2, 1)
    own = files.native(describe(model), dict(model.state_dict()))
    nested = files.native({"type": "Sequential", "children": {"0": files.linear()}}, {"0.weight": torch.zeros(2, 2)})
    state = dict(model.state_dict())
    return {
        "own": own | {"assumptions": [dict(ASSUMPTION)], "source_sha256": "0" * 64},
        "nested": nested,
        "loop": {
            "epoch": 3,
            "state_dict": state,
            "ema": {"module": {f"module.{name}": value for name, value in state.items()}, "decay": 0.9},
            "optimizer": {"state": {0: {"step": torch.tensor(1.0)}}, "param_groups": [{"lr": 1e-3, "betas": (0.9, 1)}]},
        },
    }


def changed(value: Any, odd: Any) -> Iterator[Any]:
    """The value with the odd one in place of all of it, and of each of its parts and keys in turn."""
    yield odd
    if isinstance(value, dict):
        for key, part in value.items():
            for other in changed(part, odd):
                yield {**value, key: other}
            if getattr(odd, "__hash__", None) is not None and not isinstance(odd, tuple):
                yield {(odd if name == key else name): each for name, each in value.items()}
    elif isinstance(value, (list, tuple)):
        for place, part in enumerate(value):
            for other in changed(part, odd):
                yield type(value)([*value[:place], other, *value[place + 1 :]])


@pytest.mark.quick(19)
@pytest.mark.parametrize("name", payloads())
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_value_anywhere_is_read_or_refused(name: str, odd: str, tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    said = set()
    for payload in changed(payloads()[name], ODD[odd]()):
        data = files.torch_bytes(payload)
        with guarded() as asked:
            said |= {_said(data, reader, path) for reader in ("load", "load by a key")}
        assert not asked, (asked, payload)
    assert len(said) > 3


def _said(data: bytes, reader: str, path: Path) -> str:
    try:
        return read(data, reader, path)
    except AssertionError as error:  # of a guard, which has made a note of it
        return str(error)


def _arguments(odd: Any) -> Iterator[tuple[Any, ...]]:
    """Arguments of a call: the odd value as each of them, and in lists, pairs and dictionaries."""
    for inner in (odd, [odd], (odd,), [(odd, odd)], [[odd]], [(odd,)], {"a": odd}):
        for count in range(9):
            yield (inner,) * count
        yield ("a", inner)
        yield (inner, "utf-8")
        yield (Machine, inner)


@pytest.mark.quick(1)
@pytest.mark.parametrize("odd", ODD)
def test_an_odd_argument_of_anything_that_may_be_called(odd: str) -> None:
    """Each name that a pickle may use, called with anything: it gives something plain, or refuses."""
    value = ODD[odd]()
    calls = 0
    for function in _KNOWN.values():
        for arguments in _arguments(value):
            machine = Machine(bytes(1000), lambda *_: None)
            with guarded() as asked, suppress(InputError):
                machine.make(function, arguments)
                calls += 1
            assert not asked, (function, odd, asked)
    assert calls > 100


STORAGE = storage_program(count=4)
# A tensor of a hundred million rows of two numbers, in a storage of sixteen bytes.
TENSOR = tensor_program(STORAGE, 0, (ROWS, 2), (0, 0))
ROW = tensor_program(STORAGE, 0, (ROWS,), (0,))
# Instructions that put a value on the stack and take none from it.
PUTS = frozenset(b"NIKJML\x88\x89G\x8a\x8bXTUBC\x8c\x8d\x8e\x96)]}\x8fch")


def _programs() -> Iterator[tuple[str, bytes]]:
    made = {
        "old dictionary": {"a": OrderedDict([("b", 1)])},
        "counter": Counter("aab"),
        "with default": defaultdict(list, {"a": [1]}),
        "bytes": {"a": b"\xff\x00"},
        "size": torch.Size([2, 3]),
    }
    for protocol in (0, 2):
        for name, value in made.items():
            yield f"{name} {protocol}", pickle.dumps(value, protocol)
    for name, data in seeds.torch_files().items():
        if name in ("zip", "native", "checkpoint", "ours"):
            yield name, files.members_of(data)["archive/data.pkl"]
    yield "pairs", b"\x80\x02ccollections\nOrderedDict\n(](X\x01\0\0\0aK\x01\x86X\x01\0\0\0bK\x02\x86etR."


@pytest.mark.quick(1)
@pytest.mark.parametrize("tensor", [TENSOR, ROW], ids=["pairs", "rows"])
def test_a_tensor_of_many_rows_in_place_of_any_value_of_a_pickle(tensor: bytes, tmp_path: Path) -> None:
    """As pickles are: also where Python's own pickler puts no tensor, in the arguments of what rebuilds one."""
    tried = 0
    for name, program in _programs():
        pieces = mutations.instructions(program)
        assert pieces, name
        for place, piece in enumerate(pieces):
            if piece[0] not in PUTS:
                continue
            changed_program = b"".join([*pieces[:place], tensor, *pieces[place + 1 :]])
            storages = {f"archive/data/{number}": bytes(16) for number in range(8)}
            data = files.zip_bytes({"archive/data.pkl": changed_program, **storages})
            with time_limit(2), guarded() as asked:
                _said(data, "load", tmp_path / "model.pt")
                for legacy in (LEGACY_HEAD + changed_program, changed_program):
                    _said(legacy, "load", tmp_path / "model.pt")
            assert not asked, (name, place, piece, asked)
            tried += 1
    assert tried > 150


def test_a_hundred_million_rows_are_no_pair() -> None:
    """Two gigabytes and half a minute, where they were walked; a tensor of one row or two looks like a pair."""
    machine = Machine(bytes(1000), lambda *_: None)
    for source in (ODD["many pairs"](), [ODD["many rows"]()], [("a", 1), torch.zeros(2)], torch.zeros(2, 2), ["ab"]):
        with (
            guarded() as asked,
            pytest.raises(InputError, match="makes a dictionary of something that is not a list of pairs"),
        ):
            _mapping(machine, (source,))
        assert not asked
    assert _mapping(machine, ([("a", 1), ["b", 2]],)) == {"a": 1, "b": 2}
    assert _mapping(machine, ({"a": 1},)) == {"a": 1}
    assert _mapping(machine, ((),)) == _mapping(machine, ()) == {}


def test_a_guard_tells_who_takes_a_tensor_for_a_container() -> None:
    value: Any = torch.zeros(2, 2)
    for use in (list, tuple, len, bool, lambda of: 1 in of, lambda of: of == 1, lambda of: dict([of]), int):
        with guarded() as asked, suppress(AssertionError):
            use(value)
        assert asked
    assert list(torch.zeros(2))
    assert torch.zeros(1) == 0
    with guarded() as asked, suppress(InputError):
        unpack(files.torch_bytes(torch.zeros(2)))
    assert not asked


def test_a_tensor_before_a_class_that_is_not_known() -> None:
    """What is refused by the name of a class is looked at too: whether it is the whole of a file."""
    for program in (b"\x80\x02(" + ROW + b"cnet\nNet\n.", b"\x80\x02" + ROW + b"cnet\nNet\n."):
        with guarded() as asked, pytest.raises(InputError, match=r"holds Python objects \(net\.Net\)"):
            unpack(with_program(program, **{"0": bytes(16)}))
        assert not asked


@pytest.mark.parametrize("name", [1, None, b"a", ("a",), 1.5], ids=repr)
def test_a_part_of_weights_has_texts_for_names(name: Any, tmp_path: Path) -> None:
    """Names of several types cannot be put in an order, which a refusal needs."""
    for number in (1, 2):
        parts = {name: torch.zeros(1), "a": torch.zeros(1), 7: torch.zeros(1)}
        (tmp_path / f"w-0000{number}-of-00002.pt").write_bytes(files.torch_bytes(parts))
    with pytest.raises(
        InputError, match=r"has .* as a name; each file of a model in several files must hold a " r"state_dict$"
    ):
        load(tmp_path / "w-00001-of-00002.pt")
