"""Malformed safetensors files and archives of torch.export, and tensors that are no weights."""

import json
import struct
import warnings
from typing import Any

import torch

from nalu_export import NAC
from tests.checkpoints import files
from tests.hostile.case import EXPORT, Case, Table

FLOATS = {"dtype": "F32", "shape": [1, 2], "data_offsets": [0, 8]}


def safe(entry: Any = FLOATS, content: bytes = bytes(8), **more: Any) -> bytes:
    """A safetensors file with this entry for its tensor."""
    return files.safetensors_bytes({"layers.0.W_hat": entry} | more, content)


def size(header: int) -> bytes:
    """A safetensors file that says that its header has this size."""
    return struct.pack("<Q", header) + b'{"W":{}}'


def state(**changes: Any) -> bytes:
    """A checkpoint of a NAC, 2 → 1, with some of its tensors replaced; ``None`` removes one."""
    torch.manual_seed(0)
    named = {f"layers.0.{name}": value for name, value in changes.items()}
    kept = {name: value for name, value in (dict(NAC(2, 1).state_dict()) | named).items() if value is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, on saving a quantised tensor
        return files.torch_bytes(kept)


def odd(make: str) -> bytes:
    """The same with a weight that is no dense float tensor."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's own, on making it
        value = {
            "quantised": lambda: torch.quantize_per_tensor(torch.zeros(1, 2), 0.1, 0, torch.qint8),
            "sparse": lambda: torch.ones(1, 2).to_sparse(),
            "sparse rows": lambda: torch.ones(1, 2).to_sparse_csr(),
            "nested": lambda: torch.nested.nested_tensor([torch.ones(2)]),
        }[make]()
    return state(W_hat=value)


def pt2(config: Any, **members: bytes) -> bytes:
    """An archive of torch.export with this list of weights."""
    encoded = config if isinstance(config, bytes) else json.dumps(config).encode()
    folder = {f"m/data/weights/{name}": content for name, content in members.items()}
    return files.zip_bytes({"m/archive_format": b"pt2", "m/data/weights/model_weights_config.json": encoded} | folder)


def entry(path: Any = "weight_0", sizes: tuple[int, ...] = (1, 2), dtype: Any = 7, **more: Any) -> Any:
    """How such a list describes one weight."""
    meta = {
        "dtype": dtype,
        "sizes": [{"as_int": length} for length in sizes],
        "strides": [{"as_int": 1} for _ in sizes],
        "storage_offset": {"as_int": 0},
        "layout": 7,
    }
    return {"config": {"layers.0.W_hat": {"path_name": path, "use_pickle": False, "tensor_meta": meta} | more}}


UNDESCRIBED = "is a damaged torch.export archive: it does not describe 'layers.0.W_hat'; copy or download it again"
LIST = "is a damaged torch.export archive: its list of weights cannot be read; copy or download it again"
CUT = "is a truncated safetensors file; copy or download it again"

TENSORS: Table = {
    "safetensors, a header beyond the file": Case(lambda: size(1000), CUT),
    "safetensors, a header of 2**63": Case(lambda: size(2**63), "is not a file of torch.save; expected a model.pt"),
    "safetensors, a header cut": Case(lambda: safe()[:40], CUT),
    "safetensors, a weight cut": Case(
        lambda: safe()[:-1],
        CUT,
    ),
    "safetensors, bytes behind": Case(
        lambda: safe() + b"\0",
        "is a damaged safetensors file: Error while deserializing: incomplete metadata, file not fully covered; "
        "copy or download it again",
    ),
    "safetensors, no JSON": Case(
        lambda: files.safetensors_bytes(b"{W: 1}"),
        "is a damaged safetensors file: Error while deserializing: invalid JSON in header: key "
        "must be a string at line 1 column 2; copy or download it again",
    ),
    "safetensors, not UTF-8": Case(
        lambda: files.safetensors_bytes(b'{"\xff": 1}'),
        "is a damaged safetensors file: Error while deserializing: invalid UTF-8 in header: "
        "invalid utf-8 sequence of 1 bytes from index 2; copy or download it again",
    ),
    "safetensors, nested JSON": Case(
        lambda: files.safetensors_bytes(b'{"W":' * 10_000 + b"1" + b"}" * 10_000),
        "is a damaged safetensors file: Error while deserializing: invalid JSON in header: "
        "recursion limit exceeded at line 1 column 636; copy or download it again",
    ),
    "safetensors, a name twice": Case(
        lambda: files.safetensors_bytes(
            b'{"W":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},"W":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}',
            bytes(4),
        ),
        "is a damaged safetensors file: it has 'W' twice; copy or download it again",
    ),
    "safetensors, offsets beyond the file": Case(
        lambda: safe(FLOATS | {"data_offsets": [8, 16]}),
        CUT,
    ),
    "safetensors, offsets backwards": Case(
        lambda: safe(FLOATS | {"data_offsets": [8, 0]}),
        "is a damaged safetensors file: Error while deserializing: invalid offset for tensor `layers.0.W_hat`; "
        "copy or download it again",
    ),
    "safetensors, overlapping weights": Case(
        lambda: safe(content=bytes(12), **{"layers.0.M_hat": FLOATS | {"data_offsets": [4, 12]}}),
        "is a damaged safetensors file: Error while deserializing: invalid offset for tensor `layers.0.M_hat`; "
        "copy or download it again",
    ),
    "safetensors, a hole": Case(
        lambda: safe(FLOATS, bytes(24), **{"layers.0.M_hat": FLOATS | {"data_offsets": [16, 24]}}),
        "is a damaged safetensors file: Error while deserializing: invalid offset for tensor `layers.0.M_hat`; "
        "copy or download it again",
    ),
    "safetensors, another shape": Case(
        lambda: safe(FLOATS | {"shape": [2, 2]}),
        "is a damaged safetensors file: Error while deserializing: invalid shape, data type, or offset for tensor; "
        "copy or download it again",
    ),
    "safetensors, a negative size": Case(
        lambda: safe(FLOATS | {"shape": [-1, 2]}),
        "is a damaged safetensors file: Error while deserializing: invalid JSON in header: "
        "invalid value: integer `-1`, expected usize at line 1 column 78; copy or download it again",
    ),
    "safetensors, an endless shape": Case(
        lambda: safe(FLOATS | {"shape": [2**62, 2**62]}),
        "is a damaged safetensors file: Error while deserializing: overflow computing buffer "
        "size from shape and/or element type; copy or download it again",
    ),
    "safetensors, an unknown type": Case(
        lambda: safe(FLOATS | {"dtype": "F7"}),
        "is a damaged safetensors file: Error while deserializing: invalid JSON in header: "
        "unknown variant `F7`, expected one of `BOOL`, `F4`, `F6_E2M3`, `F6_E3M2`, `U8`, `I8`, "
        "`F8_E5M2`, `F8_E4M3`, `F8_E8M0`, `F8_E4M3FNUZ`, `F8_E5M2FNUZ`, ; copy or download it again",
    ),
    "safetensors, a type to store only": Case(
        lambda: safe(FLOATS | {"dtype": "F8_E4M3", "shape": [1, 8]}),
        "has 'layers.0.W_hat' as a tensor of type F8_E4M3; expected a dense floating point tensor",
    ),
    "safetensors, 100 dimensions": Case(
        lambda: safe(FLOATS | {"shape": [1] * 99 + [2]}),
        "has 'layers.0.W_hat' with 100 dimensions; at most 64 are read",
    ),
    "safetensors, metadata of numbers": Case(
        lambda: safe(__metadata__={"version": 1}),
        "is a damaged safetensors file: Error while deserializing: invalid JSON in header: "
        "invalid type: integer `1`, expected a string at line 1 column 107; copy or download it again",
    ),
    "safetensors, our metadata no JSON": Case(
        lambda: safe(__metadata__={"nalu_export": "{"}),
        "has metadata 'nalu_export' that does not describe a model; was the file changed?",
    ),
    "safetensors, our metadata nested": Case(
        lambda: safe(__metadata__={"nalu_export": "[" * 10**5}),
        "has metadata 'nalu_export' that does not describe a model; was the file changed?",
    ),
    "safetensors, our metadata 600 deep": Case(
        lambda: safe(__metadata__={"nalu_export": '{"model": ' + "[" * 600 + "]" * 600 + "}"}),
        "has metadata 'nalu_export' that does not describe a model; was the file changed?",
    ),
    "safetensors, our metadata a list": Case(
        lambda: safe(__metadata__={"nalu_export": "[1]"}),
        "has metadata 'nalu_export' that does not describe a model; was the file changed?",
    ),
    "safetensors, no tensor": Case(
        lambda: files.safetensors_bytes({}),
        "holds no tensor; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "pt2, not weights": Case(
        lambda: files.zip_bytes({"m/archive_format": b"pt2"}),
        "is a torch.export archive without weights; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "pt2, a list that is no JSON": Case(
        lambda: pt2(b"{"),
        "is a damaged torch.export archive: its list of weights cannot be read; copy or download it again",
    ),
    "pt2, a list of another kind": Case(
        lambda: pt2({"config": [1]}),
        "is a damaged torch.export archive: its list of weights cannot be read; copy or download it again",
    ),
    "pt2, a weight without a shape": Case(
        lambda: pt2({"config": {"W": {"use_pickle": False}}}),
        "is a damaged torch.export archive: it does not describe 'W'; copy or download it again",
    ),
    "pt2, a list of a list": Case(lambda: pt2([entry()]), LIST),
    "pt2, a list that is a text": Case(lambda: pt2({"config": "ab"}), LIST),
    "pt2, a list 600 deep": Case(lambda: pt2(b'{"config": ' + b"[" * 600 + b"]" * 600 + b"}"), LIST),
    "pt2, a weight that is a text": Case(lambda: pt2({"config": {"layers.0.W_hat": "ab"}}), UNDESCRIBED),
    "pt2, a weight in a list": Case(lambda: pt2(entry(path=["weight_0"]), weight_0=bytes(8)), UNDESCRIBED),
    "pt2, a weight that is pickled by a number": Case(
        lambda: pt2(entry(use_pickle=0.5), weight_0=bytes(8)), UNDESCRIBED
    ),
    "pt2, a weight described by a list": Case(lambda: pt2(entry(tensor_meta=[7]), weight_0=bytes(8)), UNDESCRIBED),
    "pt2, a type that is true": Case(lambda: pt2(entry(dtype=True), weight_0=bytes(8)), UNDESCRIBED),
    "pt2, a type in a list": Case(lambda: pt2(entry(dtype=[7]), weight_0=bytes(8)), UNDESCRIBED),
    "pt2, a pickled weight": Case(
        lambda: pt2(entry(use_pickle=True), weight_0=files.evil("touch executed")),
        "has 'layers.0.W_hat' as a pickle inside a torch.export archive; save model.state_dict() "
        "or use nalu_export.save(model, path)",
    ),
    "pt2, a weight that is not there": Case(
        lambda: pt2(entry()),
        "has 'layers.0.W_hat' whose bytes, the member 'data/weights/weight_0', are missing; the file is damaged; "
        "copy or download it again",
    ),
    "pt2, a weight that climbs out": Case(
        lambda: pt2(entry("../../../../etc/passwd")),
        "has 'layers.0.W_hat' whose bytes, the member 'data/weights/../../../../etc/passwd', are "
        "missing; the file is damaged; copy or download it again",
    ),
    "pt2, a weight too large": Case(
        lambda: pt2(entry(sizes=(50_000, 50_000)), weight_0=bytes(8)),
        "has 'layers.0.W_hat' of shape (50000, 50000) and strides (1, 1) at 0, which reaches "
        "beyond its storage of 2 elements; the file is damaged; copy or download it again",
    ),
    "pt2, an unknown type": Case(
        lambda: pt2(entry(dtype=99), weight_0=bytes(8)),
        "is a damaged torch.export archive: it does not describe 'layers.0.W_hat'; copy or download it again",
    ),
    "pt2, two models": Case(
        lambda: files.zip_bytes(
            {f"m/data/weights/{name}_weights_config.json": b'{"config": {}}' for name in ("a", "b")}
        ),
        "is a torch.export archive of 2 models ('a', 'b'); export each to its own file",
    ),
    "pt2, an older one that runs a command": Case(
        lambda: files.zip_bytes({"m/archive_format": b"pt2", "m/data/weights/model.pt": files.evil("touch executed")}),
        "holds Python objects (posix.system), and loading it would run code; save "
        "model.state_dict() or use nalu_export.save(model, path)",
    ),
    "TorchScript": Case(
        files.torchscript,
        "is a TorchScript archive, which runs code when loaded; save model.state_dict() or use "
        "nalu_export.save(model, path), or give --trust if you made it yourself",
        (*EXPORT, ("convert", "model.pt", "-o", "converted.pt")),
    ),
    "a key too few": Case(
        lambda: state(M_hat=None),
        "lacks 'layers.0.M_hat'; nalu-export:NAC has W_hat, M_hat in each layer; for any other "
        "model give --model FILE.py:NAME",
    ),
    "a key too many": Case(
        lambda: state(V_hat=torch.zeros(1, 2)),
        "has 'layers.0.V_hat', which nalu-export:NAC does not have; nalu-export:NAC has W_hat, M_hat "
        "in each layer; for any other model give --model FILE.py:NAME",
    ),
    "two shapes": Case(
        lambda: state(M_hat=torch.zeros(2, 2)),
        "has 'layers.0.M_hat' of shape (2, 2); nalu-export:NAC expects (1, 2), by the shape of 'layers.0.W_hat'; "
        "for any other model give --model FILE.py:NAME",
    ),
    "a shape of another rank": Case(
        lambda: state(W_hat=torch.zeros(2)),
        "has 'layers.0.W_hat' of shape (2,); nalu-export:NAC expects (outputs, inputs); "
        "for any other model give --model FILE.py:NAME",
    ),
    "a stack that does not fit together": Case(
        lambda: files.torch_bytes(
            {f"layers.{k}.{name}": torch.zeros(2, 3) for k in range(2) for name in ("W_hat", "M_hat")}
        ),
        "has 'layers.1.W_hat' of shape (2, 3), which nalu-export:NAC reads as 3 inputs, but the "
        "layer before has 2 outputs; expected equal numbers; for any other model give --model FILE.py:NAME",
    ),
    "a layer left out": Case(
        lambda: files.torch_bytes(
            {f"layers.{k}.{name}": torch.zeros(2, 2) for k in (0, 2) for name in ("W_hat", "M_hat")}
        ),
        "has 'layers.2.' but not 'layers.1.'; nalu-export:NAC needs every layer of a stack; "
        "for any other model give --model FILE.py:NAME",
    ),
    "no outputs": Case(
        lambda: state(W_hat=torch.zeros(0, 2), M_hat=torch.zeros(0, 2)),
        "has 'layers.0.W_hat' of shape (0, 2); nalu-export:NAC expects (outputs, inputs); "
        "for any other model give --model FILE.py:NAME",
    ),
    "no inputs": Case(
        lambda: state(W_hat=torch.zeros(1, 0), M_hat=torch.zeros(1, 0)),
        "has 'layers.0.W_hat' of shape (1, 0); nalu-export:NAC expects (outputs, inputs); "
        "for any other model give --model FILE.py:NAME",
    ),
    "NaN": Case(
        lambda: state(W_hat=torch.tensor([[1.0, float("nan")]])),
        "layers.0.W_hat has 1 values that are NaN or infinite; train or repair it first",
        EXPORT,
    ),
    "infinity": Case(
        lambda: state(M_hat=torch.tensor([[1.0, float("-inf")]])),
        "layers.0.M_hat has 1 values that are NaN or infinite; train or repair it first",
        EXPORT,
    ),
    "a weight beyond float32": Case(
        lambda: state(W_hat=torch.tensor([[1.0, 1e300]], dtype=torch.float64)),
        "layers.0.W_hat has 1 values that float32 cannot hold; train or repair it first",
        EXPORT,
    ),
    "integers": Case(
        lambda: state(W_hat=torch.zeros(1, 2, dtype=torch.int64)),
        "has 'layers.0.W_hat' as int64; expected floating point, as model.float() makes it",
    ),
    "booleans": Case(
        lambda: state(W_hat=torch.zeros(1, 2, dtype=torch.bool)),
        "has 'layers.0.W_hat' as bool; expected floating point, as model.float() makes it",
    ),
    "complex numbers": Case(
        lambda: state(W_hat=torch.zeros(1, 2, dtype=torch.complex64)),
        "has 'layers.0.W_hat' as a complex tensor; expected a dense floating point tensor",
    ),
    "float8": Case(
        lambda: state(W_hat=torch.zeros(1, 2, dtype=torch.float8_e4m3fn)),
        "has 'layers.0.W_hat' as a tensor of type float8_e4m3fn; expected a dense floating point tensor",
    ),
    "quantised": Case(
        lambda: odd("quantised"), "has 'layers.0.W_hat' as a quantised tensor; expected a dense floating point tensor"
    ),
    "sparse": Case(
        lambda: odd("sparse"), "has 'layers.0.W_hat' as a sparse tensor; expected a dense floating point tensor"
    ),
    "sparse rows": Case(
        lambda: odd("sparse rows"), "has 'layers.0.W_hat' as a sparse tensor; expected a dense floating point tensor"
    ),
    "nested": Case(
        lambda: odd("nested"), "has 'layers.0.W_hat' as a nested tensor; expected a dense floating point tensor"
    ),
    "meta": Case(
        lambda: state(W_hat=torch.zeros(1, 2, device="meta")),
        "has 'layers.0.W_hat' as a meta tensor; expected a dense floating point tensor",
    ),
    "a number for a tensor": Case(
        lambda: state(W_hat=1.0),
        "has 'layers.0.W_hat' of type float; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a number for a name": Case(
        lambda: files.torch_bytes({7: torch.zeros(1)}),
        "has 7 of type Tensor; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "an endless name": Case(
        lambda: files.torch_bytes({"a." * 10**5: torch.zeros(1)}),
        "has a tensor with a name of 200,000 characters; at most 1,000 are allowed",
    ),
    "names of escape sequences": Case(
        lambda: files.torch_bytes({'\x1b[2J"\n; import os': torch.zeros(1)}),
        "has keys of no known layout: '\\x1b[2J\"\\n; import os'; for any other model give --model FILE.py:NAME",
    ),
    "names that run backwards": Case(
        lambda: files.torch_bytes({"\u202eW_hat": torch.zeros(1)}),
        "has keys of no known layout: '\\u202eW_hat'; for any other model give --model FILE.py:NAME",
    ),
    "no tensor": Case(
        lambda: files.torch_bytes({}), "holds no tensor; save model.state_dict() or use nalu_export.save(model, path)"
    ),
    "a list": Case(
        lambda: files.torch_bytes([torch.zeros(1)]),
        "holds a list; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a tensor alone": Case(
        lambda: files.torch_bytes(torch.zeros(1)),
        "holds a Tensor; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "weights of two models": Case(
        lambda: files.torch_bytes({"state_dict": {"a": torch.zeros(1)}, "model": {"b": torch.zeros(1)}}),
        "holds several dicts of tensors: 'state_dict' (1 tensor), 'model' (1 tensor); say which with --key NAME",
    ),
    "a stack of a million layers": Case(
        lambda: files.torch_bytes({f"layers.999999.{name}": torch.zeros(1, 1) for name in ("W_hat", "M_hat")}),
        "has 'layers.999999.' but not 'layers.0.'; nalu-export:NAC needs every layer of a stack; "
        "for any other model give --model FILE.py:NAME",
    ),
    "more tensors than a layout has": Case(
        lambda: files.torch_bytes({f"layers.{number}.W_hat": torch.zeros(()) for number in range(5001)}),
        "holds 5,001 tensors, but a known layout has at most 5,000; for any other model give --model FILE.py:NAME",
    ),
}
