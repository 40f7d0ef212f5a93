"""Archives of torch.export: the weights come out, and nothing is unpickled."""

import json
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NALU
from nalu_export.checkpoints.container import Inert, unpack
from tests.checkpoints import files
from tests.checkpoints.programs import refused

INSTEAD = "save model.state_dict() or use nalu_export.save(model, path)"
CONFIG = "archive/data/weights/model_weights_config.json"


class Model(nn.Module):
    """Parameters, buffers of both kinds, a constant, a shared and a transposed weight."""

    steps: Tensor
    passing: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(2, 3)
        self.norm = nn.BatchNorm1d(3)
        self.turned = nn.Parameter(torch.randn(3, 2).T)
        self.again = self.first.weight
        self.brief = nn.Parameter(torch.randn(3).to(torch.bfloat16))
        self.register_buffer("steps", torch.tensor([1, 2], dtype=torch.int16))
        self.register_buffer("passing", torch.ones(3), persistent=False)
        self.constant = torch.arange(3.0)

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.norm(self.first(x)) + self.constant + self.passing + self.turned.sum() + self.again.sum()
        return result + self.brief + self.steps.sum()


@pytest.fixture(scope="module")
def model() -> Model:
    return Model().eval()


@pytest.fixture(scope="module")
def archive(model: Model) -> bytes:
    return files.exported(model, torch.ones(4, 2))


def test_the_weights_are_those_of_the_module(model: Model, archive: bytes) -> None:
    found = unpack(archive)
    assert found.kind == "torch.export"
    state = model.state_dict()
    assert set(found.payload) == set(state)
    for name, value in state.items():
        assert (found.payload[name].dtype, found.payload[name].stride()) == (value.dtype, value.stride())
        assert torch.equal(found.payload[name], value)
    assert found.payload["again"].data_ptr() == found.payload["first.weight"].data_ptr()


def test_a_head_of_ours() -> None:
    head = NALU(2, 3, 1)
    found = unpack(files.exported(head, torch.ones(4, 2))).payload
    assert all(torch.equal(found[name], value) for name, value in head.state_dict().items())


def test_nothing_pickled_is_looked_at(archive: bytes) -> None:
    """The sample inputs are a file of torch.save; here one that no reader takes."""
    members = files.members_of(archive)
    assert any(name.endswith("sample_inputs/model.pt") for name in members)
    members["archive/data/sample_inputs/model.pt"] = files.evil("true")
    assert set(unpack(files.zip_bytes(members)).payload)


@pytest.mark.parametrize(
    "name", ["serialized_state_dict.pt", "serialized_state_dict.json", "archive/data/weights/model.pt"]
)
def test_archives_before_2_8_hold_a_checkpoint(name: str) -> None:
    state = files.nac_state()
    data = files.zip_bytes({"archive/archive_format": b"pt2", name: files.torch_bytes(state)})
    found = unpack(data)
    assert found.kind == "torch.export"
    assert all(torch.equal(found.payload[key], value) for key, value in state.items())


def test_a_checkpoint_in_an_archive_runs_nothing() -> None:
    data = files.zip_bytes({"serialized_state_dict.pt": files.evil("true")})
    assert refused(data) == f"holds Python objects (posix.system), and loading it would run code; {INSTEAD}"


def described(**changes: Any) -> bytes:
    """An archive of one weight, 2 × 2, described otherwise."""
    meta = {
        "dtype": 7, "layout": 7, "sizes": [{"as_int": 2}, {"as_int": 2}], "strides": [{"as_int": 2}, {"as_int": 1}],
        "storage_offset": {"as_int": 0},
    }  # fmt: skip
    entry = {"path_name": "weight_0", "use_pickle": False, "tensor_meta": meta | changes.pop("meta", {})} | changes
    return archive_of(json.dumps({"config": {"w": entry}}).encode())


def archive_of(config: bytes, **members: bytes) -> bytes:
    weights = {"archive/data/weights/weight_0": bytes(16)}
    named = {f"archive/data/weights/{name}": content for name, content in members.items()}
    return files.zip_bytes({"archive/archive_format": b"pt2", CONFIG: config} | weights | named)


LIST = "is a damaged torch.export archive: its list of weights cannot be read; copy or download it again"
ENTRY = "is a damaged torch.export archive: it does not describe 'w'; copy or download it again"
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "no weights": (
        lambda: files.zip_bytes({"m/archive_format": b"pt2", "m/models/model.json": b"{}", "m/data.pkl": b""}),
        f"is a torch.export archive without weights; {INSTEAD}",
    ),
    "older, not weights": (
        lambda: files.zip_bytes({"m/models/model.json": b"{}"}),
        f"is a torch.export archive without weights; {INSTEAD}",
    ),
    "two models": (
        lambda: archive_of(b"{}", **{"b\n_weights_config.json": b"{}"}),
        r"is a torch.export archive of 2 models ('model', 'b\n'); export each to its own file",
    ),
    "pickled weight": (
        lambda: described(use_pickle=True),
        f"has 'w' as a pickle inside a torch.export archive; {INSTEAD}",
    ),
    "missing bytes": (
        lambda: described(path_name="weight_7"),
        "has 'w' whose bytes, the member 'data/weights/weight_7', are missing; the file is damaged; "
        "copy or download it again",
    ),
    "path to the outside": (
        lambda: described(path_name="../../../../etc/passwd"),
        "has 'w' whose bytes, the member 'data/weights/../../../../etc/passwd', are missing; the file is damaged; "
        "copy or download it again",
    ),
    "path that is a number": (lambda: described(path_name=7), ENTRY),
    "larger than its bytes": (
        lambda: described(meta={"sizes": [{"as_int": 10**9}, {"as_int": 2}]}),
        "has 'w' of shape (1000000000, 2) and strides (2, 1) at 0, which reaches beyond its storage of 4 elements; "
        "the file is damaged; copy or download it again",
    ),
    "wider than its bytes": (
        lambda: described(meta={"dtype": 8}),
        "has 'w' of shape (2, 2) and strides (2, 1) at 0, which reaches beyond its storage of 2 elements; "
        "the file is damaged; copy or download it again",
    ),
    "size in words": (
        lambda: described(meta={"sizes": [{"as_int": "2"}, {"as_int": 2}]}),
        "has 'w' with a size, stride or offset that is not a number of elements; the file is damaged; "
        "copy or download it again",
    ),
    "symbolic size": (lambda: described(meta={"sizes": [{"as_expr": "s0"}, {"as_int": 2}]}), ENTRY),
    "unknown type": (lambda: described(meta={"dtype": 99}), ENTRY),
    "no description": (lambda: described(tensor_meta=None), ENTRY),
    "entry of a list": (lambda: archive_of(b'{"config": {"w": []}}'), ENTRY),
    "no JSON": (lambda: archive_of(b"{"), LIST),
    "not UTF-8": (lambda: archive_of(b"\xff"), LIST),
    "a list": (lambda: archive_of(b"[]"), LIST),
    "config of a list": (lambda: archive_of(b'{"config": []}'), LIST),
    "deep": (lambda: archive_of(b"[" * 100_000), LIST),
    "endless number": (lambda: archive_of(b'{"config": ' + b"9" * 5000 + b"}"), LIST),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_archive(case: str) -> None:
    make, expected = BAD[case]
    assert refused(make()) == expected


def test_the_description_can_be_right() -> None:
    assert torch.equal(unpack(described()).payload["w"], torch.zeros(2, 2))


def test_kinds_that_are_not_read_are_named() -> None:
    assert unpack(described(meta={"layout": 2})).payload == {"w": Inert("a sparse tensor")}
    assert unpack(described(meta={"dtype": 29})).payload == {"w": Inert("a tensor of type float8_e4m3fn")}


def test_big_endian() -> None:
    members = files.members_of(described()) | {"archive/byteorder": b"big"}
    members["archive/data/weights/weight_0"] = bytes([0x3F, 0x80, 0, 0]) * 4
    assert torch.equal(unpack(files.zip_bytes(members)).payload["w"], torch.ones(2, 2))
