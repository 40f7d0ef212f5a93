"""TorchScript in libtorch: the library that is inside PyTorch, without Python."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import nalu_export
from nalu_export import NALU, BackboneHead, InputError, RuntimeUnavailableError, runtimes
from nalu_export.runtimes.base import RunOptions, Session
from tests.mixed import inputs_of, outputs_of, scripted, torchscript_file
from tests.runtimes.programs import program, use_built

Load = Callable[..., Session]
NAME = "libtorch"


class Dictionary(nn.Module):
    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"x": x}


class Rows(nn.Module):
    def forward(self, x: Tensor) -> list[Tensor]:
        return list(x.unbind())


@pytest.fixture
def _built(monkeypatch: pytest.MonkeyPatch) -> None:
    use_built(NAME, monkeypatch)


def test_it_is_given_the_file_and_the_threads(
    nalu: NALU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: NDArray[np.float32]
) -> None:
    monkeypatch.setenv("NALU_EXPORT_CPP", str(tmp_path))
    program(
        tmp_path / "libtorch_infer", "hello(options=' '.join(sys.argv[1:]), library=open(sys.argv[1]).read()); serve()"
    )
    session = runtimes.get(NAME).load(nalu, b"fake 1.0", RunOptions())
    assert re.fullmatch(r"\S+/model\.torchscript\.pt --serve", session.details["options"])
    assert session.where == "fake 1.0, Fake, CPU"
    np.testing.assert_array_equal(session.run([batch]), [batch])


def test_one_that_is_not_built(nalu: NALU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NALU_EXPORT_CPP", raising=False)
    text = (
        "NALU_EXPORT_CPP is not set; set it to the folder that holds libtorch_infer: make cpp builds it into "
        "examples/cpp/build of the source repository"
    )
    with pytest.raises(RuntimeUnavailableError) as caught:
        runtimes.get(NAME).load(nalu, b"", RunOptions())
    assert str(caught.value) == f"{NAME}: {text}"
    artifact = nalu_export.export(nalu, tmp_path / "model.torchscript.pt", format="torchscript", check=False)
    assert nalu_export.check(nalu, artifact, "all", samples=2, search=0).missing[NAME] == text


@pytest.mark.usefixtures("_built")
class TestTheRealOne:
    @pytest.mark.parametrize("compute", ["float32", "float64"])
    def test_it_gives_what_python_s_gives(
        self, nalu: NALU, compute: str, load: Load, batch: NDArray[np.float32]
    ) -> None:
        here, there = (load(name, nalu, compute=compute) for name in (NAME, "torchscript"))
        for x in (batch, batch[:1], batch * np.float32(1e6), np.zeros_like(batch)):
            (ours,), (theirs,) = here.run([x]), there.run([x])
            np.testing.assert_allclose(ours.astype(float), theirs.astype(float), rtol=1e-5, atol=1e-30)
        assert here.details["library"] == f"libtorch {torch.__version__.partition('+')[0]}"
        assert (here.details["threads"], here.details["device"]) == ("1", "CPU")

    def test_a_check(self, image_model: BackboneHead, tmp_path: Path) -> None:
        path = tmp_path / "model.torchscript.pt"
        artifact = nalu_export.export(image_model, path, format="torchscript", input_size=(8, 6), check=False)
        report = nalu_export.check(image_model, artifact, NAME, samples=4, search=1)
        assert report.passed
        assert {row.runtime for row in report.rows} == {NAME}
        assert "head isolated" in {row.distribution for row in report.rows}

    def test_another_model_fails_the_check(self, nalu: NALU, tmp_path: Path) -> None:
        path = tmp_path / "model.torchscript.pt"
        artifact = nalu_export.export(NALU(4, 5, 2), path, format="torchscript", check=False)
        assert not nalu_export.check(nalu, artifact, NAME, samples=4, search=0).passed

    def test_a_file_that_it_refuses(self, nalu: NALU) -> None:
        with pytest.raises(InputError) as caught:
            runtimes.get(NAME).load(nalu, b"PK\3\4garbage", RunOptions())
        assert str(caught.value).startswith(f"{NAME} refuses the file: libtorch ")
        assert "/tmp" not in str(caught.value)
        assert "\n" not in str(caught.value)

    def test_a_batch_that_it_refuses_is_not_the_end(self, nalu: NALU, load: Load, batch: NDArray[np.float32]) -> None:
        session = load(NAME, nalu)
        (before,) = session.run([batch])
        with pytest.raises(InputError, match=rf"^{NAME}: .+") as caught:
            session.run([np.zeros((1, 7), np.float32)])
        assert "\n" not in str(caught.value)
        (after,) = session.run([batch])
        assert after.tobytes() == before.tobytes()

    @pytest.mark.parametrize("samples", [1, 5, 0])
    def test_several_inputs_and_outputs_of_every_type(self, samples: int, nalu: NALU) -> None:
        session = runtimes.get(NAME).load(nalu, torchscript_file(), RunOptions(threads=1))
        inputs = inputs_of(samples)
        found = session.run(list(inputs.values()))
        for out, expected in zip(found, outputs_of(inputs).values(), strict=True):
            np.testing.assert_array_equal(out, expected, strict=True)

    def test_what_is_no_tensor_is_refused_and_not_the_end(self, nalu: NALU, batch: NDArray[np.float32]) -> None:
        session = runtimes.get(NAME).load(nalu, scripted(Dictionary()), RunOptions())
        for _ in range(2):
            with pytest.raises(InputError) as caught:
                session.run([batch])
            assert str(caught.value) == f"{NAME}: the model's output is neither a tensor nor a tuple or list of tensors"

    @pytest.mark.parametrize("count", [1, 64, 65])
    def test_a_list_of_any_length(self, count: int, nalu: NALU) -> None:
        session = runtimes.get(NAME).load(nalu, scripted(Rows()), RunOptions())
        x = np.arange(count, dtype=np.int32)
        if count > 64:
            with pytest.raises(InputError) as caught:
                session.run([x])
            assert str(caught.value) == f"{NAME}: the model has 65 outputs; at most 64 can be told"
        else:
            np.testing.assert_array_equal(np.stack(session.run([x])), x, strict=True)
