"""nalu_export.api.artifact: metadata there and back, and files told by their content."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from nalu_export import NAC, NALU, InputError, export
from nalu_export.api.artifact import KEYS, TABLES, TEXTS, decode_metadata, encode_metadata, read_artifact
from nalu_export.formats import FormatName


class TestReading:
    @pytest.mark.parametrize(
        "content", [b"", b"text", b"\x08", b"\x08\x07", b"PK\x03\x04", b"PK\x05\x06" + bytes(18), bytes(100)]
    )
    def test_what_is_no_artifact(self, content: bytes, tmp_path: Path) -> None:
        (tmp_path / "f").write_bytes(content)
        with pytest.raises(InputError) as caught:
            read_artifact(tmp_path / "f")
        assert str(caught.value) == f"{tmp_path}/f: is not an exported file; expected cpp, onnx or torchscript"

    @pytest.mark.parametrize("format_name", ["onnx", "torchscript"])
    def test_the_format_is_told_from_the_content(self, format_name: FormatName, tmp_path: Path) -> None:
        made = export(NAC(2, 1), tmp_path / "any.name", format=format_name, check=False)
        read = read_artifact(str(tmp_path / "any.name"))
        assert (read.path, read.format, read.data) == (made.path, format_name, made.data)
        assert read.metadata == json.loads(json.dumps(made.metadata))
        assert (read.report, read.notes) == (None, ())


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
rows = {
    "layers": st.fixed_dictionaries({"path": st.text(), "type": st.text()}, optional={"eps": st.floats(0, 1)}),
    "assumptions": st.fixed_dictionaries({name: st.text() for name in ("what", "value", "why", "option")}),
    "spec": st.fixed_dictionaries(
        {"name": st.text(), "dtype": st.text(), "shape": st.lists(st.text() | st.integers(0, 2**62), max_size=4)}
    ),
}
metadatas = st.fixed_dictionaries(
    {},
    optional={name: st.text() for name in TEXTS}
    | {name: st.lists(rows[name if name in rows else "spec"], max_size=3) for name in TABLES}
    | {"parity": st.dictionaries(st.text(), plain, max_size=3)},
)


@given(metadatas)
def test_metadata_round_trip(metadata: dict[str, Any]) -> None:
    texts = encode_metadata(metadata)
    assert all(isinstance(text, str) for text in texts.values())
    assert decode_metadata(texts) == metadata


@given(
    st.dictionaries(
        st.sampled_from([f"nalu_export.{key}" for key in KEYS]) | st.text(), st.text() | plain.map(json.dumps)
    )
)
def test_hostile_metadata_is_refused_in_one_line_or_fits(texts: dict[str, str]) -> None:
    try:
        metadata = decode_metadata(texts)
    except InputError as error:
        text = str(error)
    else:
        text = ""
        assert metadata.keys() <= set(KEYS)
        assert all(isinstance(metadata.get(name, ""), str) for name in TEXTS)
        assert all(isinstance(row, dict) for name in TABLES for row in metadata.get(name, []))
    assert "\n" not in text


def test_every_key_is_known() -> None:
    assert set(metadatas_example()) == set(KEYS)


def metadatas_example() -> dict[str, Any]:
    spec = [{"name": "input", "dtype": "float32", "shape": ["batch", 2]}]
    return {
        "tool": "nalu_export 1",
        "torch": "2",
        "source_sha256": "00",
        "source_layout": "kevinzakka:NAC",
        "weights": "live",
        "compute": "float32",
        "layers": [{"path": "", "type": "NACCell"}],
        "part": {"path": "head", "fed_by": ["backbone"], "followed_by": []},
        "inputs": spec,
        "outputs": spec,
        "assumptions": [{"what": "eps", "value": "1e-10", "why": "as it is", "option": "--eps 1e-10"}],
        "parity": {"verdict": "passed"},
    }


def test_what_an_export_writes_is_what_is_known(tmp_path: Path) -> None:
    made = export(NALU(2, 3, 1), tmp_path / "m.onnx", check=False)
    assert set(made.metadata) == set(KEYS) - {"source_layout", "assumptions", "part"}
    torch.save({f"model.0.{name}": torch.ones(2, 3) for name in ("W_hat", "M_hat")}, tmp_path / "model.pt")
    made = export(tmp_path / "model.pt", check=False)
    assert set(made.metadata) == set(KEYS) - {"part"}
    assert made.metadata["source_layout"] == "kevinzakka:NAC"


def test_what_a_file_of_a_part_says(tmp_path: Path) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(3, 2), NAC(2, 1), torch.nn.Softmax(dim=1))
    made = export(model, tmp_path / "m.hpp", format="cpp", check=False)
    assert set(made.metadata) == set(KEYS) - {"source_layout", "assumptions"}
    assert made.metadata["part"] == {"path": "1", "fed_by": ["0"], "followed_by": ["2"]}
    assert read_artifact(tmp_path / "m.hpp").metadata == made.metadata


def test_other_keys_are_left_out() -> None:
    assert decode_metadata({"author": "x", "nalu_export.unknown": "{", "tool": "y", "nalu_export.tool": "z"}) == {
        "tool": "z"
    }


NOT_JSON, NOT_OURS = "is not JSON", "is not what an export writes"
NESTED = "nests its values deeper than 200; export it again"


@pytest.mark.parametrize(
    ("key", "text", "problem"),
    [
        ("layers", "", NOT_JSON),
        ("layers", "x", NOT_JSON),
        ("layers", "[", NOT_JSON),
        pytest.param("layers", "[" * 100_000, NESTED, id="nested"),
        pytest.param("inputs", '[{"name":"","dtype":"","shape":[' + "9" * 5000 + "]}]", NOT_JSON, id="endless integer"),
        ("layers", "{}", NOT_OURS),
        ("layers", "3", NOT_OURS),
        ("layers", "[3]", NOT_OURS),
        ("layers", '[{"path": ""}]', NOT_OURS),
        ("layers", '[{"path": "", "type": null}]', NOT_OURS),
        ("inputs", '[{"name": "x", "dtype": "float32"}]', NOT_OURS),
        ("inputs", '[{"name": "x", "dtype": "float32", "shape": 3}]', NOT_OURS),
        ("inputs", '[{"name": "x", "dtype": "float32", "shape": [-1]}]', NOT_OURS),
        ("inputs", '[{"name": "x", "dtype": "float32", "shape": [true]}]', NOT_OURS),
        ("inputs", '[{"name": "x", "dtype": "float32", "shape": [1.5]}]', NOT_OURS),
        ("outputs", '[{"name": 1, "dtype": "float32", "shape": []}]', NOT_OURS),
        ("outputs", "null", NOT_OURS),
        ("part", "[]", NOT_OURS),
        ("part", "{}", NOT_OURS),
        ("part", '{"path": 3}', NOT_OURS),
        ("part", '{"path": "head", "fed_by": "backbone"}', NOT_OURS),
        ("part", '{"path": "head", "followed_by": [1]}', NOT_OURS),
        ("parity", "[]", NOT_OURS),
        ("parity", '"passed"', NOT_OURS),
    ],
)
def test_hostile_metadata(key: str, text: str, problem: str) -> None:
    with pytest.raises(InputError) as caught:
        decode_metadata({f"nalu_export.{key}": text})
    assert str(caught.value) == f"its metadata nalu_export.{key} {problem}"


@pytest.mark.parametrize("texts", [{b"nalu_export.tool": "x"}, {"nalu_export.tool": b"\xff"}])
def test_metadata_that_is_not_text(texts: dict[Any, Any]) -> None:
    """protobuf hands over bytes where a text is not UTF-8."""
    with pytest.raises(InputError, match=r"^its metadata is not text$"):
        decode_metadata(texts)


def test_hostile_metadata_names_the_file(tmp_path: Path) -> None:
    import onnx

    path = tmp_path / "m.onnx"
    proto = onnx.load_from_string(export(NAC(2, 1), path, check=False).data)
    for entry in proto.metadata_props:
        if entry.key == "nalu_export.layers":
            entry.value = "[3]"
    path.write_bytes(proto.SerializeToString())
    with pytest.raises(InputError) as caught:
        read_artifact(path)
    assert str(caught.value) == f"{path}: its metadata nalu_export.layers is not what an export writes"
