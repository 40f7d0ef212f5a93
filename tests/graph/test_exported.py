"""nalu_export.graph.exported: the same kind of graph by torch.export, with names and lines, and in silence."""

import logging
from pathlib import PurePath

import pytest
import torch
from torch import Tensor, fx, nn

from nalu_export import NALUCell
from nalu_export.graph.example import Example
from nalu_export.graph.exported import exported, quiet
from nalu_export.graph.places import place_of, stack_of
from nalu_export.modules.copying import copied
from tests.captured import example_for


class _Net(nn.Module):
    """Code that torch.fx cannot follow, around a cell that is called twice."""

    def __init__(self) -> None:
        super().__init__()
        self.cell = NALUCell(3, 3)

    def forward(self, x: Tensor) -> Tensor:
        assert x.shape[1] == 3
        h = torch.zeros(x.shape[0], 3)
        for _ in range(2):
            h = self.cell(x + h)
        scaled = h * 2.0
        return scaled  # noqa: RET504  a name to be found


def test_it_is_a_flat_graph_of_one_result_for_every_batch() -> None:
    model = _Net().eval()
    flat = exported(copied(model), Example.of(torch.rand(3, 3)))
    assert {node.op for node in flat.graph.nodes} == {"placeholder", "get_attr", "call_function", "output"}
    assert [node.op for node in flat.graph.nodes].count("placeholder") == 1
    assert {node.target for node in flat.graph.nodes if node.op == "get_attr"} == {
        f"cell.{name}" for name in ("W_hat", "M_hat", "G")
    }
    for batch in (1, 2, 5):
        x = torch.rand(batch, 3)
        found = flat(x)
        assert isinstance(found, Tensor)
        torch.testing.assert_close(found, model(x))


def test_calls_and_lines_are_those_of_the_source() -> None:
    flat = exported(_Net().eval(), Example.of(torch.rand(3, 3)))
    exponentials = [node for node in flat.graph.nodes if "aten.exp" in str(node.target)]
    stacks = [[(call.path, call.number) for call in stack_of(node)] for node in exponentials]
    assert stacks == [[("", 0), ("cell", number)] for number in (0, 1)]
    last = flat.graph.output_node().args[0]
    assert isinstance(last, fx.Node)
    place = place_of(last)
    assert place is not None
    assert (PurePath(place.file).name, place.variable) == (PurePath(__file__).name, "scaled")
    assert place.line == _Net.forward.__code__.co_firstlineno + 5


def test_images_of_other_sizes() -> None:
    class Images(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv = nn.Conv2d(1, 2, 3)

        def forward(self, x: Tensor) -> Tensor:
            assert x.ndim == 4
            y: Tensor = self.conv(x)
            return y.mean((2, 3))

    model = Images().eval()
    flat = exported(copied(model), example_for(model, (1, 8, 8)))
    x = torch.rand(2, 1, 11, 9)
    torch.testing.assert_close(flat(x), model(x))


def test_nothing_is_changed_in_place() -> None:
    class Changing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            y = x.clone()
            y[:, 0] = 1.0
            y.mul_(2.0)
            return y

    flat = exported(Changing(), Example.of(torch.rand(3, 2)))
    targets = [node.target for node in flat.graph.nodes if node.op == "call_function"]
    assert not [target for target in targets if target._schema.is_mutable]
    x = torch.rand(4, 2)
    torch.testing.assert_close(flat(x), Changing()(x))


def test_it_says_nothing(capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture) -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x if x.sum() > 0 else -x

    class Wrong(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.mm(x, torch.ones(7))

    level = logging.getLogger("torch.export").level
    with pytest.raises(Exception, match="data-dependent"):
        exported(Branching(), Example.of(torch.rand(3, 2)))
    with pytest.raises(Exception, match="2D"):
        exported(Wrong(), Example.of(torch.rand(3, 2)))
    assert capfd.readouterr() == ("", "")
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert logging.getLogger("torch.export").level == level
    with quiet():
        logging.getLogger("torch.export").warning("of torch")
    assert capfd.readouterr() == ("", "")
