"""Writes arrays as an ``.npz`` file whose bytes depend only on the arrays."""

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

# The earliest time that a zip file can hold. numpy.savez writes the current time.
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


def to_npz(arrays: Mapping[str, NDArray[Any]], *, compressed: bool = False) -> bytes:
    """Return an ``.npz`` file that ``numpy.load`` reads without pickle.

    Args:
        arrays: arrays of numbers, booleans or texts, by name; the file keeps their order.
        compressed: whether to compress them, by DEFLATE.

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
