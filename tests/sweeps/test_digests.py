from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from nalu_export import NALU, InputError
from nalu_export.sweeps.digests import digest_of_options as digest


def test_each_option_counts() -> None:
    given: list[dict[str, Any]] = [
        {},
        {"opset": 18},
        {"opset": 19},
        {"weights": "live"},
        {"input_size": (8, 8)},
        {"example_inputs": np.zeros(100_000)},
        {"example_inputs": np.concatenate([np.zeros(50_000), [1e-30], np.zeros(49_999)])},
        {"example_inputs": torch.zeros(100_000)},
        {"example_inputs": {"a": torch.zeros(2), "b": torch.ones(2)}},
        {"example_inputs": {"b": torch.ones(2), "a": torch.zeros(2)}},
        {"arithmetic": ["a"]},
        {"arithmetic": [NALU]},
    ]
    assert len({digest(options) for options in given}) == len(given)
    assert digest({"opset": 18, "samples": 4}) == digest({"samples": 4, "opset": 18, "seed": None})
    assert digest({"input_size": (8, 8)}) == digest({"input_size": [8, 8]})


def test_code_counts_by_its_content_and_not_by_its_folder(tmp_path: Path) -> None:
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text("build = 1", encoding="utf-8")
    first, second = (digest({"model": f"{tmp_path / folder}/net.py:build"}) for folder in ("a", "b"))
    assert first == second
    (tmp_path / "a" / "net.py").write_text("build = 2", encoding="utf-8")
    assert digest({"model": f"{tmp_path}/a/net.py:build"}) != first
    assert digest({"model": f"{tmp_path}/b/net.py:other"}) != first


@pytest.mark.parametrize("value", [NALU(2, 1), lambda: NALU(2, 1)], ids=["module", "lambda"])
def test_objects_that_cannot_be_sent(value: object) -> None:
    with pytest.raises(InputError, match=r"^model is an object of type \w+, which a sweep cannot send to its workers"):
        digest({"model": value})
