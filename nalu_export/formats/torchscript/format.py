"""TorchScript: the inference form, traced, inside the scripted model; loads without this package."""

import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import fx

from nalu_export.errors import InputError, first_line
from nalu_export.formats._surroundings import host_type, replace_module, surroundings
from nalu_export.formats.base import Draft, EmitOptions, Format, TensorSpec
from nalu_export.formats.torchscript.archive import reproducible
from nalu_export.formats.torchscript.loop import scripted_loop
from nalu_export.formats.torchscript.options import TorchScriptOptions
from nalu_export.graph import ModelGraph, Subgraph
from nalu_export.graph.example import narrowed
from nalu_export.graph.folding import inference_form
from nalu_export.graph.loops import Loop
from nalu_export.graph.module import written
from nalu_export.io.archives import Archive, ArchiveError, Flaw, Limits, Member
from nalu_export.io.json_text import NestedError, parse
from nalu_export.io.text import plain
from nalu_export.modules import jit

METADATA = "nalu_export.json"
# torch compresses the code of an archive, which is text, and nothing else.
MAX_UNPACKED, MAX_RATIO = 2**26, 64


@dataclass(frozen=True)
class TorchScriptDraft(Draft):
    """A TorchScript module in memory."""

    module: torch.jit.ScriptModule

    def to_bytes(self, metadata: Mapping[str, str]) -> bytes:
        """The archive with ``metadata`` as the extra file ``nalu_export.json``."""
        text = json.dumps({key: metadata[key] for key in sorted(metadata)}, ensure_ascii=False, indent=1)
        return reproducible(jit.save(self.module, {METADATA: text}))


class TorchScriptFormat(Format[TorchScriptOptions]):
    """A TorchScript archive for ``torch.jit.load`` in Python and C++."""

    name = "torchscript"
    options = TorchScriptOptions
    runtime = "torchscript"

    def emit(self, graph: ModelGraph, options: EmitOptions, own: TorchScriptOptions | None = None) -> Draft:
        """See :meth:`Format.emit`; the batch and, where torch can script the model, the image size are free."""
        del own
        forms = {
            name: written(inference_form(subgraph.module, options.weights, options.compute))
            for name, subgraph in graph.subgraphs.items()
        }
        if graph.whole is not None:
            module = jit.trace(forms[""], tuple(narrowed(graph.example)))
        else:
            outer = _scriptable(surroundings(graph))
            for name, subgraph in graph.subgraphs.items():
                examples = tuple(torch.zeros(spec.shape, dtype=host_type(spec.dtype)) for spec in subgraph.inputs)
                module = jit.trace(forms[name], examples)
                loop = outer.get_submodule(subgraph.place)
                if isinstance(loop, Loop):
                    module = scripted_loop(module, loop.carried, loop.scanned, len(examples), len(subgraph.outputs))
                replace_module(outer, subgraph.place, module)
            module, _ = jit.script_or_trace(outer, tuple(narrowed(graph.example)))
        inputs, outputs = (tuple(map(TensorSpec.of, p)) for p in (graph.interface.inputs, graph.interface.outputs))
        return TorchScriptDraft(inputs, outputs, module)

    def opened(self, data: bytes) -> bytes | None:
        """A zip with compiled code and its constants."""
        names = _member_names(data)
        ours = any(name.endswith("/constants.pkl") for name in names) and any("/code/" in name for name in names)
        return data if ours else None

    def part(self, content: bytes, subgraph: Subgraph, call: int) -> bytes | None:
        """See :meth:`Format.part`: the submodule, which was traced as a whole; loading runs what is in the archive."""
        if call:  # it is one submodule, however often it is called
            return None
        path = f"{subgraph.loop}.body" if subgraph.loop else subgraph.name
        try:
            # Not get_submodule, which a ScriptModule has not.
            return jit.save(functools.reduce(getattr, path.split("."), jit.load(content)), {})
        except (RuntimeError, AttributeError):
            return None

    def read_metadata(self, content: bytes) -> dict[str, str]:
        """The extra file; read from the zip, so that nothing of the archive runs. Every checksum is compared."""
        found = [member for member in _members(content) if member.name.endswith(f"/extra/{METADATA}")]
        if not found:
            return {}
        if found[0].size > len(content):
            # torch stores it without compression: a member larger than the file is a bomb.
            raise InputError(f"its extra file {METADATA} claims to be larger than the archive; export it again")
        try:
            metadata = parse(bytes(found[0].content()))
        except NestedError as error:
            raise InputError(f"its extra file {METADATA} {error}; export it again") from error
        except ValueError as error:
            raise InputError(f"its extra file {METADATA} is damaged; export it again") from error
        if type(metadata) is not dict or not all(type(value) is str for value in metadata.values()):
            raise InputError(f"its extra file {METADATA} is not a JSON object of texts; export it again")
        return metadata

    def read_weights(self, content: bytes, *, trust: bool) -> dict[str, NDArray[np.generic]] | None:
        """The state_dict; an archive gives it only when it is loaded, and that runs what is in it."""
        if not trust:
            return None
        try:
            return {name: value.detach().numpy() for name, value in jit.load(content).state_dict().items()}
        except RuntimeError as error:
            raise InputError(f"torch cannot load it: {first_line(error)}") from error


FORMAT = TorchScriptFormat()


def _scriptable(host: fx.GraphModule) -> fx.GraphModule:
    """The host with calls of ATen as TorchScript spells them; in place.

    It knows operators without their overloads, and sizes by another name than torch.export. A trace instead would
    freeze a size that a tensor is made of.
    """
    for node in host.graph.nodes:
        if isinstance(node.target, torch._ops.OpOverload):
            sized = node.target is torch.ops.aten.sym_size.int
            node.target = torch.ops.aten.size if sized else node.target.overloadpacket
    return written(host)


def _member_names(data: bytes) -> list[str]:
    if not data.startswith(b"PK"):
        return []
    try:
        return Archive(data, Limits(deflated=True)).names
    except ArchiveError:
        return []


def _members(data: bytes) -> list[Member]:
    """Refuse a bomb, and what torch itself loads in silence: a member that does not match its checksum."""
    try:
        archive = Archive(data, Limits(unpacked=MAX_RATIO * len(data) + MAX_UNPACKED, deflated=True))
        members = list(archive.members())
        for member in members:
            member.verify()
    except ArchiveError as error:
        raise InputError(_refused(error, len(data))) from error
    return members


def _refused(error: ArchiveError, size: int) -> str:
    name = plain(error.member)
    if error.flaw is Flaw.SIZE:
        return f"is a TorchScript archive of {size:,} bytes that unpacks to {error.amount:,}; export it again"
    if error.flaw is Flaw.COMPRESSED:
        return f"compresses {name} by a method that torch does not use; export it again"
    if not error.member:
        return f"its extra file {METADATA} is damaged; export it again"
    return f"is damaged: {name} cannot be read, or does not match its checksum; export it again"
