"""Faults of a runtime: the file is right."""

import numpy as np

from tests.faults.fault import in_runtime
from tests.faults.planted import AnyArray, Run


@in_runtime("square")
def returns_its_input(run: Run) -> Run:
    """An accelerator that was given no work and hands the buffer back."""
    del run
    return lambda x: x


@in_runtime("cell")
def returns_zeros(run: Run) -> Run:
    """A device buffer that was read before the kernel had run."""
    return lambda x: np.zeros_like(run(x))


@in_runtime("cell")
def returns_the_batch_before(run: Run) -> Run:
    """A stale buffer: each batch gets the results of the one before it, as far as they go."""
    kept: list[AnyArray] = []

    def stale(x: AnyArray) -> AnyArray:
        out = run(x)
        kept.append(out)
        before = kept.pop(0) if len(kept) > 1 else np.zeros_like(out)
        return np.resize(before, out.shape) if before.size else out

    return stale


@in_runtime("cell")
def returns_float64(run: Run) -> Run:
    """A binding that hands out another type than the file declares."""
    return lambda x: run(x).astype(np.float64)


@in_runtime("cell")
def returns_float16(run: Run) -> Run:
    """A provider that computes and answers in float16."""

    def narrow(x: AnyArray) -> AnyArray:
        with np.errstate(over="ignore"):
            return run(x).astype(np.float16)

    return narrow


@in_runtime("cell")
def returns_float16_as_float32(run: Run) -> Run:
    """A provider that computes in float16 and widens the answer."""

    def narrow(x: AnyArray) -> AnyArray:
        with np.errstate(over="ignore"):
            return run(x).astype(np.float16).astype(np.float32)

    return narrow


@in_runtime("cell")
def drops_the_last_sample(run: Run) -> Run:
    """A tiled kernel that leaves out the remainder."""
    return lambda x: run(x)[:-1] if len(x) > 1 else run(x)


@in_runtime("cell")
def last_sample_never_written(run: Run) -> Run:
    """The same with an output buffer of the right size."""

    def short(x: AnyArray) -> AnyArray:
        out = run(x).copy()
        out[len(out) // 4 * 4 :] = 0
        return out

    return short


@in_runtime("cell")
def off_by_a_thousandth_from_batch_3(run: Run) -> Run:
    """A kernel for larger batches with less precision than the one for small ones."""
    return lambda x: run(x) * np.float32(1.001) if len(x) >= 3 else run(x)


@in_runtime("cell")
def off_at_a_batch_of_1(run: Run) -> Run:
    """The same the other way round: the matrix-vector kernel is the bad one."""
    return lambda x: run(x) * np.float32(1.001) if len(x) == 1 else run(x)


@in_runtime("cell")
def off_past_64_samples(run: Run) -> Run:
    """A kernel that is wrong from its second tile on."""

    def tiled(x: AnyArray) -> AnyArray:
        out = run(x).copy()
        out[64:] *= np.float32(1.001)
        return out

    return tiled


@in_runtime("cell")
def noise(run: Run) -> Run:
    """Sums in an order that changes from run to run, with an error of 1e-4."""
    generator = np.random.default_rng(0)

    def noisy(x: AnyArray) -> AnyArray:
        out = run(x)
        factor: AnyArray = 1 + 1e-4 * generator.standard_normal(out.shape)
        return (out * factor).astype(np.float32)

    return noisy


@in_runtime("cell")
def every_third_run_wrong(run: Run) -> Run:
    """A race between two streams that one run in three loses."""
    runs = [0]

    def racing(x: AnyArray) -> AnyArray:
        runs[0] += 1
        return run(x) * np.float32(1.01 if runs[0] % 3 == 0 else 1.0)

    return racing


@in_runtime("nac")
def small_outputs_flushed(run: Run) -> Run:
    """A fast-math mode that takes numbers below 1e-30, not just subnormal ones, for 0."""

    def flushed(x: AnyArray) -> AnyArray:
        out = run(x)
        return np.where(np.abs(out) < 1e-30, np.float32(0), out)

    return flushed


@in_runtime("cell")
def small_inputs_flushed(run: Run) -> Run:
    """An input stage in fixed point: what is below its last bit, 1e-6, is 0."""
    return lambda x: run(np.where(np.abs(x) < 1e-6, np.float32(0), x))
