"""Options of what a CUDA device runs: which one, how much of it, and how."""

import re
from typing import Any

import click

_UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30, "TiB": 2**40, "KB": 10**3, "MB": 10**6, "GB": 10**9}


def _bytes(ctx: click.Context, param: click.Parameter, value: str | None) -> int | None:
    """``8GiB``, ``500MB`` or a number of bytes."""
    if value is None:
        return None
    units = {unit.lower(): size for unit, size in _UNITS.items()}
    match = re.fullmatch(r"(\d{1,15}(?:\.\d{1,6})?)\s*([a-z]*)", value.strip().lower())
    size = int(float(match[1]) * units[match[2]]) if match and match[2] in units else 0
    if size < 1:
        raise click.BadParameter(f"{value!r} is no size; write 8GiB, 500MB or a number of bytes", ctx, param)
    return size


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
    click.option("--tf32", is_flag=True, help="Let a CUDA runtime use TF32, and widen its bound accordingly."),
    click.option(
        "--device",
        type=click.IntRange(min=0),
        default=0,
        show_default=True,
        help="Number of the CUDA device, for PyTorch and ONNX Runtime alike.",
    ),
    click.option(
        "--device-memory",
        callback=_bytes,
        metavar="SIZE",
        help="Take at most this much of the device's memory: 8GiB, 500MB or a number of bytes.",
    ),
    click.option(
        "--provider-option",
        "provider_options",
        metavar="KEY=VALUE",
        multiple=True,
        callback=_pairs,
        help="An option of ONNX Runtime's CUDA provider, such as cudnn_conv_use_max_workspace=0; may be given several "
        "times.",
    ),
    click.option(
        "--constant-folding/--no-constant-folding",
        default=True,
        help="Let ONNX Runtime compute what depends on constants alone when it loads the file, with its CPU kernels; "
        "without it a live file's effective weights are computed where it runs, each time.",
    ),
)


def device_options(command: Any) -> Any:
    """Add them to a command."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command
