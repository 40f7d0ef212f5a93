"""C++ headers with damaged metadata and arrays."""

from tests.hostile.case import CHECK, INSPECT, Case, Table
from tests.hostile.exports import exported

HEADERS: Table = {
    "header, nothing but its first line": Case(
        lambda: b"// nalu_export header 1\n",
        "is a file of format cpp, but has no metadata of nalu_export; give a file that nalu_export exported",
        INSPECT,
        "artifact",
    ),
    "header, metadata no JSON": Case(
        lambda: exported("cpp").replace(b'nalu_export.tool: "', b"nalu_export.tool: {"),
        "its metadata nalu_export.tool is damaged; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, a table that is none": Case(
        lambda: exported("cpp").replace(b'nalu_export.layers: "[', b'nalu_export.layers: "3'),
        "its metadata nalu_export.layers is not JSON",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, layers 600 deep": Case(
        lambda: exported("cpp").replace(
            b'nalu_export.layers: "[', b'nalu_export.layers: "' + b"[" * 600 + b"]" * 600 + b'"\n//   x: "['
        ),
        "its metadata nalu_export.layers nests its values deeper than 200; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, a text 600 deep": Case(
        lambda: exported("cpp").replace(b'nalu_export.tool: "', b"nalu_export.tool: " + b"[" * 600 + b'"'),
        "its metadata nalu_export.tool is damaged; export it again",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, a number for a text": Case(
        lambda: exported("cpp").replace(b'nalu_export.tool: "', b'nalu_export.tool: 7\n//   x: "'),
        "its metadata is not text",
        (*CHECK, *INSPECT),
        "artifact",
    ),
    "header, of another part": Case(
        lambda: exported("cpp").replace(
            b"//   nalu_export.tool", b'//   nalu_export.part: "{\\"path\\": \\"x\\"}"\n//   nalu_export.tool'
        ),
        "does not fit the model: part is 'x', which is not an arithmetic subgraph of the model; the only one is the "
        "model itself",
        CHECK,
        "artifact",
    ),
    "header, an array of too few numbers": Case(
        lambda: exported("cpp").replace(b"// weight 1x2", b"// weight 1x3"),
        "holds a damaged array 'layers.0.W'; export it again",
        INSPECT,
        "artifact",
    ),
    "header, an array of a huge shape": Case(
        lambda: exported("cpp").replace(b"// weight 1x2", b"// weight 999999999x999999999"),
        "holds a damaged array 'layers.0.W'; export it again",
        INSPECT,
        "artifact",
    ),
    "header, an escape sequence for a number": Case(
        lambda: exported("cpp").replace(b"] = {\n  ", b"] = {\n  \x1b[2J "),
        "holds a damaged array 'layers.0.W'; export it again",
        INSPECT,
        "artifact",
    ),
}
