"""What a file holds beside tensors and plain data: known by name, never made."""


class Inert:
    """Stands for an object of a file that was not made, because it is no dense tensor or making it would run code.

    Attributes:
        what: names it in a sentence: ``"a sparse tensor"``, ``"a value of type argparse.Namespace"``.
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
    """Stands for a plain value where it cannot be kept, as the key of a dictionary for example."""
    if kind not in _OF_TYPE:
        _OF_TYPE[kind] = Inert(f"a value of type {kind.__name__}")
    return _OF_TYPE[kind]
