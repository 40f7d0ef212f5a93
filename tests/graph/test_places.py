"""nalu_export.graph.places: the statement at a line of a source file."""

from pathlib import Path

from nalu_export.graph.places import place_in

SOURCE = """class Net:
    def forward(self, x):
        a = x + 1
        b: int = (
            a
            * 2
        )
        a += b
        c, d = a, b
        c = d = a
        self.kept = a
        print(a)
        return (
            c
        )
"""


def test_each_line_of_a_statement(tmp_path: Path) -> None:
    path = tmp_path / "net.py"
    path.write_text(SOURCE, encoding="utf-8")
    expected = {3: (3, "a"), 4: (4, "b"), 6: (4, "b"), 7: (4, "b"), 8: (8, "a"), 9: (9, ""), 10: (10, ""), 11: (11, "")}
    expected |= {12: (12, ""), 13: (13, "y"), 15: (13, "y")}
    for line, (first, variable) in expected.items():
        place = place_in(str(path), line, 7)
        assert (place.first, place.variable, place.run) == (first, variable, 7), line


def test_files_that_cannot_be_read_have_lines_and_no_names(tmp_path: Path) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("def forward(:\n", encoding="utf-8")
    for file in (str(broken), "<nowhere>", str(tmp_path / "missing.py")):
        assert place_in(file, 3, 0) == (file, 3, 0, 3, "")
