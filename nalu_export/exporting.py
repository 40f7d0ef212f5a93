"""From a model to a checked file: emit, prove the free image size, check, and only then let the file appear."""

import copy
import hashlib
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

import nalu_export
from nalu_export import formats
from nalu_export.artifact import Artifact, encode_metadata
from nalu_export.checkpoints import Checkpoint, ReadOptions, read_as
from nalu_export.errors import InputError, ParityError, RuntimeUnavailableError
from nalu_export.files import check_target, write_atomically
from nalu_export.formats.base import Draft, EmitOptions, Format
from nalu_export.graph import around
from nalu_export.inputs import free_sizes, sample_shape, sweep
from nalu_export.nn.init import choose
from nalu_export.nn.parts import arithmetic_parts
from nalu_export.parity import CheckOptions, Report, check_bytes
from nalu_export.parity.check import Progress
from nalu_export.statistics import layer_table
from nalu_export.text import plain
from nalu_export.verifying import verify as verify_file
from nalu_export.weights import COMPUTE, WEIGHTS, Compute, Weights

PROOF_SAMPLES = 4


@dataclass(frozen=True)
class ExportOptions(ReadOptions):
    """How to read the source, see :class:`ReadOptions`, and how to export it.

    Attributes:
        weights: ``"folded"`` holds effective weights only; ``"live"`` keeps the raw parameters under their names.
        compute: type of the arithmetic part.
        opset: ONNX opset, 17 to 24, honoured exactly.
        input_size: (H, W) of the images that the export and its check start from.
        check: whether to check before the file appears.
        seed: of the check's inputs.
        part: path of the arithmetic part that a C++ header is to hold, of a model with several.
        namespace: of a C++ header, ``"nalu"`` where it is not given.
        struct: its name, ``"Model"`` where it is not given.
        extern_c: whether a C++ header has functions for C as well.
    """

    weights: Weights = "folded"
    compute: Compute = "float32"
    opset: int = 20
    input_size: tuple[int, int] | None = None
    check: bool = True
    seed: int = 0
    part: str | None = None
    namespace: str | None = None
    struct: str | None = None
    extern_c: bool = False

    def __post_init__(self) -> None:
        choose("weights", self.weights, WEIGHTS)
        choose("compute", self.compute, COMPUTE)

    def of_format(self, kind: Format) -> dict[str, Any]:
        """The options that mean something to one format, where they were given.

        Raises:
            InputError: one of another format was given.
        """
        given = {"namespace": self.namespace, "struct": self.struct, "extern_c": self.extern_c or None}
        found = {name: value for name, value in given.items() if value is not None}
        for name in (*found, *(["part"] if self.part is not None else [])):
            if name not in kind.options:
                raise InputError(f"{name} is given, which means nothing to format {kind.name}; leave it out")
        return found


def export(
    source: nn.Module | str | os.PathLike[str],
    path: str | os.PathLike[str] | None = None,
    /,
    *,
    format: str = "onnx",  # noqa: A002  the name that the command line uses
    progress: Progress | None = None,
    **options: Any,
) -> Artifact:
    """Export a model and check the result; the file appears at ``path`` only when it is complete and passed.

    Args:
        source: a module, or the path of a ``model.pt``; it is not changed.
        path: where to; by default beside the source (``model.pt`` → ``model.onnx``). An existing file is replaced.
        format: ``"onnx"``, ``"torchscript"`` or ``"cpp"``. A C++ header holds the arithmetic part of a model alone; the
            notes say what feeds it.
        progress: called with a text, the steps done and their number, 0 where it is not known.
        **options: the attributes of :class:`ExportOptions`: ``weights``, ``compute``, ``opset``, ``input_size``,
            ``check``, ``seed``; for a header ``part``, ``namespace``, ``struct``, ``extern_c``; and to read a file as
            :func:`nalu_export.load` does: ``model``, ``layout``, ``eps``, ``prefix``, ``backbone``, ``task``,
            ``trust``, ``strict``.

    Returns:
        The artifact, with the parity report in ``report`` unless ``check=False``.

    Raises:
        InputError: the source, an option or the target cannot be used.
        UnsupportedLayerError: a layer computes something that has no primitive.
        ParityError: the exported file does not compute what the model computes; no file was written.
        RuntimeUnavailableError: what checks this format is not installed; ``check=False`` exports without it.
    """
    try:
        settings = ExportOptions(**options)
    except TypeError as error:
        raise InputError(f"export takes no such option: {error}") from error
    tell = progress or (lambda *_: None)
    kind = formats.get(format)
    target = _target(source, path, kind)
    tell("reading", 0, 0)
    checkpoint = source_of(source, settings)
    subject, cast_notes = prepare_from(source, checkpoint)
    tell("exporting", 0, 0)
    graph = capture_of(source, subject, settings)
    path_of_part = kind.scope(graph, settings.part)
    if path_of_part and settings.input_size is not None:
        raise InputError(
            f"input_size is given, but a file of format {format} holds {plain(path_of_part)} alone, which takes no "
            "images; leave it out"
        )
    part, part_notes = _part(graph, path_of_part)
    graph = graph.isolated(path_of_part)
    draft, shapes, notes = _emit(graph, kind, settings)
    metadata = _metadata(graph, checkpoint, draft, settings, kind) | part
    data = draft.to_bytes(encode_metadata(metadata))

    report: Report | None = None

    def verify(written: bytes) -> None:
        nonlocal report
        names = ["torch", kind.runtime]
        report = verify_file(
            graph,
            written,
            kind.name,
            shapes,
            settings.compute,
            names,
            CheckOptions(seed=settings.seed),
            decisive=[kind.runtime],
            progress=tell,
        )
        if not report.passed:
            raise ParityError(f"{target}: not written, the check failed: {report.summary()}", report)

    write_atomically(target, data, verify if settings.check else None)
    return Artifact(
        target, kind.name, data, metadata, report, (*checkpoint.notes, *cast_notes, *part_notes, *draft.notes, *notes)
    )


def capture_of(source: nn.Module | str | os.PathLike[str], subject: nn.Module, options: SourceOptions) -> ModelGraph:
    """The model, captured and found to be a function of each sample alone that holds arithmetic.

    Raises:
        InputError: it is not; a refusal names the file that the model is from.
    """
    shape = sample_shape(subject, options.input_size)
    try:
        graph = capture(subject, example_of(shape), options.arithmetic or ())
        refuse_impure(graph)
    except InputError as error:
        if isinstance(source, nn.Module):
            raise
        raise type(error)(f"{os.fspath(source)}: {error}") from error
    if not graph.subgraphs:
        raise InputError(
            f"{type(subject).__name__} holds no arithmetic: its forward has no log, exp, power, product or quotient of "
            "data, and no weight that is computed by tanh, sigmoid or clamp; say which module is meant with --arithmetic PATH, "
            "or use torch.onnx.export"
        )
    return graph


def _target(source: nn.Module | str | os.PathLike[str], path: str | os.PathLike[str] | None, kind: Format) -> Path:
    """Where to write: as told, or ``model.pt`` → ``model.onnx`` beside the source."""
    origin = None if isinstance(source, nn.Module) else Path(source)
    if path is not None:
        target = Path(path)
    elif origin is not None and origin.name:
        target = origin.with_name(origin.stem + kind.suffix)
    elif origin is not None:
        raise InputError(f"{source}: is a directory; give the path of a file")
    else:
        raise InputError("path is missing; a module in memory has no folder to export beside")
    check_target(target, origin)
    return target


def prepare(model: nn.Module) -> tuple[nn.Module, tuple[str, ...]]:
    """A copy to export: ``eval()``, on the CPU, float32, without gradients; and what that changed.

    Raises:
        InputError: no arithmetic layer in it, or a weight that is not finite.
    """
    if not arithmetic_parts(model):
        raise InputError(
            f"{type(model).__name__} holds no layer of nalu_export.nn; arithmetic written by hand would go through "
            "the general exporter, which deletes eps"
        )
    subject = copy.deepcopy(model).eval().requires_grad_(False).cpu()
    notes: tuple[str, ...] = ()
    for name, value in subject.state_dict().items():
        _refuse_non_finite(name, value, "that are NaN or infinite; train or repair it first")
        _refuse_non_finite(name, value.float(), "that float32 cannot hold; train or repair it first")
    kinds = {value.dtype for value in subject.state_dict().values() if value.is_floating_point()} - {torch.float32}
    if kinds:
        names = ", ".join(sorted(str(kind).removeprefix("torch.") for kind in kinds))
        notes = (f"weights in {names} were converted to float32",)
    return subject.float(), notes


def prepare_from(
    source: nn.Module | str | os.PathLike[str], checkpoint: Checkpoint
) -> tuple[nn.Module, tuple[str, ...]]:
    """:func:`prepare`; a refusal names the file that the model is from."""
    try:
        return prepare(checkpoint.model)
    except InputError as error:
        if isinstance(source, nn.Module):
            raise
        raise InputError(f"{os.fspath(source)}: {error}") from error


def _refuse_non_finite(name: str, value: torch.Tensor, what: str) -> None:
    bad = int((~torch.isfinite(value)).sum()) if value.is_floating_point() else 0
    if bad:
        raise InputError(f"{name} has {bad} values {what}")


def source_of(source: nn.Module | str | os.PathLike[str], options: ReadOptions) -> Checkpoint:
    """A model with what is known of its origin; that of a module is its state_dict: names, types, shapes and bytes.

    Raises:
        InputError: the file cannot be read, or an option says how to read one where there is none.
    """
    if not isinstance(source, nn.Module):
        return read_as(source, options)
    options.refuse_for_a_module()
    digest = hashlib.sha256()
    for name, value in source.state_dict().items():
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
        digest.update(value.detach().cpu().flatten().view(torch.uint8).numpy().tobytes())
    return Checkpoint(source, digest.hexdigest(), ())


def _part(model: nn.Module, path: str) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What a file that holds one part of a model says of the rest of it: as metadata and to the user."""
    if not path:
        return {}, ()
    found = around(model, path)
    (features,) = sample_shape(model.get_submodule(path), None)
    fed = ", ".join(map(plain, found.before)) or ("what comes before it" if not found.known else "nothing")
    notes = [f"the file holds {plain(path)} alone: feed it the {features} numbers that the model gets from {fed}"]
    if found.after:
        notes.append(f"what the model does to its output is left to you: {', '.join(map(plain, found.after))}")
    elif not found.known:
        notes.append("whatever the model does to its output is left to you")
    return {"part": {"path": path, "fed_by": list(found.before), "followed_by": list(found.after)}}, tuple(notes)


def _emit(
    model: nn.Module, kind: Format, settings: ExportOptions
) -> tuple[Draft, list[tuple[int, ...]], tuple[str, ...]]:
    """The draft, the sample shapes on which it holds, and what the user should know about them."""
    shape = sample_shape(model, settings.input_size)
    options = EmitOptions(shape, settings.weights, settings.compute, settings.opset, **settings.of_format(kind))
    draft = kind.emit(model, options)
    if not free_sizes(draft.inputs[0].shape):
        return draft, [shape], ()
    shapes = sweep(model, shape)
    problem = _size_problem(model, draft, shapes, kind, settings)
    if problem is None:
        return draft, shapes, ()
    height, width = shape[1:]
    fixed = kind.emit(model, replace(options, free_size=False))
    return fixed, [shape], (f"the image size is fixed at {height}×{width}: {problem}",)


def _size_problem(
    model: nn.Module, draft: Draft, shapes: list[tuple[int, ...]], kind: Format, settings: ExportOptions
) -> str | None:
    """Why height and width cannot stay free: what differs at a size other than the traced one, ``None`` if nothing.

    Exporters do not notice: an adaptive pooling to k > 1 exports with free axes and is wrong at every other size.
    """
    if len(shapes) == 1:
        return "the model runs at no other size"
    data = draft.to_bytes({})
    options = CheckOptions(samples=PROOF_SAMPLES, seed=settings.seed, search=0)
    try:
        if check_bytes(model, data, shapes[1:], settings.compute, [kind.runtime], options).passed:
            return None
        for shape in shapes[1:]:
            report = check_bytes(model, data, [shape], settings.compute, [kind.runtime], options)
            if not report.passed:
                return f"at {shape[1]}×{shape[2]} {report.summary()}"
    except RuntimeUnavailableError as error:
        return f"other sizes could not be tried: {error}"
    return None


def _metadata(
    model: nn.Module, checkpoint: Checkpoint, draft: Draft, settings: ExportOptions, kind: Format
) -> dict[str, Any]:
    """What the file says of itself. No time, no path, no measured figure: the same source gives the same bytes."""
    parity: dict[str, Any] = {"verdict": "unchecked"}
    if settings.check:
        # The bytes that are checked are the bytes that appear, so this is written before it is known to be true; the
        # file gets its name only if it is.
        parity = {"verdict": "passed", "runtime": kind.runtime, "seed": settings.seed}
    return {
        "tool": f"nalu_export {nalu_export.__version__}",
        "torch": torch.__version__,
        "source_sha256": checkpoint.sha256,
        **({} if checkpoint.layout is None else {"source_layout": checkpoint.layout}),
        "weights": settings.weights,
        "compute": settings.compute,
        "layers": layer_table(model),
        "inputs": [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in draft.inputs],
        "outputs": [{"name": spec.name, "dtype": spec.dtype, "shape": list(spec.shape)} for spec in draft.outputs],
        "parity": parity,
    }
