"""The options of runtimes that use a CUDA device."""

from typing import Any

import click

from nalu_export.cli.budget import Size
from nalu_export.cli.headed import option, with_options


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """Read texts of the form ``KEY=VALUE``; each key may be given once."""
    given: dict[str, str] = {}
    for value in values:
        key, equals, text = (part.strip() for part in value.partition("="))
        if not equals or not key:
            raise click.BadParameter(f"{value!r} is not of the form KEY=VALUE", ctx, param)
        if key in given:
            raise click.BadParameter(f"{key} is given twice", ctx, param)
        given[key] = text
    return given


_OPTIONS = (
    option(
        "--tf32",
        is_flag=True,
        help="Let CUDA runtimes use TF32, and widen the error bounds accordingly.",
        heading="CUDA",
    ),
    option(
        "--device",
        type=click.IntRange(min=0),
        default=0,
        help="Number of the CUDA device, for PyTorch and ONNX Runtime.",
        heading="CUDA",
    ),
    option(
        "--device-memory",
        type=Size(),
        metavar="SIZE",
        default_text="all that is free",
        help="Largest amount of the device's memory to use, such as 8GiB.",
        heading="CUDA",
    ),
    option(
        "--provider-option",
        "provider_options",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_pairs,
        help="Option of ONNX Runtime's CUDA provider, such as cudnn_conv_use_max_workspace=0; may be given several "
        "times.",
        heading="CUDA",
    ),
    option(
        "--constant-folding/--no-constant-folding",
        default=True,
        help="Let ONNX Runtime compute the constant parts of the graph when it loads the file, with its CPU kernels. "
        "Without it, a file with live weights computes its effective weights on the device, in every run.",
        heading="CUDA",
    ),
)


def device_options(command: Any) -> Any:
    """Add these options to a command."""
    return with_options(command, *_OPTIONS)
