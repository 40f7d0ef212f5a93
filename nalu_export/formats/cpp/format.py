"""C++: the arithmetic part as one self-contained C++17 header, its weights as hexadecimal literals."""

import hashlib
import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from torch import fx

from nalu_export.errors import InputError, option
from nalu_export.formats.base import Draft, EmitOptions, Format, TensorSpec
from nalu_export.formats.cpp.arrays import arrays
from nalu_export.formats.cpp.header import FORMULAS, METADATA, Header, about, code
from nalu_export.formats.cpp.options import CppOptions
from nalu_export.formats.cpp.planner import plan
from nalu_export.formats.cpp.pointers import read_listed
from nalu_export.formats.cpp.text import in_comment, in_string
from nalu_export.formats.cpp.types import refuse_rounding, type_of
from nalu_export.graph import ModelGraph, well_conditioned
from nalu_export.graph.folding import Compute, inference_form
from nalu_export.graph.interface import BATCH
from nalu_export.io.json_text import parse
from nalu_export.io.text import plain

SIGNATURE = "// nalu_export header 1"
PREFIX = "nalu_export."
# What a program can ask the struct for.
CONSTANTS = ("tool", "source_sha256", "compute")
_STRUCT = re.compile(rb"// ([A-Za-z0-9_]+(?:::[A-Za-z0-9_]+)*): ")


@dataclass(frozen=True)
class CppDraft(Draft):
    """A header in memory, without its metadata and hash."""

    header: Header

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """The header; ASCII, so that it does not matter what a compiler takes a source's encoding for."""
        lines = [f"//   {key}: {in_comment(metadata[key])}" for key in sorted(metadata)]
        body = code(self.header)
        for name in CONSTANTS:
            body = body.replace(f"@{name}@", in_string(metadata.get(PREFIX + name, "")))
        text = "\n".join([SIGNATURE, about(self.header), *lines, "", body])
        # Two models that were given the same names differ in every symbol that is linked.
        digest = hashlib.sha256(text.encode("ascii")).hexdigest()[:16]
        return text.replace("@hash@", digest).encode("ascii")


class CppFormat(Format[CppOptions]):
    """One header for C++17 and later with folded weights; no dependency but the standard library."""

    name = "cpp"
    options = CppOptions
    runtime = "cpp"
    weights = ("folded",)
    fixed = "a C++ header has a fixed size for each axis"

    def scope(self, graph: ModelGraph, part: str | None) -> str:
        """See :meth:`Format.scope`: the arithmetic subgraph, or one of several."""
        if part is not None:
            return graph.subgraph(part).name
        names = list(graph.subgraphs)
        if len(names) > 1:
            raise InputError(
                f"the model has {len(names)} arithmetic subgraphs, {', '.join(map(plain, names))}, and a C++ header "
                f"holds one; say which with {option('part', 'PATH')}"
            )
        return names[0]

    def emit(self, graph: ModelGraph, options: EmitOptions, own: CppOptions | None = None) -> Draft:
        """See :meth:`Format.emit`; ``graph`` is the arithmetic subgraph."""
        if options.weights == "live":
            live = option("weights", "live")
            raise InputError(f"a C++ header holds effective weights only; use {live} with onnx or torchscript")
        assert graph.whole is not None
        inputs, outputs = _tensors(graph)
        form = well_conditioned(inference_form(graph.whole.module, "folded", options.compute))
        return CppDraft(inputs, outputs, header_of(form, own or CppOptions(), options.compute, inputs, outputs))

    def opened(self, data: bytes) -> bytes | None:
        """A header of ours says so in its first line."""
        return data if data.startswith(SIGNATURE.encode()) else None

    def read_metadata(self, content: bytes) -> dict[str, str]:
        """From the end of the comment at the top."""
        metadata: dict[str, str] = {}
        for line in itertools.islice(itertools.dropwhile(lambda line: line != METADATA, _comment(content)), 1, None):
            key, _, value = line.removeprefix("//   ").partition(": ")
            try:
                metadata[key] = parse(value)
            except ValueError as error:
                raise InputError(f"its metadata {plain(key)} is damaged; export it again") from error
        return metadata

    def signature(self, content: bytes) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]] | None:
        """From the comment at the top, which lists them where they are more than one vector each of floats."""
        lines = itertools.takewhile(lambda line: line != FORMULAS, _comment(content))
        try:
            found = read_listed(lines)
        except ValueError as error:
            raise InputError("its list of inputs and outputs is damaged; export it again") from error
        return found if all(found) else None

    def read_weights(self, content: bytes, *, trust: bool) -> dict[str, NDArray[np.generic]]:
        """The arrays; nothing is compiled for that."""
        del trust
        return arrays(content)


FORMAT = CppFormat()


def _tensors(graph: ModelGraph) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """What the subgraph takes and gives: of one size, and a constant once for each sample."""
    ports = graph.with_fixed(graph.interface.free).interface
    inputs, outputs = (tuple(map(TensorSpec.of, each)) for each in (ports.inputs, ports.outputs))
    return inputs, tuple(
        spec if port.batched else replace(spec, shape=(BATCH, *spec.shape))
        for port, spec in zip(ports.outputs, outputs, strict=True)
    )


def header_of(
    form: fx.GraphModule,
    own: CppOptions,
    compute: Compute,
    inputs: tuple[TensorSpec, ...],
    outputs: tuple[TensorSpec, ...],
) -> Header:
    """The header of an inference form.

    Args:
        form: well-conditioned; its inputs are told in the formulas what they are called.
        own: names of namespace and struct, and whether there are functions for C.
        compute: the type that computes.
        inputs: of the form, in order; the first axis is that of the samples.
        outputs: the same.

    Raises:
        UnsupportedLayerError: see :func:`plan`; or a header does not give what has that type.
    """
    for spec in outputs:
        type_of(spec.dtype, spec.name)
    shapes = [tuple(int(size) for size in spec.shape[1:]) for spec in inputs]
    found = plan(form, shapes, [spec.dtype for spec in inputs], [spec.name for spec in inputs])
    for spec, value in zip(outputs, found.outputs, strict=True):
        refuse_rounding(spec.dtype, spec.name, compute, passed=value in found.inputs)
    header = Header(found, own.names, compute, own.extern_c, inputs, outputs)
    if len(header.pointers) > 2:
        for value, pointer in zip(found.inputs, header.pointers, strict=False):
            value.node.meta["called"] = pointer.name
    return header


def struct_of(data: bytes) -> str:
    """``nalu::Model`` of a header.

    Raises:
        InputError: its second line does not say.
    """
    match = _STRUCT.match(data, len(SIGNATURE) + 1)
    if match is None:
        reason = "its second line does not name its struct; export it again"
        raise InputError(f"cpp refuses the file: {reason}")
    return match[1].decode()


def _comment(data: bytes) -> Iterator[str]:
    """The lines up to the first that is none of the comment."""
    start = 0
    while data.startswith(b"//", start):
        end = data.find(b"\n", start)
        end = len(data) if end < 0 else end
        yield data[start:end].decode("ascii", "replace")
        start = end + 1
