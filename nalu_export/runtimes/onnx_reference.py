"""ONNX's own reference implementation in numpy, which defines the meaning of each operator."""

from typing import Any

import numpy as np
from torch import nn

from nalu_export.errors import InputError, first_line, no_memory
from nalu_export.process.locks import own_warnings
from nalu_export.runtimes._log_softmax import log_softmax_remarks
from nalu_export.runtimes._onnx_values import Loaded, OnnxSession
from nalu_export.runtimes.base import Arrays, RunOptions, Runtime, Session


class _ReferenceSession(OnnxSession):
    def __init__(self, data: bytes) -> None:
        super().__init__("onnx-reference", data)
        # onnx is already imported; its reference evaluator takes half a second more, and only this runtime needs it.
        import onnx

        self.remarks = log_softmax_remarks(data, self._load, "fixed by github.com/onnx/onnx/pull/8423")
        library = f"onnx {onnx.__version__}"
        self.where = f"{library}, reference evaluator, numpy {np.__version__}, CPU"
        self.details = {
            "library": f"{library}, numpy {np.__version__}",
            "device": "CPU",
            "provider": "ReferenceEvaluator",
            "options": "",
            "threads": "numpy's own",
        }

    def _load(self, data: bytes) -> Loaded:
        try:
            from onnx.reference import ReferenceEvaluator

            evaluator = ReferenceEvaluator(data)
            # An empty file is a valid protobuf message too.
            if not evaluator.output_names:
                raise ValueError("it holds no graph")
        except Exception as error:
            # protobuf's DecodeError and the exceptions of operators' constructors share no base.
            raise no_memory(error) or InputError(f"onnx-reference refuses the file: {first_line(error)}") from error

        def run(inputs: Arrays) -> Arrays:
            # Overflow and log(0) are normal here; numpy would warn about each.
            with np.errstate(all="ignore"), own_warnings(ignored=True):
                try:
                    outputs = evaluator.run(None, dict(zip(evaluator.input_names, inputs, strict=True)))
                except Exception as error:
                    # Operators raise numpy's exceptions. A batch that does not fit fails the check.
                    raise no_memory(error) or InputError(f"onnx-reference: {first_line(error)}") from error
            given: list[Any] = list(outputs)
            return [np.asarray(output) if isinstance(output, np.generic) else output for output in given]

        return Loaded(run, evaluator.input_names, evaluator.output_names)


class OnnxReference(Runtime):
    """``onnx.reference.ReferenceEvaluator``; onnx is always installed. TF32 and threads do not apply.

    It runs numpy in the types of the file: float32 Exp within 3.6 roundoffs, Log within 4.6 (near 1). Its LogSoftmax
    is log(Softmax) up to onnx 1.23 (github.com/onnx/onnx/pull/8423).
    """

    name = "onnx-reference"
    format = "onnx"

    def load(self, model: nn.Module, data: bytes, options: RunOptions) -> Session:
        """See :meth:`Runtime.load`."""
        del model, options
        return _ReferenceSession(data)


RUNTIME = OnnxReference()
