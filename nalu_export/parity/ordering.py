"""Runs a file by the names of its inputs and outputs, if they are the model's in another order."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nalu_export.graph import Interface, Port
from nalu_export.runtimes.base import Arrays, Session


def in_order(session: Session, interface: Interface) -> Session:
    """Return the session with its inputs and outputs in the model's order; itself if the order is the same."""
    given = _places(session.inputs, interface.inputs)
    taken = _places(session.outputs, interface.outputs)
    return session if given is None and taken is None else _Reordered(session, given, taken)


def _places(names: Sequence[str], ports: Sequence[Port]) -> list[int] | None:
    """Return the model's index of each name of the file; ``None`` if the order is the same or the names differ."""
    wanted = [port.name for port in ports]
    if list(names) == wanted or sorted(names) != sorted(wanted):
        return None
    return [wanted.index(name) for name in names]


class _Reordered(Session):
    """Takes inputs and gives outputs in the order of a model."""

    def __init__(self, session: Session, given: list[int] | None, taken: list[int] | None) -> None:
        self._session, self._given, self._taken = session, given, taken
        self.where, self.details, self.remarks = session.where, session.details, session.remarks
        self.lowers_float64, self.exp_limit = session.lowers_float64, session.exp_limit

    def run(self, inputs: Arrays) -> Arrays:
        """See :meth:`Session.run`."""
        outs = self._session.run(self._ordered(inputs))
        if self._taken is None or len(outs) != len(self._taken):
            return outs
        return [outs[self._taken.index(place)] for place in range(len(outs))]

    def values(self, inputs: Arrays, names: Sequence[str]) -> dict[str, NDArray[np.generic]]:
        """See :meth:`Session.values`."""
        return self._session.values(self._ordered(inputs), names)

    def _ordered(self, inputs: Arrays) -> Arrays:
        return inputs if self._given is None else [inputs[place] for place in self._given]
