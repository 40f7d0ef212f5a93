"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nalu_export.errors import InputError
from nalu_export.io.files import StandardInput
from nalu_export.io.targets import StandardOutput

Command = Callable[..., Any]

# click would tell of a file that cannot be read in four lines; whoever reads it does in one.
FILE = click.Path(path_type=Path, readable=False)
FILE_OR_DASH = click.Path(path_type=Path, readable=False, allow_dash=True)


class _Model(click.Path):
    """A path, or ``-`` for what comes on standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click has it."""
        return StandardInput() if value == "-" else super().convert(value, param, ctx)


class _Output(click.Path):
    """A path, or ``-`` for standard output."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """As click has it."""
        return StandardOutput() if value == "-" else super().convert(value, param, ctx)


MODEL = _Model(path_type=Path, readable=False)
OUTPUT = _Output(path_type=Path, readable=False)

_CAPTURING = (
    click.option(
        "--input-size",
        type=click.IntRange(min=1),
        nargs=2,
        metavar="H W",
        help="Height and width of the images to start from; 32 32 where the model takes any size.",
    ),
    click.option(
        "--input",
        "input_shapes",
        metavar="NAME=SHAPE[:TYPE]",
        multiple=True,
        help="What the model takes, where its layers do not tell; once for each input: x=batch,7,3 or "
        "ids=batch,time:int64. A name in place of a size is a free axis.",
    ),
    click.option(
        "--example",
        type=FILE,
        help="The same from a .npz file that holds a batch of each input under its name in forward.",
    ),
    click.option(
        "--input-names",
        metavar="NAMES",
        help="What the file calls its inputs, separated by commas; by default as forward does.",
    ),
    click.option(
        "--output-names",
        metavar="NAMES",
        help="The same for the outputs; by default keys, fields or places in the result.",
    ),
    click.option(
        "--arithmetic",
        metavar="PATH",
        multiple=True,
        help="Module to take for an arithmetic subgraph, in place of those that are found; may be given several times.",
    ),
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the check's inputs."
)

_READING = (
    click.option(
        "--model",
        "factory",
        metavar="FILE.py:NAME",
        help="Class or function that builds the module, for a model with layers of your own: net.py:build or "
        "package.module:build. With --trust net.py alone, for its classes. This runs your code.",
    ),
    click.option(
        "--layout",
        metavar="OWNER[:UNIT]",
        help="The public implementation that MODEL is from, where keys and shapes fit several; see `layouts`.",
    ),
    click.option("--eps", type=float, help="Epsilon, in place of the one that the implementation publishes."),
    click.option("--prefix", metavar="PREFIX", help="Read what stands under it in a larger model, such as head."),
    click.option("--key", metavar="NAME", help="The dict of tensors to read, where MODEL holds several, such as ema."),
    click.option(
        "--backbone",
        metavar="FILE.py:NAME",
        help="What builds the CNN before a head, which no file of weights holds; named as in --model. This runs your "
        "code.",
    ),
    click.option(
        "--task",
        type=click.Choice(["classification", "regression"]),
        help="Of a CNN with one output, where MODEL does not tell.",
    ),
    click.option(
        "--trust",
        is_flag=True,
        help="Load a pickled module, as it is, or the weights of a TorchScript archive too. This runs what is in it.",
    ),
    click.option(
        "--strict",
        is_flag=True,
        help="Refuse what would have to be assumed because MODEL does not say it (--layout, --eps, --task state it), "
        "and a faux NAC, whose weights are stored instead of computed.",
    ),
)


def capture_options(command: Command) -> Command:
    """What MODEL is fed with and what of it is arithmetic; :func:`reading` makes arguments of them."""
    for option in reversed(_CAPTURING):
        command = option(command)
    return command


def read_options(command: Command) -> Command:
    """How MODEL is to be read, as ``factory``, ``layout``, ``eps`` …; :func:`reading` makes arguments of them."""
    for option in reversed(_READING):
        command = option(command)
    return command


def told_beside(output: Path | None, *, as_json: bool) -> bool:
    """Whether what is said goes to stderr, because a file goes to standard output.

    Raises:
        InputError: JSON is to go there as well.
    """
    aside = isinstance(output, StandardOutput)
    if aside and as_json:
        raise InputError("--json and --output - both write to standard output; give one of them a file")
    return aside


def reading(options: dict[str, Any]) -> dict[str, Any]:
    """The options of this file under the names that the Python functions take; the others as they are."""
    found = {_NAMES.get(name, name): value for name, value in options.items()}
    texts, file = found.pop("input_shapes", ()), found.pop("example", None)
    if texts and file is not None:
        raise InputError("--input and --example are both given; an example tells shapes and types")
    # Late, because the command line's help must not import torch.
    if texts:
        from nalu_export.inputs.specs import inputs_like

        found |= inputs_like(texts)
    if file is not None:
        from nalu_export.io.input_files import read_inputs

        arrays = read_inputs(file)
        found["example_inputs"] = arrays if len(arrays) > 1 else next(iter(arrays.values()))
    for option in ("input_names", "output_names"):
        if found.get(option) is not None:
            found[option] = found[option].split(",")
    if "arithmetic" in found:
        found["arithmetic"] = list(found["arithmetic"]) or None
    return found


_NAMES = {"factory": "model"}
