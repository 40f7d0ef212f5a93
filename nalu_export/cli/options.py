"""The options that several commands share."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from nalu_export.cli.headed import option, with_options
from nalu_export.errors import InputError
from nalu_export.io.files import StandardInput
from nalu_export.io.targets import StandardOutput

Command = Callable[..., Any]
READING = "Reading the checkpoint"

# readable=False, because click needs four lines to refuse an unreadable file, and the code that reads it needs one.
FILE = click.Path(path_type=Path, readable=False)


class _Model(click.Path):
    """A path, or ``-`` for standard input."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See :meth:`click.ParamType.convert`."""
        return StandardInput() if value == "-" else super().convert(value, param, ctx)


class _Output(click.Path):
    """A path, or ``-`` for standard output."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """See :meth:`click.ParamType.convert`."""
        return StandardOutput() if value == "-" else super().convert(value, param, ctx)


MODEL = _Model(path_type=Path, readable=False)
OUTPUT = _Output(path_type=Path, readable=False)


def output_option(where: str, *, default_text: str = "") -> Callable[[Command], Command]:
    """Return ``--output``, ``-o``.

    Args:
        where: the help.
        default_text: the default in words; without it the option is required.
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
        default_text="32 32, if the model takes any size",
        help="Height and width of the example image that the model is captured with.",
        heading="Model inputs",
    ),
    option(
        "--input",
        "input_shapes",
        metavar="NAME=SHAPE[:TYPE]",
        multiple=True,
        help="Name, shape and type of an input, if the layers do not determine them: x=batch,7,3 or "
        "ids=batch,time:int64. A name in place of a size makes the axis free. Give it once for each input.",
        heading="Model inputs",
    ),
    option(
        "--example",
        type=FILE,
        metavar="PATH",
        help="In place of --input: a .npz file with a batch of each input, under its name in forward.",
        heading="Model inputs",
    ),
    option(
        "--input-names",
        metavar="NAMES",
        default_text="as in forward",
        help="Names of the inputs in the exported file, separated by commas.",
        heading="Model inputs",
    ),
    option(
        "--output-names",
        metavar="NAMES",
        default_text="keys, fields or positions in the result of forward",
        help="Names of the outputs in the exported file, separated by commas.",
        heading="Model inputs",
    ),
    option(
        "--arithmetic",
        metavar="PATH",
        multiple=True,
        default_text="those that are found",
        help="Path of a module that is an arithmetic subgraph, such as head; may be given several times.",
        heading="Model inputs",
    ),
)
seed_option = option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, heading="Check", help="Seed of the random inputs."
)


def samples_option(most: int, default: str) -> Callable[[Command], Command]:
    """Return ``--samples``.

    Args:
        most: the largest number that is allowed.
        default: the default, in words.
    """
    return option(
        "--samples",
        type=click.IntRange(1, most),
        heading="Check",
        default_text=default,
        help="Number of samples of each input distribution.",
    )


def compute_option(*types: str, what: str, heading: str = "") -> Callable[[Command], Command]:
    """Return ``--compute``.

    Args:
        *types: the types of the arithmetic that are allowed.
        what: the sentence of the help that says what the command does with the type.
        heading: see :class:`~nalu_export.cli.headed.Option`.
    """
    return option(
        "--compute",
        type=click.Choice(types),
        default="float32",
        heading=heading,
        help=f"Type of the arithmetic. {what}",
    )


_READING = (
    option(
        "--model",
        "factory",
        metavar="FILE.py:NAME",
        help="Class or function that builds the module, for a model with layers of your own: net.py:build or "
        "package.module:build. For a pickled module, with --trust, net.py alone provides its classes. "
        "This runs your code.",
        heading=READING,
    ),
    option(
        "--layout",
        metavar="OWNER[:UNIT]",
        help="Public implementation that wrote the checkpoint, if its keys and shapes fit several. "
        "`nalu-export layouts` lists them.",
        heading=READING,
    ),
    option(
        "--eps",
        type=float,
        metavar="X",
        default_text="that of the layout",
        help="Epsilon of the layers, for a checkpoint that does not contain it.",
        heading=READING,
    ),
    option(
        "--prefix",
        metavar="PREFIX",
        help="Read only the part of a larger model whose keys begin with PREFIX, such as head.",
        heading=READING,
    ),
    option(
        "--key",
        metavar="NAME",
        help="Name of the dict of tensors to read, if the checkpoint contains several, such as ema.",
        heading=READING,
    ),
    option(
        "--backbone",
        metavar="FILE.py:NAME",
        help="Class or function that builds the CNN before a head, named as in --model, if the checkpoint contains "
        "only weights. This runs your code.",
        heading=READING,
    ),
    option(
        "--task",
        type=click.Choice(["classification", "regression"]),
        help="Task of a CNN with one output, if the checkpoint does not say it.",
        heading=READING,
    ),
    option(
        "--trust",
        is_flag=True,
        help="Also read a pickled module, as it is, or the weights of a TorchScript archive. This runs code from the "
        "file.",
        heading=READING,
    ),
    option(
        "--strict",
        is_flag=True,
        help="Refuse a checkpoint that needs an assumption, which --layout, --eps or --task would state, and one with "
        "a faux NAC, whose weights are stored instead of computed.",
        heading=READING,
    ),
)


def capture_options(command: Command) -> Command:
    """Add the options about the inputs of the model and its arithmetic subgraphs; see :func:`reading`."""
    return with_options(command, *_CAPTURING)


def read_options(command: Command) -> Command:
    """Add the options about reading the checkpoint: ``factory``, ``layout``, ``eps`` …; see :func:`reading`."""
    return with_options(command, *_READING)


def reading(options: dict[str, Any]) -> dict[str, Any]:
    """Turn the options of this file into arguments of the Python functions.

    Args:
        options: all options of a command; those of other files stay as they are.

    Raises:
        InputError: ``--input`` and ``--example`` are both given, or one of them cannot be read.
    """
    found = {_NAMES.get(name, name): value for name, value in options.items()}
    texts, file = found.pop("input_shapes", ()), found.pop("example", None)
    if texts and file is not None:
        raise InputError("--input and --example are both given; an example has shapes and types already")
    # Imported here, because the help of the command line must not import torch.
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
