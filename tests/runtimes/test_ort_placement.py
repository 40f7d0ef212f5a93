"""Which nodes may stay on the CPU: those that compute shapes, wherever they are, and no others."""

from typing import Any

import pytest
from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto, helper

from nalu_export.runtimes._ort_placement import Placed, computing, listed

FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL
_ATTRIBUTES: dict[str, dict[str, Any]] = {
    "Concat": {"axis": 0},
    "Cast": {"to": FLOAT},
    "RandomUniform": {"shape": [2]},
}


def _value(name: str, kind: int = FLOAT, *sizes: int | str) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, kind, sizes or None)


def _file(nodes: list[tuple[str, str, str]], outputs: dict[str, int]) -> ModelProto:
    """``(operator, inputs, outputs)``; each node is named after its first output. Inputs: float x, integer ids."""
    constants = [
        helper.make_tensor("two", INT64, [1], [2]),
        helper.make_tensor("three", INT64, [1], [3]),
        helper.make_tensor("half", FLOAT, [1], [0.5]),
    ]
    made = []
    for operator, given, results in nodes:
        more = _ATTRIBUTES.get(operator, {})
        made.append(helper.make_node(operator, given.split(), results.split(), name=results.split()[0], **more))
    inputs = [_value("x", FLOAT, "n", 4), _value("ids", INT64, "n")]
    graph = helper.make_graph(made, "g", inputs, [_value(name, kind) for name, kind in outputs.items()], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)


def _wrong(proto: ModelProto) -> dict[str, str]:
    """The nodes that would be a fallback, each on the CPU."""

    def named(graph: GraphProto) -> list[Placed]:
        bodies = [attribute.g for node in graph.node for attribute in node.attribute if attribute.HasField("g")]
        return [
            *(Placed(node.op_type, node.name) for node in graph.node),
            *(node for body in bodies for node in named(body)),
        ]

    return {str(node): kind for node, kind in computing(proto.SerializeToString(), named(proto.graph)).items()}


def test_arithmetic_of_shapes_is_none_of_values() -> None:
    nodes = [
        ("Shape", "x", "shape"),
        ("Gather", "shape two", "size"),
        ("Mul", "size three", "more"),
        ("Concat", "more two", "sizes"),
        ("Size", "ids", "count"),
        ("Greater", "count two", "many"),
        ("Where", "many size more", "chosen"),
    ]
    assert _wrong(_file(nodes, {"sizes": INT64, "chosen": INT64})) == {}


@pytest.mark.parametrize(
    ("nodes", "output", "wrong"),
    [
        ([("Exp", "x", "y")], FLOAT, {"Exp y": "float"}),
        # Integers, but of what the model is given, not of its shape.
        ([("Add", "ids two", "y")], INT64, {"Add y": "int64"}),
        ([("Shape", "x", "s"), ("Gather", "ids two", "t"), ("Concat", "s t", "y")], INT64, {"Gather t", "Concat y"}),
        # Of shapes, but a number that takes part in the arithmetic.
        ([("Shape", "x", "s"), ("Cast", "s", "f"), ("Sqrt", "f", "y")], FLOAT, {"Cast f", "Sqrt y"}),
        ([("ArgMax", "x", "y")], INT64, {"ArgMax y"}),
        ([("Tanh", "half", "y")], FLOAT, {"Tanh y"}),
        ([("Shape", "x", "s"), ("ConstantOfShape", "s", "zeros"), ("Exp", "zeros", "y")], FLOAT, {"Exp y"}),
        ([("RandomUniform", "", "y")], FLOAT, {"RandomUniform y"}),
    ],
)
def test_what_computes_values_is_a_fallback(
    nodes: list[tuple[str, str, str]], output: int, wrong: dict[str, str] | set[str]
) -> None:
    found = _wrong(_file(nodes, {"y": output}))
    assert found == wrong if isinstance(wrong, dict) else set(found) == wrong


def test_inside_a_loop() -> None:
    """The number of a step is no value; what the loop carries is one."""
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["go"], ["go_on"], name="go_on"),
            helper.make_node("Unsqueeze", ["step", "zero"], ["place"], name="place"),
            helper.make_node("Add", ["carried", "carried"], ["next"], name="next"),
        ],
        "body",
        [_value("step", INT64), _value("go", BOOL), _value("carried", INT64, 1)],
        [_value("go_on", BOOL), _value("next", INT64, 1), _value("place", INT64, 1)],
        [helper.make_tensor("zero", INT64, [1], [0])],
    )
    loop = helper.make_node("Loop", ["two", "", "ids"], ["last", "places"], name="loop", body=body)
    graph = helper.make_graph(
        [loop],
        "g",
        [_value("ids", INT64, 1)],
        [_value("last", INT64, 1), _value("places", INT64, "t", 1)],
        [helper.make_tensor("two", INT64, [], [2])],
    )
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
    assert set(_wrong(proto)) == {"Loop loop", "Identity go_on", "Add next"}


def test_nodes_that_an_optimizer_made() -> None:
    data = _file([("Exp", "x", "y")], {"y": FLOAT}).SerializeToString()
    assert list(computing(data, [Placed("Shape", "new"), Placed("Exp", "new")])) == [Placed("Exp", "new")]


def test_nodes_of_one_name_are_judged_together() -> None:
    proto = _file([("Shape", "x", "s"), ("Mul", "s two", "t"), ("Mul", "ids two", "y")], {"t": INT64, "y": INT64})
    for node in proto.graph.node:
        node.name = ""
    assert set(_wrong(proto)) == {"Mul"}


def test_a_list_is_short() -> None:
    nodes = [Placed("Exp", f"e{number}") for number in range(6)]
    assert listed(nodes[:2]) == "Exp e0, Exp e1"
    assert listed(nodes, dict.fromkeys(nodes, "float")).endswith("Exp (float) e3 and 2 more")
