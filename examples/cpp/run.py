"""Export small models, write golden files, build the C++ programs, and run each on its files.

What is up to date stays: a second run takes seconds. ``--cuda`` runs them on a CUDA device as well.
"""

import argparse
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).resolve().parent
DIGITS = HERE.parent / "digits_sum" / "model.pt"
TWO_INPUTS = HERE / "two_inputs.py"


@dataclass(frozen=True)
class Case:
    """One model with one set of options, and its files.

    Attributes:
        name: of the files.
        source: the model.
        compute: type of the arithmetic.
        options: for every command: what builds the model, and what its inputs are.
        size: for those that take the whole model: the size of images.
        part: path of the head, where that is not the whole model: a header holds the head alone.
        program: what runs the header, where header_infer does not.
    """

    name: str
    source: Path
    compute: str = "float32"
    options: Sequence[str] = ()
    size: Sequence[str] = ()
    part: str = ""
    program: str = ""

    def file(self, suffix: str) -> Path:
        """A file of this model, in the folder of its source's copy."""
        return self.source.parent / (self.name + suffix)

    @property
    def header_golden(self) -> Path:
        """The golden file for the header."""
        return self.file("_head.bin" if self.part else ".bin")

    def commands(self) -> Iterator[tuple[Path, list[str]]]:
        """Each file that is made, and the arguments of nalu-export that make it."""
        options = [*([] if self.compute == "float32" else ["--compute", self.compute]), *self.options]
        for name, suffix in (("onnx", ".onnx"), ("torchscript", ".torchscript.pt")):
            yield self.file(suffix), [str(self.source), "--format", name, *options, *self.size]
        yield self.file(".hpp"), [str(self.source), "--format", "cpp", *options]
        yield self.file(".bin"), ["golden", str(self.source), *options, *self.size]
        if self.part:
            yield self.header_golden, ["golden", str(self.source), *options, "--part", self.part]

    def building(self) -> list[str]:
        """The arguments of build.py that build a program with the header."""
        option = f"--{self.program.replace('_', '-')}" if self.program else "--header"
        return [option, str(self.file(".hpp"))]


def main() -> int:
    """Do it all; the exit code is that of the first program that does not end well."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--build", type=Path, default=HERE / "build", metavar="FOLDER", help="where to build")
    parser.add_argument("--cuda", action="store_true", help="run on a CUDA device, too")
    options = parser.parse_args()
    folder = options.build.resolve()
    (folder / "models").mkdir(parents=True, exist_ok=True)
    cases = list(find_cases(folder / "models"))
    for case in cases:
        if code := make_files(case):
            return code
    headers = [word for case in cases for word in case.building()]
    building = [sys.executable, str(HERE / "build.py"), "--build", str(folder), *headers]
    if code := subprocess.run(building, check=False).returncode:
        return code
    codes = [run(command, folder, metadata=case is cases[0]) for case in cases for command in runs(case, options.cuda)]
    return next((code for code in codes if code), 0)


def find_cases(folder: Path) -> Iterator[Case]:
    """A NALU in both types of arithmetic, a model of two inputs, and the CNN that adds digits, where that is."""
    yield Case("head", made(folder / "head.pt", save_head))
    yield Case("head_float64", folder / "head.pt", "float64")
    options = ("--model", f"{TWO_INPUTS}:build", "--input", "prices=batch,3", "--input", "quantities=batch,3")
    weights = made(folder / "two_inputs.pt", save_two_inputs)
    yield Case("two_inputs", weights, options=options, program="header_two_inputs")
    if DIGITS.exists():
        yield Case("digits", made(folder / "digits.pt", copy_digits), size=("--input-size", "8", "24"), part="head")


def made(path: Path, make: Callable[[Path], None]) -> Path:
    """The path of a model, which is made where it is missing."""
    if not path.exists() or is_old(path, make):
        make(path)
    return path


def is_old(path: Path, make: Callable[[Path], None]) -> bool:
    """Whether what a model is made from is another one by now."""
    if make is copy_digits:
        return path.read_bytes() != DIGITS.read_bytes()
    return make is save_two_inputs and path.stat().st_mtime_ns < TWO_INPUTS.stat().st_mtime_ns


def copy_digits(path: Path) -> None:
    """The model of examples/digits_sum, as it is now."""
    path.write_bytes(DIGITS.read_bytes())


def save_head(path: Path) -> None:
    """A NALU 16 → 32 → 1 with the same weights each time."""
    import torch

    import nalu_export

    torch.manual_seed(0)
    nalu_export.save(nalu_export.NALU(16, 32, 1), path)


def save_two_inputs(path: Path) -> None:
    """The weights of two_inputs.py; the model itself is code of a user's own."""
    subprocess.run([sys.executable, str(TWO_INPUTS), str(path)], check=True)


def make_files(case: Case) -> int:
    """Export a model in every format and write its golden files, where they are older than what makes them."""
    newest = newest_source(case.source)
    for path, words in case.commands():
        if path.exists() and path.stat().st_mtime_ns > newest:
            continue
        from nalu_export.cli.main import main as command_line

        print("nalu-export", *(short(word) for word in words), "-o", path.name, flush=True)
        code: int | None = command_line([*words, "-o", str(path), "--quiet"], standalone_mode=False)
        if code:
            return code
    return 0


def newest_source(model: Path) -> int:
    """When the model or anything that an export goes through was last changed."""
    from nalu_export import __file__ as package

    sources = [path for path in Path(package).parent.rglob("*") if path.suffix in (".py", ".hpp")]
    return max(path.stat().st_mtime_ns for path in (model, Path(__file__), *sources))


def runs(case: Case, cuda: bool) -> Iterator[list[str]]:
    """The commands that run the programs on the files of a model."""
    onnxruntime = ["onnxruntime_infer", str(case.file(".onnx")), str(case.file(".bin"))]
    libtorch = ["libtorch_infer", str(case.file(".torchscript.pt")), str(case.file(".bin"))]
    yield onnxruntime
    yield libtorch
    yield [case.program or f"header_infer_{case.name}", str(case.header_golden)]
    if cuda:
        yield [*onnxruntime, "--provider", "cuda"]
        yield [*libtorch, "--device", "cuda"]


def run(command: list[str], folder: Path, *, metadata: bool) -> int:
    """Run one program and show its verdict; the metadata that it reads only where asked for."""
    print("\n" + " ".join(map(short, command)), flush=True)
    done = subprocess.run([folder / command[0], *command[1:]], stdout=subprocess.PIPE, text=True, check=False)
    for line in done.stdout.splitlines():
        if metadata or not line.startswith("  "):
            print(line, flush=True)
    return done.returncode


def short(word: str) -> str:
    """A path by its name, so that a command is one line."""
    return Path(word).name if word.startswith("/") else word


if __name__ == "__main__":
    sys.exit(main())
