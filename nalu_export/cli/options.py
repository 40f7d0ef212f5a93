"""Options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nalu_export.cli.headed import option, with_options
from nalu_export.errors import InputError
from nalu_export.io.files import StandardInput
from nalu_export.io.targets import StandardOutput

Command = Callable[..., Any]

# click would tell of a file that cannot be read in four lines; whoever reads it does in one.
FILE = click.Path(path_type=Path, readable=False)


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


def output_option(where: str, *, default_text: str = "") -> Callable[[Command], Command]:
    """``--output``, ``-o``.

    Args:
        where: the help.
        default_text: where to if it is not given; without this text it has to be.
    """
    return option(
        "--output",
        "-o",
        type=OUTPUT,
        metavar="PATH",
        required=not default_text,
        heading="Output",
        default_text=default_text,
        help=where,
    )


_CAPTURING = (
    option(
        "--input-size",
        type=click.IntRange(min=1),
        nargs=2,
        metavar="H W",
        default_text="32 32, where the model takes any size",
        help="Height and width of the images to start from.",
        heading="Model inputs",
    ),
    option(
        "--input",
        "input_shapes",
        metavar="NAME=SHAPE[:TYPE]",
        multiple=True,
        help="What the model takes, where its layers do not tell; once for each input: x=batch,7,3 or "
        "ids=batch,time:int64. A name in place of a size is a free axis.",
        heading="Model inputs",
    ),
    option(
        "--example",
        type=FILE,
        metavar="PATH",
        help="The same from a .npz file that holds a batch of each input under its name in forward.",
        heading="Model inputs",
    ),
    option(
        "--input-names",
        metavar="NAMES",
        default_text="as forward does",
        help="What the file calls its inputs, separated by commas.",
        heading="Model inputs",
    ),
    option(
        "--output-names",
        metavar="NAMES",
        default_text="keys, fields or places in the result",
        help="The same for the outputs.",
        heading="Model inputs",
    ),
    option(
        "--arithmetic",
        metavar="PATH",
        multiple=True,
        default_text="those that are found",
        help="Module to take for an arithmetic subgraph; may be given several times.",
        heading="Model inputs",
    ),
)
seed_option = option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, heading="Check", help="Seed of the inputs that are drawn."
)


def samples_option(most: int, default: str) -> Callable[[Command], Command]:
    """``--samples``."""
    return option(
        "--samples",
        type=click.IntRange(1, most),
        heading="Check",
        default_text=default,
        help="Samples of each input distribution.",
    )


def compute_option(*types: str, what: str, heading: str = "") -> Callable[[Command], Command]:
    """``--compute``."""
    return option(
        "--compute",
        type=click.Choice(types),
        default="float32",
        heading=heading,
        help=f"Type of the arithmetic{what}.",
    )


_READING = (
    option(
        "--model",
        "factory",
        metavar="FILE.py:NAME",
        help="Class or function that builds the module, for a model with layers of your own: net.py:build or "
        "package.module:build. With --trust net.py alone, for its classes. This runs your code.",
        heading="Reading MODEL",
    ),
    option(
        "--layout",
        metavar="OWNER[:UNIT]",
        help="The public implementation that MODEL is from, where keys and shapes fit several; see `layouts`.",
        heading="Reading MODEL",
    ),
    option(
        "--eps",
        type=float,
        metavar="X",
        default_text="as the implementation publishes it",
        help="Epsilon of a public layout.",
        heading="Reading MODEL",
    ),
    option(
        "--prefix",
        metavar="PREFIX",
        help="Read what stands under it in a larger model, such as head.",
        heading="Reading MODEL",
    ),
    option(
        "--key",
        metavar="NAME",
        help="The dict of tensors to read, where MODEL holds several, such as ema.",
        heading="Reading MODEL",
    ),
    option(
        "--backbone",
        metavar="FILE.py:NAME",
        help="What builds the CNN before a head, which no file of weights holds; named as in --model. This runs your "
        "code.",
        heading="Reading MODEL",
    ),
    option(
        "--task",
        type=click.Choice(["classification", "regression"]),
        help="Of a CNN with one output, where MODEL does not tell.",
        heading="Reading MODEL",
    ),
    option(
        "--trust",
        is_flag=True,
        help="Load a pickled module, as it is, or the weights of a TorchScript archive too. This runs what is in it.",
        heading="Reading MODEL",
    ),
    option(
        "--strict",
        is_flag=True,
        help="Refuse what would have to be assumed because MODEL does not say it (--layout, --eps, --task state it), "
        "and a faux NAC, whose weights are stored instead of computed.",
        heading="Reading MODEL",
    ),
)


def capture_options(command: Command) -> Command:
    """What MODEL is fed with and what of it is arithmetic; :func:`reading` makes arguments of them."""
    return with_options(command, *_CAPTURING)


def read_options(command: Command) -> Command:
    """How MODEL is to be read, as ``factory``, ``layout``, ``eps`` …; :func:`reading` makes arguments of them."""
    return with_options(command, *_READING)


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
    for name in ("input_names", "output_names"):
        if found.get(name) is not None:
            found[name] = found[name].split(",")
    if "arithmetic" in found:
        found["arithmetic"] = list(found["arithmetic"]) or None
    return found


_NAMES = {"factory": "model"}
