"""nalu_export.graph.places: the statement at a line of a source file, and the calls of modules that torch records."""

from pathlib import Path

from torch import fx, nn

from nalu_export.graph.places import Call, calls_of, place_in

TYPES: dict[str, type[nn.Module]] = {"": nn.Sequential, "a": nn.Linear, "a.b": nn.ReLU, "c@2": nn.Tanh}
MODEL = Call("", 0, nn.Sequential)
SOURCE = """class Net:
    def forward(self, x):
        a = x + 1
        b: int = (
            a
            * 2
        )
        a += b
        c, d = a, b
        c = d = a
        self.kept = a
        print(a)
        return (
            c
        )
"""


def test_each_line_of_a_statement(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(SOURCE, encoding="utf-8")
    expected = {3: (3, "a"), 4: (4, "b"), 6: (4, "b"), 7: (4, "b"), 8: (8, "a"), 9: (9, ""), 10: (10, ""), 11: (11, "")}
    expected |= {12: (12, ""), 13: (13, "y"), 15: (13, "y")}
    for line, (first, variable) in expected.items():
        place = place_in(str(path), line, 7)
        assert (place.first, place.variable, place.run) == (first, variable, 7), line


def test_files_that_cannot_be_read_have_lines_and_no_names(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def forward(:\n", encoding="utf-8")
    for file in (str(broken), "<nowhere>", str(tmp_path / "missing.py")):
        assert place_in(file, 3, 0) == (file, 3, 0, 3, "")


def test_calls_are_read_from_what_torch_records() -> None:
    recorded: list[tuple[dict[str, tuple[str, object]], tuple[Call, ...]]] = [
        ({}, (MODEL,)),
        ({"": ("", nn.Sequential)}, (MODEL,)),
        ({"a": ("a", nn.Linear), "a.b@1": ("a.b", nn.ReLU)}, (MODEL, Call("a", 0, nn.Linear), Call("a.b", 1, nn.ReLU))),
        ({"L__self__": ("", "net.Net"), "L__self___a@12": ("a", "net.A")}, (MODEL, Call("a", 12, nn.Linear))),
        # A name may hold the sign that stands before the number.
        ({"c@2": ("c@2", nn.Tanh)}, (MODEL, Call("c@2", 0, nn.Tanh))),
        ({"c@2@1": ("c@2", nn.Tanh)}, (MODEL, Call("c@2", 1, nn.Tanh))),
        # What is no module of the model was made on the way.
        ({"made": ("made", nn.ReLU), "a": ("a", nn.Linear)}, (MODEL, Call("a", 0, nn.Linear))),
    ]
    for stack, calls in recorded:
        assert calls_of({"nn_module_stack": stack}, TYPES) == calls
    assert calls_of({}, TYPES) == (MODEL,)


def test_fx_records_them_that_way() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(1, 1)

        def forward(self, x: object) -> object:
            return self.a(self.a(x)) + 1

    graph = fx.symbolic_trace(Twice()).graph
    types = {"": Twice, "a": nn.Linear}
    found = {node.name: calls_of(node.meta, types)[1:] for node in graph.nodes}
    assert found == {
        "x": (), "a": (Call("a", 0, nn.Linear),), "a_1": (Call("a", 1, nn.Linear),), "add": (), "output": (),
    }  # fmt: skip
