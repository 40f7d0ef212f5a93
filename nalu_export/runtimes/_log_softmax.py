"""A defect that two runtimes share: LogSoftmax computed as log(Softmax).

Where the Softmax underflows, past about 104 below the largest logit, that gives −inf, and near the largest logit it has
an absolute error only. A classifier over numbers that extrapolate gets there at once.
"""

import numpy as np
from onnx import TensorProto, helper

from nalu_export.runtimes._onnx_values import Loader

_GAP = 200.0


def log_softmax_remarks(data: bytes, load: Loader, where: str) -> tuple[str, ...]:
    """What to say of a file that holds a LogSoftmax, tried out on this very version of the runtime.

    Args:
        data: the file.
        load: loads a file in the runtime.
        where: where that is written down, for the remark.
    """
    if b"LogSoftmax" not in data:
        return ()
    (result,) = load(_probe()).run([np.array([[0.0, -_GAP]], np.float32)])
    if result.astype(np.float64)[0, 1] == -_GAP:
        return ()
    return (f"computes LogSoftmax as log(Softmax), −inf where the Softmax underflows ({where})",)


def _probe() -> bytes:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 2]) for name in ("x", "y"))
    graph = helper.make_graph([helper.make_node("LogSoftmax", ["x"], ["y"], axis=1)], "probe", [x], [y])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = proto.SerializeToString()
    return data
