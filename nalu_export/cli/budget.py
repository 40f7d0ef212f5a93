"""How long a command may take, and how much memory."""

from collections.abc import Callable
from typing import Any

import click

from nalu_export.cli.headed import option, with_options
from nalu_export.cli.supervisor import is_supervised, limit_time
from nalu_export.errors import InputError
from nalu_export.process.memory import allowing, confine, parse_size

Command = Callable[..., Any]


class Size(click.ParamType):  # type: ignore[type-arg]
    """``8GiB``, ``500MB`` or a number of bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Bytes."""
        try:
            return value if isinstance(value, int) else parse_size(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


def _start_clock(_context: click.Context, _parameter: click.Parameter, seconds: float | None) -> None:
    limit_time(seconds)


def budget_options(command: Command) -> Command:
    """``--timeout``, which needs nothing else, and ``--max-memory``, which :func:`keep_memory` takes."""
    timeout = option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True, max=10**7),
        metavar="SECONDS",
        callback=_start_clock,
        is_eager=True,
        expose_value=False,
        help="End the command after SECONDS, whatever it is doing: exit code 2, no file half written.",
        heading="Budget",
        default_text="never",
    )
    memory = option(
        "--max-memory",
        type=Size(),
        metavar="SIZE",
        heading="Budget",
        default_text="half of what is free",
        help="The most that it may take beyond what Python and torch do, such as 2GiB.",
    )
    return with_options(command, timeout, memory)


def keep_memory(options: dict[str, Any], *, cuda: bool = False) -> dict[str, Any]:
    """Hold the rest of the command to ``--max-memory``; the other options.

    Args:
        options: of the command.
        cuda: whether it may use CUDA, whose driver reserves more than any memory there is.
    """
    size = options.get("max_memory")
    click.get_current_context().with_resource(allowing(size))
    if is_supervised() and not cuda:
        confine(size)
    return {name: value for name, value in options.items() if name != "max_memory"}
