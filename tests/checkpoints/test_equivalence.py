"""What is read is what torch.load(weights_only=True) reads, bit for bit, over files that torch.save wrote."""

import collections
import io
import warnings
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from nalu_export.checkpoints.container import Inert, unpack
from tests.checkpoints import files

DTYPES = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.complex64, torch.complex128, torch.int64,
    torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool,
]  # fmt: skip
UNTYPED = [torch.uint16, torch.uint32, torch.uint64, torch.complex32]  # torch saves their storages as bytes

VIEWS: dict[str, Callable[[Tensor], Tensor]] = {
    "all": lambda base: base,
    "transposed": lambda base: base.T,
    "every second": lambda base: base[::2],
    "last": lambda base: base[-1],
    "one": lambda base: base.reshape(-1)[1],
    "none": lambda base: base[:0],
    "column": lambda base: base[:, 1],
    "expanded": lambda base: base[:, :1].expand(-1, 7),
    "inner": lambda base: base[1:, 1:],
    "parameter": lambda base: nn.Parameter(base, requires_grad=False),
    "apart": lambda base: base.clone(),
}


def base(dtype: torch.dtype) -> Tensor:
    """3 × 4 elements of any bits that the type has."""
    if dtype is torch.bool:
        return torch.randint(0, 2, (3, 4)).bool()
    return torch.randint(0, 256, (3, 4 * dtype.itemsize), dtype=torch.uint8).view(dtype)


def plain(value: Any) -> Any:
    """What this package gives for what torch.load gives."""
    if isinstance(value, dict):
        return {plain_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return (list if isinstance(value, list) else tuple)(plain(item) for item in value)
    if isinstance(value, bytearray):
        return bytes(value)
    if isinstance(value, (set, complex, torch.dtype, torch.device)):
        return Inert
    return value


def plain_key(key: Any) -> Any:
    return key if isinstance(key, (str, int, float, bool, bytes, type(None))) else Inert


def assert_same(found: Any, expected: Any, place: str = "") -> None:
    if expected is Inert:
        assert isinstance(found, Inert), place
    elif isinstance(expected, Tensor):
        assert type(found) is Tensor, place
        assert (found.dtype, found.shape, found.stride()) == (expected.dtype, expected.shape, expected.stride()), place
        assert found.storage_offset() == expected.storage_offset(), place
        assert not found.requires_grad, place
        assert bits(found) == bits(expected), place
        assert found.untyped_storage().nbytes() == expected.untyped_storage().nbytes(), place
    elif isinstance(expected, dict):
        assert type(found) is dict, place
        assert list(map(repr, found)) == list(map(repr, expected)), place
        for (key, item), other in zip(found.items(), expected.values(), strict=True):
            assert_same(item, other, f"{place}[{key!r}]")
    elif isinstance(expected, (list, tuple)):
        assert type(found) is type(expected), place
        assert len(found) == len(expected), place
        for index, (item, other) in enumerate(zip(found, expected, strict=True)):
            assert_same(item, other, f"{place}[{index}]")
    else:
        assert type(found) is type(expected), place
        assert repr(found) == repr(expected), place  # NaN is itself


def bits(tensor: Tensor) -> bytes:
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()


def storages(value: Any) -> list[int]:
    """The storage of each tensor, numbered in the order of their first appearance."""
    numbers: dict[int, int] = {}
    return [numbers.setdefault(tensor.untyped_storage().data_ptr(), len(numbers)) for tensor in tensors(value)]


def tensors(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value] if value.numel() else []
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, (list, tuple)) else ()
    return [tensor for item in inner for tensor in tensors(item)]


def assert_equivalent(data: bytes, *, weights_only: bool = True) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # TypedStorage is deprecated, and the legacy reader uses it
        expected = plain(torch.load(io.BytesIO(data), map_location="cpu", weights_only=weights_only))
    found = unpack(data).payload
    assert_same(found, expected)
    assert storages(found) == storages(expected)
    return found


leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=8),
    st.tuples(st.sampled_from(range(4)), st.sampled_from(sorted(VIEWS))),  # becomes a view of a shared tensor
)
keys = st.text(max_size=6) | st.integers(-(2**40), 2**40)


def containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    items = st.lists(st.tuples(keys, inner), max_size=4)
    return (
        st.lists(inner, max_size=4)
        | st.dictionaries(keys, inner, max_size=5)
        | items.map(collections.OrderedDict)
        | items.map(lambda pairs: collections.defaultdict(dict, pairs))
        | st.lists(inner, max_size=3).map(lambda entries: ("a tuple", *entries))
    )


payloads = st.recursive(leaves, containers, max_leaves=25)


def with_tensors(value: Any, bases: list[Tensor]) -> Any:
    if isinstance(value, tuple) and len(value) == 2 and type(value[0]) is int:
        return VIEWS[value[1]](bases[value[0]])
    if isinstance(value, dict):
        filled = [(key, with_tensors(item, bases)) for key, item in value.items()]
        is_default = isinstance(value, collections.defaultdict)
        return collections.defaultdict(dict, filled) if is_default else type(value)(filled)
    if isinstance(value, (list, tuple)):
        return type(value)(with_tensors(item, bases) for item in value)
    return value


@settings(max_examples=150, deadline=None)
@given(
    value=payloads,
    dtypes=st.lists(st.sampled_from(DTYPES), min_size=4, max_size=4),
    protocol=st.integers(1, 5),
    legacy=st.booleans(),
    seed=st.integers(0, 2**31),
)
def test_any_payload(value: Any, dtypes: list[torch.dtype], protocol: int, legacy: bool, seed: int) -> None:
    torch.manual_seed(seed)
    payload = with_tensors(value, [base(dtype) for dtype in dtypes])
    data = files.torch_bytes(payload, legacy=legacy, protocol=protocol)
    # torch's own machine knows protocol 2 only, and no defaultdict: the others are compared with Python's.
    assert_equivalent(data, weights_only=protocol == 2 and b"defaultdict" not in data)


@pytest.mark.quick(200)
@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype_and_view(dtype: torch.dtype, view: str, legacy: bool) -> None:
    shared = base(dtype)
    assert_equivalent(files.torch_bytes({"base": shared, "view": VIEWS[view](shared)}, legacy=legacy))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("dtype", UNTYPED, ids=str)
def test_types_that_are_saved_as_bytes(dtype: torch.dtype, view: str) -> None:
    shared = base(dtype)
    assert_equivalent(files.torch_bytes({"base": shared, "view": VIEWS[view](shared)}))


@pytest.mark.parametrize("dtype", UNTYPED, ids=str)
def test_types_that_torch_does_not_read_back_from_legacy_files(dtype: torch.dtype) -> None:
    value = base(dtype)
    data = files.torch_bytes({"value": value}, legacy=True)
    assert_same(unpack(data).payload, {"value": value})


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("shape", [(), (0,), (1,), (0, 3), (3, 0, 2), (1, 1, 1), (2, 3, 4, 5)])
def test_every_shape(shape: tuple[int, ...], legacy: bool) -> None:
    assert_equivalent(files.torch_bytes({"value": torch.randn(shape)}, legacy=legacy))


@pytest.mark.parametrize("legacy", [False, True])
def test_training_state(legacy: bool) -> None:
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2), nn.Linear(2, 1))
    optimizer = torch.optim.Adam(model.parameters(), lr=0.1)
    model(torch.randn(2, 1, 5, 5).new_zeros(2, 1, 5, 4)).sum().backward()
    optimizer.step()
    payload = {
        "epoch": 3,
        "model_state_dict": model.state_dict(),
        "optimizer_state_dict": optimizer.state_dict(),
        "scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [1, 1, 2]).state_dict(),
        "torch_rng_state": torch.get_rng_state(),
        "parameter": model[2].weight,
        "dtype": torch.float32,
        "device": torch.device("cuda:1"),
        "size": torch.Size([1, 2]),
        "set": {1, 2},
        "complex": 1 + 2j,
        "bytes": b"ab\xff",
        "bytearray": bytearray(b"cd"),
    }
    found = assert_equivalent(files.torch_bytes(payload, legacy=legacy))
    assert found["optimizer_state_dict"]["param_groups"][0]["lr"] == 0.1


@pytest.mark.parametrize("location", ["cuda:0", "cuda:7", "mps", "xpu:0", "hpu", "privateuseone:0", "nowhere"])
@pytest.mark.parametrize("legacy", [False, True])
def test_where_the_tensors_were_does_not_matter(location: str, legacy: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    state = files.nac_state()
    monkeypatch.setattr(torch.serialization, "location_tag", lambda storage: location)
    data = files.torch_bytes(state, legacy=legacy)
    assert location.encode() in data
    assert_same(unpack(data).payload, state)


@pytest.mark.parametrize("dtype", DTYPES + UNTYPED, ids=str)
def test_big_endian(dtype: torch.dtype) -> None:
    value = base(dtype)
    swapped = files.big_endian(files.torch_bytes({"value": value, "view": value.T}), dtype)
    found = unpack(swapped).payload
    assert_same(found, {"value": value, "view": value.T})
    if dtype not in UNTYPED:
        # torch itself does not swap what it saved as bytes.
        assert_equivalent(swapped)
        assert dtype.itemsize == 1 or b"big" in swapped


def test_a_legacy_file_of_a_big_endian_machine() -> None:
    """torch writes their bytes in little-endian order there, too, and reads them so."""
    state = files.nac_state()
    data = files.torch_bytes(state, legacy=True)
    flag = data.index(b"little_endian") + len(b"little_endian") + 2  # behind BINPUT
    assert data[flag : flag + 1] == b"\x88"
    changed = data[:flag] + b"\x89" + data[flag + 1 :]
    assert_equivalent(changed)
    assert_same(unpack(changed).payload, state)


def test_the_tensors_may_be_written_to() -> None:
    state = unpack(files.torch_bytes(files.nac_state())).payload
    for value in state.values():
        value.zero_()
    assert all(not value.any() for value in state.values())
