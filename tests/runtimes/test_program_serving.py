"""Where the program of a runtime is found, and how the artifact gets to it."""

import tempfile
from pathlib import Path

import pytest

from nalu_export.errors import InputError, RuntimeUnavailableError
from nalu_export.runtimes._program import find_program, serve
from nalu_export.runtimes.base import RunOptions
from tests.runtimes.programs import program


class TestWhereProgramsAre:
    """Where the environment says, and nowhere else."""

    @pytest.fixture(autouse=True)
    def _not_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("NALU_EXPORT_CPP", raising=False)

    @pytest.mark.parametrize("named", ["absolute", "relative"])
    def test_named(self, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)
        program(tmp_path / "x_infer", "")
        monkeypatch.setenv("NALU_EXPORT_CPP", str(tmp_path) if named == "absolute" else ".")
        assert find_program("x", "x_infer") == str(tmp_path / "x_infer")

    @pytest.mark.parametrize("value", [None, ""])
    def test_not_in_the_working_directory(
        self, value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("PATH", str(tmp_path))
        if value is not None:
            monkeypatch.setenv("NALU_EXPORT_CPP", value)
        program(tmp_path / "x_infer", "")
        (tmp_path / "examples" / "cpp" / "build").mkdir(parents=True)
        program(tmp_path / "examples" / "cpp" / "build" / "x_infer", "")
        with pytest.raises(RuntimeUnavailableError) as caught:
            find_program("x", "x_infer")
        assert str(caught.value) == (
            "x: NALU_EXPORT_CPP is not set; set it to the folder that holds x_infer: make cpp builds it into "
            "examples/cpp/build of the source repository"
        )
        assert caught.value.exit_code == 3

    @pytest.mark.parametrize("what", ["nothing", "a folder", "a text"])
    def test_not_where_it_is_said_to_be(self, what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        folder = tmp_path / "a\nb"
        folder.mkdir()
        monkeypatch.setenv("NALU_EXPORT_CPP", str(folder))
        if what == "a folder":
            (folder / "x_infer").mkdir()
        elif what == "a text":
            (folder / "x_infer").write_text("hello", encoding="utf-8")
        with pytest.raises(RuntimeUnavailableError) as caught:
            find_program("x", "x_infer")
        assert str(caught.value) == (
            rf"x: x_infer is not in {tmp_path}/a\nb, the folder of NALU_EXPORT_CPP; make cpp builds it into "
            "examples/cpp/build of the source repository"
        )


class TestServing:
    ECHO = "hello(options=' '.join(sys.argv[2:]), library=open(sys.argv[1]).read(), device=sys.argv[1]); serve()"

    @pytest.fixture(autouse=True)
    def _here(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("NALU_EXPORT_CPP", str(tmp_path))

    @pytest.mark.parametrize(("threads", "said"), [(None, "--serve"), (3, "--serve --threads 3")])
    def test_the_artifact_is_in_a_private_folder(self, threads: int | None, said: str, tmp_path: Path) -> None:
        program(tmp_path / "x_infer", self.ECHO)
        session = serve("x", "x_infer", "model.x", b"the file", RunOptions(threads=threads))
        assert (session.details["options"], session.details["library"]) == (said, "the file")
        path = Path(session.details["device"])
        assert path.name == "model.x"
        assert path.parent.stat().st_mode & 0o777 == 0o700
        session.close()
        assert not path.parent.exists()

    def test_a_full_disk(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        program(tmp_path / "x_infer", self.ECHO)
        temporary = tmp_path / "temporary"
        temporary.mkdir()
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))

        def full(path: Path, data: bytes) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Path, "write_bytes", full)
        with pytest.raises(InputError) as caught:
            serve("x", "x_infer", "model.x", b"", RunOptions())
        assert str(caught.value) == "x: the temporary folder cannot be written: No space left on device"
        assert list(temporary.iterdir()) == []
