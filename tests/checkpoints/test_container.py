import os
import random
import re
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from nalu_export import NAC, InputError, load
from nalu_export.checkpoints.container import unpack
from tests.checkpoints import files
from tests.checkpoints.conftest import Refusal

INSTEAD = r"save model\.state_dict\(\) or use nalu_export\.save\(model, path\)"

BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty": (lambda: b"", r"is empty; expected a model\.pt"),
    "one byte": (lambda: b"\x00", r"is not a file of torch\.save; expected a model\.pt"),
    "one byte, pickle": (lambda: b"\x80", r"is damaged or not a file of torch\.save: .+"),
    "one byte, P": (lambda: b"P", r"is not a file of torch\.save; expected a model\.pt"),
    "PK only": (lambda: b"PK", r"is a damaged zip file: File is not a zip file"),
    "text": (lambda: b"W_hat: 1.0\nM_hat: 2.0\n", r"is not a file of torch\.save; expected a model\.pt"),
    "zeros": (lambda: bytes(1000), r"is not a file of torch\.save; expected a model\.pt"),
    "empty pickle": (lambda: b"\x80\x02.", r"is damaged or not a file of torch\.save: .+"),
    "pickle of a number": (lambda: b"\x80\x02K\x05.", r"is damaged or not a file of torch\.save: .+"),
    "empty zip": (lambda: files.zip_bytes({}), r"is a zip file but not one of torch\.save; expected a model\.pt"),
    "foreign zip": (
        lambda: files.zip_bytes({"word/document.xml": b"<xml/>"}),
        r"is a zip file but not one of torch\.save; expected a model\.pt",
    ),
    "TorchScript": (files.torchscript, rf"is a TorchScript archive, which runs code when loaded; {INSTEAD}"),
    "pt2": (
        lambda: files.zip_bytes({"m/archive_format": b"pt2", "m/models/model.json": b"{}", "m/data.pkl": b""}),
        rf"is a torch\.export archive \(\.pt2\), not a checkpoint; {INSTEAD}",
    ),
    "pt2, older": (
        lambda: files.zip_bytes({"m/models/model.json": b"{}"}),
        rf"is a torch\.export archive \(\.pt2\), not a checkpoint; {INSTEAD}",
    ),
    "pickled module": (
        files.whole_module,
        rf"holds Python objects \(torch\.nn\.modules\.[\w.]+\), and loading it would run code; {INSTEAD}",
    ),
    "pickled module, legacy": (
        lambda: files.torch_bytes(torch.nn.Linear(2, 2), legacy=True),
        rf"holds .*, and loading it would run code; {INSTEAD}",
    ),
    "compressed": (
        lambda: files.recompressed(files.torch_bytes(files.nac_state())),
        r"has the compressed member 'archive/data\.pkl', which torch\.save never writes",
    ),
    "zip bomb": (files.bomb, r"has the compressed member '.+', which torch\.save never writes"),
    "encrypted": (
        lambda: files.encrypted(files.torch_bytes(files.nac_state())),
        r"is a damaged zip file: File .* is encrypted, password required for extraction",
    ),
    "no data": (
        lambda: files.zip_bytes({"archive/data.pkl": b""}),
        r"is damaged or not a file of torch\.save: .+",
    ),
    "weights missing": (
        lambda: files.zip_bytes(
            {k: v for k, v in files.members_of(files.torch_bytes(files.nac_state())).items() if "/data/" not in k}
        ),
        r"is damaged or not a file of torch\.save: .+",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_file(case: str, refusal: Refusal) -> None:
    make, text = BAD[case]
    assert re.fullmatch(text, refusal(make()))


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
        r"is damaged: the checksum of 'archive/data/\d+' does not match", refusal(files.flipped_weight(bit))
    )


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
    assert re.fullmatch(
        rf"holds Python objects \((posix|os|nt)\.system\), and loading it would run code; {INSTEAD}|"
        rf"is damaged or not a file of torch\.save: .+",
        refusal(content, **options),
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
    loaded = unpack(files.torch_bytes(state, legacy=legacy))
    assert all(torch.equal(loaded[name], state[name]) for name in state)


def test_a_bad_file_gives_no_warning(recwarn: pytest.WarningsRecorder) -> None:
    for data in (files.torchscript(), files.whole_module(), b"\x80\x02K\x05."):
        with pytest.raises(InputError):
            unpack(data)
    assert [str(warning.message) for warning in recwarn if "torch" in str(warning.filename)] == []


def test_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(*args: Any, **options: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(torch, "load", exhausted)
    with pytest.raises(InputError, match=r"^claims tensors larger than the memory$"):
        unpack(files.torch_bytes({}))


def test_a_zip_that_torch_writes_is_not_compressed() -> None:
    """The rule against compressed members rests on this."""
    import io

    with zipfile.ZipFile(io.BytesIO(files.torch_bytes(files.nac_state()))) as archive:
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_STORED}


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
