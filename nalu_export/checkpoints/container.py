"""Opens a ``.pt`` file without running anything that is in it."""

import io
import pickle
import re
import warnings
import zipfile
from typing import Any

import torch

from nalu_export.errors import InputError, first_line

_SAVE_INSTEAD = "save model.state_dict() or use nalu_export.save(model, path)"


def unpack(data: bytes) -> Any:
    """The object in a torch file: tensors and plain containers, nothing else.

    Raises:
        InputError: not a torch file, a damaged one, or one that holds code; what to do is in the text.
    """
    if not data:
        raise InputError("is empty; expected a model.pt")
    if data.startswith(b"PK"):
        _inspect_archive(data)
    elif not data.startswith(b"\x80"):
        raise InputError("is not a file of torch.save; expected a model.pt")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # torch warns about the legacy and TorchScript kinds that are refused anyway
            return torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        named = re.search(r"(?:GLOBAL|global|class) ([\w.]+)", str(error))
        what = f"Python objects ({named[1]})" if named else "more than tensors and plain data"
        raise InputError(f"holds {what}, and loading it would run code; {_SAVE_INSTEAD}") from error
    except MemoryError as error:
        raise InputError("claims tensors larger than the memory") from error
    except Exception as error:
        # A damaged file surfaces as RuntimeError, KeyError, EOFError, IndexError, AttributeError, UnicodeDecodeError …
        raise InputError(f"is damaged or not a file of torch.save: {first_line(error)}") from error


def _inspect_archive(data: bytes) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            entries = archive.infolist()
            names = [entry.filename for entry in entries]
            if any(name.endswith("/constants.pkl") for name in names):
                raise InputError(f"is a TorchScript archive, which runs code when loaded; {_SAVE_INSTEAD}")
            if any(name.endswith(("/models/model.json", "archive_format")) for name in names):
                raise InputError(f"is a torch.export archive (.pt2), not a checkpoint; {_SAVE_INSTEAD}")
            if not any(name.endswith("/data.pkl") for name in names):
                raise InputError("is a zip file but not one of torch.save; expected a model.pt")
            for entry in entries:
                # torch stores without compression, so a compressed member is foreign and may be a bomb.
                if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > len(data):
                    raise InputError(f"has the compressed member {entry.filename!r}, which torch.save never writes")
            broken = archive.testzip()
            if broken is not None:
                # torch.load itself does not look: a flipped bit in a weight would load silently.
                raise InputError(f"is damaged: the checksum of {broken!r} does not match")
    except InputError:
        raise
    except Exception as error:
        # zipfile gives BadZipFile, and for what it does not foresee EOFError, struct.error, RuntimeError, OSError …
        raise InputError(f"is a damaged zip file: {first_line(error)}") from error
