"""Does a checkpoint on a machine of a cluster, in a worker process like those of a local sweep.

So a crash, a limit of time or memory, and the state of torch are the same everywhere, and none of them reaches the
process of the cluster.
"""

import pickle
import threading
from pathlib import Path

from nalu_export.sweeps.executors.processes import Processes, cpus
from nalu_export.sweeps.task import Answer, Limits, Stopped, Task

_OWN = threading.local()


def carry_out(data: bytes, limits: Limits, remedy: str) -> Answer:
    """Do one checkpoint. Each thread that calls this keeps a worker process, which ends with it.

    Args:
        data: the task, pickled; so only the process that does it has to know what its options are.
        limits: what the workers of this machine may take.
        remedy: what to do if this machine does not find the file or the folder of the sweep.
    """
    task: Task = pickle.loads(data)
    places = [] if task.files else [task.path]
    for place in (*places, *([task.out] if task.out else [])):
        if not Path(place).exists():
            return Stopped(f"{place}: a worker of the cluster does not find it; {remedy}")
    if getattr(_OWN, "limits", None) != limits:
        if hasattr(_OWN, "processes"):
            _OWN.processes.close()
        _OWN.processes, _OWN.limits = Processes(1, limits, sharing=cpus()), limits
    processes: Processes = _OWN.processes
    ((_, answer),) = processes.answers(iter([task]))
    return answer
