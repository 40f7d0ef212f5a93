"""Reads a model file of any kind into a module with its weights."""

import os
from dataclasses import dataclass
from typing import Unpack

from torch import Tensor, nn

from nalu_export.checkpoints import layouts
from nalu_export.checkpoints._adapters import refuse_adapters
from nalu_export.checkpoints._assigning import assign, refuse_inflated
from nalu_export.checkpoints.assumptions import of_layout
from nalu_export.checkpoints.building import Surroundings, build_layout, disagreeing_twins
from nalu_export.checkpoints.container import Contents
from nalu_export.checkpoints.factory import Factory, UserCode, from_factory
from nalu_export.checkpoints.native import assumptions_of, native_payload, read_native
from nalu_export.checkpoints.normed import computed, refuse_unknown
from nalu_export.checkpoints.options import LAYOUT_OPTIONS, FileKeywords, ReadOptions
from nalu_export.checkpoints.recognise import Recognised, UnknownLayoutError, recognise
from nalu_export.checkpoints.shards import Gathered, about, gather
from nalu_export.checkpoints.unwrapping import State, left_out, prefixes, state_of, under, without_wrappers
from nalu_export.checkpoints.whole import chosen, evaluating
from nalu_export.errors import InputError, option
from nalu_export.io.assumption import Assumption, refuse
from nalu_export.io.files import as_path
from nalu_export.io.keywords import public
from nalu_export.io.text import short
from nalu_export.nn.parts import arithmetic_layers

# Number of prefixes that are tried for a hint in an error, the shortest first. A hostile file may have as many prefixes
# as letters.
MAX_PREFIXES = 32
# Number of tensors that are looked at in all these tries together.
MAX_TRIED = 10_000


# Prefixes of the keys of the CNN before a head, in all layouts that have a CNN.
BACKBONES = tuple(
    sorted({unit.around.backbone for name in layouts.names() for unit in layouts.get(name).units if unit.around})
)


@dataclass(frozen=True)
class Opened:
    """A file that was read and recognised, before its model is built.

    Attributes:
        sha256: SHA-256 of the file.
        state: its tensors, by the names in the file, without the prefixes that were removed.
        notes: what was seen and done, one line each.
        module: module built by the user's code or from the description in a file of this package, or a pickled module;
            ``None`` for a public layout.
        recognised: the public layout; ``None`` for other files.
        whole: whether the module itself was pickled, so that it has its tensors already.
        assumptions: assumptions that a file of this package was made with.
    """

    sha256: str
    state: State
    notes: tuple[str, ...]
    module: nn.Module | None = None
    recognised: Recognised | None = None
    whole: bool = False
    assumptions: tuple[Assumption, ...] = ()


@dataclass(frozen=True)
class Checkpoint:
    """A model that was read from a file.

    Attributes:
        model: the module, in ``eval()`` mode, on the CPU.
        sha256: SHA-256 of the file.
        notes: what was seen and done, one line each.
        layout: the public layout that was recognised, such as ``"kevinzakka:NALU"``; ``None`` for a file of this
            package, for a pickled module, or with ``model``.
        assumptions: facts that the result depends on and that are not in the file.
    """

    model: nn.Module
    sha256: str
    notes: tuple[str, ...]
    layout: str | None = None
    assumptions: tuple[Assumption, ...] = ()


@public(ReadOptions)
def load(path: str | os.PathLike[str], model: Factory | None = None, **options: Unpack[FileKeywords]) -> nn.Module:
    """Read a model from ``path`` without running code from the file (unless ``trust`` is given).

    Args:
        path: a file of :func:`nalu_export.save`, or the weights of a public implementation of NAC or NALU in any
            container that torch or safetensors write; docs/checkpoints.md lists both.
        model: for a model with layers of your own: the module that the weights go into, a class or function that
            returns it, or a name such as ``"net.py:build"`` or ``"package.module:build"``. For a pickled module with
            ``trust``: the file that has its classes, ``"net.py"``.
        **options: the other attributes of :class:`ReadOptions`: ``layout``, ``eps``, ``prefix``, ``key``,
            ``backbone``, ``task``, ``trust``, ``strict``.

    Returns:
        The module, in ``eval()`` mode, on the CPU, with weights of the type that the file has.

    Raises:
        InputError: the file is missing or damaged, holds code, or does not fit; one line says what is wrong and what to
            do.
    """
    return read_checkpoint(path, model, **options).model


def read_checkpoint(
    path: str | os.PathLike[str], model: Factory | None = None, **options: Unpack[FileKeywords]
) -> Checkpoint:
    """Read a model as :func:`load` does; return it with the hash of the file, the layout and the assumptions."""
    return read_as(path, ReadOptions(model=model, **options))


def read_as(path: str | os.PathLike[str], options: ReadOptions) -> Checkpoint:
    """Read a model as :func:`read_checkpoint` does, with options in one object."""
    return read_both(path, options)[1]


def read_both(path: str | os.PathLike[str], options: ReadOptions) -> tuple[Opened, Checkpoint]:
    """Read a model as :func:`read_checkpoint` does; also return what the file itself holds."""
    opened = open_checkpoint(path, options)
    with about(path):
        return opened, build(opened, options)


def open_checkpoint(path: str | os.PathLike[str], options: ReadOptions) -> Opened:
    """Read a file and recognise what it holds.

    Raises:
        InputError: see :func:`load`.
    """
    given = as_path(path)
    with about(path):
        code = None if options.model is None else UserCode(options.model)
    found = gather(given, trust=options.trust, code=code)
    with about(path):
        return _understood(found, options, code)


def _understood(found: Gathered, options: ReadOptions, code: UserCode | None) -> Opened:
    contents = found.contents
    whole = _whole(contents, options)
    if whole is not None:
        return _as_it_is(found, *whole, options, code)
    native = native_payload(contents)
    own = native is not None and options.model is None and options.prefix is None
    module, weights = None, contents.payload
    if native is not None:
        _refuse_options(options, ("key",), "is in the nalu_export format, which holds one model")
    if native is not None and own:
        _refuse_options(options, LAYOUT_OPTIONS, "is in the nalu_export format, which describes its model in full")
        module, weights = read_native(native)
        if module is None:
            raise InputError(f"does not describe its model; give {option('model', 'FILE.py:NAME')} to build it")
    elif native is not None:
        weights = native.get("state_dict")
    state, notes = state_of(weights, options.key)
    refuse_inflated(state, found.size)
    if options.prefix is not None:
        state, without = _under(state, options.prefix)
        notes = (*notes, *without)
    taken: tuple[str, ...] = ()
    recognised = None
    assumed = assumptions_of(native) if native is not None and own else ()
    if code is not None:
        module, state, taken = _into_code(state, options, code)
    elif not own:
        state, taken = _plain(state)
        recognised = _recognised(state, options)
        taken += _said_of_a_cnn(recognised, state)
    notes = (*contents.notes, *notes, *taken)
    return Opened(found.sha256, state, notes, module, recognised, assumptions=assumed)


def _whole(contents: Contents, options: ReadOptions) -> tuple[nn.Module, tuple[str, ...]] | None:
    """Return the pickled module that is the model of the file, if there is one."""
    if options.key is None:
        return chosen(contents.modules, contents.payload, options.prefix)
    if options.key not in contents.modules:
        return None
    path = options.key if options.prefix is None else f"{options.key}.{options.prefix}"
    return chosen(contents.modules, contents.payload, path)


def _into_code(state: State, options: ReadOptions, code: UserCode) -> tuple[nn.Module, State, tuple[str, ...]]:
    """Return the module of the user's code, and the tensors by the module's names."""
    _refuse_options(
        options, LAYOUT_OPTIONS, f"is read into the module that {option('model')} builds, which defines this itself"
    )
    alone = code.is_file_alone
    module = code.build()
    taken = (f"the model is {code.name} in {code.file}",) if alone else ()
    if module.state_dict().keys() != state.keys():
        bare, without = without_wrappers(state)
        if module.state_dict().keys() & bare.keys():
            return module, bare, (*taken, *without)
    return module, state, taken


def _plain(state: State) -> tuple[State, tuple[str, ...]]:
    """Return the tensors as a public layout has them: without prefixes of wrappers or parts of a weight.

    Adapters are refused.
    """
    state, taken = without_wrappers(state)
    refuse_adapters(state)
    # The parts of a weight in the user's own CNN are left to the code of the CNN.
    outside = {name: value for name, value in state.items() if name.startswith(BACKBONES)}
    inside, notes = computed({name: value for name, value in state.items() if name not in outside})
    refuse_unknown(inside)
    return ({**inside, **outside} if notes else state), (*taken, *notes)


def _said_of_a_cnn(recognised: Recognised, state: State) -> tuple[str, ...]:
    """Return notes about weights of a CNN that are computed from parts if ``--backbone`` has the plain weight."""
    around = recognised.fit.unit.around
    if around is None:
        return ()
    outside = {name: value for name, value in state.items() if name.startswith(around.backbone)}
    return tuple(
        f"{note}, if the module of {option('backbone')} has the weight itself" for note in computed(outside)[1]
    )


def _as_it_is(
    found: Gathered, module: nn.Module, notes: tuple[str, ...], options: ReadOptions, code: UserCode | None
) -> Opened:
    """Use a pickled module as it is: it holds more than its weights, for example ε and its own forward."""
    why = "holds a module, which is used as it is"
    _refuse_options(options, LAYOUT_OPTIONS, why)
    if code is not None and not code.is_file_alone:
        alone = "" if code.file is None else f", or give the file alone: {option('model', str(code.file))}"
        raise InputError(f"{why}, and {option('model')} would build another one; leave {option('model')} out{alone}")
    state = {name: value.detach() for name, value in module.state_dict().items() if isinstance(value, Tensor)}
    return Opened(found.sha256, state, (*found.contents.notes, *notes), module, whole=True)


def _refuse_options(options: ReadOptions, names: tuple[str, ...], why: str) -> None:
    for name in names:
        if getattr(options, name) is not None:
            raise InputError(f"{why}; leave {option(name)} out")


def _under(state: State, prefix: str) -> tuple[State, tuple[str, ...]]:
    """Return the tensors under a prefix, and a note about the tensors that are left out.

    The prefix is also found behind a prefix that a wrapper put before all names.
    """
    bare, _ = without_wrappers(state)
    try:
        found, whole = under(state, prefix), state
    except InputError:
        found, whole = under(bare, prefix), bare
    left = left_out(whole, f"{prefix.removesuffix('.')}." if prefix else "")
    return found, ((f"{option('prefix', prefix)} left out {left}",) if left else ())


def _recognised(state: State, options: ReadOptions) -> Recognised:
    try:
        return recognise(state, options.layout, options.eps)
    except UnknownLayoutError as error:
        if options.prefix is not None:
            raise
        tried = prefixes(state)[: max(1, min(MAX_PREFIXES, MAX_TRIED // len(state)))]
        helpful = next((prefix for prefix in tried if _fits(under(state, prefix), options)), None)
        if helpful is None:
            raise
        left = left_out(state, helpful)
        beside = f", which leaves out {left}" if left else ""
        raise InputError(f"{error}; or {option('prefix', helpful)} for the model under it{beside}") from error


def _fits(state: State, options: ReadOptions) -> bool:
    try:
        recognise(state, options.layout, options.eps)
    except InputError:
        return False
    return True


def build(opened: Opened, options: ReadOptions) -> Checkpoint:
    """Build the model of an opened file.

    Raises:
        InputError: the tensors do not fit the model, or an option is missing that is needed to build it. The text does
            not have the path of the file.
    """
    if opened.recognised is None:
        assert opened.module is not None
        module, state, notes, layout = opened.module, opened.state, opened.notes, None
        assumptions = opened.assumptions
    else:
        fit = opened.recognised.fit
        pair = next(iter(disagreeing_twins(fit, opened.state)), None)
        if pair is not None:
            raise InputError(
                f"has different values in {short(pair[0])} and {short(pair[1])}, "
                f"which are one parameter in {fit.name}; remove the one that was not trained"
            )
        backbone = None if options.backbone is None else from_factory(options.backbone, "backbone")
        module, state = build_layout(fit, opened.state, options.eps, Surroundings(backbone, options.task))
        notes, layout = (*opened.notes, *layout_notes(opened.recognised)), fit.name
        assumptions = of_layout(opened.recognised, options)
    if not opened.whole:
        assign(module, state)
    if options.strict:
        by_intent = opened.recognised is not None and opened.recognised.fit.unit.by_intent
        if not by_intent:
            refuse_faux(module)
        refuse(assumptions, converted=opened.recognised is None)
    evaluating(module)
    return Checkpoint(module, opened.sha256, notes, layout, assumptions)


def refuse_faux(module: nn.Module) -> None:
    """Refuse a faux NAC: a layer whose weight was computed once and stored, instead of trained.

    Raises:
        InputError: there is such a layer.
    """
    faux = [path for path, layer in arithmetic_layers(module).items() if getattr(layer, "stored", False)]
    if faux:
        where = short(faux[0]) if faux[0] else "its layer"
        raise InputError(
            f"is a faux NAC: {where} computes with a stored W, not with tanh(W_hat)·σ(M_hat); "
            f"without {option('strict', True)} it is exported as a linear layer"
        )


def layout_notes(recognised: Recognised) -> tuple[str, ...]:
    """Return notes about a recognised public layout."""
    fit, (name, *others) = recognised.fit, recognised.names
    same = f", which computes the same as {', '.join(others)}" if others else ""
    notes = [f"layout {name}{same}"]
    if fit.unit.by_intent:
        notes.append("this layout uses the weights as they are stored, by design: they are not limited to −1..1")
    elif fit.unit.options.get("stored"):
        notes.append("a faux NAC: the model computes with the stored weight, not with tanh(W_hat)·σ(M_hat)")
    return tuple(notes)
