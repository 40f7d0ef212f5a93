"""What is said of a pickle that cannot be read."""

from nalu_export.errors import InputError

AGAIN = "copy or download it again"
DAMAGED = f"the file is damaged; {AGAIN}"
SAVE_INSTEAD = "save model.state_dict() or use nalu_export.save(model, path)"


class CodeError(InputError):
    """The file needs code to be made; ``--trust`` would run it."""


def damaged(why: str) -> InputError:
    """The refusal of a pickle that makes no sense."""
    return unreadable(f"is damaged or not a file of torch.save: its pickle {why}")


def unreadable(what: str) -> InputError:
    """The refusal of a file that was right once."""
    return InputError(f"{what}; {AGAIN}")
