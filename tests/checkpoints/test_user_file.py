"""Files of the user's own code: ``net.py:build``, and the classes that a script pickled."""

import subprocess
import sys
import types
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from nalu_export import InputError, load
from nalu_export.checkpoints import read_checkpoint

NET = """
import sys
from torch import nn
from layers import FACTOR

class Net(nn.Module):
    def __init__(self, factor=FACTOR):
        super().__init__()
        self.inner, self.factor = nn.Linear(2, 1), factor
    def forward(self, x):
        return self.factor * self.inner(x)

def build():
    import layers
    return Net(layers.FACTOR)

def needs(hidden: int, depth=2):
    return Net()

def fails():
    raise RuntimeError("first line\\nsecond line")

assert sys.argv == [__file__]
if __name__ == "__main__":
    import torch
    torch.manual_seed(0)
    torch.save(Net(7.0), "model.pt")
"""
WEIGHTS = {"inner.weight": torch.ones(1, 2), "inner.bias": torch.zeros(1)}
X = torch.ones(1, 2)


@pytest.fixture(autouse=True)
def _nothing_is_left(tmp_path: Path) -> Any:
    """No entry of the path, no argument, no name in ``__main__``."""
    main = vars(sys.modules["__main__"])
    kept = (list(sys.path), list(sys.argv), dict(main))
    yield
    assert (sys.path, sys.argv, main) == kept
    assert not list(tmp_path.rglob("__pycache__/net*"))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """A file in a folder with a ``layers.py`` beside it."""

    def write(text: str = NET, name: str = "net.py", folder: str = "code", factor: float = 2.0) -> Path:
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "layers.py").write_text(f"FACTOR = {factor}\n", encoding="utf-8")
        (tmp_path / folder / name).write_text(text, encoding="utf-8")
        return tmp_path / folder / name

    return write


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    torch.save(WEIGHTS, tmp_path / "weights.pt")
    return tmp_path / "weights.pt"


@pytest.fixture
def pickled(write: Callable[..., Path]) -> Path:
    """What ``python net.py`` saves, beside it."""
    file = write()
    subprocess.run([sys.executable, file], cwd=file.parent, check=True)
    return file.parent / "model.pt"


def refusal(path: Path, model: Any, **options: Any) -> str:
    with pytest.raises(InputError) as caught:
        load(path, model, **options)
    text = str(caught.value)
    assert "\n" not in text
    return text.removeprefix(f"{path}: ")


def test_a_name_in_a_file(write: Callable[..., Path], weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write()
    for name in ("build", "Net"):
        assert load(weights, f"{file}:{name}")(X).item() == 4.0
    monkeypatch.chdir(file.parent.parent)
    assert load("weights.pt", "code/net.py:build")(X).item() == 4.0
    assert load("weights.pt", "./code/../code/net.py:build")(X).item() == 4.0
    monkeypatch.chdir(file.parent)
    assert load(weights, "net.py:build")(X).item() == 4.0
    monkeypatch.setenv("HOME", str(file.parent))
    assert load(weights, Path("~/net.py:build"))(X).item() == 4.0


def test_the_only_class_of_a_file_needs_no_name(write: Callable[..., Path], weights: Path) -> None:
    file = write()
    found = read_checkpoint(weights, file)
    assert found.notes == (f"the model is Net in {file}",)
    assert found.model(X).item() == 4.0


def test_odd_names_of_files_and_folders(write: Callable[..., Path], weights: Path) -> None:
    for folder, name in (
        ("a:b", "net.py"),
        ("c", "my net-2.py"),
        ("größe", "数.py"),
        ("d", "torch.py"),
        ("e", "x:y.py"),
    ):
        file = write(name=name, folder=folder)
        assert load(weights, f"{file}:build")(X).item() == 4.0
        assert load(weights, str(file))(X).item() == 4.0
    assert sys.modules["torch"] is torch


def test_files_of_one_name_with_other_modules_beside_them(write: Callable[..., Path], weights: Path) -> None:
    first, second = write(folder="one", factor=2.0), write(folder="two", factor=3.0)
    models = [load(weights, f"{file}:build") for file in (first, second, first)]
    assert [model(X).item() for model in models] == [4.0, 6.0, 4.0]
    assert [sys.modules[type(model).__module__].__file__ for model in models] == [str(first), str(second), str(first)]
    write(folder="one", factor=5.0)  # as an editor does, within the clock tick of a compiled file
    assert load(weights, f"{first}:build")(X).item() == 10.0
    with ThreadPoolExecutor(4) as pool:
        files = [first, second] * 8
        assert list(pool.map(lambda file: load(weights, f"{file}:build")(X).item(), files)) == [10.0, 6.0] * 8


CASES = {
    "net.py:nothing": "{file} has no 'nothing'; it has 'Net', 'build', 'needs' and 1 more",
    "net.py:Net.nothing": "{file} has no 'Net.nothing'; it has 'Net', 'build', 'needs' and 1 more",
    "net.py:needs": "needs arguments: needs(hidden: int, depth=2); give a function that needs none",
    "net.py:fails": "RuntimeError: first line ({file}, line 21)",
    "net.py:FACTOR": "is a value of type float, which is neither a torch.nn.Module nor a function that builds one",
}


@pytest.mark.parametrize("named", CASES)
def test_names_that_do_not_do(named: str, write: Callable[..., Path], weights: Path) -> None:
    file, name = write(), named.partition(":")[2]
    assert refusal(weights, f"{file}:{name}") == f"model='{file}:{name}': {CASES[named].format(file=file)}"


FILES = {
    "number = 1 / 0\n": "ZeroDivisionError: division by zero ({file}, line 1)",
    "def f(:\n": "SyntaxError: invalid syntax (net.py, line 1)",
    "import layers\nlayers.nothing()\n": "AttributeError: module 'layers' has no attribute 'nothing' ({file}, line 2)",
    "import no_such_package\n": "ModuleNotFoundError: No module named 'no_such_package' ({file}, line 1)",
    "from .layers import FACTOR\n": (
        "ImportError: attempted relative import with no known parent package ({file}, line 1); "
        "name it package.module:NAME from the folder above the package"
    ),
    "raise SystemExit('usage: net.py DATA')\n": (
        "ends the program (SystemExit: usage: net.py DATA); put code that trains under if __name__ == '__main__'"
    ),
    "raise ValueError('\\x1b[31m')\n": "ValueError: \\x1b[31m ({file}, line 1)",
    "import nalu_export\nraise nalu_export.InputError('of ours')\n": "of ours",
}


@pytest.mark.parametrize("text", FILES)
def test_files_that_cannot_be_run(text: str, write: Callable[..., Path], weights: Path) -> None:
    file, before = write(text), set(sys.modules)
    assert refusal(weights, f"{file}:build") == f"model='{file}:build': {FILES[text].format(file=file)}"
    assert not [name for name in set(sys.modules) - before if name.startswith("nalu_export_file_")]


def test_a_file_that_names_no_module_or_several(write: Callable[..., Path], weights: Path) -> None:
    file = write("def build():\n    pass\n")
    assert refusal(weights, str(file)) == (
        f"model='{file}': has no subclass of torch.nn.Module; name a function that builds one, "
        f"{file}:NAME; it has 'build'"
    )
    file = write("from torch import nn\nfrom torch.nn import Linear\nclass A(nn.Module): ...\nclass B(A): ...\n")
    assert refusal(weights, str(file)) == f"model='{file}': has 'A', 'B'; say which: {file}:B"
    file = write("x = 1\n")
    assert (
        refusal(weights, str(file))
        == f"model='{file}': has no subclass of torch.nn.Module; name a function that builds one, "
        f"{file}:NAME"
    )


def test_files_that_are_none(tmp_path: Path, weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert refusal(weights, "net.py:build") == f"model='net.py:build': there is no such file in {tmp_path}"
    assert refusal(weights, f"{tmp_path}/net.py") == f"model='{tmp_path}/net.py': there is no such file"
    assert refusal(weights, "code/net:build") == f"model='code/net:build': there is no such file in {tmp_path}"
    (tmp_path / "code.py").mkdir()
    assert refusal(weights, "code.py:build") == (
        "model='code.py:build': code.py: is a directory; give the path of a file"
    )
    (tmp_path / "train.ipynb").write_text("{}", encoding="utf-8")
    for named in ("train.ipynb", "train.ipynb:Net"):
        assert refusal(weights, named) == f"model='{named}': is a notebook; save its code as a .py file first"


@pytest.mark.slow
def test_classes_of_the_script_that_saved_a_pickle(pickled: Path) -> None:
    file = pickled.with_name("net.py")
    text = "cannot be loaded: it needs Net of the script that saved it; give that file with model='FILE.py'"
    assert refusal(pickled, None, trust=True) == text
    found = read_checkpoint(pickled, file, trust=True)
    assert found.notes == ("was loaded with trust=True, which ran code in it",)
    assert vars(found.model)["factor"] == 7.0
    torch.manual_seed(0)
    assert torch.equal(found.model(X), 7.0 * nn.Linear(2, 1)(X))
    (file.parent / "other.py").write_text("class Other: ...\n", encoding="utf-8")
    assert refusal(pickled, file.with_name("other.py"), trust=True) == (
        f"cannot be loaded: it needs Net of the script that saved it, and {file.with_name('other.py')} has no Net"
    )
    text = (
        "holds a module, which is used as it is, and model would build another one; leave model out, "
        "or give the file alone"
    )
    assert refusal(pickled, f"{file}:Net", trust=True) == f"{text}: model='{file}'"
    assert refusal(pickled, file).startswith("is a pickled module (__main__.Net), which runs code when loaded; ")


@pytest.mark.slow
def test_names_of_this_program_come_back(pickled: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a spawned process saved the pickle, and where this program has a class of that name."""
    mine = type("Net", (nn.Module,), {})
    monkeypatch.setattr(sys.modules["__main__"], "Net", mine, raising=False)
    found = load(pickled, pickled.with_name("net.py"), trust=True)
    assert type(found).__name__ == "Net"
    assert type(found) is not mine
    assert vars(sys.modules["__main__"])["Net"] is mine
    # A class of __mp_main__, put there by hand.
    spawned = types.ModuleType("__mp_main__")
    vars(spawned)["Net"] = kind = type("Net", (nn.Linear,), {"__module__": "__mp_main__"})
    with monkeypatch.context() as spawning:
        spawning.setitem(sys.modules, "__mp_main__", spawned)
        torch.save(kind(2, 1), pickled)
    file = pickled.with_name("linear.py")
    file.write_text("from torch import nn\nclass Net(nn.Linear): ...\n", encoding="utf-8")
    assert load(pickled, file, trust=True)(X).shape == (1, 1)


@pytest.mark.slow
def test_a_file_is_run_once_for_a_pickle_and_not_for_what_needs_none(
    write: Callable[..., Path], pickled: Path, weights: Path
) -> None:
    count = "import os\nwith open(os.path.join(os.path.dirname(__file__), 'count'), 'a') as f: f.write('x')\n"
    file = write(count + NET)
    load(pickled, file, trust=True)
    load(weights, file, trust=True)
    assert (file.parent / "count").read_text(encoding="utf-8") == "xx"
    with pytest.raises(InputError):
        load(file.with_name("none.pt"), file, trust=True)
    assert (file.parent / "count").read_text(encoding="utf-8") == "xx"
