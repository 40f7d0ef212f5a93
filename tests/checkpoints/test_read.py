import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nalu_export import NAC, NALU, load, save
from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints._assigning import MAX_INFLATION
from tests.checkpoints import files
from tests.checkpoints.conftest import Refusal

STATE = NAC(2, 1).state_dict()
DESCRIPTION = {"type": "NAC", "args": {"dims": [2, 1]}}


def changed(**tensors: Any) -> dict[str, Any]:
    """The state of the NAC with some entries replaced; ``None`` removes one."""
    named = {name.replace("__", "."): value for name, value in tensors.items()}
    return {name: value for name, value in (dict(STATE) | named).items() if value is not None}


WRONG_STATE: dict[str, tuple[Callable[[], Any], str]] = {
    "missing key": (
        lambda: changed(layers__0__W_hat=None),
        "lacks 'layers.0.W_hat'; check that the file holds the weights of this model",
    ),
    "extra key": (
        lambda: changed(layers__0__bias=torch.zeros(1)),
        "has 'layers.0.bias', which the model does not have; check that the file holds the weights of this model",
    ),
    "both": (
        lambda: {"weight": torch.zeros(1), "bias": torch.zeros(1)},
        "lacks 'layers.0.M_hat', 'layers.0.W_hat' and has 'bias', 'weight', which the model does not have; "
        "check that the file holds the weights of this model",
    ),
    "many extra keys": (
        lambda: changed(**{f"x{index}": torch.zeros(1) for index in range(6)}),
        "has 'x0', 'x1', 'x2' and 3 more, which the model does not have; check that the file holds "
        "the weights of this model",
    ),
    "line feed in a key": (
        lambda: changed(**{"a\nb": torch.zeros(1)}),
        r"has 'a\nb', which the model does not have; check that the file holds the weights of this model",
    ),
    "shape": (
        lambda: changed(layers__0__W_hat=torch.zeros(2, 1)),
        "has 'layers.0.W_hat' of shape (2, 1); the model expects (1, 2)",
    ),
    "rank": (
        lambda: changed(layers__0__M_hat=torch.zeros(2)),
        "has 'layers.0.M_hat' of shape (2,); the model expects (1, 2)",
    ),
    "integers": (
        lambda: changed(layers__0__W_hat=torch.zeros(1, 2, dtype=torch.int64)),
        "has 'layers.0.W_hat' as int64; expected floating point",
    ),
    "bool": (
        lambda: changed(layers__0__W_hat=torch.zeros(1, 2, dtype=torch.bool)),
        "has 'layers.0.W_hat' as bool; expected floating point",
    ),
    "complex": (
        lambda: changed(layers__0__W_hat=torch.zeros(1, 2, dtype=torch.complex64)),
        "has 'layers.0.W_hat' as a complex tensor; expected a dense floating point tensor",
    ),
    "quantised": (
        lambda: changed(layers__0__W_hat=torch.quantize_per_tensor(torch.zeros(1, 2), 0.1, 0, torch.qint8)),
        "has 'layers.0.W_hat' as a quantised tensor; expected a dense floating point tensor",
    ),
    "sparse": (
        lambda: changed(layers__0__W_hat=torch.ones(1, 2).to_sparse()),
        "has 'layers.0.W_hat' as a sparse tensor; expected a dense floating point tensor",
    ),
    "sparse rows": (
        lambda: changed(layers__0__W_hat=torch.ones(1, 2).to_sparse_csr()),
        "has 'layers.0.W_hat' as a sparse tensor; expected a dense floating point tensor",
    ),
    "nested": (
        lambda: changed(layers__0__W_hat=torch.nested.nested_tensor([torch.ones(2)])),
        "has 'layers.0.W_hat' as a nested tensor; expected a dense floating point tensor",
    ),
    "meta": (
        lambda: changed(layers__0__W_hat=torch.zeros(1, 2, device="meta")),
        "has 'layers.0.W_hat' as a meta tensor; expected a dense floating point tensor",
    ),
    "number for a tensor": (
        lambda: changed(layers__0__W_hat=1.0),
        "has 'layers.0.W_hat' of type float; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "list for a tensor": (
        lambda: changed(layers__0__W_hat=[[1.0, 2.0]]),
        "has 'layers.0.W_hat' of type list; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "number for a name": (
        lambda: {0: torch.zeros(1, 2)},
        "has 0 of type Tensor; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "endless number for a name": (
        lambda: {10**500: torch.zeros(1, 2)},
        "has a value of type int of type Tensor; a state_dict has names and tensors only; "
        "save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a list": (
        lambda: [torch.zeros(1, 2)],
        "holds a list; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a tensor": (
        lambda: torch.zeros(1, 2),
        "holds a Tensor; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "None": (lambda: None, "holds a NoneType; save model.state_dict() or use nalu_export.save(model, path)"),
    "expanded": (
        lambda: changed(layers__0__W_hat=torch.zeros(1).expand(10**6, 10**6)),
        "has tensors of 4,000,000,000,008 bytes in a file of {size} bytes, as expanded tensors have; save "
        "them after .contiguous()",
    ),
}


@pytest.fixture(params=["native", "factory"])
def described_by(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.mark.filterwarnings("ignore:.*prototype stage")  # torch, on making a nested tensor
@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support")  # torch, on making a CSR tensor
@pytest.mark.filterwarnings("ignore:.*[Qq]uantiz.*deprecated")  # torch, on making a quantised tensor
@pytest.mark.parametrize("case", WRONG_STATE)
def test_wrong_state(case: str, described_by: str, refusal: Refusal) -> None:
    make, text = WRONG_STATE[case]
    if described_by == "native":
        payload: Any = files.native(DESCRIPTION) | {"state_dict": make()}
        data, options = files.torch_bytes(payload), {}
    else:
        data, options = files.torch_bytes(make()), {"model": lambda: NAC(2, 1)}
    assert refusal(data, **options) == text.format(size=f"{len(data):,}")


def test_wrong_state_can_be_right(tmp_path: Path) -> None:
    """The state that the cases above change does load."""
    (tmp_path / "model.pt").write_bytes(files.torch_bytes(files.native(DESCRIPTION) | {"state_dict": changed()}))
    assert torch.equal(load(tmp_path / "model.pt").state_dict()["layers.0.W_hat"], STATE["layers.0.W_hat"])


def test_no_state_dict(refusal: Refusal) -> None:
    data = files.torch_bytes({"format": "nalu_export", "version": 1, "model": DESCRIPTION})
    assert refusal(data) == "holds a NoneType; save model.state_dict() or use nalu_export.save(model, path)"


@pytest.mark.parametrize(
    ("payload", "text"),
    [
        (
            files.native(None),
            "does not describe its model; give model='FILE.py:NAME' to build it",
        ),
        (
            files.native(DESCRIPTION, version=99),
            "is in version 99 of the nalu_export format; this release reads 1",
        ),
        (
            files.native(files.linear(in_features=10**9, out_features=10**9), {"weight": torch.zeros(2, 2)}),
            "has 'weight' of shape (2, 2); the model expects (1000000000, 1000000000)",
        ),
        (
            files.native(files.linear(in_features=10**5, out_features=10**5, device="cpu")),
            "its model description gives Linear the argument 'device', which no file may set",
        ),
        (
            files.native(files.nested_sequential(150)),
            "its model description is deeper than 64 or larger than 20000 entries",
        ),
        (
            files.native({"type": "Sequential", "children": {"a\nb": files.linear()}}, {"x": torch.zeros(1)}),
            r"its model description has a layer named 'a\nb'; "
            "expected letters, digits, _ and -, and no keyword of Python",
        ),
    ],
    ids=["no description", "version", "huge", "device", "deep", "line feed in a name"],
)
def test_hostile_file(payload: Any, text: str, refusal: Refusal) -> None:
    assert refusal(files.torch_bytes(payload)) == text


def test_many_names_for_one_storage(refusal: Refusal) -> None:
    """Shared storages are written once: 100 kB of file would become 2 GB of model."""
    shared = torch.zeros(100, 100)
    count = 500
    children = {str(index): files.linear(in_features=100, out_features=100) for index in range(count)}
    state = dict.fromkeys((f"{name}.weight" for name in children), shared)
    data = files.torch_bytes(files.native({"type": "Sequential", "children": children}, state))
    assert 40_000 * count > MAX_INFLATION * len(data)
    assert refusal(data).startswith("has tensors of 20,000,000 bytes in a file of ")


def test_tied_weights_load(tmp_path: Path) -> None:
    """A few layers that share a weight are not an attack."""
    layer = nn.Linear(50, 50)
    model = nn.Sequential(*[layer] * 8, NAC(50, 1))
    save(model, tmp_path / "model.pt")
    x = torch.randn(3, 50)
    assert torch.equal(load(tmp_path / "model.pt")(x), model.eval()(x))


def test_the_loaded_weights_are_not_shared(tmp_path: Path) -> None:
    shared = torch.zeros(1, 2)
    torch.save({"layers.0.W_hat": shared, "layers.0.M_hat": shared}, tmp_path / "model.pt")
    loaded = load(tmp_path / "model.pt").state_dict()
    assert loaded["layers.0.W_hat"].data_ptr() != loaded["layers.0.M_hat"].data_ptr()


def test_a_transposed_weight(tmp_path: Path) -> None:
    model = NAC(3, 2)
    state = {name: value.T.contiguous().T for name, value in model.state_dict().items()}
    torch.save(state, tmp_path / "model.pt")
    x = torch.randn(4, 3)
    assert torch.equal(load(tmp_path / "model.pt")(x), model(x))


def test_batch_norm_statistics_and_counter(tmp_path: Path) -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), NAC(2, 1))
    model(torch.randn(10, 2))
    save(model, tmp_path / "model.pt")
    loaded = load(tmp_path / "model.pt").state_dict()
    assert int(loaded["0.num_batches_tracked"]) == 1
    assert torch.equal(loaded["0.running_mean"], model.state_dict()["0.running_mean"])


def test_a_float_for_a_counter(refusal: Refusal) -> None:
    model = nn.Sequential(nn.BatchNorm1d(2), NAC(2, 1))
    state = model.state_dict() | {"0.num_batches_tracked": torch.tensor(1.0)}
    text = refusal(files.torch_bytes(state), model=lambda: model)
    assert text == "has '0.num_batches_tracked' as float32; expected int64"


@pytest.mark.parametrize("name", ["a b.pt", "größe 数.pt", "-x.pt", "no suffix"])
def test_any_file_name(name: str, tmp_path: Path) -> None:
    model = NAC(2, 1)
    save(model, tmp_path / name)
    assert torch.equal(load(str(tmp_path / name))(torch.ones(1, 2)), model(torch.ones(1, 2)))
    assert torch.equal(load(tmp_path / name)(torch.ones(1, 2)), model(torch.ones(1, 2)))


def test_reading_leaves_the_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "model.pt"
    save(NAC(2, 1), path)
    os.utime(path, ns=(10**18, 10**18))
    path.chmod(0o444)
    before = path.read_bytes()
    with torch.no_grad():
        for value in load(path).parameters():
            value.zero_()
    assert path.read_bytes() == before
    assert path.stat().st_mtime_ns == 10**18


def test_a_link_is_followed(tmp_path: Path) -> None:
    save(NAC(2, 1), tmp_path / "model.pt")
    (tmp_path / "link.pt").symlink_to("model.pt")
    assert read_checkpoint(tmp_path / "link.pt").sha256 == read_checkpoint(tmp_path / "model.pt").sha256


def test_loading_does_not_touch_the_random_numbers(tmp_path: Path) -> None:
    save(NALU(2, 1), tmp_path / "model.pt")
    torch.manual_seed(3)
    load(tmp_path / "model.pt")
    found = torch.rand(1)
    torch.manual_seed(3)
    assert torch.equal(found, torch.rand(1))


def test_a_file_larger_than_the_memory(tmp_path: Path) -> None:
    """A sparse file of 1 GiB in a process that may take half of that."""
    path = tmp_path / "model.pt"
    with path.open("wb") as file:
        file.truncate(1 << 30)
    code = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))\n"
        "from pathlib import Path\n"
        "from nalu_export.io.files import read_bytes\n"
        "from nalu_export.errors import InputError\n"
        "try:\n    read_bytes(Path(sys.argv[1]))\n"
        "except InputError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{path}: does not fit into the free memory\n"


@pytest.mark.parametrize("option", ["layout", "eps", "backbone", "task"])
def test_options_of_public_layouts_are_refused_where_they_would_be_ignored(option: str, refusal: Refusal) -> None:
    data = files.torch_bytes(files.native(files.linear()))
    why = "is in the nalu_export format, which describes its model in full; leave " + option + " out"
    assert refusal(data, **{option: "regression"}) == why
    why = "is read into the module that model builds, which defines this itself; leave " + option + " out"
    assert refusal(data, model=nn.Linear(2, 1), **{option: "regression"}) == why
