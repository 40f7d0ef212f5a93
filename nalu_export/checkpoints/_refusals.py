"""Errors about files that cannot be read."""

from nalu_export.errors import InputError

AGAIN = "copy or download it again"
DAMAGED = f"the file is damaged; {AGAIN}"
SAVE_INSTEAD = "save model.state_dict() or use nalu_export.save(model, path)"


class CodeError(InputError):
    """The file can only be loaded by running code; ``--trust`` would run it."""


def damaged(why: str) -> InputError:
    """Return the error about a pickle that makes no sense."""
    return unreadable(f"is damaged or not a file of torch.save: its pickle {why}")


def unreadable(what: str) -> InputError:
    """Return the error about a file that was damaged."""
    return InputError(f"{what}; {AGAIN}")
