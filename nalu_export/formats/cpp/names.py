"""Checks the names that a user gives to a header's namespace and struct."""

import re
from typing import NamedTuple

from nalu_export.errors import InputError, option
from nalu_export.io.text import plain

_IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9]*(_[A-Za-z0-9]+)*")
# ISO/IEC 14882:2020, tables 5 and 6, and names that have another meaning in C or in the header.
_KEYWORDS = """
    alignas alignof and and_eq asm auto bitand bitor bool break case catch char char8_t char16_t char32_t class
    co_await co_return co_yield compl concept const const_cast consteval constexpr constinit continue decltype default
    delete do double dynamic_cast else enum explicit export extern false float for friend goto if inline int long
    mutable namespace new noexcept not not_eq nullptr operator or or_eq private protected public register
    reinterpret_cast requires restrict return short signed sizeof static static_assert static_cast struct switch
    template this thread_local throw true try typedef typeid typename typeof union unsigned using virtual void volatile
    wchar_t while xor xor_eq std posix main linux unix
"""
RESERVED = frozenset(_KEYWORDS.split())
# Names beside the struct and names of its members. A member with the name of the struct would be a constructor.
_MEMBERS = """
    arithmetic inputs outputs input_count output_count input_sizes output_sizes stack_bytes tool source_sha256 compute
    predict
"""
TAKEN = frozenset(_MEMBERS.split())
MAX_LENGTH = 60


class CppNames(NamedTuple):
    """Names of a header's namespace and struct: ``namespace::struct``."""

    namespace: str
    struct: str

    @property
    def prefix(self) -> str:
        """Prefix of the C functions: ``nalu_model`` for ``nalu::Model``."""
        words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", f"{self.namespace}_{self.struct}".replace("::", "_"))
        return words.lower()


def checked_names(namespace: str, struct: str) -> CppNames:
    """Check both names.

    Raises:
        InputError: a name is not an identifier of C++, is a keyword, is reserved for compilers, or has another meaning
            in every header; or both names are the same.
    """
    parts = namespace.split("::")
    for what, text, names in (("namespace", namespace, parts), ("struct", struct, [struct])):
        if not all(_IDENTIFIER.fullmatch(name) for name in names) or len(text) > MAX_LENGTH:
            example = "my_company::heads" if what == "namespace" else "AdderHead"
            raise InputError(
                f"{option(what)} is {plain(text)!r}; expected letters, digits and single underscores, such as {example}"
            )
        for name in names:
            if name in RESERVED:
                raise InputError(f"{option(what)} is {plain(text)!r}; {name} is reserved in C++, choose another name")
    if struct in TAKEN:
        taken = "every header uses this name for something else, choose another name"
        raise InputError(f"{option('struct')} is {struct!r}; {taken}")
    if struct == parts[-1]:
        raise InputError(f"{option('namespace')} and {option('struct')} are both {struct}; choose two names")
    return CppNames(namespace, struct)
