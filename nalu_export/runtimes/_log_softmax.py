"""A defect of two runtimes: they compute LogSoftmax as log(Softmax).

The result is −inf where the Softmax underflows, from about 104 below the largest logit on. Near the largest logit it is
only absolutely accurate. A classifier over numbers that extrapolate soon reaches such logits.
"""

import numpy as np
from onnx import TensorProto, helper

from nalu_export.runtimes._onnx_values import Loader

_GAP = 200.0


def log_softmax_remarks(data: bytes, load: Loader, where: str) -> tuple[str, ...]:
    """Return the remark for a file that holds a LogSoftmax, if this version of the runtime has the defect.

    Args:
        data: the file.
        load: loads a file in the runtime.
        where: where the defect is documented, for the remark.
    """
    if b"LogSoftmax" not in data:
        return ()
    (result,) = load(_probe()).run([np.array([[0.0, -_GAP]], np.float32)])
    if result.astype(np.float64)[0, 1] == -_GAP:
        return ()
    return (f"computes LogSoftmax as log(Softmax), which is −inf where the Softmax underflows ({where})",)


def _probe() -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("LogSoftmax", ["x"], ["y"], axis=1)], "probe", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = proto.SerializeToString()
    return data
