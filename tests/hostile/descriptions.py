"""Files in our own format whose description of the model is malformed or hostile."""

from typing import Any

import numpy as np
import torch

from tests.checkpoints import files
from tests.hostile.case import EXPORT, Case, Table


def native(description: Any, state: Any = None, **changes: Any) -> bytes:
    """A file of our own format with this description."""
    return files.torch_bytes(files.native(description, state) | changes)


def args(kind: str, **arguments: Any) -> bytes:
    """The same with one layer."""
    return native({"type": kind, "args": arguments}, {"weight": torch.zeros(2, 2)})


def sequential(**children: Any) -> bytes:
    """The same with some layers in a row."""
    return native({"type": "Sequential", "children": children}, {"0.weight": torch.zeros(2, 2)})


def tiny() -> Any:
    """The description of the smallest Linear."""
    return files.linear(in_features=1, out_features=1)


# Of a hundred million rows, in four bytes.
ROWS = torch.zeros(1, 1).expand(10**8, 2)
PLACE = "its model description has a value of type Tensor where a layer should be"


DESCRIPTIONS: Table = {
    "a tensor for the description": Case(lambda: native(ROWS), PLACE),
    "a tensor for the version": Case(
        lambda: native(None, version=ROWS),
        "is in version a value of type Tensor of the nalu_export format; this release reads 1",
    ),
    "a tensor of one for the version": Case(
        lambda: native(None, version=torch.ones(())),
        "is in version a value of type Tensor of the nalu_export format; this release reads 1",
    ),
    "a tensor for the format": Case(
        lambda: native(None, {"weight": torch.zeros(2, 2)}, format=ROWS),
        "has keys of no known layout: 'weight'; for any other model give --model FILE.py:NAME",
    ),
    "a tensor for the weights": Case(
        lambda: native(files.linear(), ROWS),
        "holds a Tensor; save model.state_dict() or use nalu_export.save(model, path)",
    ),
    "a tensor for the kind of a layer": Case(
        lambda: native({"type": ROWS, "args": {}}),
        "its model description has a value of type dict where a layer should be",
    ),
    "a tensor for the arguments": Case(
        lambda: native({"type": "NAC", "args": ROWS}),
        "its model description gives NAC a value of type Tensor as arguments; expected a dict",
    ),
    "a tensor for the children": Case(
        lambda: native({"type": "Sequential", "children": ROWS}),
        "its model description has a Sequential without children",
    ),
    "a tensor for a child": Case(lambda: sequential(a=ROWS), PLACE),
    "a tensor for a name": Case(
        lambda: native({"type": "Sequential", "children": {ROWS: files.linear()}}),
        "its model description gives Sequential the argument a value of type Inert, which no file may set",
    ),
    "a tensor for the name of an argument": Case(
        lambda: native({"type": "NAC", "args": {ROWS: 1}}),
        "its model description gives NAC the argument a value of type Inert, which no file may set",
    ),
    "a tensor for sizes": Case(
        lambda: args("NAC", dims=ROWS), "its model description gives NAC the argument a value of type Tensor"
    ),
    "a tensor among sizes": Case(
        lambda: args("NAC", dims=[2, ROWS]), "its model description gives NAC the argument a value of type Tensor"
    ),
    "a tensor for an eps": Case(
        lambda: args("NALU", dims=[2, 1], eps=torch.tensor(1e-5)),
        "its model description gives NALU the argument a value of type Tensor",
    ),
    "an array for sizes": Case(
        lambda: args("NAC", dims=np.array([2, 1])), "its model description gives NAC the argument a value of type Inert"
    ),
    "an array for the description": Case(
        lambda: native(np.zeros(2)), "its model description has a value of type Inert where a layer should be"
    ),
    "a tensor for the assumptions": Case(
        lambda: native(files.linear(), assumptions=ROWS),
        "has assumptions that are not what nalu_export writes; was the file changed?",
    ),
    "a tensor among the assumptions": Case(
        lambda: native(files.linear(), assumptions=[ROWS]),
        "has assumptions that are not what nalu_export writes; was the file changed?",
    ),
    "a tensor in an assumption": Case(
        lambda: native(
            files.linear(), assumptions=[{"what": "eps", "value": ROWS, "why": "because", "option": "--eps 1"}]
        ),
        "has assumptions that are not what nalu_export writes; was the file changed?",
    ),
    "a tensor for a key of an assumption": Case(
        lambda: native(files.linear(), assumptions=[{ROWS: "eps"}]),
        "has assumptions that are not what nalu_export writes; was the file changed?",
    ),
    "another version": Case(
        lambda: native(None, version=2), "is in version 2 of the nalu_export format; this release reads 1"
    ),
    "a version of text": Case(
        lambda: native(None, version="1; import os"),
        "is in version '1; import os' of the nalu_export format; this release reads 1",
    ),
    "no description": Case(lambda: native(None), "does not describe its model; give --model FILE.py:NAME to build it"),
    "a description of text": Case(
        lambda: native("NAC(2, 1)"), "its model description has 'NAC(2, 1)' where a layer should be"
    ),
    "an unknown layer": Case(
        lambda: args("os.system", command="touch executed"),
        "its model description names the layer 'os.system', which this release does not know; give "
        "--model FILE.py:NAME to build the model",
    ),
    "a layer that breaks out": Case(
        lambda: args('NAC"); import os; os.system("x")  #'),
        'its model description names the layer \'NAC"); import os; os.system("x")  #\', which '
        "this release does not know; give --model FILE.py:NAME to build the model",
    ),
    "a layer of Python's": Case(
        lambda: args("__class__"),
        "its model description names the layer '__class__', which this release does not know; give "
        "--model FILE.py:NAME to build the model",
    ),
    "an argument that there is none of": Case(
        lambda: args("NAC", dims=[2, 1], __class__=1),
        "its model description: NAC: NAC.__init__() got an unexpected keyword argument '__class__'",
    ),
    "a device": Case(
        lambda: args("Linear", in_features=2, out_features=2, device="cpu"),
        "its model description gives Linear the argument 'device', which no file may set",
    ),
    "a dtype": Case(
        lambda: args("Linear", in_features=2, out_features=2, dtype="float16"),
        "its model description gives Linear the argument 'dtype', which no file may set",
    ),
    "a tensor for an argument": Case(
        lambda: args("Linear", in_features=torch.zeros(1), out_features=2),
        "its model description gives Linear the argument a value of type Tensor",
    ),
    "arguments in a list": Case(
        lambda: native({"type": "NAC", "args": [2, 1]}),
        "its model description gives NAC a value of type list as arguments; expected a dict",
    ),
    "a layer of 2**31 inputs": Case(
        lambda: args("Linear", in_features=2**31, out_features=2),
        "its model description gives Linear the argument 2147483648",
    ),
    "a layer of a quintillion weights": Case(
        lambda: args("Linear", in_features=10**9, out_features=10**9, bias=False),
        "has 'weight' of shape (2, 2); the model expects (1000000000, 1000000000)",
    ),
    "a layer of 2**62 weights": Case(
        lambda: args("Linear", in_features=2**31 - 1, out_features=2**31 - 1),
        "its model description: Linear: Storage size calculation overflowed with sizes=[2147483647, 2147483647]",
    ),
    "negative sizes": Case(
        lambda: args("NAC", dims=[-2, 1]),
        "its model description: NAC: dims[0] is -2; it must be an integer of at least 1",
    ),
    "sizes of text": Case(
        lambda: args("NAC", dims=["2", "1"]),
        "its model description: NAC: dims[0] is '2'; it must be an integer of at least 1",
    ),
    "an eps of text": Case(
        lambda: args("NALU", dims=[2, 1], eps="1e-10"),
        "its model description: NALU: eps is '1e-10'; it must be a number from 1e-30 to 1",
    ),
    "an eps of NaN": Case(
        lambda: args("NALU", dims=[2, 1], eps=float("nan")),
        "its model description: NALU: eps is nan; it must be a number from 1e-30 to 1",
    ),
    "an unknown initialiser": Case(
        lambda: args("NAC", dims=[2, 1], init="__import__"),
        "its model description: NAC: init is '__import__'; allowed: 'kaiming_uniform', "
        "'kaiming_normal', 'xavier_uniform'",
    ),
    "a stack of 20,001 sizes": Case(
        lambda: args("NAC", dims=[1] * 20_001), "its model description is deeper than 64 or larger than 20000 entries"
    ),
    "layers in layers": Case(
        lambda: native(files.nested_sequential(100)),
        "its model description is deeper than 64 or larger than 20000 entries",
    ),
    "a name with a dot": Case(
        lambda: sequential(**{"a.b": files.linear()}),
        "its model description has a layer named 'a.b'; expected letters, digits, _ and -, and no keyword of Python",
    ),
    "a name that runs a command": Case(
        lambda: sequential(**{'x", getattr(__import__("os"), "system")("touch executed")) #': files.linear()}),
        'its model description has a layer named \'x", getattr(__import__("os"), "system")("touch '
        'executed"...; expected letters, digits, _ and -, and no keyword of Python',
    ),
    "a name that is a line of a program": Case(
        lambda: sequential(**{'x")\ngetattr(__import__("os"), "system")("touch executed")\n#': files.linear()}),
        'its model description has a layer named \'x")\\ngetattr(__import__("os"), '
        '"system")("touch executed...; expected letters, digits, _ and -, and no keyword of Python',
    ),
    "a name of escape sequences": Case(
        lambda: sequential(**{"\x1b[2J\x1b]0;title\x07": files.linear()}),
        "its model description has a layer named '\\x1b[2J\\x1b]0;title\\x07'; expected letters, "
        "digits, _ and -, and no keyword of Python",
    ),
    "a name that runs backwards": Case(
        lambda: sequential(**{"\u202eb": files.linear()}),
        "its model description has a layer named '\\u202eb'; expected letters, digits, _ and -, "
        "and no keyword of Python",
    ),
    "a name of a null byte": Case(
        lambda: sequential(**{"x\x00y": files.linear()}),
        "its model description has a layer named 'x\\x00y'; expected letters, digits, _ and -, and "
        "no keyword of Python",
    ),
    "a name of half a character": Case(
        lambda: sequential(**{"\ud800": files.linear()}),
        "its model description has a layer named '\\ud800'; expected letters, digits, _ and -, and "
        "no keyword of Python",
    ),
    "a name that is a word of Python's": Case(
        lambda: sequential(**{"None": files.linear()}),
        "its model description has a layer named 'None'; expected letters, digits, _ and -, and no keyword of Python",
    ),
    "an empty name": Case(
        lambda: sequential(**{"": files.linear()}),
        "its model description has a layer named ''; expected letters, digits, _ and -, and no keyword of Python",
    ),
    "the name of a method": Case(
        lambda: sequential(forward=files.linear()),
        "its model description: Sequential: \"attribute 'forward' already exists\"",
    ),
    "the name of an attribute": Case(
        lambda: sequential(training=files.linear()),
        "its model description: Sequential: \"attribute 'training' already exists\"",
    ),
    "the name of the class": Case(
        lambda: sequential(__class__=files.linear()),
        "its model description: Sequential: \"attribute '__class__' already exists\"",
    ),
    "a name that is a number": Case(
        lambda: native({"type": "Sequential", "children": {3: files.linear()}}),
        "its model description gives Sequential the argument 3, which no file may set",
    ),
    "children in a list": Case(
        lambda: native({"type": "Sequential", "children": [files.linear()]}),
        "its model description has a Sequential without children",
    ),
    "no weights": Case(
        lambda: native({"type": "NAC", "args": {"dims": [2, 1]}}),
        "lacks 'layers.0.M_hat', 'layers.0.W_hat'; check that the file holds the weights of this model",
    ),
    "weights of another model": Case(
        lambda: native({"type": "NAC", "args": {"dims": [2, 1]}}, {"layers.0.W": torch.zeros(1, 2)}),
        "lacks 'layers.0.M_hat', 'layers.0.W_hat' and has 'layers.0.W', which the model does not have; "
        "check that the file holds the weights of this model",
    ),
    "weights of another shape": Case(
        lambda: native(
            {"type": "NACCell", "args": {"in_features": 2, "out_features": 1}},
            {"W_hat": torch.zeros(2, 1), "M_hat": torch.zeros(2, 1)},
        ),
        "has 'W_hat' of shape (2, 1); the model expects (1, 2)",
    ),
    "no arithmetic layer": Case(
        lambda: native(files.linear(), {"weight": torch.zeros(2, 2)}),
        "Linear holds no arithmetic: its forward computes no log, exp, power, product or quotient of values that "
        "depend on the input, and no matrix product with a weight that tanh, sigmoid or clamp computes; name the "
        "arithmetic with --arithmetic PATH, or use torch.onnx.export",
        EXPORT,
    ),
    "more layers than can be loaded": Case(
        lambda: native(
            {"type": "Sequential", "children": {str(number): tiny() for number in range(3200)}},
            {f"{number}.weight": torch.zeros(1, 1) for number in range(3200)},
        ),
        "has 3,200 tensors in 3,201 layers, too many to load; save a part of it",
        EXPORT[:1],
    ),
}
