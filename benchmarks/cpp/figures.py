"""Figures of calls that take from nanoseconds to many milliseconds."""


def digits(value: float) -> str:
    """Three digits, or all before the point."""
    if value >= 99.95:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 9.995 else 2 if value >= 0.9995 else 3 if value >= 0.09995 else 4}f}"


def microseconds(seconds: float) -> str:
    """The same, of seconds."""
    return digits(seconds * 1e6)
