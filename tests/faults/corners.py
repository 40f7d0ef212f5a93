"""Faults that show in a corner of the input space only."""

from collections.abc import Callable
from typing import Any

import numpy as np

from tests.faults.fault import in_runtime
from tests.faults.planted import AnyArray, Run

OFF = 1.001


@in_runtime("cell")
def wrong_past_a_million(run: Run) -> Run:
    """A range reduction that loses its last bits for |x| > 1e6."""
    return _where(run, lambda x: (np.abs(x) > 1e6).any(axis=1))


@in_runtime("cell")
def wrong_below_a_millionth(run: Run) -> Run:
    """A table for the logarithm that begins at 1e-6."""
    return _where(run, lambda x: ((np.abs(x) < 1e-6) & (x != 0)).any(axis=1))


@in_runtime("cell")
def wrong_where_two_inputs_are_equal(run: Run) -> Run:
    """A sort or a hash in the kernel that trips over ties."""
    return _where(run, lambda x: (np.diff(np.sort(x, axis=1), axis=1) == 0).any(axis=1))


@in_runtime("cell")
def wrong_where_all_inputs_are_zero(run: Run) -> Run:
    """A shortcut for an empty sample that forgets ε."""
    return _where(run, lambda x: (x == 0).all(axis=1))


@in_runtime("cell")
def wrong_where_one_input_is_not_zero(run: Run) -> Run:
    """A sparse kernel that is wrong for a single entry."""
    return _where(run, lambda x: (x != 0).sum(axis=1) == 1)


@in_runtime("cell")
def wrong_for_negative_inputs(run: Run) -> Run:
    """A kernel tested on images, which are never negative."""
    return _where(run, lambda x: (x < 0).all(axis=1))


@in_runtime("cell")
def wrong_where_the_last_input_leads(run: Run) -> Run:
    """A vectorised maximum that reads one element too few."""
    return _where(run, lambda x: np.abs(x[:, -1]) > 100 * np.abs(x[:, :-1]).max(axis=1))


def _where(run: Run, chosen: Callable[[AnyArray], Any]) -> Run:
    def wrong(x: AnyArray) -> AnyArray:
        out = run(x).copy()
        out[chosen(x)] *= np.float32(OFF)
        return out

    return wrong
