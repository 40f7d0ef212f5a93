"""The options of a C++ header."""

from dataclasses import dataclass
from typing import ClassVar, TypedDict

from nalu_export.formats._options import FormatOptions, format_option
from nalu_export.formats.cpp.names import CppNames, checked_names


@dataclass(frozen=True)
class CppOptions(FormatOptions):
    """How a C++ header is written.

    Attributes:
        part: path of the arithmetic subgraph that the header holds, of a model with several.
        namespace: namespace of the struct, such as ``"my_company::heads"``.
        struct: name of the struct that holds the functions.
        extern_c: whether the header has functions for C as well.

    Raises:
        InputError: a name is not an identifier of C++, or has another meaning there.
    """

    suffixes: ClassVar[tuple[str, ...]] = (".hpp", ".h", ".hh", ".hxx", ".h++")

    part: str | None = format_option(
        None, "C++: path of the arithmetic subgraph to write, such as head, if the model has several.", metavar="PATH"
    )
    namespace: str = format_option("nalu", "C++: namespace of the struct.", metavar="NAME")
    struct: str = format_option("Model", "C++: name of the struct with the functions.", metavar="NAME")
    extern_c: bool = format_option(False, "C++: also write functions for C.")

    def __post_init__(self) -> None:
        super().__post_init__()
        checked_names(self.namespace, self.struct)

    @property
    def names(self) -> CppNames:
        """What the header calls its struct."""
        return CppNames(self.namespace, self.struct)

    @property
    def subgraph(self) -> str | None:
        """See :class:`FormatOptions`."""
        return self.part


class CppKeywords(TypedDict, total=False):
    """:class:`CppOptions` as a type checker sees them among keyword arguments."""

    part: str | None
    namespace: str
    struct: str
    extern_c: bool


OPTIONS = CppOptions
