"""Whatever is in a file: it is read, or refused in one line; nothing runs, nothing is written, nothing takes long."""

import pickle
from collections.abc import Callable, Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nalu_export import InputError, load
from nalu_export.api.artifact import decode_metadata
from nalu_export.checkpoints import _torch_zip, layouts
from nalu_export.checkpoints.building import Surroundings, build_layout
from nalu_export.checkpoints.description import build
from nalu_export.checkpoints.recognise import recognise
from nalu_export.doctor.statistics import artifact_statistics
from tests.checkpoints import files
from tests.checkpoints.files import time_limit
from tests.hostile import mutations, seeds
from tests.hostile.readers import MODELS, READERS, StrayError, read
from tests.hostile.watch import watched

many = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
numbers = st.integers(0, 2**64)


@pytest.fixture(scope="module", autouse=True)
def _warm(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Each reader reads a good file of each kind: what they import late is imported then."""
    path = tmp_path_factory.mktemp("warm") / "file"
    for name, reader in READERS.items():
        for data in seeds.all_files():
            path.write_bytes(data)
            try:
                reader(path)
            except InputError:
                assert name


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the file goes; nothing else is in its folder."""
    return tmp_path_factory.mktemp("files") / "file"


KINDS: dict[str, tuple[Callable[[], Mapping[str, bytes]], mutations.Mutation, tuple[str, ...]]] = {
    "zip": (seeds.torch_files, mutations.mutate_zip, MODELS),
    "zip, byte by byte": (seeds.torch_files, mutations.mutate_bytes, ("load", "inspect")),
    "legacy": (seeds.legacy_files, mutations.mutate_pickle, MODELS),
    "legacy, byte by byte": (seeds.legacy_files, mutations.mutate_bytes, ("load",)),
    "safetensors": (seeds.safetensors_files, mutations.mutate_safetensors, MODELS),
    "torch.export": (seeds.pt2_files, mutations.mutate_zip, ("load",)),
    "evil": (seeds.evil_files, mutations.mutate_zip, ("load", "inspect")),
    "evil, byte by byte": (seeds.evil_files, mutations.mutate_bytes, ("load",)),
    "artifacts": (seeds.artifact_files, mutations.mutate_onnx, ("artifact", "inspect")),
    "fields": (seeds.onnx_files, mutations.mutate_fields, ("artifact", "inspect", "fields")),
    "archives": (seeds.artifact_files, mutations.mutate_zip, ("artifact", "inspect", "load")),
    "inputs": (seeds.input_files, mutations.mutate_zip, ("inputs",)),
    "inputs, byte by byte": (seeds.input_files, mutations.mutate_bytes, ("inputs",)),
}


@pytest.mark.quick(3)
@pytest.mark.parametrize("kind", KINDS)
@many
@given(seed=numbers)
def test_changed_files(kind: str, path: Path, seed: int) -> None:
    make, mutate, names = KINDS[kind]
    rng = Random(seed)
    data = mutate(rng.choice(list(make().values())), rng)
    for name in names:
        with time_limit(5):
            read(data, name, path)


@many
@given(seed=numbers)
def test_random_programs(path: Path, seed: int) -> None:
    """Pickles of random instructions, in files that are right but for them."""
    program = mutations.random_pickle(Random(seed))
    for data in (files.zip_bytes({"archive/data.pkl": program, "archive/data/0": bytes(16)}), program):
        with time_limit(5):
            read(data, "load", path)


@many
@given(
    data=st.binary(max_size=200), start=st.sampled_from([b"", b"PK\x03\x04", b"\x80\x02", b"\x08\x08", b"\x93NUMPY"])
)
def test_any_bytes(path: Path, data: bytes, start: bytes) -> None:
    for name in READERS:
        with time_limit(5):
            read(start + data, name, path)


# Keys as layouts have them, in any mixture: every leaf of every unit, at every place.
LEAVES = sorted({leaf for owner in layouts.names() for unit in layouts.get(owner).units for leaf in unit.keys})
PLACES = sorted(
    {place for owner in layouts.names() for unit in layouts.get(owner).units for place in unit.places}
    | {"conv_model.", "adaptive_module.conv.", "head.model.{}.", "module.", "x."}
)
SHAPES = [(), (1,), (2,), (1, 1), (1, 2), (2, 1), (2, 2), (3, 2), (0, 2), (2, 2, 1), (1, 1, 1, 1)]
keys = st.builds(
    lambda place, number, leaf: place.replace("{}", str(number)) + leaf,
    st.sampled_from(PLACES),
    st.integers(0, 3) | st.sampled_from([10**5, 10**6, 10**30]),
    st.sampled_from(LEAVES) | st.text(max_size=5),
)
tensors = st.builds(
    lambda shape, dtype: torch.ones(shape, dtype=dtype),
    st.sampled_from(SHAPES),
    st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.bool]),
)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(
    state=st.dictionaries(keys, tensors, max_size=8),
    layout=st.none() | st.sampled_from(layouts.names()) | st.text(max_size=8),
    eps=st.none() | st.floats(),
)
def test_any_state(state: dict[str, torch.Tensor], layout: str | None, eps: float | None) -> None:
    with time_limit(5):
        try:
            found = recognise(state, layout, eps)
            build_layout(found.fit, state, eps, Surroundings())
        except InputError as error:
            _one_line(error)


def _one_line(error: InputError) -> None:
    if "\n" in str(error):
        raise StrayError(repr(error))


def _json(leaves: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
        max_leaves=6,
    )


plain = _json(st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6))
types = st.sampled_from(["NAC", "NALU", "NACCell", "NALUCell", "Linear", "Conv2d", "BackboneHead", "LayerNorm", "GELU"])
arguments = st.dictionaries(
    st.sampled_from(
        ["dims", "in_features", "out_features", "eps", "tied", "gate", "stored", "init", "bias", "kernel_size"]
    )
    | st.text(max_size=4),
    plain | st.lists(st.integers(-1, 4), max_size=4) | st.integers(-1, 2**70),
    max_size=4,
)
layer = st.fixed_dictionaries({"type": types | st.text(max_size=4)}, optional={"args": arguments})
descriptions = plain | st.recursive(
    layer,
    lambda inner: st.fixed_dictionaries(
        {"type": st.just("Sequential"), "children": st.dictionaries(st.text(max_size=4), inner, max_size=3)}
    ),
    max_leaves=4,
)


@pytest.mark.slow
@settings(max_examples=600, deadline=None)
@given(descriptions)
def test_any_description(description: Any) -> None:
    with time_limit(5):
        try:
            build(description)
        except InputError as error:
            _one_line(error)


@settings(max_examples=300, deadline=None)
@given(
    rows=st.lists(
        st.fixed_dictionaries(
            {"path": st.sampled_from(["", "a", "\x1b"]), "type": types | st.text(max_size=3)}
        ).flatmap(lambda row: arguments.map(lambda more: more | row)),
        max_size=2,
    ),
    tensors=st.dictionaries(
        st.sampled_from(["W", "W_hat", "M_hat", "G", "a.W", "a.G", "a.W_hat", "a.M_hat"]),
        tensors.map(torch.Tensor.float),
        max_size=4,
    ),
    folded=st.booleans(),
)
def test_any_layer_table(rows: list[dict[str, Any]], tensors: dict[str, torch.Tensor], folded: bool) -> None:
    with time_limit(5):
        try:
            artifact_statistics(rows, {name: value.numpy() for name, value in tensors.items()}, folded=folded)
        except InputError as error:
            _one_line(error)


@settings(max_examples=300, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["nalu_export.layers", "nalu_export.inputs", "nalu_export.parity"]), st.text(), max_size=3
    )
)
def test_any_metadata(texts: dict[str, str]) -> None:
    try:
        decode_metadata(texts)
    except InputError as error:
        _one_line(error)


def test_a_reader_that_runs_code_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The property fails when it should: with a reader that unpickles, the first evil file is found."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(_torch_zip, "read", lambda archive: pickle.loads(bytes(archive.get("data.pkl"))))
    with pytest.raises(StrayError, match=r"^load: .*pickle\.find_class .*os\.system "):
        read(seeds.evil_files()["zip"], "load", tmp_path / "file")
    assert (tmp_path / "executed").exists()


def _leave_a_file(path: Path) -> None:
    """As C++ would do it, which Python does not report."""
    with watched():
        path.with_name("stray").mkdir()


def _say_two_lines(path: Path) -> None:
    raise InputError("one\ntwo")


@pytest.mark.parametrize(
    ("reader", "text"), [(_leave_a_file, "load: left "), (_say_two_lines, r"load: says 'one\\ntwo'")]
)
def test_a_reader_that_strays_is_found(
    reader: Callable[[Path], None], text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(READERS, "load", reader)
    with pytest.raises(StrayError, match=f"^{text}"):
        read(b"", "load", tmp_path / "file")


def test_a_fault_of_a_reader_is_not_taken_for_a_refusal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(READERS, "load", lambda path: [].pop())
    with pytest.raises(IndexError):
        read(b"", "load", tmp_path / "file")


def test_the_good_files_are_good(path: Path) -> None:
    """Nothing is proved with files that every reader refuses at once."""
    said = [read(data, "load into a model", path) for data in seeds.torch_files().values()]
    assert sum(not text or "does not have; check that the file" in text for text in said) > 5
    assert not read(seeds.torch_files()["native"], "load", path)
    assert not read(seeds.pt2_files()["new"], "load", path)
    assert not read(seeds.pt2_files()["old"], "load", path)
    assert not any(read(data, "inspect", path) for data in seeds.artifact_files().values())
    assert not any(
        read(data, "load", path) for name, data in seeds.safetensors_files().items() if name in ("native", "ours")
    )
    path.write_bytes(seeds.legacy_files()["ours"])
    assert load(path)
