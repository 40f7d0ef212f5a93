"""Says what kind of file is given instead of a model file, by its first bytes."""

import re

_TELL = "expected a model.pt"
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the file itself; run git lfs pull"),
    (b"\x1f\x8b", f"is a gzip file; unpack it first, {_TELL}"),
    (b"BZh", f"is a bzip2 file; unpack it first, {_TELL}"),
    (b"\xfd7zXZ\0", f"is an xz file; unpack it first, {_TELL}"),
    (b"\x28\xb5\x2f\xfd", f"is a Zstandard file; unpack it first, {_TELL}"),
    (b"7z\xbc\xaf\x27\x1c", f"is a 7-Zip file; unpack it first, {_TELL}"),
    (b"Rar!", f"is a RAR file; unpack it first, {_TELL}"),
    (b"\x89HDF", f"is an HDF5 file (Keras?); {_TELL}"),
    (b"\x93NUMPY", f"is a NumPy array; {_TELL}"),
    (b"GGUF", f"is a GGUF file; {_TELL}"),
    (b"\x89PNG", f"is a PNG image; {_TELL}"),
    (b"\xff\xd8\xff", f"is a JPEG image; {_TELL}"),
    (b"%PDF", f"is a PDF file; {_TELL}"),
    (b"\x7fELF", f"is a program; {_TELL}"),
)
_HTML = re.compile(
    rb"(\xef\xbb\xbf)?\s*(<!--.{0,200}?-->\s*)?<(!doctype\s+html|html|head|body)\b", re.IGNORECASE | re.DOTALL
)
_XML = re.compile(rb"(\xef\xbb\xbf)?\s*<\?xml\b")
_JSON = re.compile(rb'(\xef\xbb\xbf)?\s*(\{\s*("|\})|\[\s*["\[{\d\-\]])')
# The first field of an ONNX model is its version, a small number; the next ones are texts: producer, version, domain.
_ONNX = re.compile(rb"\x08[\x01-\x20](\x12|\x1a|\x22|\x3a|\x42)")
_OLD_TAR = (b"sys_info", b"pickle", b"storages", b"tensors")


def refusal(data: bytes) -> str:
    """Return the text that says what the file is and what was expected instead."""
    if not data:
        return "is empty; expected a model.pt"
    start = data[:1000]
    for beginning, text in _BEGINNINGS:
        if start.startswith(beginning):
            return text
    if data[257:262] == b"ustar":
        if start[:100].rstrip(b"\0") in _OLD_TAR:
            return (
                "is a tar file of torch 0.1; if you made it yourself, load it with torch.load(path, "
                "weights_only=False), which runs code in it, and save its state_dict"
            )
        return f"is a tar file; unpack it first, {_TELL}"
    if _HTML.match(start):
        return f"is an HTML page, perhaps the error page of a failed download; {_TELL}"
    if _XML.match(start):
        return f"is an XML file; {_TELL}"
    if _JSON.match(start):
        return f"is a JSON file; {_TELL}"
    if _ONNX.match(start):
        return f"is an ONNX model, not a checkpoint; {_TELL}"
    return f"is not a file of torch.save; {_TELL}"
