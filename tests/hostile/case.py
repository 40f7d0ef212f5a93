"""What a row of the table of malformed files is."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

# Each takes a model file, and refuses a bad one with the same text.
READERS = (
    ("model.pt", "--format", "onnx"),
    ("model.pt", "--format", "torchscript", "--weights", "live"),
    ("convert", "model.pt", "-o", "converted.pt"),
    ("inspect", "model.pt"),
    ("doctor", "model.pt"),
)
EXPORT = READERS[:2]
# Each takes an exported file beside a good model.
CHECK = (("check", "good.pt", "artifact"),)
INSPECT = (("inspect", "artifact"),)
INPUTS = (
    ("check", "good.pt", "good.onnx", "--inputs", "inputs.npz"),
    ("check", "good.pt", "good.onnx", "--replay", "inputs.npz"),
)


@dataclass(frozen=True)
class Case:
    """One malformed file.

    Attributes:
        make: gives the bytes of the file.
        text: the only line on stderr, without ``nalu-export:`` and the name of the file.
        commands: that refuse it, each with this text.
        file: name of the file, as the commands have it.
        named: what stands before the text; by default the name of the file.
    """

    make: Callable[[], bytes]
    text: str
    commands: tuple[tuple[str, ...], ...] = READERS
    file: str = "model.pt"
    named: str | None = None

    @property
    def line(self) -> str:
        """What the user reads."""
        return f"nalu-export: {self.file if self.named is None else self.named}: {self.text}\n"


Table = Mapping[str, Case]
