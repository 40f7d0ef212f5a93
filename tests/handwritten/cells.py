"""Every cell written by hand: ``CELLS[name]()`` is a trained module that takes ``(batch, *CELL_SHAPE)``."""

from collections.abc import Callable

from torch import nn

from tests.handwritten import epsilons, functions, gates, matrices, products, structures

CELL_SHAPE = (3,)
FILES = (matrices, epsilons, gates, products, functions, structures)
CELLS: dict[str, Callable[[], nn.Module]] = {name: build for file in FILES for name, build in file.CELLS.items()}
