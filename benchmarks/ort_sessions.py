"""Bare sessions of onnxruntime, made with the options of this package's runtimes, that say who runs which node."""

import contextlib
import io
from typing import Any

from benchmarks.cuda_setup import Setup
from nalu_export.runtimes._ort_cuda import provider_options
from nalu_export.runtimes._ort_placement import RECORD, computing, elsewhere, listed
from nalu_export.runtimes.base import RunOptions


def recorded(setup: Setup, data: bytes, *, fold: bool = True, **options: str) -> Any:
    """A session on the provider, wherever its nodes run.

    Args:
        setup: which provider.
        data: the ONNX file.
        fold: whether what depends on constants alone is computed when the file is loaded.
        **options: more of the CUDA provider's.

    Raises:
        RuntimeError: the provider does not load; onnxruntime would take the CPU.
    """
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4
    settings.add_session_config_entry(RECORD, "1")
    cuda = setup.device == "cuda"
    if cuda:
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it misses
            onnxruntime.preload_dlls()
    session = onnxruntime.InferenceSession(
        data,
        settings,
        providers=[(setup.provider, provider_options(RunOptions(), **options) if cuda else {})],
        enable_fallback=0,
        **({} if fold else {"disabled_optimizers": ["ConstantFolding"]}),
    )
    if session.get_providers()[0] != setup.provider:
        raise RuntimeError(f"runs on {session.get_providers()[0]}")
    return session


def whole(setup: Setup, data: bytes, *, fold: bool = True, **options: str) -> Any:
    """The same, where nothing but shapes runs elsewhere.

    Raises:
        RuntimeError: something does, or the provider does not load.
    """
    session = recorded(setup, data, fold=fold, **options)
    others = elsewhere(session, setup.provider)
    if wrong := computing(data, others) if others else {}:
        raise RuntimeError(f"runs on the CPU: {listed(wrong, wrong)}")
    return session
