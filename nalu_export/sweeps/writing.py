"""Writes the files of a sweep into its folder."""

import errno
from collections.abc import Mapping
from pathlib import Path

from nalu_export.errors import InputError
from nalu_export.io.targets import check_target, write_atomically

# Of the system's errors those that any other file would meet too.
_ENDS = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT, errno.ESTALE}


def ends_the_sweep(error: InputError) -> bool:
    """Return whether nothing more can be written after an error of :func:`write_files`.

    A name that is too long, or one that a folder has, is the fault of one checkpoint.
    """
    cause = error.__cause__
    return isinstance(cause, OSError) and cause.errno in _ENDS


def write_files(out: Path, files: Mapping[str, bytes]) -> None:
    """Write each file in one step, and its folders if they are missing.

    Args:
        out: folder of the sweep.
        files: content by path in it. The last one is written last.

    Raises:
        InputError: a file cannot be written.
    """
    for name, content in files.items():
        target = out / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise InputError(f"{target.parent}: cannot be made: {error.strerror}") from error
        write_atomically(check_target(target, None), content)
