"""TorchScript in libtorch, in a C++ program, on the CPU."""

from torch import nn

from nalu_export.runtimes._program import serve
from nalu_export.runtimes.base import RunOptions, Runtime, Session


class LibTorch(Runtime):
    """``torch::jit::load`` in ``examples/cpp/libtorch_infer.cpp``. Loading an archive executes code in it.

    ``make cpp`` in the source repository builds the program, and the environment variable NALU_EXPORT_CPP names its
    folder. Without it: a RuntimeUnavailableError. TF32 does not apply.
    """

    name = "libtorch"
    format = "torchscript"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model
        return serve(self.name, "libtorch_infer", "model.torchscript.pt", data, options)


RUNTIME = LibTorch()
