"""Options of what a CUDA device runs: which one, how much of it, and how."""

from typing import Any

import click

from nalu_export.cli.budget import Size
from nalu_export.cli.headed import option, with_options


def _pairs(ctx: click.Context, param: click.Parameter, values: tuple[str, ...]) -> dict[str, str]:
    """``KEY=VALUE``, each key once."""
    given: dict[str, str] = {}
    for value in values:
        key, equals, text = (part.strip() for part in value.partition("="))
        if not equals or not key:
            raise click.BadParameter(f"{value!r} is no KEY=VALUE", ctx, param)
        if key in given:
            raise click.BadParameter(f"{key} is given twice", ctx, param)
        given[key] = text
    return given


_OPTIONS = (
    option(
        "--tf32",
        is_flag=True,
        help="Let a CUDA runtime use TF32, and widen its bound accordingly.",
        heading="CUDA",
    ),
    option(
        "--device",
        type=click.IntRange(min=0),
        default=0,
        help="Number of the CUDA device, for PyTorch and ONNX Runtime alike.",
        heading="CUDA",
    ),
    option(
        "--device-memory",
        type=Size(),
        metavar="SIZE",
        default_text="all that is free",
        help="Take at most this much of the device's memory, such as 8GiB.",
        heading="CUDA",
    ),
    option(
        "--provider-option",
        "provider_options",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_pairs,
        help="An option of ONNX Runtime's CUDA provider, such as cudnn_conv_use_max_workspace=0; may be given several "
        "times.",
        heading="CUDA",
    ),
    option(
        "--constant-folding/--no-constant-folding",
        default=True,
        help="Let ONNX Runtime compute what depends on constants alone when it loads the file, with its CPU kernels; "
        "without it a live file's effective weights are computed where it runs, each time.",
        heading="CUDA",
    ),
)


def device_options(command: Any) -> Any:
    """Add them to a command."""
    return with_options(command, *_OPTIONS)
