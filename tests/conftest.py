"""Models that every part of the suite uses, all seeded."""

from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import pytest
import torch
from hypothesis import HealthCheck, settings
from torch import nn

from nalu_export import NAC, NALU, BackboneHead, NALUCell, build_head
from nalu_export.io import files
from tests.compiler_cache import installed

if TYPE_CHECKING:
    from tests.runtimes.pretended_cuda import PretendedCuda

# The models are small, and threads that wait for each other on a busy machine take longer than the work.
torch.set_num_threads(1)
# Tests read thousands of files that they wrote a moment ago.
files.QUIET = 0.0
# A busy machine is no fault of what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test marked ``quick(count)`` keeps so many cases in the quick tier, spread evenly; the others are slow."""
    cases: dict[str, list[pytest.Item]] = {}
    for item in items:
        if item.get_closest_marker("quick"):
            cases.setdefault(item.nodeid.partition("[")[0], []).append(item)
    for group in cases.values():
        (count,) = next(group[0].iter_markers("quick")).args
        quick = {place * len(group) // count for place in range(count)}
        for place, item in enumerate(group):
            if place not in quick:
                item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session", autouse=True)
def _compilers(request: pytest.FixtureRequest) -> Iterator[None]:
    """Nothing is compiled twice, also in several runs."""
    with installed(request.config.cache.mkdir("compiled")) if hasattr(request.config, "cache") else nullcontext():
        yield


@pytest.fixture(autouse=True)
def _seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def nalu() -> NALU:
    """A stack of two NALU cells, 4 → 5 → 2."""
    return NALU(4, 5, 2)


@pytest.fixture
def nac() -> NAC:
    """A stack of two NAC cells, 4 → 3 → 2."""
    return NAC(4, 3, 2)


@pytest.fixture
def image_model() -> BackboneHead:
    """A small CNN with a NALU head; any image size works."""
    backbone = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(), nn.MaxPool2d(2))
    model = build_head(backbone, 4, [6], "classification", 3, pool="sum")
    norm = backbone[1]
    assert isinstance(norm, nn.BatchNorm2d)
    assert norm.running_mean is not None
    norm.running_mean.uniform_(-0.5, 0.5)
    return model.eval()


def saturated(cell: NALUCell) -> NALUCell:
    """The cell with effective weights −1, 0 and 1 to float32, mostly 0, as an ideally trained one has them."""
    with torch.no_grad():
        used = torch.rand(cell.W_hat.shape) < 4.0 / cell.in_features
        cell.W_hat.copy_(torch.randint(-1, 2, cell.W_hat.shape) * used * 20.0)
        cell.M_hat.fill_(20.0)
    return cell


@pytest.fixture
def pretended_cuda(monkeypatch: pytest.MonkeyPatch) -> Callable[..., "PretendedCuda"]:
    """Replaces onnxruntime for the runtimes by :class:`PretendedCuda`, and the device by one with a name."""
    from tests.runtimes.pretended_cuda import PretendedCuda

    def pretend(*args: Any, **kwargs: Any) -> "PretendedCuda":
        module = PretendedCuda(*args, **kwargs)
        for name in ("onnxruntime_cuda", "onnxruntime_cuda_binding", "onnxruntime_cuda_graph"):
            monkeypatch.setattr(f"nalu_export.runtimes.{name}.import_onnxruntime", lambda *_: module)
        monkeypatch.setattr(
            "nalu_export.runtimes._onnxruntime.device_facts",
            lambda number: {"device": f"GPU {number}", "driver": "1.2"},
        )
        monkeypatch.setattr("nalu_export.runtimes._ort_cuda._has_driver", lambda: True)
        return module

    return pretend
