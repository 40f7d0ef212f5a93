"""One thread at a time: torch's tracers keep what they are doing in state of the whole process.

``torch.fx`` replaces methods of ``nn.Module`` while it traces, and ``torch.export``, which ``torch.onnx.export`` begins
with, has one slot for its proxy mode.
"""

import threading

TRACING = threading.RLock()
