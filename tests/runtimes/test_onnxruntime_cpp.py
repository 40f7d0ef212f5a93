"""ONNX Runtime through its C++ interface: it is the same library, so it gives the same bits."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper

import nalu_export
from nalu_export import NALU, BackboneHead, InputError, RuntimeUnavailableError, runtimes
from nalu_export.runtimes.base import RunOptions, Session
from tests.mixed import inputs_of, onnx_file, outputs_of
from tests.runtimes.programs import program, use_built

Load = Callable[..., Session]
NAME = "onnxruntime-cpp"


@pytest.fixture
def _built(monkeypatch: pytest.MonkeyPatch) -> None:
    use_built(NAME, monkeypatch)


def test_it_is_given_the_file_and_the_threads(
    nalu: NALU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: NDArray[np.float32]
) -> None:
    monkeypatch.setenv("NALU_EXPORT_CPP", str(tmp_path))
    body = "hello(options=' '.join(sys.argv[1:]), library='fake ' + open(sys.argv[1]).read()); serve()"
    program(tmp_path / "onnxruntime_infer", body)
    session = runtimes.get(NAME).load(nalu, b"1.0", RunOptions(threads=2))
    assert re.fullmatch(r"\S+/model\.onnx --serve --threads 2", session.details["options"])
    assert session.where == "fake 1.0, Fake, CPU"
    np.testing.assert_array_equal(session.run([batch]), [batch])
    assert session.values([batch], ["input"]) == {}


def test_one_that_is_not_built(nalu: NALU, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NALU_EXPORT_CPP", raising=False)
    text = (
        "NALU_EXPORT_CPP is not set; set it to the folder that holds onnxruntime_infer: make cpp builds it into "
        "examples/cpp/build of the source repository"
    )
    with pytest.raises(RuntimeUnavailableError) as caught:
        runtimes.get(NAME).load(nalu, b"", RunOptions())
    assert str(caught.value) == f"{NAME}: {text}"
    artifact = nalu_export.export(nalu, tmp_path / "model.onnx", check=False)
    assert nalu_export.check(nalu, artifact, "all", samples=2, search=0).missing[NAME] == text


@pytest.mark.usefixtures("_built")
class TestTheRealOne:
    @pytest.mark.parametrize("compute", ["float32", "float64"])
    def test_it_gives_what_python_s_gives(
        self, nalu: NALU, compute: str, load: Load, batch: NDArray[np.float32]
    ) -> None:
        here, there = (load(name, nalu, compute=compute) for name in (NAME, "onnxruntime-cpu"))
        for x in (batch, batch[:1], batch * np.float32(1e6), np.zeros_like(batch)):
            (ours,), (theirs,) = here.run([x]), there.run([x])
            assert ours.tobytes() == theirs.tobytes()
        assert here.details["library"] == f"onnxruntime {onnxruntime.__version__}" == there.details["library"]
        assert here.where == there.where
        assert (here.details["threads"], here.details["provider"]) == ("1", "CPUExecutionProvider")

    @pytest.mark.slow
    def test_a_check(self, image_model: BackboneHead, tmp_path: Path) -> None:
        artifact = nalu_export.export(image_model, tmp_path / "model.onnx", input_size=(8, 6), check=False)
        report = nalu_export.check(image_model, artifact, NAME, samples=4, search=1)
        assert report.passed
        assert {row.runtime for row in report.rows} == {NAME}
        assert "head isolated" in {row.distribution for row in report.rows}

    def test_another_model_fails_the_check(self, nalu: NALU, tmp_path: Path) -> None:
        artifact = nalu_export.export(NALU(4, 5, 2), tmp_path / "model.onnx", check=False)
        assert not nalu_export.check(nalu, artifact, NAME, samples=4, search=0).passed

    def test_a_file_that_it_refuses(self, nalu: NALU) -> None:
        with pytest.raises(InputError) as caught:
            runtimes.get(NAME).load(nalu, b"garbage", RunOptions())
        text = str(caught.value)
        assert text.startswith(f"{NAME} refuses the file: onnxruntime {onnxruntime.__version__} refuses model.onnx: ")
        assert "/tmp" not in text
        assert "nalu_export." not in text

    def test_a_batch_that_it_refuses_is_not_the_end(self, nalu: NALU, load: Load, batch: NDArray[np.float32]) -> None:
        session = load(NAME, nalu)
        (before,) = session.run([batch])
        for shape in ((1, 7), (4,), (2, 2, 4)):
            with pytest.raises(InputError, match=rf"^{NAME}: .+") as caught:
                session.run([np.zeros(shape, np.float32)])
            assert "\n" not in str(caught.value)
        (after,) = session.run([batch])
        assert after.tobytes() == before.tobytes()

    @pytest.mark.parametrize("inputs", [[], [0, 0]])
    def test_another_number_of_inputs(self, inputs: list[int], nalu: NALU, load: Load) -> None:
        with pytest.raises(InputError) as caught:
            load(NAME, nalu).run([np.zeros((1, 4), np.float32) for _ in inputs])
        assert str(caught.value) == f"{NAME}: the model takes 1 inputs, not {len(inputs)}"

    def test_another_type_of_an_input(self, nalu: NALU, load: Load) -> None:
        with pytest.raises(InputError, match=rf"^{NAME}: .*input data type.*int64"):
            load(NAME, nalu).run([np.zeros((1, 4), np.int64)])

    def test_a_type_that_has_no_number(self, nalu: NALU) -> None:
        x = helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["n"])
        y = helper.make_tensor_value_info("y", TensorProto.FLOAT16, ["n"])
        graph = helper.make_graph([helper.make_node("Abs", ["x"], ["y"])], "g", [x], [y])
        proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=9)
        with pytest.raises(InputError) as caught:
            runtimes.get(NAME).load(nalu, proto.SerializeToString(), RunOptions())
        said = "the model's input x is no tensor of float32, float64, int32, int64 or bool"
        assert str(caught.value) == f"{NAME} refuses the file: {said}"

    @pytest.mark.parametrize("samples", [1, 5, 0])
    def test_several_inputs_and_outputs_of_every_type(self, samples: int, nalu: NALU) -> None:
        session = runtimes.get(NAME).load(nalu, onnx_file(), RunOptions(threads=1))
        inputs = inputs_of(samples)
        found = session.run(list(inputs.values()))
        for out, expected in zip(found, outputs_of(inputs).values(), strict=True):
            np.testing.assert_array_equal(out, expected, strict=True)
