"""ONNX's reference evaluator."""

import warnings
from collections.abc import Callable

import numpy as np
import pytest

from nalu_export import NALU, InputError, runtimes
from nalu_export.runtimes.base import RunOptions, Session


def test_overflow_is_no_news(nalu: NALU, load: Callable[..., Session], capfd: pytest.CaptureFixture[str]) -> None:
    session = load("onnx-reference", nalu)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        session.run([np.full((2, 4), 3e38, np.float32)])
        session.values([np.full((2, 4), 3e38, np.float32)], ["layers.0.m"])
    assert capfd.readouterr() == ("", "")


def test_it_says_what_runs(nalu: NALU, load: Callable[..., Session]) -> None:
    session = load("onnx-reference", nalu)
    assert "reference evaluator, numpy" in session.where
    assert session.details["provider"] == "ReferenceEvaluator"


def test_a_file_without_a_graph(nalu: NALU) -> None:
    with pytest.raises(InputError, match=r"^onnx-reference refuses the file: it holds no graph$"):
        runtimes.get("onnx-reference").load(nalu, b"", RunOptions())
