"""nalu_export.formats.onnx.primitives: every primitive in ONNX Runtime, in both types and every opset."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from numpy.typing import NDArray
from onnx import helper
from onnx.reference import ReferenceEvaluator
from torch import Tensor

from nalu_export.formats.onnx.builder import Builder, Value
from nalu_export.formats.onnx.options import OPSETS
from nalu_export.formats.onnx.primitives import EMITTERS
from nalu_export.primitives import PRIMITIVES, Conditioned
from nalu_export.primitives.precision import FLOAT32
from tests.primitives.cases import CASES
from tests.primitives.test_moved_arguments import PRECISIONS, SLACK, conditioned

Array = NDArray[Any]
# The well-conditioned form has none; a runtime's own is not accurate enough.
WITHOUT = {"sigmoid"}
COMPUTING = sorted(set(CASES) - WITHOUT)


def _model(emit: Callable[..., Value], arrays: Sequence[Array], opset: int) -> tuple[onnx.ModelProto, Value]:
    """A file of one emitter; axes are free, as those of a batch are."""
    build = Builder("", opset)
    given = [Value(f"input_{place}", array.dtype, array.ndim) for place, array in enumerate(arrays)]
    result = emit(build, *given)
    ends = [
        helper.make_tensor_value_info(
            value.name, helper.np_dtype_to_tensor_dtype(value.dtype), [f"{value.name}_{k}" for k in range(value.rank)]
        )
        for value in (*given, result)
    ]
    graph = helper.make_graph(build.nodes, "part", ends[:-1], ends[-1:], list(build.initializers.values()))
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(proto, full_check=True)
    return proto, result


def _run(emit: Callable[..., Value], arrays: Sequence[Array], opset: int = 20) -> Array:
    """What ONNX Runtime gives for one emitter."""
    proto, result = _model(emit, arrays, opset)
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {f"input_{place}": array for place, array in enumerate(arrays)})
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.ndim) == (result.dtype, result.rank)
    return found


def _in_reference(proto: onnx.ModelProto, arrays: Sequence[Array]) -> Array:
    with np.errstate(all="ignore"):
        (found,) = ReferenceEvaluator(proto).run(None, {f"input_{place}": x for place, x in enumerate(arrays)})
    return np.asarray(found)


def _in_openvino(proto: onnx.ModelProto, arrays: Sequence[Array]) -> Array:
    openvino = pytest.importorskip("openvino")
    core = openvino.Core()
    model = core.compile_model(core.read_model(proto.SerializeToString()), "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.asarray(model(list(arrays))[0])


def _case(name: str, dtype: type, seed: int) -> tuple[list[Array], list[Array]]:
    """The numbers of a case, and the same with its truth values as such."""
    case = CASES[name]
    arrays: list[Array] = [*case.drawn(dtype, seed)]
    return arrays, [array != 0 if place in case.masks else array for place, array in enumerate(arrays)]


def test_every_primitive_has_an_emitter() -> None:
    missing = sorted(set(PRIMITIVES) - set(EMITTERS) - WITHOUT)
    assert not missing, f"formats/onnx/primitives.py has no emitter for {', '.join(missing)}"
    assert not set(EMITTERS) - set(PRIMITIVES)


@pytest.mark.parametrize("kind", PRECISIONS)
@pytest.mark.parametrize("name", COMPUTING)
def test_a_runtime_stays_within_the_radius(name: str, kind: str) -> None:
    """Of arguments somewhere in their balls, and of arguments that are exact."""
    precision, dtype = PRECISIONS[kind]
    case = CASES[name]
    arrays, given = _case(name, dtype, 0)
    found = _run(lambda build, *values: EMITTERS[name](build, *values, *case.rest), given).astype(np.float64)
    moved, _ = conditioned(name, case, arrays, precision)
    exact = PRIMITIVES[name].conditioned(precision, *map(torch.from_numpy, arrays), *case.rest)
    for result in (moved, exact):
        _holds(found, result, kind)


def _holds(found: Array, result: Conditioned, kind: str) -> None:
    value, radius = result.value.numpy(), result.radius.numpy()
    inside = np.isfinite(radius) & (np.abs(value) + radius <= PRECISIONS[kind][0].largest)
    # In float64 the value at the centre is rounded as well.
    slack = SLACK if kind == "float32" else 2.0
    with np.errstate(invalid="ignore"):
        wrong = inside & ~(np.abs(found - value) <= slack * radius)
    assert not wrong.any(), (np.argwhere(wrong)[:3], found[wrong][:3], value[wrong][:3], radius[wrong][:3])


@pytest.mark.parametrize("run", [_in_reference, _in_openvino])
@pytest.mark.parametrize("name", COMPUTING)
def test_other_runtimes_stay_within_the_radius(name: str, run: Callable[..., Array]) -> None:
    """Quotients by a rounded reciprocal, kernels of their own for every function."""
    arrays, given = _case(name, np.float32, 2)
    rest = CASES[name].rest
    proto, _ = _model(lambda build, *values: EMITTERS[name](build, *values, *rest), given, 20)
    exact = PRIMITIVES[name].conditioned(FLOAT32, *map(torch.from_numpy, arrays), *rest)
    _holds(run(proto, given).astype(np.float64), exact, "float32")


@pytest.mark.parametrize("name", COMPUTING)
def test_every_opset_and_type_gives_the_same(name: str) -> None:
    case = CASES[name]
    for dtype in (np.float32, np.float64):
        _, given = _case(name, dtype, 1)
        given = [array[:50] for array in given]
        results = [_run(lambda b, *v: EMITTERS[name](b, *v, *case.rest), given, opset) for opset in OPSETS]
        for result in results[1:]:
            np.testing.assert_array_equal(result, results[0])


@pytest.mark.parametrize(
    ("name", "special", "wanted"),
    [
        ("log1p", [np.inf, -1.0, -0.0, 1e-30, np.nan], [np.inf, -np.inf, -0.0, 1e-30, np.nan]),
        ("expm1", [np.inf, -np.inf, -0.0, 1e-30, np.nan], [np.inf, -1.0, -0.0, 1e-30, np.nan]),
        ("erf", [np.inf, -np.inf, 0.0, 1e-30, np.nan], [1.0, -1.0, 0.0, 2e-30 / np.sqrt(np.pi), np.nan]),
        ("sqrt", [np.inf, 0.0, 4.0, -1.0], [np.inf, 0.0, 2.0, np.nan]),
        ("trunc", [-0.5, 0.5, -2.5, np.inf, np.nan], [-0.0, 0.0, -2.0, np.inf, np.nan]),
        ("round", [0.5, 1.5, 2.5, -0.5], [0.0, 2.0, 2.0, -0.0]),
    ],
)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_ends_of_functions(name: str, special: list[float], wanted: list[float], dtype: type) -> None:
    found = _run(EMITTERS[name], [np.array(special, dtype)])
    np.testing.assert_allclose(found, np.array(wanted, dtype), rtol=4 * float(np.finfo(dtype).eps), atol=0)


def test_powers_are_those_of_torch() -> None:
    ends = np.array([0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, np.inf, -np.inf, np.nan])
    base, exponent = (grid.ravel() for grid in np.meshgrid(ends, [*ends, 3.0, -3.0, 0.1]))
    for dtype in (np.float32, np.float64):
        b, e = base.astype(dtype), exponent.astype(dtype)
        wanted = torch.pow(torch.from_numpy(b), torch.from_numpy(e)).numpy()
        np.testing.assert_allclose(_run(EMITTERS["pow"], [b, e]), wanted, rtol=1e-6)


# Shapes -------------------------------------------------------------------------------------------------------------

_SHAPES: list[tuple[str, tuple[Any, ...], list[tuple[int, ...]]]] = [
    ("reshape", ((-1, 6),), [(4, 2, 3), (0, 2, 3)]),
    ("reshape", ((2, 12),), [(4, 2, 3)]),
    ("flatten", (0, -1), [(4, 2, 3), (3,)]),
    ("flatten", (1, -1), [(4, 2, 3), (0, 2, 3), (2, 3)]),
    ("flatten", (1, 2), [(4, 2, 3, 5)]),
    ("flatten", (0, 1), [(4, 2, 3), (0, 2, 3), (4, 2, 3, 5)]),
    ("flatten", (1, 2), [(4, 2, 3, 5, 6)]),
    ("flatten", (2, 3), [(4, 2, 3, 5, 6)]),
    ("flatten", (-2, -1), [(4, 2, 3, 5)]),
    ("transpose", (0, 1), [(4, 3)]),
    ("transpose", (-1, 1), [(4, 2, 3)]),
    ("permute", ((0, 2, 1),), [(4, 2, 3)]),
    ("permute", ((-1, 0, 1),), [(4, 2, 3)]),
    ("squeeze", (1,), [(4, 1, 3), (0, 1, 3)]),
    ("squeeze", (-1,), [(4, 3, 1)]),
    ("unsqueeze", (0,), [(4, 3)]),
    ("unsqueeze", (-1,), [(4, 3), ()]),
    ("expand", ((-1, 5, 3),), [(4, 1, 3)]),
    ("expand", ((2, -1, -1),), [(4, 3)]),
    ("slice", (1, 1, None, 1), [(4, 5)]),
    ("slice", (-1, -3, -1, 1), [(4, 5)]),
    ("slice", (1, None, 100, 2), [(4, 5)]),
    ("select", (1, 0), [(4, 5)]),
    ("select", (-1, -2), [(4, 5), (5,)]),
]
_LISTS: list[tuple[str, int, list[tuple[int, ...]]]] = [
    ("cat", 1, [(4, 2), (4, 3)]),
    ("cat", -1, [(4, 2, 1), (4, 2, 3), (4, 2, 2)]),
    ("stack", 0, [(4, 2), (4, 2)]),
    ("stack", -1, [(4, 2), (4, 2), (4, 2)]),
]


def _numbers(shape: tuple[int, ...]) -> Array:
    return np.random.default_rng(len(shape)).uniform(-1, 1, shape).astype(np.float32)


@pytest.mark.parametrize(("name", "rest", "shapes"), _SHAPES)
def test_shapes_are_those_of_torch(name: str, rest: tuple[Any, ...], shapes: list[tuple[int, ...]]) -> None:
    for shape in shapes:
        x = _numbers(shape)
        found = _run(lambda build, value: EMITTERS[name](build, value, *rest), [x])
        np.testing.assert_array_equal(found, PRIMITIVES[name].function(torch.from_numpy(x), *rest).numpy())


@pytest.mark.parametrize(("name", "dim", "shapes"), _LISTS)
def test_lists_are_joined_as_torch_joins_them(name: str, dim: int, shapes: list[tuple[int, ...]]) -> None:
    arrays = [_numbers(shape) for shape in shapes]
    found = _run(lambda build, *values: EMITTERS[name](build, values, dim), arrays)
    wanted = PRIMITIVES[name].function([torch.from_numpy(array) for array in arrays], dim)
    np.testing.assert_array_equal(found, wanted.numpy())


def test_every_shape_has_a_case() -> None:
    tried = {name for name, *_ in (*_SHAPES, *_LISTS)}
    assert tried == {name for name, primitive in PRIMITIVES.items() if primitive.kind == "shape"}


@pytest.mark.parametrize("name", ["sum", "mean", "amax", "amin", "prod"])
@pytest.mark.parametrize("opset", [17, 24])
def test_axes_of_reductions(name: str, opset: int) -> None:
    x = _numbers((3, 4, 5))
    axes: list[Any] = [1, -1] if name == "prod" else [1, -1, (0, 2), (-1, 1), ()]
    for dim in axes:
        for keepdim in (False, True):
            found = _run(lambda build, value, d=dim, k=keepdim: EMITTERS[name](build, value, d, k), [x], opset)
            wanted = PRIMITIVES[name].function(torch.from_numpy(x), dim, keepdim).numpy()
            np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)


def test_products_of_vectors_and_stacks() -> None:
    for left, right in [((4, 3), (3,)), ((3,), (3, 4)), ((2, 4, 3), (3, 5)), ((4, 3), (2, 3, 5)), ((3,), (3,))]:
        a, b = _numbers(left), _numbers(right)
        np.testing.assert_allclose(_run(EMITTERS["matmul"], [a, b]), np.matmul(a, b), rtol=1e-5, atol=1e-6)


# Types --------------------------------------------------------------------------------------------------------------


def test_types_meet_as_in_torch() -> None:
    """A mask times a number, a float32 constant in float64 arithmetic, a choice between two written numbers."""
    x, wide, mask = np.array([1.5, -2.5], np.float32), np.array([2.5, 4.5]), np.array([True, False])
    np.testing.assert_array_equal(_run(EMITTERS["mul"], [x, mask]), [1.5, 0.0])
    assert _run(EMITTERS["add"], [x, wide]).dtype == np.float64
    assert _run(lambda build, a, b: EMITTERS["cat"](build, [a, b], 0), [x, wide]).dtype == np.float64
    chosen = _run(lambda build, c: EMITTERS["where"](build, c, 1.5, 2), [mask])
    assert (chosen.dtype.name, chosen.tolist()) == ("float32", [1.5, 2.0])
    assert _run(lambda build, c: EMITTERS["sum"](build, c, None, False), [mask]) == 1.0
    np.testing.assert_array_equal(_run(lambda b, m: EMITTERS["cast"](b, m, torch.float32), [mask]), [1.0, 0.0])
    np.testing.assert_array_equal(_run(EMITTERS["logical_and"], [x, mask]), [True, False])


@pytest.mark.parametrize("name", ["gt", "lt", "ge", "le", "eq", "ne"])
def test_comparisons_with_nan_and_a_number_first(name: str) -> None:
    x = np.array([np.nan, np.inf, -np.inf, 2.0, -0.0], np.float32)
    for given in (2.0, 0.0):
        wanted: Tensor = PRIMITIVES[name].function(given, torch.from_numpy(x))
        found = _run(lambda build, value, g=given: EMITTERS[name](build, g, value), [x])
        np.testing.assert_array_equal(found, wanted.numpy())


def test_the_radius_does_not_hide_a_wrong_operator() -> None:
    """An exponential less one in place of expm1 leaves its ball near 0, and so would most files."""
    arrays, given = _case("expm1", np.float32, 0)
    result = PRIMITIVES["expm1"].conditioned(FLOAT32, torch.from_numpy(arrays[0]))
    found = _run(lambda build, x: build.op("Sub", build.op("Exp", x), build.literal(1.0, x.dtype)), given)
    off = np.abs(found - result.value.numpy())
    assert (off > 10 * result.radius.numpy()).mean() > 0.05
