"""examples/faux_nac: the raw parameters of the faux NAC never move, those of the real one do, and the files say so."""

import importlib.util
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest
import torch
from torch import Tensor

from nalu_export import NACCell
from nalu_export.nn.functional import effective_weight

SCRIPT = Path(__file__).resolve().parents[2] / "examples" / "faux_nac" / "faux_nac.py"
SHORT = ["--epochs", "3", "--noise-epochs", "2"]


@dataclass(frozen=True)
class Run:
    """The folder that one run of the script wrote into, and what it printed."""

    folder: Path
    printed: str

    def state(self, name: str) -> dict[str, Tensor]:
        """A saved state_dict, read without running anything in it."""
        found: dict[str, Tensor] = torch.load(self.folder / name, weights_only=True)
        return found


def run_script(folder: Path) -> Run:
    """The script in a process of its own, with few epochs."""
    command = [sys.executable, str(SCRIPT), *SHORT, "--models", "models", "--plot", "training.png"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    return Run(folder, found.stdout)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return run_script(tmp_path_factory.mktemp("faux_nac"))


@pytest.fixture(scope="module")
def script() -> ModuleType:
    """The script as a module; its folder is not on the path, so that no other example's names are hidden."""
    spec = importlib.util.spec_from_file_location("faux_nac", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def start() -> NACCell:
    """What both models of the plot start from."""
    torch.manual_seed(0)
    return NACCell(2, 1).requires_grad_(False)


@pytest.mark.slow
def test_the_faux_one_keeps_its_raw_parameters_bit_for_bit_and_trains_w(run: Run) -> None:
    faux, first = run.state("models/faux.pt"), start()
    assert list(faux) == ["model.0.W_hat", "model.0.M_hat", "model.0.W"]
    assert torch.equal(faux["model.0.W_hat"], first.W_hat)
    assert torch.equal(faux["model.0.M_hat"], first.M_hat)
    moved = faux["model.0.W"] - effective_weight(first.W_hat, first.M_hat)
    assert float(moved.abs().min()) > 0.05


def test_the_real_one_trains_its_raw_parameters_from_the_same_start(run: Run) -> None:
    real, first = run.state("models/real.pt"), start()
    assert list(real) == ["model.0.W_hat", "model.0.M_hat"]
    assert float((real["model.0.W_hat"] - first.W_hat).abs().min()) > 0.05
    assert float((real["model.0.M_hat"] - first.M_hat).abs().min()) > 0.05
    assert float(effective_weight(real["model.0.W_hat"], real["model.0.M_hat"]).abs().max()) < 1


@pytest.mark.slow
def test_another_process_and_folder_give_the_same_plot_models_and_numbers(run: Run, tmp_path: Path) -> None:
    again = run_script(tmp_path)
    for name in ("training.png", "models/faux.pt", "models/real.pt"):
        assert (again.folder / name).read_bytes() == (run.folder / name).read_bytes()
    assert (run.folder / "training.png").read_bytes().startswith(b"\x89PNG")
    assert again.printed == run.printed


def test_the_numbers_are_printed_and_the_files_named(run: Run) -> None:
    lines = run.printed.splitlines()
    assert lines[0].split() == ["y", "=", "x1", "+", "x2,", "without", "noise", "faux", "NAC", "real", "NAC"]
    assert lines[1].split()[:5] == ["largest", "change", "of", "W_hat", "0"]
    assert float(lines[1].split()[5]) > 0.05
    assert [line.split(":")[0] for line in lines if line.startswith("seed")] == [f"seed {seed}" for seed in range(5)]
    assert lines[-2:] == ["plot: training.png", "models: faux.pt and real.pt in models"]


def test_the_history_is_of_the_weight_that_computes_and_of_the_one_that_is_claimed(script: ModuleType) -> None:
    x = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    for kind, agree in ((script.FauxNAC, False), (NACCell, True)):
        trained = script.train(kind, 64, 1, 0.0, 20)
        assert {name: values.shape for name, values in trained.history.items()}["W"] == (21, 1, 2)
        assert torch.equal(trained.final("W"), trained.model(x).T)
        assert torch.equal(trained.history["W"][0], trained.history["claim"][0])
        assert torch.equal(trained.final("W"), trained.final("claim")) is agree


def test_the_far_error_is_that_of_the_weight(script: ModuleType) -> None:
    weight = torch.tensor([[1.0, 1.0], [1.5, 1.0], [1.0, 0.0]])
    found = script.far_error(weight)
    assert torch.equal(script.far_error(weight), found)  # every weight meets the same inputs
    assert float(found[0]) == 0
    # The mean of |x| for x uniform in −5000..5000 is 2500; 10,000 draws find it to about 15.
    torch.testing.assert_close(found[1:], torch.tensor([1250.0, 2500.0], dtype=torch.float64), rtol=0.03, atol=0)


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--epochs", "0"], "--epochs is 0; it must be at least 1"),
        (["--noise-epochs", "-1"], "--noise-epochs is -1; it must be at least 1"),
        (["--models", "here/models"], "here/models cannot be made: Not a directory; give a folder that can"),
        (["--models", ".", "--plot", "here/a.png"], "here cannot be made: File exists; give a folder that can"),
    ],
)
def test_what_cannot_work_is_said_before_the_training(
    words: list[str],
    text: str,
    script: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").write_bytes(b"")
    monkeypatch.setattr(sys, "argv", ["faux_nac.py", *words])
    with pytest.raises(SystemExit) as ended:
        script.main()
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1]) == ("", f"faux_nac.py: error: {text}")
    assert [path.name for path in tmp_path.iterdir()] == ["here"]
