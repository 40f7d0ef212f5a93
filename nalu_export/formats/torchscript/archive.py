"""Make a TorchScript archive reproducible: the bytes depend on the model, not on the exporting process or folder."""

import io
import pickletools
import re

import torch

# Records that are left out: Python source positions with local paths, the traced example, and a hash of everything.
# torch loads an archive without them. The writer adds version, byteorder and the hash again.
_VOLATILE = re.compile(r"\.debug_pkl$|^traced_inputs|^\.data/serialization_id$|^version$|^byteorder$")
_QUALIFIED = re.compile(r"__torch__(?:\.[A-Za-z_]\w*)+")
_GLOBAL = re.compile(rb"c(__torch__[\w.]*)\n(\w+)\n")
_DEFINITION = re.compile(r"^(?:class|def) (\w+)", re.MULTILINE)
_CONSTANTS = re.compile(r"(?:^  \w+ : Final\[.*\n)+", re.MULTILINE)
_CODE = "code/"


def reproducible(archive: bytes) -> bytes:
    """Return the same archive with its classes numbered in the order in which the model reaches them.

    torch counts classes of the same name (``___torch_mangle_7``) for as long as a process lives and gives the first one
    no number. Exporting one model twice would therefore give two different files. Here every class gets its own code
    file and a number.
    """
    reader = torch._C.PyTorchFileReader(io.BytesIO(archive))
    records = {name: reader.get_record(name) for name in reader.get_all_records() if not _VOLATILE.search(name)}
    code = {name: content.decode() for name, content in records.items() if name.startswith(_CODE)}
    definitions = {key: text for name, source in code.items() for key, text in _definitions(name, source).items()}
    numbers = _reachable(records["data.pkl"], definitions)

    buffer = io.BytesIO()
    writer = torch._C.PyTorchFileWriter(buffer)
    for name, content in records.items():
        if name in code:
            continue
        if name.endswith(".pkl"):
            content = _rename_pickle(content, numbers)
        writer.write_record(name, content, len(content))
    for key in numbers:
        path = _CODE + _renamed(key, numbers).rpartition(".")[0].replace(".", "/") + ".py"
        text = _QUALIFIED.sub(lambda match: _renamed(match[0], numbers), definitions[key]).encode()
        writer.write_record(path, text, len(text))
    writer.write_end_of_file()
    return buffer.getvalue()


def _definitions(path: str, source: str) -> dict[str, str]:
    """Return the source of each top-level class and function of one code file, by qualified name."""
    qualifier = path.removeprefix(_CODE).removesuffix(".py").replace("/", ".")
    starts = [match.start() for match in _DEFINITION.finditer(source)]
    parts = [source[start:end] for start, end in zip(starts, [*starts[1:], len(source)], strict=True)]
    return {f"{qualifier}.{_DEFINITION.match(part)[1]}": _sorted_constants(part) for part in parts}  # type: ignore[index]


def _sorted_constants(definition: str) -> str:
    """Sort the constants of a class: torch keeps their names in a set, whose order changes with each run."""
    return _CONSTANTS.sub(lambda match: "".join(sorted(match[0].splitlines(keepends=True))), definition)


def _reachable(pickle: bytes, definitions: dict[str, str]) -> dict[str, int]:
    """Number every definition that the module's pickle reaches, depth first."""
    numbers: dict[str, int] = {}
    waiting = [f"{match[1].decode()}.{match[2].decode()}" for match in _GLOBAL.finditer(pickle)][::-1]
    while waiting:
        key = waiting.pop()
        if key in definitions and key not in numbers:
            numbers[key] = len(numbers)
            waiting += _QUALIFIED.findall(definitions[key])[::-1]
    return numbers


def _renamed(key: str, numbers: dict[str, int]) -> str:
    if key not in numbers:
        return key
    qualifier, _, name = key.rpartition(".")
    base = re.sub(r"\.___torch_mangle_\d+", "", qualifier)
    return f"{base}.___torch_mangle_{numbers[key]}.{name}"


def _rename_pickle(content: bytes, numbers: dict[str, int]) -> bytes:
    """Rename the classes in a pickle: a GLOBAL opcode ends at a line feed, so a name may change its length."""
    found = [
        argument.replace(" ", ".")
        for opcode, argument, _ in pickletools.genops(content)
        if opcode.name == "GLOBAL" and isinstance(argument, str)
    ]

    def rename(match: re.Match[bytes]) -> bytes:
        key = f"{match[1].decode()}.{match[2].decode()}"
        qualifier, _, name = (_renamed(key, numbers) if key in found else key).rpartition(".")
        return f"c{qualifier}\n{name}\n".encode()

    return _GLOBAL.sub(rename, content)
