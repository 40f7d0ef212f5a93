"""A whole process of the peer, ``python -m benchmarks.peer_export OUT``: build a usual NALU, export it by default."""

import sys
from pathlib import Path

from benchmarks.usual_nalu import UsualNALU, default_export

HEAD = (16, 32, 1)

if __name__ == "__main__":
    default_export(UsualNALU(*HEAD), HEAD[0], Path(sys.argv[1]))
