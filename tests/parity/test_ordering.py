"""nalu_export.parity.ordering: files that have inputs and outputs in another order than the model."""

from collections.abc import Sequence

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nalu_export.graph import Interface, Port
from nalu_export.graph.interface import BATCH, positional
from nalu_export.parity.ordering import in_order
from nalu_export.runtimes.base import Arrays, Session


class Fake(Session):
    """Gives the difference of its two inputs, and their sum."""

    where = "here"

    def __init__(self, inputs: Sequence[str], outputs: Sequence[str]) -> None:
        self.inputs, self.outputs = inputs, outputs

    def run(self, inputs: Arrays) -> Arrays:
        one, other = (x.astype(np.float32) for x in inputs)
        return [one - other, one + other]

    def values(self, inputs: Arrays, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        return dict.fromkeys(names, inputs[0])


def interface() -> Interface:
    def ports(*names: str) -> tuple[Port, ...]:
        return tuple(Port(name, name, torch.float32, (BATCH,)) for name in names)

    return Interface(ports("a", "b"), ports("y", "z"), positional(2))


A, B = np.array([5], np.float32), np.array([3], np.float32)


@pytest.mark.parametrize(
    ("inputs", "outputs", "found"),
    [
        (["b", "a"], ["y", "z"], [-2, 8]),
        (["a", "b"], ["z", "y"], [8, 2]),
        (["b", "a"], ["z", "y"], [8, -2]),
    ],
)
def test_a_file_in_another_order_is_run_by_name(inputs: list[str], outputs: list[str], found: list[float]) -> None:
    session = in_order(Fake(inputs, outputs), interface())
    assert [float(y) for y in np.concatenate(session.run([A, B]))] == found
    assert session.values([A, B], ["v"])["v"] is (A if inputs[0] == "a" else B)
    assert session.where == "here"


@pytest.mark.parametrize(
    ("inputs", "outputs"),
    [(["a", "b"], ["y", "z"]), (["p", "q"], ["y", "z"]), (["a", "c"], ["r", "s"]), ([], []), (["a", "b", "c"], ["y"])],
)
def test_any_other_is_itself(inputs: list[str], outputs: list[str]) -> None:
    session = Fake(inputs, outputs)
    assert in_order(session, interface()) is session
