"""Does a checkpoint on a machine of a cluster, in a worker process like those of a local sweep.

So a crash, a limit of time or memory, and the state of torch are the same everywhere, and none of them reaches the
process of the cluster.
"""

import threading

from nalu_export.sweeps.executors.processes import Processes, cpus
from nalu_export.sweeps.task import Answer, Limits, Task

_OWN = threading.local()


def carry_out(task: Task, limits: Limits) -> Answer:
    """Do one checkpoint. Each thread that calls this keeps a worker process, which ends with it."""
    if getattr(_OWN, "limits", None) != limits:
        if hasattr(_OWN, "processes"):
            _OWN.processes.close()
        _OWN.processes, _OWN.limits = Processes(1, limits, sharing=cpus()), limits
    processes: Processes = _OWN.processes
    ((_, answer),) = processes.answers(iter([task]))
    return answer
