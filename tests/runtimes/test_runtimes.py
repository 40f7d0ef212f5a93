"""What holds for every runtime that needs no device: it runs its format, says where, and refuses what it cannot run."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from nalu_export import NALU, BackboneHead, InputError, RuntimeUnavailableError, runtimes
from nalu_export import formats as all_formats
from nalu_export.runtimes.base import RunOptions, Session
from tests.alone import run_one
from tests.runtimes.programs import PROGRAMS, use_built

Load = Callable[..., Session]

HERE = ("libtorch", "onnx-reference", "onnxruntime-cpp", "onnxruntime-cpu", "openvino", "torch", "torchscript", "tract")
ON_CUDA = (
    "onnxruntime-cuda", "onnxruntime-cuda-binding", "onnxruntime-cuda-graph", "torch-cuda", "torchscript-cuda"
)  # fmt: skip
# It runs arithmetic alone, no images.
OF_A_HEAD = ("cpp",)
RUN_ONNX = ("onnx-reference", "onnxruntime-cpu", "openvino", "tract")


@pytest.fixture(autouse=True)
def _built(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the runtimes that are programs."""
    name = getattr(request.node, "callspec", None) and request.node.callspec.params.get("name")
    if name in PROGRAMS:
        use_built(name, monkeypatch)


def test_each_file_is_a_runtime_of_its_name() -> None:
    assert runtimes.names() == tuple(sorted((*HERE, *OF_A_HEAD, *ON_CUDA)))
    for name in runtimes.names():
        runtime = runtimes.get(name)
        assert runtime.name == name
        assert runtime.format in (None, *all_formats.names())
        assert runtime.own_weights == (runtime.format is None)


@pytest.mark.parametrize("name", HERE)
def test_it_runs_every_batch_and_says_where(nalu: NALU, name: str, load: Load) -> None:
    session = load(name, nalu)
    for batch in (0, 1, 5):
        x = np.random.default_rng(0).uniform(0, 2, (batch, 4)).astype(np.float32)
        out = run_one(session, x)
        assert out.dtype == np.float32
        with torch.no_grad():
            np.testing.assert_allclose(out.astype(np.float32), nalu(torch.from_numpy(x)).numpy(), rtol=1e-5)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", HERE)
def test_it_runs_images_of_every_size(image_model: BackboneHead, name: str, load: Load) -> None:
    session = load(name, image_model, (1, 16, 16))
    for batch, height, width in ((1, 16, 16), (3, 10, 22), (2, 7, 5)):
        x = np.random.default_rng(0).uniform(0, 0.1, (batch, 1, height, width)).astype(np.float32)
        with torch.no_grad():
            expected = image_model(torch.from_numpy(x)).numpy()
        np.testing.assert_allclose(run_one(session, x).astype(np.float32), expected, rtol=1e-4)


@pytest.mark.parametrize("name", HERE)
def test_details_say_the_same_as_where(nalu: NALU, name: str, load: Load) -> None:
    session = load(name, nalu)
    assert {"library", "device", "provider", "options", "threads"} <= set(session.details)
    library, _, version = session.details["library"].partition(",")[0].partition(" ")
    assert version[0].isdigit()
    assert f"{library} {version}" in session.where
    assert "CPU" in session.where
    assert "\n" not in session.where
    assert len(session.remarks) == (1 if name == "openvino" else 0)


@pytest.mark.parametrize("name", sorted({*HERE} - {"torch"}))
@pytest.mark.parametrize("data", [b"", b"garbage", b"PK\x03\x04garbage"])
def test_a_damaged_file_is_one_line(nalu: NALU, name: str, data: bytes) -> None:
    with pytest.raises(InputError, match=rf"^{name} refuses the file: .+") as error:
        runtimes.get(name).load(nalu, data, RunOptions())
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", HERE)
def test_a_batch_that_does_not_fit_is_one_line(nalu: NALU, name: str, load: Load) -> None:
    session = load(name, nalu)
    with pytest.raises(
        InputError, match=r"^(libtorch|onnx-reference|onnxruntime(-cpp)?|openvino|torch|TorchScript|tract): .+"
    ) as error:
        session.run([np.zeros((1, 7), np.float32)])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", RUN_ONNX)
def test_a_file_with_two_outputs_gives_both(nalu: NALU, name: str, onnx_file: Callable[..., bytes]) -> None:
    session = runtimes.get(name).load(nalu, onnx_file("y", "z"), RunOptions())
    x = np.array([1, -2, 3], np.float32)
    for out in session.run([x]):
        np.testing.assert_array_equal(out, np.abs(x))
    assert len(session.run([x])) == 2
    with pytest.raises(InputError, match=rf"^{name}: the file takes 1 input, the model 2$"):
        session.run([x, x])


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("onnxruntime-cpu", "onnxruntime", "cpu"),
        ("onnxruntime-cuda", "onnxruntime", "gpu"),
        ("onnxruntime-cuda-binding", "onnxruntime", "gpu"),
        ("onnxruntime-cuda-graph", "onnxruntime", "gpu"),
        ("openvino", "openvino", "openvino"),
        ("tract", "tract", "tract"),
    ],
)
def test_what_is_not_installed_is_named_with_its_extra(
    nalu: NALU, name: str, module: str, extra: str, uninstalled: Callable[[str], None]
) -> None:
    uninstalled(module)
    message = rf"^{name}: {module} is not installed; pip install 'nalu_export\[{extra}\]'$"
    with pytest.raises(RuntimeUnavailableError, match=message) as error:
        runtimes.get(name).load(nalu, b"", RunOptions())
    assert error.value.exit_code == 3


@pytest.mark.parametrize("name", RUN_ONNX)
def test_every_value_of_an_onnx_file_can_be_seen(nalu: NALU, name: str, load: Load, batch: NDArray[np.float32]) -> None:
    session = load(name, nalu)
    before = run_one(session, batch)
    names = ["input", "layers.0.W", "layers.0.a", "layers.0.abs", "layers.0.m", "output"]
    seen = session.values([batch], [*names[:5], "no such value", names[5]])
    assert list(seen) == names
    weight = seen["layers.0.W"].astype(np.float64)
    np.testing.assert_array_equal(seen["input"], batch)
    np.testing.assert_array_equal(seen["layers.0.abs"], np.abs(batch))
    np.testing.assert_allclose(seen["layers.0.a"].astype(np.float64), batch @ weight.T, rtol=1e-5, atol=1e-6)
    power = np.exp(np.log(np.abs(batch.astype(np.float64)) + 1e-10) @ weight.T)
    np.testing.assert_allclose(seen["layers.0.m"].astype(np.float64), power, rtol=1e-5)
    np.testing.assert_allclose(seen["output"].astype(np.float64), before.astype(np.float64), rtol=1e-5)
    np.testing.assert_array_equal(run_one(session, batch), before)
    assert session.values([batch], ["no such value"]) == {}
    assert session.values([batch[:1]], ["layers.0.abs"])["layers.0.abs"].shape == (1, 4)


@pytest.mark.quick(1)
@pytest.mark.parametrize("name", RUN_ONNX)
def test_values_inside_a_model_of_images(image_model: BackboneHead, name: str, load: Load) -> None:
    session = load(name, image_model, (1, 16, 16), "float64")
    x = np.random.default_rng(0).uniform(0, 0.1, (2, 1, 12, 8)).astype(np.float32)
    seen = session.values([x], ["head.layers.0.a", "head.Cast_1", "head.layers.0.W"])
    assert seen["head.layers.0.a"].shape == (2, 3)
    expected = seen["head.Cast_1"].astype(np.float64) @ seen["head.layers.0.W"].astype(np.float64).T
    np.testing.assert_allclose(seen["head.layers.0.a"].astype(np.float64), expected, rtol=1e-5)
