import ast
import importlib
import inspect
import pkgutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

import nalu_export
from nalu_export import NALU, InputError, formats, reports, runtimes
from nalu_export.errors import NaluExportError

ROOT = Path(nalu_export.__file__).parent
MODULES = sorted(
    module.name
    for module in pkgutil.walk_packages([str(ROOT)], "nalu_export.")
    if not module.name.endswith("__main__")  # runs the command line
)


def run(code: str) -> str:
    """What a fresh interpreter prints."""
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
    return done.stdout


def test_every_public_name_is_there() -> None:
    for name in nalu_export.__all__:
        assert getattr(nalu_export, name) is not None
    assert len(set(nalu_export.__all__)) == len(nalu_export.__all__)
    assert dir(nalu_export) == sorted(nalu_export.__all__)


@pytest.mark.parametrize("name", [name for name in nalu_export.__all__ if not name.startswith("__")])
def test_every_public_name_has_a_docstring(name: str) -> None:
    value = getattr(nalu_export, name)
    assert value.__doc__
    assert value.__doc__.strip().splitlines()[0].endswith((".", ":", "on"))
    if inspect.isclass(value):
        for method, function in vars(value).items():
            if inspect.isfunction(function) and not method.startswith("_"):
                assert function.__doc__, f"{name}.{method}"


@pytest.mark.parametrize("module", MODULES)
def test_every_module_imports_alone_and_says_what_it_holds(module: str) -> None:
    found = importlib.import_module(module)
    assert found.__doc__
    assert found.__doc__.strip()


def test_every_file_is_a_module_that_was_walked() -> None:
    """A folder without ``__init__.py`` would be left out silently, here and in the wheel."""
    files = {
        "nalu_export." + ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in ROOT.rglob("*.py")
        if "__pycache__" not in path.parts
    }
    names = {name.removesuffix(".__init__") for name in files} - {"nalu_export", "nalu_export.__main__"}
    assert names == set(MODULES)


@pytest.mark.slow
def test_names_are_imported_when_they_are_used() -> None:
    code = (
        "import sys, nalu_export\n"
        "heavy = {'torch', 'numpy', 'onnx', 'onnxruntime', 'rich', 'click'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
        "assert 'NALU' in dir(nalu_export)\n"
        "nalu_export.InputError, nalu_export.__version__\n"
        "assert 'torch' not in sys.modules\n"
        "assert nalu_export.NALU is nalu_export.NALU\n"
        "print('torch' in sys.modules, 'NALU' in vars(nalu_export))\n"
    )
    assert run(code) == "True True\n"


def test_the_package_for_a_type_checker_is_the_package_at_run_time() -> None:
    """The names under TYPE_CHECKING, the table of homes and ``__all__`` are three lists of one thing."""
    tree = ast.parse((ROOT / "__init__.py").read_text(encoding="utf-8"))
    checked: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            for statement in node.body:
                assert isinstance(statement, ast.ImportFrom)
                assert statement.module is not None
                checked |= {alias.name: statement.module.removeprefix("nalu_export.") for alias in statement.names}
    homes = nalu_export._HOMES
    assert checked == homes
    eager = {name for name in nalu_export.__all__ if name not in homes}
    assert eager == {"__version__"} | {name for name in vars(nalu_export.errors) if name.endswith("Error")}


@pytest.mark.parametrize("name", ["nothing", "torch", "nn_", "_private"])
def test_an_unknown_name(name: str) -> None:
    with pytest.raises(AttributeError, match=rf"^module 'nalu_export' has no attribute '{name}'$"):
        getattr(nalu_export, name)


@pytest.mark.slow
def test_star_import() -> None:
    code = "from nalu_export import *; print(NALU.__name__, callable(export), issubclass(InputError, ValueError))"
    assert run(code) == "NALU True True\n"


def test_layers_live_where_pickles_and_torchscript_say_they_do() -> None:
    """A layer's module path is a file format: it is stored in pickled models."""
    homes = {"NACCell": "nac", "NALUCell": "nalu", "NAC": "stack", "NALU": "stack", "BackboneHead": "head"}
    for name, module in homes.items():
        assert getattr(nalu_export, name).__module__ == f"nalu_export.nn.{module}"


def test_errors_have_one_base_and_an_exit_code() -> None:
    codes = {
        name: value.exit_code
        for name, value in vars(nalu_export.errors).items()
        if isinstance(value, type) and issubclass(value, NaluExportError)
    }
    assert codes == {
        "NaluExportError": 2,
        "InputError": 2,
        "OutOfMemoryError": 2,
        "UnsupportedLayerError": 2,
        "ParityError": 1,
        "RuntimeUnavailableError": 3,
    }


def test_the_version_is_the_installed_one() -> None:
    from importlib.metadata import version

    assert version("nalu_export") == nalu_export.__version__


def test_types_are_published() -> None:
    assert (ROOT / "py.typed").is_file()


PLUGINS = [(formats, "FORMAT", "format"), (runtimes, "RUNTIME", "runtime"), (reports, "REPORTER", "reporter")]


@pytest.mark.parametrize(("package", "constant", "kind"), PLUGINS, ids=["formats", "runtimes", "reports"])
class TestPlugins:
    def test_each_public_file_is_one(self, package: ModuleType, constant: str, kind: str) -> None:
        folder = Path(str(package.__file__)).parent
        files = {path.stem for path in folder.glob("[a-z]*.py")} - {"base"}
        files |= {path.parent.name for path in folder.glob("[a-z]*/__init__.py")} - {"terminal"}
        assert package.names() == tuple(sorted(name.replace("_", "-") for name in files))
        for name in package.names():
            assert package.get(name).name == name

    def test_they_are_named_without_importing_any(self, package: ModuleType, constant: str, kind: str) -> None:
        code = f"import sys; from {package.__name__} import names; print(len(names()), 'torch' in sys.modules)"
        assert run(code) == f"{len(package.names())} False\n"

    def test_a_file_more_is_a_plugin_more(
        self, package: ModuleType, constant: str, kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        (tmp_path / "quite_new.py").write_text(f"{constant} = 'the new one'\n", encoding="utf-8")
        (tmp_path / "_helper.py").write_text("", encoding="utf-8")
        before = package.names()
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(tmp_path)])
        assert package.names() == tuple(sorted({*before, "quite-new"}))
        assert package.get("quite-new") == "the new one"
        monkeypatch.delitem(sys.modules, f"{package.__name__}.quite_new")

    @pytest.mark.parametrize("name", ["", "nothing", "base", "_surroundings", "ONNX", "os"])
    def test_an_unknown_one(self, package: ModuleType, constant: str, kind: str, name: str) -> None:
        with pytest.raises(InputError) as caught:
            package.get(name)
        assert str(caught.value) == f"{kind} is {name!r}; allowed: {', '.join(package.names())}"


def imports(file: Path) -> Iterator[str]:
    """Modules of this package that a file imports when it is imported."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("nalu_export"):
            yield node.module


@pytest.mark.parametrize(
    ("folder", "refused"),
    [
        ("nn", {"graph", "weights", "checkpoints", "formats", "runtimes", "parity", "cli", "artifact"}),
        ("graph", {"checkpoints", "formats", "runtimes", "parity", "cli", "artifact", "exporting"}),
        ("checkpoints", {"formats", "runtimes", "parity", "cli", "exporting"}),
        ("formats", {"checkpoints", "parity", "cli", "exporting"}),
        ("runtimes", {"checkpoints", "parity", "cli", "exporting"}),
        ("parity", {"checkpoints", "formats", "cli", "exporting"}),
    ],
)
def test_imports_run_one_way(folder: str, refused: set[str]) -> None:
    for file in (ROOT / folder).glob("*.py"):
        for module in imports(file):
            assert not {*module.split(".")[1:2]} & refused, f"{folder}/{file.name} imports {module}"


def test_only_the_command_line_imports_click() -> None:
    for file in ROOT.rglob("*.py"):
        if "cli" not in file.relative_to(ROOT).parts and file.name != "__main__.py":
            assert "import click" not in file.read_text(encoding="utf-8"), file.name


def test_every_verb_takes_a_module(nalu: NALU, tmp_path: Path) -> None:
    """A hand-written one too: see tests/handwritten."""
    nalu_export.export(nalu, tmp_path / "model.onnx", check=False)
    assert nalu_export.check(nalu, tmp_path / "model.onnx", samples=4, search=0).passed
    assert [row["path"] for row in nalu_export.inspect(nalu)["layers"]] == ["layers.0", "layers.1"]
    assert nalu_export.diagnose(nalu).to_dict()["findings"]
    nalu_export.write_golden(nalu, tmp_path / "golden.npz", samples=2)
    assert (tmp_path / "golden.npz").stat().st_size > 0
