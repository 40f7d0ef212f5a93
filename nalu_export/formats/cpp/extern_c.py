"""The C functions of a header: prototypes for any C compiler, and definitions for one C++ file of the program."""

from collections.abc import Sequence

from nalu_export.formats.cpp.names import CppNames
from nalu_export.formats.cpp.pointers import Pointer


def about_c(names: CppNames) -> list[str]:
    """Write the lines about the C functions in the comment at the top of a header."""
    return [
        "// From C: include this header for the prototypes, and in one C++ file of the program, for the functions,",
        f"//   #define {names.prefix.upper()}_IMPLEMENTATION",
        "//   #include this header",
        "// With -fno-exceptions that file needs nothing of the C++ runtime, and a C compiler can link the program.",
    ]


def prototypes(names: CppNames, found: Sequence[Pointer]) -> str:
    """Write the sizes and the prototypes."""
    parameters = _parameters(found)
    return f"""{_includes(found)}

#ifdef __cplusplus
extern "C" {{
#endif
enum {{ {", ".join(_sizes(names.prefix, found))} }};
void {names.prefix}_predict({parameters});
void {names.prefix}_predict_batch({parameters}, size_t n);
#ifdef __cplusplus
}}
#endif"""


def definitions(names: CppNames, found: Sequence[Pointer]) -> str:
    """Write the definitions, which are compiled only in a file that defines the macro ``…_IMPLEMENTATION``."""
    prefix, model = names.prefix, f"{names.namespace}::{names.struct}"
    parameters, arguments = _parameters(found), ", ".join(pointer.name for pointer in found)
    return f"""#ifdef {prefix.upper()}_IMPLEMENTATION
extern "C" void {prefix}_predict({parameters}) {{ {model}::predict({arguments}); }}
extern "C" void {prefix}_predict_batch({parameters}, size_t n) {{ {model}::predict({arguments}, n); }}
#endif"""


def _parameters(found: Sequence[Pointer]) -> str:
    return ", ".join(f"{pointer.type_in_c} {pointer.name}" for pointer in found)


def _includes(found: Sequence[Pointer]) -> str:
    dtypes = {pointer.spec.dtype for pointer in found}
    lines = ["#include <stddef.h>"]
    if dtypes & {"int32", "int64"}:
        lines.append("#include <stdint.h>")
    if "bool" in dtypes:
        lines += ["#ifndef __cplusplus", "#include <stdbool.h>", "#endif"]
    return "\n".join(lines)


def _sizes(prefix: str, found: Sequence[Pointer]) -> list[str]:
    if len(found) == 2:
        return [f"{prefix}_{pointer.size} = {pointer.count}" for pointer in found]
    inputs = sum(pointer.given for pointer in found)
    return [
        f"{prefix}_input_count = {inputs}",
        f"{prefix}_output_count = {len(found) - inputs}",
        *(f"{prefix}_{pointer.name}_size = {pointer.count}" for pointer in found),
    ]
