"""What the fuzzer gives to a run, the progress line and the action; each finds what is planted."""

import json
from pathlib import Path

import pytest

from fuzz.targets import TARGETS
from nalu_export.cli import progress
from nalu_export.errors import InputError
from tests.hostile import consumers
from tests.hostile.consumers import LeakError, action_output, progress_line, run_model

TEXTS = (b"a\x1b[31mb", b"\x1b[2K", b"[bold]a[/x]\x1b]8;;e\x07", b"\xc2\x9b2J", "\u202ea\u2028".encode(), b"\xff\n")


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "100000")


@pytest.mark.parametrize("text", TEXTS)
def test_a_raw_name_in_the_progress_line_is_found(text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "text").write_bytes(text)
    progress_line(tmp_path / "text")
    monkeypatch.setattr(progress, "printable", lambda text: text.encode("utf-8", "replace").decode())
    with pytest.raises(LeakError):
        progress_line(tmp_path / "text")


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        (("s/::/: :/g", "s/::/::/g"), b"::set-output name=passed::true"),
        (("s/##\\[/## [/g", "s/x/x/g"), b"a ##[error]b"),
        (("tr -d '\\000-\\010\\013-\\037\\177'", "cat"), b"\x1b[2J"),
    ],
)
def test_a_command_in_the_output_of_the_action_is_found(
    fault: tuple[str, str], text: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "text").write_bytes(text)
    right, wrong = list[consumers._Action](), list[consumers._Action]()
    monkeypatch.setattr(consumers, "_started", right)
    action_output(tmp_path / "text")
    action = (consumers.ROOT / "action.yml").read_text(encoding="utf-8")
    assert fault[0] in action
    (tmp_path / "action.yml").write_text(action.replace(*fault), encoding="utf-8")
    monkeypatch.setattr(consumers, "ROOT", tmp_path)
    monkeypatch.setattr(consumers, "_started", wrong)
    with pytest.raises(LeakError):
        action_output(tmp_path / "text")
    for each in (*right, *wrong):
        each.close()


@pytest.mark.parametrize(("padding", "refused"), [(1, False), (500, True), (10**9, True)])
def test_a_run_has_little_to_take(padding: int, refused: bool, tmp_path: Path) -> None:
    target = TARGETS["runs"]
    description = json.loads(target.seeds()[0])
    description["args"]["backbone"]["children"]["0"]["args"]["padding"] = [padding, padding]
    (tmp_path / "model.pt").write_bytes(target.wrap(json.dumps(description).encode()))
    if not refused:
        run_model(tmp_path / "model.pt")
        return
    with pytest.raises(InputError, match=r"would take at least .* bytes of memory|does not run"):
        run_model(tmp_path / "model.pt")
