"""Cuts batches into portions whose analysis fits into memory."""

from torch import fx

from nalu_export.errors import InputError, option
from nalu_export.graph.constants import parameter_nodes
from nalu_export.graph.evaluation import run
from nalu_export.graph.interface import Sizes
from nalu_export.modules.copying import in_single
from nalu_export.parity.batch import Batch
from nalu_export.parity.opaque.call import tensors
from nalu_export.process import memory

# Bytes that an analysis keeps for each intermediate number: value, size, error, radius, magnitude and reach in float64.
KEPT = 48
# The same with temporaries, as measured with convolutions: their perturbed evaluations in float32, and copies.
TAKEN = 256
# Bytes of a portion. Larger portions are not faster: 64 MB and 2 GB take the same time per sample.
PORTION = 2**27


class Portions:
    """Cuts batches so that the analysis of a portion takes about ``PORTION`` bytes, or has one sample.

    Args:
        graph_module: the graph that is analysed.
    """

    def __init__(self, graph_module: fx.GraphModule) -> None:
        self._graph_module = graph_module
        self._constants = set(parameter_nodes(graph_module.graph))
        self._numbers: dict[Sizes, int] = {}

    def __call__(self, x: Batch) -> list[slice]:
        """Return the rows of each portion, in order; an empty batch is one portion.

        Raises:
            InputError: one sample alone takes more memory than is allowed.
        """
        numbers = self.numbers(x)
        rows = max(1, PORTION // max(1, TAKEN * numbers))
        starts = range(0, len(x), rows) if rows < len(x) else [0]
        return [slice(start, min(start + rows, len(x))) for start in starts]

    def numbers(self, x: Batch) -> int:
        """Return how many numbers are computed from one sample, outputs included.

        Raises:
            InputError: see :meth:`__call__`.
        """
        if x.shapes not in self._numbers:
            found = self._numbers[x.shapes] = self._counted(x[:1])
            _refuse_large(found, x.shapes)
        return self._numbers[x.shapes]

    def _counted(self, x: Batch) -> int:
        if not len(x):
            return 0
        try:
            values = run(self._graph_module, *x.tensors(double=True))
        except RuntimeError:
            # A module that makes float32 tensors runs in float32 only.
            values = run(in_single(self._graph_module), *x.tensors())
        found = (value for node, value in values.items() if node not in self._constants and node.op != "get_attr")
        return sum(tensor.numel() for value in found for tensor in tensors(value))


def _refuse_large(numbers: int, shapes: Sizes) -> None:
    allowed = memory.allowed()
    if allowed is not None and KEPT * numbers > allowed:
        shown = " and ".join(str(tuple(shape)) for shape in shapes)
        raise InputError(
            f"the check of one sample of shape {shown} takes at least {KEPT * numbers:,} bytes of memory, and the "
            f"limit is {allowed:,}; give smaller inputs ({option('input_size')}){memory.more_may_be_taken()}"
        )
