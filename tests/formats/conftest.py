"""What the tests of headers compile once."""

from pathlib import Path

import pytest

from nalu_export.formats.cpp import header
from tests.formats.programs import Build, side_by_side

HERE = Path(__file__).parent
SIZES = (*range(1, 41), 63, 64, 65, 127, 128, 129, 130, 200, 513, 1024)
WIDE_SIZES = (1, 7, 8, 9, 17, 65, 130)


def arithmetic() -> str:
    """The arithmetic of every header, without a model."""
    return f"{header.frame()}\nnamespace arithmetic {{\n{header.kernels()}\n}}\n"


@pytest.fixture(scope="session")
def kernels(tmp_path_factory: pytest.TempPathFactory) -> dict[Build, Path]:
    """kernels.cpp, fast: without and with the instructions of this processor."""
    return _kernels(tmp_path_factory.mktemp("kernels"), "-O3", (1,), (1,))


@pytest.fixture(scope="session")
def sums(tmp_path_factory: pytest.TempPathFactory) -> dict[Build, Path]:
    """The same with sums of many sizes, quick to compile."""
    return _kernels(tmp_path_factory.mktemp("sums"), "-O0", SIZES, WIDE_SIZES)


def _kernels(folder: Path, level: str, sizes: tuple[int, ...], wide: tuple[int, ...]) -> dict[Build, Path]:
    (folder / "arithmetic.hpp").write_text(arithmetic(), encoding="ascii")
    source = folder / "kernels.cpp"
    source.write_bytes((HERE / "kernels.cpp").read_bytes())
    flags = ("-std=c++17", "-Wall", "-Wextra", "-Werror", level, "-pthread")
    lists = [f"-D{name}={','.join(map(str, of))}" for name, of in (("SIZES", sizes), ("WIDE_SIZES", wide))]
    builds = [Build("g++", (*flags, *more)) for more in ((), ("-march=native",))]
    return side_by_side(source, builds, folder, *lists)
