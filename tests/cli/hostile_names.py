"""Files, folders, code and options with names that a terminal would obey, and commands that print them."""

import importlib.util
import json
from pathlib import Path
from typing import Any

import click
import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from torch import nn

from nalu_export import NAC, NALU, export, save
from nalu_export.api.artifact import decode_metadata, encode_metadata
from nalu_export.cli.main import main
from nalu_export.formats import get
from tests.checkpoints import files
from tests.hostile.exports import exported

# A cleared screen, a title, C1 sequences, DEL, bidirectional marks, overrides and isolates, what has no width, lines of
# every kind, and markup of rich. "/", "." and NUL cannot be in every name.
NAME = (
    "n\x1b[2J\x1b]0;t\x07\x9b2J\x90\x7f\u202e\u2066\u200f\u061c\u200b\u2060\ufeff\u3164\ufe0f\U000e0041\u2028\u2029\x85\r\n"
    "\t\x0b[bold][link=x]:x:\\"
)
# With a closing tag and a link of a terminal (OSC 8).
EVIL = f"{NAME}[/x][/]\x1b]8;;http://e\x07"

CODE = f"""
import warnings
from torch import nn
from nalu_export import NAC, NALUCell
EVIL, NAME = {EVIL!r}, {NAME!r}

class Base(nn.Module):
    error = ValueError
    def __init__(self):
        super().__init__()
        self.cell = NAC(2, 1)
    def forward(self, x):
        raise self.error(EVIL)

class Ends(Base):
    error = SystemExit

class Warns(Base):
    def forward(self, x):
        warnings.warn(EVIL)
        return self.cell(x)

class Named(Base):
    def __init__(self):
        super().__init__()
        self.add_module(NAME, NALUCell(1, 1))
    def forward(self, x):
        return getattr(self, NAME)(self.cell(x))
Named.__name__ = Named.__qualname__ = EVIL

class Parts(Base):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(1, 1, 1)
        self.add_module(NAME, NALUCell(2, 1))
    def forward(self, x):
        return getattr(self, NAME)(self.first(x[:, None])[:, 0])

class Long(Base):
    def __init__(self):
        super().__init__()
        self.add_module(NAME, nn.Sequential(*[NALUCell(2, 2) for _ in range(4)]))
    def forward(self, x):
        return getattr(self, NAME)(x)

class Outputs(Base):
    def forward(self, x):
        return {{EVIL: self.cell(x), "y": self.cell(x) * 2}}

class Unknown(Base):
    def forward(self, x):
        return self.cell(x).cumsum(1)
Unknown.__name__ = EVIL

def build(): raise ValueError(EVIL)
def ends(): raise SystemExit(EVIL)
def needs(x=EVIL, *, other): pass
def gives(): return type(EVIL, (), {{}})()
"""
CLASSES = ("Base", "Ends", "Warns", "Named", "Parts", "Long", "Outputs", "Unknown")
FUNCTIONS = ("build", "ends", "needs", "gives", EVIL)
FEW = ("--samples", "2", "--search", "0")
# Of a model with a part whose name is such a name.
PARTS = ("check", "Parts.pt", f"{NAME}.onnx", *FEW, "--model", "net.py:Parts")
# A sweep of one file that passes and one that is refused; the second takes the results of the first.
SWEEP = ("sweep", f"{NAME}.pt", "keys.pt", "assumed.pt", "-o", f"swept{NAME}", "--jobs", "1", "--samples", "2")
SWEEPS = (SWEEP, (*SWEEP, "-q"), (*SWEEP, "--json"))
# What a command needs besides a model, of those that write JSON beside their text.
DONE: dict[str, tuple[str, ...]] = {
    "doctor": (),
    "inspect": (),
    "convert": ("-o", f"out{NAME}.pt"),
    "golden": ("-o", f"out{NAME}.npz", "--samples", "1"),
    "export": ("-f", "onnx", "-o", f"out{NAME}.onnx", "--samples", "2", "-v"),
}
# A verb, what stands before a name, and which of the quiet and the JSON output it has.
VERBS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "export": (("-f", "onnx", "-o", f"out{NAME}.onnx", "--no-check"), ("-q", "--json")),
    "check": ((*FEW, "--runtime", "torch"), ("-q", "--json=-")),
    "inspect": ((), ("--json",)),
    "doctor": ((), ("-q", "--json")),
    "convert": (("-o", f"out{NAME}.pt"), ("-q", "--json")),
    "golden": (("-o", f"out{NAME}.npz", "--samples", "1"), ("-q", "--json")),
}


def write() -> None:
    """All files, into the working directory."""
    torch.manual_seed(0)
    for path in (f"{NAME}.pt", "[/x].pt", f"[/x]{NAME}/a.pt"):
        Path(path).parent.mkdir(exist_ok=True)
        save(NAC(2, 1), path)
    Path(f"{NAME}.onnx").write_bytes(export(f"{NAME}.pt", "x.onnx", check=False).data)
    save(NALU(2, 1), "nalu.pt")
    settled = NAC(2, 1)
    for parameter in settled.parameters():
        nn.init.constant_(parameter, 20.0)
    save(settled, "settled.pt")
    export(NAC(2, 1), "wrong.onnx", check=False)
    export(NAC(2, 2), "two.onnx", check=False)
    for path in ("net.py", f"{NAME}.py"):
        Path(path).write_text(CODE, encoding="utf-8")
    Path("stops.py").write_text(f"raise ValueError({EVIL!r})", encoding="utf-8")
    Path("syntax.py").write_text(f"x = = {EVIL.splitlines()[0]!r}", encoding="utf-8")
    for name, module in _modules().items():
        torch.save(module.state_dict(), f"{name}.pt")
    state = NAC(2, 1).state_dict()
    for name, held in {
        "keys": {f"{EVIL}.{key}": value for key, value in state.items()},
        "dicts": {EVIL: state, "b": state},
        "tensors": {EVIL: torch.zeros(2)},
        "more": state | {EVIL: torch.zeros(2)},
        "values": {"state_dict": {EVIL: EVIL, "W_hat": EVIL}},
        "averaged": {EVIL: torch.zeros(2), f"ema{EVIL}": state},
    }.items():
        torch.save(held, f"{name}.pt")
    for name, description in {
        "layer": {"type": EVIL, "args": {}},
        "argument": {"type": "NAC", "args": {EVIL: EVIL}},
        "child": {"type": "Sequential", "children": {EVIL: {"type": "NAC", "args": {"layer_sizes": [2, 1]}}}},
    }.items():
        Path(f"{name}.pt").write_bytes(files.torch_bytes(files.native(description)))
    assumption = dict.fromkeys(("what", "value", "why", "option"), EVIL)
    saved = torch.load("settled.pt", weights_only=True)
    torch.save(saved | {"assumptions": [assumption]}, "assumed.pt")
    Path("safe.pt").write_bytes(
        files.safetensors_bytes({EVIL: {"dtype": EVIL, "shape": [1], "data_offsets": [0, 4]}}, bytes(4))
    )
    Path("global.pt").write_bytes(files.whole_module())
    key = EVIL
    _arrays("inputs.npz", key, np.ones((2, 2), np.float32))
    _arrays("shape.npz", key, np.ones((2, 5), np.float32))
    _arrays("far.npz", key, np.array([[3e38, 3e38], [np.inf, 1]], np.float32))
    np.savez(f"{NAME}.npz", a=np.ones((2, 2), np.float32))
    for kind in ("onnx", "torchscript", "cpp"):
        Path(f"evil.{kind}").write_bytes(artifact(kind))
    proto = onnx.load_from_string(artifact("onnx"))
    for tensor in proto.graph.initializer:
        tensor.dims.append(7)
    Path("damaged.onnx").write_bytes(proto.SerializeToString())
    proto = onnx.load_from_string(artifact("onnx"))
    for entry in proto.metadata_props:
        entry.value = "[]" if entry.key == "nalu_export.layers" else entry.value
    Path("empty.onnx").write_bytes(proto.SerializeToString())
    proto = onnx.load_from_string(exported("onnx"))
    proto.graph.node[0].op_type = proto.graph.node[0].name = EVIL
    Path("operator.onnx").write_bytes(proto.SerializeToString())


def _arrays(path: str, name: str, array: NDArray[np.float32]) -> None:
    named: dict[str, Any] = {name: array}
    np.savez(path, **named)


def _modules() -> dict[str, nn.Module]:
    spec = importlib.util.spec_from_file_location("hostile_net", "net.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {name: getattr(module, name)() for name in CLASSES}


def artifact(kind: str) -> bytes:
    """An exported file whose metadata and, in ONNX, tensors have such names."""
    data = exported(kind)
    texts = encode_metadata(_evil(decode_metadata(get(kind).read_metadata(get(kind).opened(data))), kind))
    if kind == "torchscript":
        members = files.members_of(data)
        (name,) = (name for name in members if name.endswith("nalu_export.json"))
        return files.zip_bytes(members | {name: json.dumps(texts).encode()})
    if kind == "cpp":
        lines = [
            f"//   {line.split()[1][:-1]}: {json.dumps(texts[line.split()[1][:-1]])}"
            if line.startswith("//   nalu_export.")
            else line
            for line in data.decode().split("\n")
        ]
        place = lines.index("// Metadata:") + 1
        added = [f"//   {key}: {json.dumps(texts[key])}" for key in texts if key not in data.decode()]
        return "\n".join([*lines[:place], *added, *lines[place:]]).encode()
    proto = onnx.load_from_string(data)
    del proto.metadata_props[:]
    for key, text in texts.items():
        proto.metadata_props.add(key=key, value=text)
    for tensor in proto.graph.initializer:
        tensor.name = tensor.name.replace("layers.0", EVIL)
    return proto.SerializeToString()  # type: ignore[no-any-return]


def _evil(metadata: dict[str, Any], kind: str) -> dict[str, Any]:
    (row,) = metadata["layers"]
    # A header tells which numbers are whose by the path.
    row |= {
        "path": row["path"] if kind == "cpp" else EVIL,
        "type": EVIL,
        "eps": EVIL,
        "eps_is": EVIL,
        "in_features": EVIL,
    }
    row["gates"] = [{EVIL: EVIL, "sum": "g", "constants": {"g": EVIL}}]
    shape = ["batch", 2]
    assumption = dict.fromkeys(("what", "value", "why", "option"), EVIL)
    return metadata | {
        "layers": [row],
        "inputs": [{"name": EVIL, "dtype": EVIL, "shape": [EVIL, *shape]}],
        "outputs": [{"name": EVIL, "dtype": "float32", "shape": shape}],
        "parity": {EVIL: EVIL},
        "assumptions": [assumption],
        "part": {"path": EVIL, "fed_by": [EVIL], "followed_by": [EVIL]},
        **dict.fromkeys(("tool", "torch", "source_sha256", "source_layout", "weights", "compute"), EVIL),
    }


def commands() -> list[tuple[str, ...]]:
    """Words of every command of the walk."""
    found: list[tuple[str, ...]] = [(), ("--help",), ("layouts",), ("layouts", "--json"), ("layouts", "nalu-export")]
    found += [("layouts", EVIL), ("layouts", EVIL, "--json"), (f"--{EVIL}",), (f"-{EVIL}",)]
    models = (f"{NAME}.pt", f"[/x]{NAME}/a.pt", "nalu.pt", f"no{NAME}.pt", f"[/x]{NAME}", f"no{EVIL}/x.pt")
    held = (
        "keys",
        "dicts",
        "tensors",
        "more",
        "values",
        "averaged",
        "layer",
        "argument",
        "child",
        "safe",
        "global",
        "assumed",
    )
    for verb, (fixed, tails) in VERBS.items():
        files_ = (f"{NAME}.onnx",) if verb == "check" else ()
        for tail in ((), *((tail,) for tail in tails)):
            found += [(verb, model, *files_, *fixed, *tail) for model in models]
        found += [(verb, f"{name}.pt", *files_, *fixed) for name in held]
        found += [(verb, "assumed.pt", *files_, *fixed, tail) for tail in tails]
        found += [
            (verb, f"{name}.pt", *files_, *fixed, *tail, "--model", f"net.py:{name}")
            for name in CLASSES
            for tail in ((), ("--json=-",) if verb == "check" else ("--json",))
        ]
        found += [(verb, "keys.pt", *files_, *fixed, *words) for words in (("--prefix", EVIL), ("--key", EVIL))]
        found += [(verb, f"{NAME}.pt", *files_, *fixed, *words) for words in _options(verb)]
        found.append((verb, f"{NAME}.pt", *files_, EVIL, *fixed))
    found += [("inspect", "keys.pt", "--model", f"net.py:{name}") for name in FUNCTIONS]
    found += [
        ("inspect", "keys.pt", "--model", place)
        for place in (f"{NAME}.py:build", "stops.py", "syntax.py", f"{NAME}:x", f"no{NAME}.py:x")
    ]
    for kind in ("evil.onnx", "evil.torchscript", "evil.cpp", "damaged.onnx", "operator.onnx"):
        found += [("inspect", kind), ("inspect", kind, "--json"), ("check", f"{NAME}.pt", kind, *FEW)]
    found += [(verb, f"{NAME}.pt", *words, "--json", f"{verb}{NAME}.report") for verb, words in DONE.items()]
    check = ("check", f"{NAME}.pt")
    good, reports = (*check, f"{NAME}.onnx", *FEW), ("--junit", f"{NAME}.xml", "--html", f"{NAME}.html")
    found += [
        (*good, "--inputs", "inputs.npz", *reports, "--json", f"{NAME}.json"),
        (*good, "--replay", "inputs.npz"),
        (*good, "--inputs", f"{NAME}.npz"),
        (*good, "--inputs", "shape.npz"),
        (*good, "--inputs", "inputs.npz", "--json", "-"),
        (*good, "--inputs", "inputs.npz", "-q"),
        (*good, "--inputs", "inputs.npz", "--runtime", "all"),
        (*good, "--junit", f"no{EVIL}/x.xml"),
        (*good, "--junit", f"{NAME}.onnx"),
        (*good, "--html", f"{NAME}.pt"),
        PARTS,
        ("inspect", "empty.onnx"),
        ("inspect", "settled.pt"),
        ("doctor", "settled.pt"),
        ("export", "keys.pt", "--prefix", EVIL, "-f", "onnx", "-o", "keys.onnx", "-q"),
        (*good, "--inputs", "far.npz"),
        (*good, "--inputs", "far.npz", "--runtime", "all"),
        (*check, "two.onnx", *FEW, "--inputs", "inputs.npz"),
        (*check, "wrong.onnx", *FEW, "--inputs", "inputs.npz"),
        (*check, "wrong.onnx", *FEW, "--inputs", "inputs.npz", "-q"),
        (*check, "wrong.onnx", *FEW, "--replay", "inputs.npz"),
        (*check, "wrong.onnx", *FEW, "--replay", "inputs.npz", "-q"),
        (*check, "wrong.onnx", *FEW, "--inputs", "inputs.npz", "--runtime", "all"),
        (*check, "wrong.onnx", *FEW, "--inputs", "inputs.npz", "--json=-"),
        *(
            ("export", f"{NAME}.pt", "-f", "onnx", "-o", "checked.onnx", *words)
            for words in ((), ("-v",), ("--runtime", "all"), ("--html", f"2{NAME}.page", "-v"), ("--no-check", "-v"))
        ),
        ("export", "Parts.pt", "-f", "onnx", "--samples", "2", "--model", "net.py:Parts", "-o", f"parts{NAME}.onnx"),
        ("chek",),
        (f"insect{NAME}",),
        ("export", f"{NAME}.pt", "-f", "onnx", "-o", f"no{EVIL}/x.onnx"),
        ("convert", f"{NAME}.pt", "-o", f"no{EVIL}/x.pt"),
        ("golden", f"{NAME}.pt", "-o", f"x{EVIL}"),
        ("golden", f"{NAME}.pt", "-o", f"no{EVIL}/x.bin"),
    ]
    return found


def _options(verb: str) -> list[tuple[str, ...]]:
    """Each option that takes a value, with such a value, and one that is not there."""
    found: list[tuple[str, ...]] = [(f"--{EVIL}",), (f"-{NAME}",)]
    for parameter in main.commands[verb].params:
        if isinstance(parameter, click.Option):
            words = [parameter.opts[0], *[EVIL] * parameter.nargs]
            found.append((f"{words[0]}={EVIL}",) if parameter.is_flag else tuple(words))
            if parameter.name in ("provider_options", "input_shapes"):
                found += [(words[0], f"{EVIL}={EVIL}"), (words[0], f"{EVIL}=batch,2"), (words[0], f"x=batch,2:{EVIL}")]
            if parameter.name in ("input_names", "output_names"):
                found.append((words[0], f"{EVIL},b"))
    return found
