"""What is no model file at all is named."""

import gzip
import io
import tarfile

import onnx
import pytest

from nalu_export import NAC, export
from tests.checkpoints import files
from tests.checkpoints.programs import refused

EXPECTED = "expected a model.pt"
NOT_TORCH = f"is not a file of torch.save; {EXPECTED}"
HTML = f"is an HTML page, perhaps the error page of a failed download; {EXPECTED}"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a2\nsize 12345\n"


def tar(*names: str) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in names:
            archive.addfile(tarfile.TarInfo(name))
    return buffer.getvalue()


def onnx_bytes(**options: str) -> bytes:
    model = onnx.helper.make_model(onnx.helper.make_graph([], "g", [], []), **options)
    data: bytes = model.SerializeToString()
    return data


OLD_TAR = (
    "is a tar file of torch 0.1; if you made it yourself, load it with torch.load(path, weights_only=False), "
    "which runs code in it, and save its state_dict"
)

FOREIGN: dict[str, tuple[bytes, str]] = {
    "empty": (b"", f"is empty; {EXPECTED}"),
    "one byte": (b"\x00", NOT_TORCH),
    "P": (b"P", NOT_TORCH),
    "text": (b"W_hat: 1.0\nM_hat: 2.0\n", NOT_TORCH),
    "zeros": (bytes(1000), NOT_TORCH),
    "Git LFS": (POINTER, "is a Git LFS pointer, not the file itself; run git lfs pull"),
    "HTML": (b"<!DOCTYPE html>\n<html>", HTML),
    "html": (b"\xef\xbb\xbf \n<html lang=en>", HTML),
    "HTML behind a comment": (b"<!-- 404 -->\n<HTML>", HTML),
    "XML": (b'<?xml version="1.0"?><Error/>', f"is an XML file; {EXPECTED}"),
    "JSON": (b'{"error": "not found"}', f"is a JSON file; {EXPECTED}"),
    "JSON list": (b"[1, 2]", f"is a JSON file; {EXPECTED}"),
    "gzip": (gzip.compress(b"x"), f"is a gzip file; unpack it first, {EXPECTED}"),
    "bzip2": (b"BZh91AY", f"is a bzip2 file; unpack it first, {EXPECTED}"),
    "xz": (b"\xfd7zXZ\0\0", f"is an xz file; unpack it first, {EXPECTED}"),
    "Zstandard": (b"\x28\xb5\x2f\xfd\0", f"is a Zstandard file; unpack it first, {EXPECTED}"),
    "7-Zip": (b"7z\xbc\xaf\x27\x1c", f"is a 7-Zip file; unpack it first, {EXPECTED}"),
    "RAR": (b"Rar!\x1a\x07", f"is a RAR file; unpack it first, {EXPECTED}"),
    "tar": (tar("model.pt"), f"is a tar file; unpack it first, {EXPECTED}"),
    "torch 0.1": (tar("sys_info", "pickle", "storages", "tensors"), OLD_TAR),
    "torch 0.1, other order": (tar("storages", "tensors", "pickle"), OLD_TAR),
    "HDF5": (b"\x89HDF\r\n\x1a\n", f"is an HDF5 file (Keras?); {EXPECTED}"),
    "NumPy": (b"\x93NUMPY\x01\x00", f"is a NumPy array; {EXPECTED}"),
    "GGUF": (b"GGUF\x03\0\0\0", f"is a GGUF file; {EXPECTED}"),
    "PNG": (b"\x89PNG\r\n\x1a\n", f"is a PNG image; {EXPECTED}"),
    "JPEG": (b"\xff\xd8\xff\xe0", f"is a JPEG image; {EXPECTED}"),
    "PDF": (b"%PDF-1.7", f"is a PDF file; {EXPECTED}"),
    "program": (b"\x7fELF\x02", f"is a program; {EXPECTED}"),
    "ONNX": (onnx_bytes(), f"is an ONNX model, not a checkpoint; {EXPECTED}"),
    "ONNX with a producer": (onnx_bytes(producer_name="x"), f"is an ONNX model, not a checkpoint; {EXPECTED}"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_it_is_named(case: str) -> None:
    data, expected = FOREIGN[case]
    assert refused(data) == expected


def test_our_own_artifact(tmp_path: object) -> None:
    from pathlib import Path

    path = Path(str(tmp_path)) / "model.onnx"
    export(NAC(2, 1), path)
    assert refused(path.read_bytes()) == f"is an ONNX model, not a checkpoint; {EXPECTED}"


def test_no_model_file_begins_like_one_of_them() -> None:
    """They are told from each other in this order: safetensors, zip, pickle, then these."""
    for data in (
        files.torch_bytes({}),
        files.torch_bytes({}, legacy=True),
        files.torch_bytes({}, legacy=True, protocol=1),
    ):
        assert not any(data.startswith(foreign[:4]) for foreign, _ in FOREIGN.values() if len(foreign) > 3)
