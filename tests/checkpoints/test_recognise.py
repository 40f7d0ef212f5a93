import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from nalu_export import NAC, NALU, InputError, NACCell, NALUCell, load
from nalu_export.checkpoints import read_checkpoint
from nalu_export.checkpoints.recognise import otherwise, recognise
from tests.checkpoints import files
from tests.checkpoints.conftest import Refusal

State = dict[str, Tensor]

KNOWN: dict[str, Callable[[], NACCell | NALUCell | NAC | NALU]] = {
    "NAC cell": lambda: NACCell(3, 4),
    "NALU cell": lambda: NALUCell(3, 4),
    "untied cell": lambda: NALUCell(3, 4, tied=False),
    "row cell": lambda: NALUCell(3, 4, gate="row"),
    "untied row cell": lambda: NALUCell(3, 4, tied=False, gate="row"),
    "1×1 cell": lambda: NALUCell(1, 1),
    "NAC": lambda: NAC(3, 4, 2),
    "NAC of one layer": lambda: NAC(3, 4),
    "NALU": lambda: NALU(3, 4, 2),
    "untied": lambda: NALU(3, 4, 2, tied=False),
    "row": lambda: NALU(3, 4, 2, gate="row"),
    "row, one output": lambda: NALU(3, 4, 1, gate="row"),
    "untied row": lambda: NALU(3, 4, 2, tied=False, gate="row"),
    # layers.10 sorts before layers.2 as text
    "13 layers": lambda: NAC(*range(2, 16)),
    "13 gated layers": lambda: NALU(*range(15, 1, -1)),
}


@pytest.mark.parametrize("case", KNOWN)
def test_recognised(case: str, tmp_path: Path) -> None:
    model = KNOWN[case]()
    state = model.state_dict()
    torch.save(dict(reversed(state.items())), tmp_path / "model.pt")  # the order of the keys tells nothing
    # W_hat and M_hat alone are many owners'; under layers. they are ours only.
    loaded = load(tmp_path / "model.pt", layout="nalu-export" if "cell" in case else None)
    assert repr(loaded) == repr(model)
    assert all(torch.equal(value, state[name]) for name, value in loaded.state_dict().items())
    x = torch.rand(5, next(iter(state.values())).shape[1])
    assert torch.equal(loaded(x), model(x))


@pytest.mark.parametrize("legacy", [False, True])
def test_an_ordered_dict_of_torch_is_recognised(legacy: bool, tmp_path: Path) -> None:
    """``model.state_dict()`` is an OrderedDict with ``_metadata``."""
    model = NALU(2, 1)
    (tmp_path / "model.pt").write_bytes(files.torch_bytes(model.state_dict(), legacy=legacy))
    assert torch.equal(load(tmp_path / "model.pt")(torch.ones(1, 2)), model(torch.ones(1, 2)))


def test_a_gate_row_with_one_output_each_is_a_matrix(tmp_path: Path) -> None:
    """(1, in) is both; they compute the same."""
    model = NALU(3, 1, gate="row")
    torch.save(model.state_dict(), tmp_path / "model.pt")
    x = torch.rand(4, 3)
    assert torch.equal(load(tmp_path / "model.pt")(x), model(x))


@pytest.mark.parametrize(
    ("model", "notes"),
    [
        (NALU(2, 3, 1, eps=1e-3), ("layout nalu-export:NALU",)),
        (NAC(2, 1), ("layout nalu-export:NAC",)),
        (
            NAC(2, 1, stored=True),
            (
                "layout nalu-export:NAC",
                "a faux NAC: the model computes with the stored weight, not with tanh(W_hat)·σ(M_hat)",
            ),
        ),
    ],
    ids=["NALU", "NAC", "stored"],
)
def test_what_was_seen_is_said(model: nn.Module, notes: tuple[str, ...], tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "model.pt")
    checkpoint = read_checkpoint(tmp_path / "model.pt")
    assert checkpoint.notes == notes
    assert checkpoint.layout == notes[0].removeprefix("layout ")


def test_recognised_without_allocating(tmp_path: Path) -> None:
    huge = torch.empty(10**9, 10**8, device="meta")
    found = recognise({"layers.0.W_hat": huge, "layers.0.M_hat": huge})
    assert found.fit.dims == (10**8, 10**9)


def w(*shape: int) -> Tensor:
    return torch.zeros(shape)


def nac(*dims: int, first: int = 0) -> State:
    """A NAC state with layers from number ``first`` on."""
    return {
        f"layers.{first + index}.{name}": w(outputs, inputs)
        for index, (inputs, outputs) in enumerate(itertools.pairwise(dims))
        for name in ("W_hat", "M_hat")
    }


def nalu(index: int, outputs: int, inputs: int, gate: int | None = None) -> State:
    """One layer of a NALU state."""
    prefix = f"layers.{index}."
    return {
        f"{prefix}W_hat": w(outputs, inputs),
        f"{prefix}M_hat": w(outputs, inputs),
        f"{prefix}G": w(outputs if gate is None else gate, inputs),
    }


REFUSED: dict[str, tuple[State, str]] = {
    "empty": ({}, ("holds no tensor; save model.state_dict() or use nalu_export.save(model, path)")),
    "mixed kinds": (
        nac(3, 4) | nalu(1, 2, 4),
        (f"lacks 'layers.0.G'; nalu-export:NALU has W_hat, M_hat, G in each layer; {otherwise()}"),
    ),
    "mixed tying": (
        nalu(0, 4, 3) | nalu(1, 2, 4) | {"layers.1.W_hat_mul": w(2, 4), "layers.1.M_hat_mul": w(2, 4)},
        (
            "lacks 'layers.0.W_hat_mul', 'layers.0.M_hat_mul'; nalu-export:NALU has W_hat, M_hat, G, "
            f"W_hat_mul, M_hat_mul in each layer; {otherwise()}"
        ),
    ),
    "mixed gates": (
        nalu(0, 4, 3, gate=1) | nalu(1, 2, 4),
        (
            "has 'layers.0.G' of shape (1, 3); nalu-export:NALU expects (4, 3), by the shape of 'layers.0.W_hat'; "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "cell and stack": (
        {"W_hat": w(2, 3), "M_hat": w(2, 3)} | nac(3, 2),
        (
            "has 'W_hat', 'M_hat', which nalu-export:NAC does not have; nalu-export:NAC has W_hat, M_hat in"
            f" each layer; {otherwise()}"
        ),
    ),
    "cell and more of the stack": (
        {"W_hat": w(2, 3), "M_hat": w(2, 3)} | nac(3, 2, first=4),
        (
            "has 'W_hat', 'M_hat', which nalu-export:NAC does not have; nalu-export:NAC has W_hat, M_hat in"
            f" each layer; {otherwise()}"
        ),
    ),
    "gap": (
        nac(3, 4) | nac(4, 2, first=2),
        (
            "has 'layers.2.' but not 'layers.1.'; nalu-export:NAC needs every layer of a stack; "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "no first layer": (
        nac(3, 4, 2, first=1),
        (
            "has 'layers.2.' but not 'layers.0.'; nalu-export:NAC needs every layer of a stack; "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "far layer": (
        nac(3, 4, first=999_999),
        (
            "has 'layers.999999.' but not 'layers.0.'; nalu-export:NAC needs every layer of a stack; "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "does not chain": (
        nac(3, 4) | nac(5, 2, first=1),
        (
            "has 'layers.1.W_hat' of shape (2, 5), which nalu-export:NAC reads as 5 inputs, but the "
            "layer before has 4 outputs; expected equal numbers; "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "rank 1": (
        {"W_hat": w(3), "M_hat": w(3)},
        (
            "has 'W_hat' of shape (3,); nalu-export:NAC expects (outputs, inputs); "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "rank 3": (
        {"layers.0.W_hat": w(2, 3, 1), "layers.0.M_hat": w(2, 3, 1)},
        (
            "has 'layers.0.W_hat' of shape (2, 3, 1); nalu-export:NAC expects (outputs, inputs); "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "rank 0": (
        {"W_hat": w(), "M_hat": w()},
        (
            "has 'W_hat' of shape (); nalu-export:NAC expects (outputs, inputs); "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "no inputs": (
        {"W_hat": w(3, 0), "M_hat": w(3, 0)},
        (
            "has 'W_hat' of shape (3, 0); nalu-export:NAC expects (outputs, inputs); "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "M_hat of another shape": (
        {"W_hat": w(2, 3), "M_hat": w(3, 2)},
        (
            "has 'M_hat' of shape (3, 2); nalu-export:NAC expects (2, 3), by the shape of 'W_hat'; "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "G of another shape": (
        nalu(0, 4, 3, gate=2),
        (
            "has 'layers.0.G' of shape (2, 3); nalu-export:NALU expects (4, 3), by the shape of 'layers.0.W_hat'; "
            "for any other model give model='FILE.py:NAME'"
        ),
    ),
    "W_hat only": (
        {"layers.0.W_hat": w(2, 3)},
        (f"lacks 'layers.0.M_hat'; nalu-export:NAC has W_hat, M_hat in each layer; {otherwise()}"),
    ),
    "G without M_hat": (
        {"G": w(2, 3), "W_hat": w(2, 3)},
        (f"lacks 'M_hat'; nalu-export:NALU has W_hat, M_hat, G in each layer; {otherwise()}"),
    ),
    "untied without a gate": (
        {name: w(2, 3) for name in ("W_hat", "M_hat", "W_hat_mul", "M_hat_mul")},
        (f"lacks 'G'; nalu-export:NALU has W_hat, M_hat, G, W_hat_mul, M_hat_mul in each layer; {otherwise()}"),
    ),
    "foreign": ({"fc.weight": w(2, 3)}, (f"has keys of no known layout: 'fc.weight'; {otherwise()}")),
    "foreign among ours": (
        nac(3, 2) | {"layers.0.bias": w(2)},
        (
            "has 'layers.0.bias', which nalu-export:NAC does not have; nalu-export:NAC has W_hat, M_hat in "
            f"each layer; {otherwise()}"
        ),
    ),
    "wrong case": ({"w_hat": w(2, 3)}, (f"has keys of no known layout: 'w_hat'; {otherwise()}")),
    "line feed": ({"W_hat\n": w(2, 3)}, (f"has keys of no known layout: 'W_hat\\n'; {otherwise()}")),
    "Arabic digit": (
        {"layers.\u0661.W_hat": w(2, 3)},
        (f"has keys of no known layout: 'layers.\u0661.W_hat'; {otherwise()}"),
    ),
    "endless layer number": (
        {f"layers.{'9' * 5000}.W_hat": w(2, 3)},
        ("has a tensor with a name of 5,013 characters; at most 1,000 are allowed"),
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_refused(case: str, refusal: Refusal) -> None:
    state, text = REFUSED[case]
    assert refusal(files.torch_bytes(state)) == text


@pytest.mark.parametrize("key", ["layers.00.W_hat", "layers.-1.W_hat", "layers..W_hat", "layers.0.layers.0.W_hat"])
def test_odd_layer_numbers(key: str, refusal: Refusal) -> None:
    text = refusal(files.torch_bytes(nac(3, 2) | {key: w(2, 3)}))
    assert text.startswith(f"has '{key}', which nalu-export:NAC does not have")


def test_wrappers_prefixes_are_no_part_of_a_layout(tmp_path: Path) -> None:
    torch.save({f"module.{name}": value for name, value in nac(3, 2).items()}, tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt").notes == (
        "the prefix 'module.' was removed from the names of its tensors",
        "layout nalu-export:NAC",
    )


@pytest.mark.parametrize(
    ("layout", "text"),
    [
        ("nobody", "layout is 'nobody'; allowed owners: amg1, amg2, "),
        ("", "layout is ''; allowed owners: amg1, "),
        ("../goddoe", "layout is '../goddoe'; allowed owners: "),
        ("base", "layout is 'base'; allowed owners: "),
        ("goddoe:NPU", "layout is 'goddoe:NPU'; allowed: goddoe:NAC, goddoe:NALU"),
        ("goddoe:", "layout is 'goddoe:'; allowed: goddoe:NAC, goddoe:NALU"),
        (
            "goddoe",
            "is not in the layout goddoe: it lacks 'W'; goddoe:NAC has W_hat, M_hat, W in each layer",
        ),
        (
            "stable-nalu:NAC*",
            "has 'W_hat', 'M_hat', as the layout stable-nalu:NAC* does, which is known but not read in this release; "
            "give its code: model='FILE.py:NAME'",
        ),
    ],
)
def test_a_layout_that_does_not_fit(layout: str, text: str, refusal: Refusal) -> None:
    state = {"W_hat": w(2, 3), "M_hat": w(2, 3)}
    assert refusal(files.torch_bytes(state), layout=layout).startswith(text)


def test_a_layout_in_any_case(tmp_path: Path) -> None:
    torch.save({"W_hat": w(2, 3), "M_hat": w(2, 3)}, tmp_path / "model.pt")
    assert read_checkpoint(tmp_path / "model.pt", layout="johnlrr:nac").layout == "johnlrr:NAC"


def test_eps_of_the_user_makes_layouts_equal_that_differ_in_nothing_else() -> None:
    state = {"G": w(1, 1), "nac.W_hat": w(1, 1), "nac.M_hat": w(1, 1), "nac.W": w(1, 1)}
    # Inputs or outputs first is the same in a 1×1 matrix, so that ε is all that parts kevinzakka's and goddoe's.
    with pytest.raises(InputError, match=r"goddoe:NALU \(1 → 1\), kevinzakka:fauxNALU \(1 → 1\), wassname"):
        recognise(state)
    with pytest.raises(InputError, match=r"goddoe:NALU = kevinzakka:fauxNALU \(1 → 1\), wassname"):
        recognise(state, eps=1e-9)


def test_a_model_under_a_prefix_is_pointed_at(refusal: Refusal) -> None:
    state = {"encoder.weight": w(4, 4)} | {f"final.{name}": value for name, value in nac(3, 2).items()}
    assert refusal(files.torch_bytes(state)) == (
        "has keys of no known layout: 'encoder.weight', 'final.layers.0.W_hat', 'final.layers.0.M_hat'; "
        f"{otherwise()}; or prefix='final.' for the model under it, which leaves out 1 tensor ('encoder.weight')"
    )
