"""What is fuzzed: for each kind of file where inputs start from, how they change and what reads them."""

import json
import math
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from torch import nn

from nalu_export import NAC, NALU, build_head
from nalu_export.checkpoints import layouts
from nalu_export.checkpoints.description import build, describe
from tests.checkpoints.files import members_of, zip_bytes
from tests.hostile import mutations, seeds
from tests.hostile.readers import MODELS, READERS

# Bytes of tensors that are made for names and shapes.
LARGEST = 2**16


def _as_is(data: bytes) -> bytes:
    return data


@dataclass(frozen=True)
class Target:
    """One kind of file.

    Attributes:
        runs: how many inputs.
        seeds: gives the first of them.
        mutate: gives another one, well formed where the reader would else stop at once.
        readers: names of those that get each input.
        wrap: makes the file of an input.
        file: its name.
        beside: gives the files beside it, by name.
    """

    runs: int
    seeds: Callable[[], list[bytes]]
    mutate: mutations.Mutation
    readers: tuple[str, ...]
    wrap: Callable[[bytes], bytes] = _as_is
    file: str = "model.pt"
    beside: Callable[[], dict[str, bytes]] = dict


def _pickles() -> list[bytes]:
    """The programs of checkpoints, good and evil."""
    files = [data for data in (*seeds.torch_files().values(), *seeds.evil_files().values()) if data.startswith(b"PK")]
    return [content for data in files for name, content in members_of(data).items() if name.endswith("/data.pkl")]


def _checkpoint_of(program: bytes) -> bytes:
    """A checkpoint with this program and some storages."""
    storages = {f"archive/data/{index}": bytes(16) for index in range(8)}
    return zip_bytes({"archive/data.pkl": program, "archive/byteorder": b"little"} | storages)


def _descriptions() -> list[bytes]:
    models = (NAC(2, 1), NALU(2, 3, 1, gate="row", tied=False))
    linear = {"type": "Linear", "args": {"in_features": 2, "out_features": 2, "bias": False}}
    nested = {"type": "Sequential", "children": {"0": linear, "fc-1": {"type": "Sequential", "children": {}}}}
    return [json.dumps(description).encode() for description in (*map(describe, models), nested)]


def _described(description: bytes) -> bytes:
    """A file of our own with this description, whatever it says, and the weights of a NAC."""
    about = b'{"format": "nalu_export", "version": 1, "model": %s}' % description
    weights = {
        name: {"dtype": "F32", "shape": [1, 2], "data_offsets": [start, start + 8]}
        for name, start in (("layers.0.W_hat", 0), ("layers.0.M_hat", 8))
    }
    header = json.dumps({"__metadata__": {"nalu_export": about.decode("utf-8", "replace")}, **weights}).encode()
    return struct.pack("<Q", len(header)) + header + bytes(16)


_LEAVES = sorted({leaf for owner in layouts.names() for unit in layouts.get(owner).units for leaf in unit.keys})
_PLACES = sorted({place for owner in layouts.names() for unit in layouts.get(owner).units for place in unit.places})
# Of a weight under a norm; mostly none.
_PARTS = (
    *["{}"] * 6,
    "{}_g",
    "{}_v",
    "{}_u",
    "{}_orig",
    "parametrizations.{}.original0",
    "parametrizations.{}.original1",
)
_SHAPES: tuple[list[int], ...] = ([], [1], [2], [1, 1], [1, 2], [2, 1], [2, 2], [0, 2], [1, 1, 1, 1])


def _mutate_state(data: bytes, rng: Random) -> bytes:
    """Names and shapes of tensors: one more, one less, another name, another shape."""
    state = json.loads(data)
    for _ in range(rng.randint(1, 2)):
        name = rng.choice(list(state) or [""])
        kind = rng.randrange(4)
        if kind == 0 and state:
            del state[name]
        elif kind == 1:
            state[name] = rng.choice(_SHAPES)
        else:
            number = rng.choice((0, 0, 0, 1, 2, 10, 10**6))
            place = rng.choice((*_PLACES, "module.", "head.model.{}.", "conv_model.{}.", "adaptive_module.conv."))
            leaf = rng.choice((*_LEAVES, "weight", "bias", *mutations.ODD_TEXTS))
            new = place.replace("{}", str(number)) + rng.choice(_PARTS).replace("{}", leaf)
            state[new] = state.pop(name) if kind == 2 and name in state else rng.choice(_SHAPES)
    return json.dumps(state).encode()


def _state(data: bytes) -> bytes:
    """A safetensors file of zeros under these names, in these shapes."""
    header, end = {}, 0
    for name, shape in json.loads(data).items():
        size = 4
        for length in shape:
            size *= length
        header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    if not 0 <= end <= LARGEST:
        raise ValueError("more zeros than a file of this kind needs")
    encoded = json.dumps(header).encode()
    return struct.pack("<Q", len(encoded)) + encoded + bytes(end)


def _states() -> list[bytes]:
    return [
        json.dumps({name: list(value.shape) for name, value in state.items()}).encode()
        for state in seeds.STATES.values()
    ]


def _images() -> list[bytes]:
    """Descriptions of models that take images, or numbers, through layers whose sizes are free."""
    bodies = (
        nn.Sequential(nn.Conv2d(1, 2, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2, padding=1)),
        nn.Sequential(nn.Conv2d(1, 2, 3, stride=2, dilation=2), nn.BatchNorm2d(2), nn.AvgPool2d(2, padding=1)),
        nn.Sequential(nn.Conv2d(1, 2, 1), nn.AdaptiveAvgPool2d(3)),
    )
    heads = [build_head(body, 2, [2], "regression", 1) for body in bodies]
    return [json.dumps(describe(model)).encode() for model in (*heads, nn.Sequential(nn.Linear(3, 4), NALU(4, 1)))]


# Sizes of layers that their weights do not depend on.
_FREE = re.compile(
    rb'"(?:padding|stride|dilation|output_size|output_padding)": \[?(\d+)(?:, (\d+))?|"kernel_size": (\d+)'
)


def _mutate_sizes(data: bytes, rng: Random) -> bytes:
    """Another size, of any magnitude, in some places."""
    numbers = [span for found in _FREE.finditer(data) for n in (1, 2, 3) if (span := found.span(n)) != (-1, -1)]
    for start, end in sorted(rng.sample(numbers, min(len(numbers), rng.randint(1, 2))), reverse=True):
        size = rng.choice((rng.randrange(6), int(10 ** (9 * rng.random()))))
        data = data[:start] + str(size).encode() + data[end:]
    return data


def _runnable(description: bytes) -> bytes:
    """A file with this description and its weights, all of them ones."""
    model = build(json.loads(description))
    state = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    if sum(math.prod(shape) for shape in state.values()) > LARGEST // 4:
        raise ValueError("more weights than a file of this kind needs")
    about = b'{"format": "nalu_export", "version": 1, "model": %s}' % description
    header, end = {}, 0
    for name, shape in state.items():
        kind, size = ("I64", 8) if name.endswith("num_batches_tracked") else ("F32", 4)
        size *= math.prod(shape)
        header[name] = {"dtype": kind, "shape": shape, "data_offsets": [end, end + size]}
        end += size
    encoded = json.dumps({"__metadata__": {"nalu_export": about.decode()}, **header}).encode()
    return struct.pack("<Q", len(encoded)) + encoded + struct.pack("<f", 0.5) * (end // 4)


_PIECES = (
    *(
        "::",
        ":",
        "#",
        "##[",
        "[",
        "]",
        "\r",
        "\n",
        "\t",
        "\x1b",
        "\x1b]8;;",
        "\x9b",
        "\x07",
        "\u202e",
        "\u200b",
        "\x00",
        " ",
    ),
    *("set-output name=passed", "warning", "stop-commands", "add-mask", "[/x]", "[bold]", "[link=http://e]", "\udc80"),
    *("{task.description}", "%s", "\\", "\u2028", "\u0085", "\u3000", "::error::", "##[error]", "größe", "\U0001f600"),
)


def _texts() -> list[bytes]:
    return [
        b"checking inputs 0.1..1",
        b"::set-output name=passed::true",
        b"##[error]",
        b"\x1b[2J[bold]\xff",
        b"a\r::b::c",
    ]


def _mutate_text(data: bytes, rng: Random) -> bytes:
    """Pieces that mean something to a terminal, rich or the runner, put in or taken out."""
    for _ in range(rng.randint(1, 6)):
        at = rng.randrange(len(data) + 1)
        piece = rng.choice(_PIECES).encode("utf-8", "surrogateescape")
        data = data[:at] + piece + data[at + rng.choice((0, 0, 1, 3)) :]
    return mutations.mutate_bytes(data, rng) if rng.random() < 0.2 else data


def _headers() -> list[bytes]:
    """What is read of a header: its comments, its arrays and the lines before them."""
    (data,) = _values(seeds.artifact_files, "header")()
    comment, _, code = data.partition(b"\n\n")
    read = (b"// weight", b"// constant", b"alignas", b"  0x", b"  -0x")
    return [b"\n".join([comment, b"", *(line for line in code.splitlines() if line.startswith(read))]) + b"\n"]


def _mutate_header(data: bytes, rng: Random) -> bytes:
    """A line more, a line less, other bytes or another value in it."""
    lines = data.splitlines()
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(lines))
        head, separator, value = lines[at].partition(b": ")
        kind = rng.randrange(4)
        if kind == 0 and len(lines) > 1:
            del lines[at]
        elif kind == 1:
            lines.insert(rng.randrange(len(lines)), lines[at])
        elif kind == 2 and separator:
            # A text in a text, as the metadata is.
            inner = mutations.mutate_json_bytes(value.strip(b'"').replace(b'\\"', b'"'), rng)
            lines[at] = head + separator + json.dumps(inner.decode("utf-8", "replace")).encode()
        else:
            lines[at] = mutations.mutate_bytes(lines[at], rng)
    return b"\n".join(lines)


def _values(make: Callable[[], dict[str, bytes]], *names: str) -> Callable[[], list[bytes]]:
    return lambda: [data for name, data in make().items() if not names or name in names]


TARGETS: dict[str, Target] = {
    "programs": Target(55_000, _pickles, mutations.mutate_pickle, ("load",), _checkpoint_of),
    "checkpoints": Target(
        15_000,
        _values(seeds.torch_files),
        mutations.mutate_zip,
        ("load", "inspect", "load into a model", "load by a key"),
    ),
    "legacy": Target(25_000, _values(seeds.legacy_files), mutations.mutate_pickle, ("load", "inspect")),
    "safetensors": Target(15_000, _values(seeds.safetensors_files), mutations.mutate_safetensors, MODELS),
    "indices": Target(
        15_000, _values(seeds.indices), mutations.mutate_json_bytes, ("load", "inspect"), beside=seeds.parts
    ),
    "parts": Target(
        10_000,
        _values(seeds.parts, seeds.SECOND),
        mutations.mutate_safetensors,
        ("load", "inspect"),
        file=seeds.SECOND,
        beside=seeds.parts,
    ),
    "torch.export": Target(10_000, _values(seeds.pt2_files), mutations.mutate_zip, ("load", "inspect")),
    "layouts": Target(3_000, _states, _mutate_state, ("load", "load a layout"), _state),
    "descriptions": Target(40_000, _descriptions, mutations.mutate_json_bytes, ("load",), _described),
    "runs": Target(6_000, _images, _mutate_sizes, ("run",), _runnable),
    "progress line": Target(5_000, _texts, _mutate_text, ("progress line",)),
    "action output": Target(5_000, _texts, _mutate_text, ("action output",)),
    "onnx": Target(
        25_000, _values(seeds.artifact_files, "onnx", "live"), mutations.mutate_onnx, ("artifact", "inspect")
    ),
    "onnx fields": Target(
        5_000,
        _values(seeds.onnx_files),
        mutations.mutate_fields,
        ("artifact", "inspect", "fields"),
    ),
    "torchscript": Target(
        20_000, _values(seeds.artifact_files, "torchscript"), mutations.mutate_zip, ("artifact", "inspect", "load")
    ),
    "headers": Target(20_000, _headers, _mutate_header, ("artifact", "inspect")),
    "inputs": Target(60_000, _values(seeds.input_files), mutations.mutate_zip, ("inputs",)),
    "any bytes": Target(15_000, lambda: list(seeds.all_files()), mutations.mutate_bytes, tuple(READERS)),
}
