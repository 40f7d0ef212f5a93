"""Texts as every report shows them; numbers are in :mod:`nalu_export.io.figures`."""

# Longer texts come from damaged or hostile files; a person reads the start of them.
LONGEST = 1000


def clipped(text: str, longest: int = LONGEST) -> str:
    """The text, or its start and how long it is."""
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text)} characters)"


def count(value: int, singular: str, plural: str = "") -> str:
    """``1 output``, ``7 outputs``."""
    return f"{value} {singular if value == 1 else plural or singular + 's'}"
