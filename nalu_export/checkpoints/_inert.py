"""Stand-ins for objects in a file that are neither tensors nor plain data. They have a name; the object is not made."""


class Inert:
    """Stands for an object in a file that is not made: it is not a dense tensor, or making it would run code.

    Attributes:
        what: words for it in a sentence: ``"a sparse tensor"``, ``"a value of type argparse.Namespace"``.
    """

    __slots__ = ("what",)

    def __init__(self, what: str) -> None:
        self.what = what

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Inert) and self.what == other.what

    def __hash__(self) -> int:
        return hash(self.what)

    def __repr__(self) -> str:
        return f"Inert({self.what!r})"


_OF_TYPE: dict[type, Inert] = {}


def of_type(kind: type) -> Inert:
    """Return the stand-in for a plain value that cannot be kept, for example as the key of a dictionary."""
    if kind not in _OF_TYPE:
        _OF_TYPE[kind] = Inert(f"a value of type {kind.__name__}")
    return _OF_TYPE[kind]
