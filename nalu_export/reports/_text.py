"""The texts of all reports; numbers are in :mod:`nalu_export.io.figures`."""

# Longer texts come from damaged or hostile files; their start is enough for a person.
LONGEST = 1000


def clipped(text: str, longest: int = LONGEST) -> str:
    """Return the text, or, if it is too long, its start and its length."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def count(value: int, singular: str, plural: str = "") -> str:
    """Return a number with its noun: ``1 output``, ``7 outputs``."""
    return f"{value} {singular if value == 1 else plural or singular + 's'}"
