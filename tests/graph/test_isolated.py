"""ModelGraph.isolated: an arithmetic subgraph as a model of its own."""

import pytest
import torch

from nalu_export import NALU, BackboneHead, InputError
from tests.captured import graph_of
from tests.graph.net import Net


def test_an_isolated_module_is_the_module(image_model: BackboneHead) -> None:
    graph = graph_of(image_model, (1, 8, 8))
    alone = graph.isolated("head")
    assert alone.module is image_model.head
    assert alone.whole is not None
    assert (alone.host, alone.whole.name, alone.whole.calls) == (None, "", 1)
    x = torch.rand(5, 6)
    torch.testing.assert_close(alone.flat(x), image_model.head(x))
    assert graph.isolated("") is graph


def test_an_isolated_region_is_its_graph() -> None:
    graph = graph_of(Net(lambda x, p: p.norm(torch.exp(p.norm(x) @ p.w))).eval(), (3,))
    alone = graph.isolated("arithmetic")
    assert alone.sizes == ((3,),)
    assert [x.shape for x in alone.example] == [(3, 3)]
    x = torch.rand(4, 3)
    torch.testing.assert_close(alone.module(x), torch.exp(x @ graph.module.get_parameter("w")))


def test_what_cannot_stand_alone(image_model: BackboneHead) -> None:
    graph = graph_of(image_model, (1, 8, 8))
    with pytest.raises(InputError, match=r"^part is 'tail', .* subgraph of the model; expected one of 'head'$"):
        graph.isolated("tail")
    with pytest.raises(InputError, match=r"^part is 'head', .* the only one is the model itself$"):
        graph_of(NALU(3, 2)).subgraph("head")


def test_an_isolated_region_of_two_inputs() -> None:
    graph = graph_of(Net(lambda x, p: torch.exp(p.norm(x)) * torch.cumsum(x, 1)).eval(), (3,))
    alone = graph.isolated("arithmetic")
    assert [(port.name, port.shape) for port in alone.interface.inputs] == [("x", ("batch", 3)), ("x_2", ("batch", 3))]
    assert [port.name for port in alone.interface.outputs] == ["output"]
    x, y = torch.rand(4, 3), torch.rand(4, 3)
    torch.testing.assert_close(alone.module(x, y), torch.exp(x) * y)
