"""Malformed and hostile files whose weights are not where they are looked for: under keys, in parts, under a norm."""

import json
from typing import Any

import torch

from tests.checkpoints import files
from tests.hostile.case import Case, Table

W, M = "layers.0.W_hat", "layers.0.M_hat"
W_1 = torch.zeros(1)
STATE = {W: torch.zeros(1, 2), M: torch.zeros(1, 2)}
ONLY = "a state_dict has names and tensors only; save model.state_dict() or use nalu_export.save(model, path)"


def index(listing: Any, **more: Any) -> bytes:
    """An index of weights in several files."""
    return json.dumps({"weight_map": listing, **more}).encode()


def loop() -> dict[str, Any]:
    """A dict that holds itself."""
    found: dict[str, Any] = {"epoch": 3}
    found["again"] = found
    return found


def wide() -> dict[str, Any]:
    """A thousand dicts, each of which is a thousand others."""
    level: dict[str, Any] = {"x": 1}
    for _ in range(4):
        level = {str(number): level for number in range(1000)}
    return level


def keeps(name: str) -> Case:
    """An index that keeps a tensor elsewhere than in a file beside it."""
    return Case(
        lambda: index({W: name}),
        f"is an index that lists {name!r} as the file of '{W}'; expected the plain name of a file beside it",
    )


def missing(name: str, count: str = "1 file") -> str:
    """What is said where a part is not there."""
    return f"is part of a model in {count}, and {name} is not beside it; put all of them into one folder"


HOLDERS: Table = {
    "two dicts of tensors": Case(
        lambda: files.torch_bytes({"a": STATE, "b": {"w": torch.zeros(1)}}),
        "holds several dicts of tensors: 'a' (2 tensors), 'b' (1 tensor); say which with --key NAME",
    ),
    "ten thousand dicts of tensors": Case(
        lambda: files.torch_bytes({str(number): dict(STATE) for number in range(10_000)}),
        "holds several dicts of tensors: "
        + ", ".join(f"'{number}' (2 tensors)" for number in range(6))
        + " and 9,994 more; say which with --key NAME",
    ),
    "eight thousand averages of others": Case(
        lambda: files.torch_bytes(
            {f"{kind}.{number}": {f"{kind}{number}": W_1} for number in range(8_000) for kind in ("ema", "raw")}
        ),
        "holds several dicts of tensors: 'ema.0' (1 tensor), 'raw.0' (1 tensor), 'ema.1' (1 tensor), "
        "'raw.1' (1 tensor), 'ema.2' (1 tensor), 'raw.2' (1 tensor) and 15,994 more; say which with --key NAME",
    ),
    "a key of escape sequences": Case(
        lambda: files.torch_bytes({"\x1b[2J": STATE, "b\n": dict(STATE)}),
        r"holds several dicts of tensors: '\x1b[2J' (2 tensors), 'b\n' (2 tensors); say which with --key NAME",
    ),
    "the state of an optimizer alone": Case(
        lambda: files.torch_bytes({"optimizer": {"state": {0: STATE}, "param_groups": []}}),
        f"has 'optimizer' of type dict; {ONLY}",
    ),
    "the state of an optimizer by another name": Case(
        lambda: files.torch_bytes({"adam": {"state": STATE, "param_groups": []}}), f"has 'adam' of type dict; {ONLY}"
    ),
    "a dict that holds itself": Case(
        lambda: files.torch_bytes(loop()),
        "nests its values deeper than 500; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "dicts without end": Case(lambda: files.torch_bytes(wide()), f"has '0' of type dict; {ONLY}"),
    "an average beside the only tensors": Case(
        lambda: files.torch_bytes({**STATE, "ema": dict(STATE)}),
        f"holds tensors outside any dict of weights ('{W}', '{M}') and averaged tensors under 'ema'; give --key ema "
        "for the average, or save the state_dict that you want in a file of its own",
    ),
    "adapters": Case(
        lambda: files.torch_bytes({"base_model.model.a.lora_A.weight": torch.zeros(1, 2)}),
        "holds adapters of PEFT (LoRA): 'base_model.model.a.lora_A.weight', which change weights of another file; "
        "merge them with model = peft_model.merge_and_unload() and save model.state_dict()",
    ),
    "a norm of a tensor that is larger than the file": Case(
        lambda: files.torch_bytes(
            {f"{W}_g": torch.zeros(1, 1), f"{W}_v": torch.zeros(1, 1).expand(1, 10**9), M: STATE[M]}
        ),
        "has tensors of 4,000,000,012 bytes in a file of 2,145 bytes, as expanded tensors have; save "
        "them after .contiguous()",
    ),
    "a norm of nothing": Case(
        lambda: files.torch_bytes({f"{W}_g": torch.zeros(1, 1), f"{W}_v": torch.zeros(1, 0), M: STATE[M]}),
        f"has keys of no known layout: '{W}_g', '{W}_v', '{M}'; for any other model give --model FILE.py:NAME",
    ),
    "a norm that is known to nobody": Case(
        lambda: files.torch_bytes({"layers.0.parametrizations.W_hat.original": STATE[W], M: STATE[M]}),
        "has 'layers.0.parametrizations.W_hat.original' of a parametrization, but a file of weights "
        "does not hold its code; "
        "give --model FILE.py:NAME, or save it after "
        "torch.nn.utils.parametrize.remove_parametrizations(module, 'W_hat')",
    ),
    "an index of a part that is not there": Case(lambda: index({W: "a.pt"}), missing("a.pt")),
    "an index of itself": Case(lambda: index({W: "model.pt"}), "is a JSON file; expected a model.pt"),
    "an index of the folder above": keeps("../a.pt"),
    "an index of a system file": keeps("/etc/passwd"),
    "an index of a drive": keeps("C:a.pt"),
    "an index of a stream": keeps("a.pt:b"),
    "an index of the folder": keeps("."),
    "an index of nothing": keeps(""),
    "an index of escape sequences": keeps("\x1b[2J"),
    "an index of a number": Case(
        lambda: index({W: 3}),
        f"is an index that lists 3 as the file of '{W}'; expected the plain name of a file beside it",
    ),
    "an index of a list": Case(
        lambda: index({W: ["a.pt"]}),
        f"is an index that lists a value of type list as the file of '{W}'; expected the plain name "
        "of a file beside it",
    ),
    "an index without tensors": Case(
        lambda: index({}), "is an index whose weight_map lists no tensors; give the path of a file of weights"
    ),
    "an index that is a list": Case(
        lambda: index([W]), "is an index whose weight_map lists no tensors; give the path of a file of weights"
    ),
    "an index with a tensor twice": Case(
        lambda: b'{"weight_map": {"a": "x", "a": "y"}}', "is an index that has 'a' twice"
    ),
    "an index of a hundred thousand files": Case(
        lambda: index({str(number): str(number) for number in range(100_000)}),
        "is an index of more than 1,000 files; join them first",
    ),
    "an index of ten million bytes": Case(
        lambda: index({W: "a.pt"}, more="x" * 10**7),
        "is an index of 10,000,054 bytes; at most 10,000,000 are read",
    ),
    "an index nested a hundred thousand deep": Case(
        lambda: b'{"weight_map": {"a": ' + b"[" * 10**5, "is a JSON file; expected a model.pt"
    ),
}
