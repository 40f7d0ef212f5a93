"""Polygraphy's comparator with its defaults; a file of its own, since Polygraphy need not be installed."""

from collections import OrderedDict
from time import perf_counter
from typing import Any

import numpy as np
from polygraphy.backend.base import BaseRunner  # type: ignore[import-untyped,import-not-found,unused-ignore]
from polygraphy.backend.onnxrt import OnnxrtRunner  # type: ignore[import-untyped,import-not-found,unused-ignore]
from polygraphy.common import TensorMetadata  # type: ignore[import-untyped,import-not-found,unused-ignore]
from polygraphy.comparator import Comparator, DataLoader  # type: ignore[import-untyped,import-not-found,unused-ignore]
from polygraphy.logger import G_LOGGER  # type: ignore[import-untyped,import-not-found,unused-ignore]

from benchmarks.fault_peers import OnnxRun
from tests.faults.planted import AnyArray, Run


def differ(right: Run, tested: Run, shape: tuple[int, ...]) -> bool:
    """Whether the comparator says so.

    Args:
        right: the model.
        tested: the artifact; an ONNX file goes through Polygraphy's own ONNX Runtime runner.
        shape: of one sample. Polygraphy takes 1 for every free axis by default, which is too small for an image.
    """
    metadata = TensorMetadata().add("input", np.float32, (1, *shape))
    with G_LOGGER.verbosity(G_LOGGER.CRITICAL + 1):
        artifact = (
            OnnxrtRunner(tested.session, name="artifact")
            if isinstance(tested, OnnxRun)
            else _Runner(tested, metadata, "artifact")
        )
        runners = [_Runner(right, metadata, "torch"), artifact]
        results = Comparator.run(runners, data_loader=DataLoader(input_metadata=metadata))
        return not bool(Comparator.compare_accuracy(results))


class _Runner(BaseRunner):  # type: ignore[misc,unused-ignore]
    """Polygraphy's own PyTorch runner needs a GPU; this is the same on the CPU."""

    def __init__(self, run: Run, metadata: Any, name: str) -> None:
        super().__init__(name=name)
        self._run, self._metadata = run, metadata

    def get_input_metadata_impl(self) -> Any:
        """Name, type and shape of the input."""
        return self._metadata

    def infer_impl(self, feed_dict: dict[str, AnyArray]) -> OrderedDict[str, AnyArray]:
        """One batch."""
        start = perf_counter()
        out = self._run(feed_dict["input"])
        self.inference_time = perf_counter() - start
        return OrderedDict(output=out)
