import os
import random
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch

from nalu_export import NAC, InputError, load
from nalu_export.checkpoints.container import unpack
from tests.checkpoints import files
from tests.checkpoints.conftest import Refusal
from tests.checkpoints.programs import DAMAGED

INSTEAD = "save model.state_dict() or use nalu_export.save(model, path)"
TRUST = "or give trust=True if you made it yourself"

# One of each kind through the public function; test_zip.py, test_torch_legacy.py, test_machine.py … have the rest.
BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", "is empty; expected a model.pt"),
    "text": (lambda: b"W_hat: 1.0\nM_hat: 2.0\n", "is not a file of torch.save; expected a model.pt"),
    "zip": (lambda: b"PK", "is a truncated zip file; copy or download it again"),
    "pickle": (
        lambda: b"\x80\x02.",
        DAMAGED + "takes more from its stack than the stack holds; copy or download it again",
    ),
    "safetensors": (
        lambda: files.safetensors_bytes(b"{"),
        "is a damaged safetensors file: Error while deserializing: invalid JSON in header: "
        "EOF while parsing an object at line 1 column 1; copy or download it again",
    ),
    "TorchScript": (
        files.torchscript,
        f"is a TorchScript archive, which runs code when loaded; {INSTEAD}, {TRUST}",
    ),
    "torch.export": (
        lambda: files.zip_bytes({"m/archive_format": b"pt2"}),
        f"is a torch.export archive without weights; {INSTEAD}",
    ),
    "pickled module": (
        files.whole_module,
        f"is a pickled module (torch.nn.modules.container.Sequential), which runs code when loaded; {INSTEAD}, {TRUST}",
    ),
    "weights missing": (
        lambda: files.zip_bytes(
            {k: v for k, v in files.members_of(files.torch_bytes(files.nac_state())).items() if "/data/" not in k}
        ),
        "has 'layers.0.W_hat' whose bytes, the member 'data/0', are missing; the file is damaged; "
        "copy or download it again",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file(case: str, refusal: Refusal) -> None:
    make, text = BAD[case]
    assert refusal(make()) == text


@pytest.mark.parametrize("name", ["a b.pt", "größe.pt", "a\tb.pt", "-x.pt", "%s{0}.pt", "a" * 200])
def test_the_name_is_in_the_text(name: str, refusal: Refusal) -> None:
    assert refusal(b"", name) == "is empty; expected a model.pt"


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("cut", [1, 2, 3, 4, 10, 30, 31, *(f"{percent}%" for percent in range(5, 100, 5)), -1, -22])
def test_truncated(cut: int | str, legacy: bool, refusal: Refusal) -> None:
    data = files.torch_bytes(files.nac_state(), legacy=legacy)
    kept = len(data) * int(cut[:-1]) // 100 if isinstance(cut, str) else cut
    assert refusal(data[:kept])


@pytest.mark.parametrize("bit", [0, 7, 30, 31, 95, 383])
def test_a_flipped_bit_in_a_weight(bit: int, refusal: Refusal) -> None:
    assert re.fullmatch(
        r"is damaged: the checksum of 'archive/data/\d+' does not match; copy or download it again",
        refusal(files.flipped_weight(bit)),
    )


@pytest.mark.slow
def test_a_flipped_bit_anywhere_changes_no_weight(tmp_path: Path) -> None:
    """Whatever bit is flipped: the same weights (the bit was padding), or a refusal in one line."""
    state = files.nac_state()
    data = files.torch_bytes(state)
    rng = random.Random(0)
    path = tmp_path / "model.pt"
    refusals = []
    for _ in range(300):
        changed = bytearray(data)
        changed[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(changed)
        try:
            loaded = load(path).state_dict()
        except InputError as error:
            refusals.append(str(error))
        else:
            assert all(torch.equal(loaded[name], state[name]) for name in state)
    assert len(refusals) > 100
    assert not any("\n" in text for text in refusals)


@pytest.mark.parametrize(
    "data",
    [
        lambda command: files.evil(command),
        lambda command: files.evil(command, legacy=True),
        lambda command: files.evil(command, bare=True),
    ],
    ids=["zip", "legacy", "bare pickle"],
)
@pytest.mark.parametrize("native", [False, True])
def test_nothing_runs(
    data: Callable[[str], bytes], native: bool, refusal: Refusal, tmp_path_factory: pytest.TempPathFactory
) -> None:
    marker = tmp_path_factory.mktemp("elsewhere") / "it ran"
    content = data(f"touch '{marker}'")
    options = {"model": NAC(3, 4, 2)} if native else {}
    assert refusal(content, **options) == (
        f"holds Python objects ({os.system.__module__}.system), and loading it would run code; {INSTEAD}"
    )
    assert not marker.exists()


def test_the_code_that_must_not_run_can_run(tmp_path: Path) -> None:
    """Otherwise the test above would pass with a file that does nothing."""
    marker = tmp_path / "it ran"
    (tmp_path / "model.pt").write_bytes(files.evil(f"touch '{marker}'"))
    torch.load(tmp_path / "model.pt", weights_only=False)
    assert marker.exists()


@pytest.mark.parametrize("legacy", [False, True])
def test_good_files(legacy: bool) -> None:
    state = files.nac_state()
    contents = unpack(files.torch_bytes(state, legacy=legacy))
    assert (contents.kind, contents.metadata, contents.notes) == ("legacy torch" if legacy else "torch", {}, ())
    assert list(contents.payload) == list(state)
    assert all(torch.equal(contents.payload[name], state[name]) for name in state)


def test_a_bad_file_gives_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    for data in (files.torchscript(), files.whole_module(), b"\x80\x02K\x05."):
        with pytest.raises(InputError):
            unpack(data)
    assert [str(warning.message) for warning in recwarn if "torch" in str(warning.filename)] == []


def test_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*args: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "frombuffer", exhausted)
    with pytest.raises(InputError, match=r"^has tensors that need more memory than there is$"):
        unpack(files.torch_bytes(files.nac_state()))


CODE = """
import sys, pathlib
from nalu_export import InputError
from nalu_export.checkpoints.container import unpack
imported = set(sys.modules)
opened = []
sys.addaudithook(lambda event, args: opened.append(event) if event in WATCHED else None)
for path in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    data = path.read_bytes()
    opened.clear()
    try:
        unpack(data)
    except InputError:
        pass
    assert not opened, (path.name, opened)
print(sorted(set(sys.modules) - imported))
"""


@pytest.mark.slow
def test_reading_opens_imports_and_starts_nothing(tmp_path: Path) -> None:
    """As Python's own auditing sees it: no file, no process, no code object, no pickle of Python's."""
    watched = ["open", "exec", "compile", "import", "os.system", "os.exec", "subprocess.Popen", "pickle.find_class"]
    state = files.nac_state()
    kinds = {
        "zip": files.torch_bytes(state),
        "legacy": files.torch_bytes(state, legacy=True),
        "evil": files.evil("true"),
        "evil legacy": files.evil("true", legacy=True),
        "module": files.whole_module(),
        "torchscript": files.torchscript(),
        "pt2": files.exported(NAC(2, 1), torch.ones(1, 2)),
        "safetensors": safetensors.torch.save(state),
    }
    for name, data in kinds.items():
        (tmp_path / name).write_bytes(data)
    code = CODE.replace("WATCHED", repr(watched))
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    assert (done.stderr, done.stdout) == ("", "[]\n")


SPECIAL: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "cannot be read: No such file or directory"),
    "directory": (lambda path: path.mkdir(), "is a directory; give the path of a file|is not a regular file; .*"),
    "FIFO": (lambda path: os.mkfifo(path), "is not a regular file; give the path of a file"),
    "device": (lambda path: path.symlink_to("/dev/zero"), "is not a regular file; give the path of a file"),
    "broken link": (lambda path: path.symlink_to("nowhere"), "cannot be read: No such file or directory"),
    "loop": (lambda path: path.symlink_to(path.name), "cannot be read: Too many levels of symbolic links"),
}


@pytest.mark.parametrize("case", SPECIAL)
def test_what_is_not_a_file(case: str, tmp_path: Path) -> None:
    make, text = SPECIAL[case]
    path = tmp_path / "model.pt"
    make(path)
    with files.time_limit(10), pytest.raises(InputError) as caught:
        load(path)
    assert re.fullmatch(rf"{re.escape(str(path))}: ({text})", str(caught.value))


def test_a_missing_folder(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no/such/model\.pt: cannot be read: No such file or directory$"):
        load(tmp_path / "no" / "such" / "model.pt")


def test_a_path_that_is_none() -> None:
    with pytest.raises(InputError, match=r"^'a\\x00b': not a path: embedded null byte$"):
        load("a\0b")
