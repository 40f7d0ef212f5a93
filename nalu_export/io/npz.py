"""Arrays as an ``.npz`` file whose bytes depend on the arrays alone."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# As old as a zip can say. numpy.savez writes the time of day into the file.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def to_npz(arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> bytes:
    """What ``numpy.load`` reads without pickle.

    Args:
        arrays: by name, in their order in the file; of numbers, truth values or texts.
        compressed: whether by DEFLATE.

    Raises:
        ValueError: an array holds objects.
    """
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", _ZIP_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED if compressed else zipfile.ZIP_STORED
            archive.writestr(entry, member.getvalue())
    return file.getvalue()
