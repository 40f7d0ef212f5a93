"""formats.cpp.header: what a header says of itself, and that no name in it says anything to a compiler."""

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from nalu_export import NALU, ArithmeticLayer
from nalu_export.formats.base import TensorSpec
from nalu_export.formats.cpp.format import FORMAT, CppDraft
from nalu_export.formats.cpp.header import Header
from nalu_export.formats.cpp.names import CppNames
from nalu_export.formats.cpp.planner import plan
from nalu_export.graph import well_conditioned
from nalu_export.graph.evaluation import constant
from nalu_export.nn import NACCell
from tests.captured import form_of
from tests.formats.programs import COMPILERS, WARNINGS, Build, C, compile_, header, skip_unless

LONG = "long_" * 2000
NAMES = [
    "a\nb", "a\\", "*/", "/*", "??/", 'a"b', "é", "\u2028", "\ud800", "class", "@hash@", "@tool@", "// Metadata:",
    "nalu_export", LONG, f"{LONG}\\", "\\" * 500, "??/" * 200, "};", "#error", "\x1b[31m", "",
]  # fmt: skip


class Plain(ArithmeticLayer):
    """A matrix, a constant and values with names."""

    def __init__(self) -> None:
        super().__init__()
        self.in_features, self.out_features = 3, 2
        self.W = nn.Parameter(torch.randn(2, 3))
        self.b = nn.Parameter(torch.randn(2))

    def forward(self, x: Tensor) -> Tensor:
        a = F.linear(x, self.W)
        c = torch.exp(a + self.b)
        return torch.abs(a) - c


def _hostile(number: int) -> tuple[dict[str, Tensor], bytes]:
    """Its parameters by names of a hostile file, and its header.

    They are given to the graph: torch.fx, which writes Python code with the names of a module, takes none of them.
    """
    name = NAMES[number]
    form = well_conditioned(form_of(Plain()))
    held = {}
    for node in form.graph.nodes:
        if node.op == "get_attr":
            renamed = f"{name.replace('.', '')}{node.target}"
            held[renamed] = constant(form, node.target)
            form._buffers[renamed] = held[renamed]
            node.target = renamed
        elif "label" in node.meta:
            node.meta["label"] = f"{name}{node.meta['label']}"
    x, y = (TensorSpec("input", "float32", ("batch", 3)),), (TensorSpec("output", "float32", ("batch", 2)),)
    made = Header(plan(form, [(3,)]), CppNames(f"h{number}", "Model"), "float32", True, x, y)
    return held, CppDraft((), (), made).to_bytes({"nalu_export.tool": "test", "nalu_export.source_layout": name})


def _ids(name: str) -> str:
    return ascii(name[:12])


@pytest.mark.parametrize("number", range(len(NAMES)), ids=map(_ids, NAMES))
def test_a_hostile_name_can_be_read_back(number: int) -> None:
    held, data = _hostile(number)
    assert data.isascii()
    assert re.search(rb"@\w+@", data) is None
    assert FORMAT.read_metadata(data) == {"nalu_export.tool": "test", "nalu_export.source_layout": NAMES[number]}
    found = FORMAT.read_weights(data, trust=False)
    assert set(found) == set(held)
    for name, value in held.items():
        np.testing.assert_array_equal(found[name], value.numpy())


@pytest.mark.quick(1)
@pytest.mark.parametrize("compiler", COMPILERS)
def test_hostile_names_compile(tmp_path: Path, compiler: str) -> None:
    """As C++, and where it has fewer excuses as C, which has trigraphs."""
    build = Build(compiler, ("-std=c++17", *WARNINGS, "-fsyntax-only"))
    skip_unless(build)
    for number in range(len(NAMES)):
        (tmp_path / f"{number}.hpp").write_bytes(_hostile(number)[1])
    lines = [f'#include "{number}.hpp"' for number in range(len(NAMES))]
    (tmp_path / "main.cpp").write_text("\n".join([*lines, ""]), encoding="ascii")
    (tmp_path / "main.c").write_text("\n".join([*lines, "int main(void) { return 0; }", ""]), encoding="ascii")
    c = Build(C[compiler], ("-std=c99", *WARNINGS, "-fsyntax-only"))
    skip_unless(c)
    for each, source in ((build, "main.cpp"), (c, "main.c")):
        done = compile_(each, [source], tmp_path)
        assert (done.returncode, done.stderr[:2000]) == (0, "")


def test_nothing_of_it_is_left_in_who_includes_it(tmp_path: Path) -> None:
    build = Build("g++", ("-std=c++17", "-dM", "-E"))
    skip_unless(build)
    for extern_c in (False, True):
        (tmp_path / "model.cpp").write_bytes(header(NACCell(3, 2), 3, extern_c=extern_c))
        done = compile_(build, ["model.cpp"], tmp_path)
        macros = {line.split()[1].partition("(")[0] for line in done.stdout.splitlines()}
        ours = {name for name in macros if name.startswith(("NALU", "nalu"))}
        assert len(ours) == 1
        assert re.fullmatch(r"NALU_EXPORT_HEADER_[0-9a-f]{16}", ours.pop())


def test_what_it_says_of_itself() -> None:
    torch.manual_seed(0)
    text = header(NALU(3, 4, 2), 3, "my::heads", struct="Adder").decode("ascii")
    assert text.startswith(
        """// nalu_export header 1
// my::heads::Adder: 3 -> 2 numbers, computed in float32.
//
//   my::heads::Adder::predict(x, y);     x: 3 floats, y: 2
//   my::heads::Adder::predict(x, y, n);  n samples, one after the other; the same results as one by one
//
"""
    )
    assert (
        """
//   layers.0.a = linear(x, layers.0.W)
//   layers.0.m = exp(linear(log(abs(x) + 1e-10), layers.0.W))
//   layers.0.z = linear(x, layers.0.G)
//   layers.0.y = layers.0.a / (exp(-layers.0.z) + 1) + layers.0.m / (exp(layers.0.z) + 1)
"""
        in text
    )
    assert '\n//\n// Metadata:\n//   nalu_export.tool: "test"\n\n#ifndef NALU_EXPORT_HEADER_' in text
    assert "From C" not in text
    assert "// From C: " in header(NALU(3, 4, 2), 3, extern_c=True).decode("ascii")


def test_long_formulas_are_wrapped() -> None:
    class Long(ArithmeticLayer):
        in_features = out_features = 3

        def forward(self, x: Tensor) -> Tensor:
            return (
                torch.tanh(x / 3.0)
                * torch.exp(
                    torch.exp(torch.abs(x) + 1.0) - torch.abs(x * 2.0) + torch.cos(x) - torch.sinh(x) / (x + 4.0)
                )
                - torch.log(torch.abs(x) + 5.0)
                - torch.asinh(torch.abs(x) + 6.0)
            )

    about = header(Long(), 3).decode("ascii").partition("// Metadata:")[0]
    assert max(map(len, about.splitlines())) <= 120
    assert re.search(r"^//   y = tanh\(.*\n//       asinh", about, re.MULTILINE)


BLOCKS = """
#include "model.hpp"
static_assert(nalu::arithmetic::block == EXPECTED, "");
static_assert(nalu::Model::stack_bytes <= 1048576 || nalu::arithmetic::block == 1, "");
"""


@pytest.mark.quick(2)
@pytest.mark.parametrize(
    ("inputs", "samples"),
    [(3, 8), (8000, 8), (8300, 4), (60000, 4), (70000, 1)],
)
def test_a_block_of_samples_fits_on_the_stack(tmp_path: Path, inputs: int, samples: int) -> None:
    """256 KiB for two vectors of four, 1 MiB for one, and else sample by sample."""
    build = Build("g++", ("-std=c++17", "-fsyntax-only", f"-DEXPECTED={samples}"))
    skip_unless(build)
    model = NACCell(inputs, 1)
    with torch.no_grad():
        model.W_hat.zero_()
    (tmp_path / "model.hpp").write_bytes(header(model, inputs))
    (tmp_path / "main.cpp").write_text(BLOCKS, encoding="ascii")
    done = compile_(build, ["main.cpp"], tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
