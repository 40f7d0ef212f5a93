"""The limits of a command: its time and its memory."""

from collections.abc import Callable
from typing import Any

import click

from nalu_export.cli.headed import option, with_options
from nalu_export.cli.supervisor import is_supervised, limit_time
from nalu_export.errors import InputError
from nalu_export.process.memory import allowing, confine, parse_size

Command = Callable[..., Any]


class Size(click.ParamType):  # type: ignore[type-arg]
    """An amount of memory: ``8GiB``, ``500MB`` or a number of bytes."""

    name = "size"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the number of bytes."""
        try:
            return value if isinstance(value, int) else parse_size(value)
        except InputError as error:
            self.fail(str(error), param, ctx)


def _start_clock(_context: click.Context, _parameter: click.Parameter, seconds: float | None) -> None:
    limit_time(seconds)


def budget_options(command: Command) -> Command:
    """Add ``--timeout`` and ``--max-memory``.

    ``--timeout`` takes effect by itself; the command passes ``--max-memory`` to :func:`keep_memory`.
    """
    timeout = option(
        "--timeout",
        type=click.FloatRange(min=0, min_open=True, max=10**7),
        metavar="SECONDS",
        callback=_start_clock,
        is_eager=True,
        expose_value=False,
        help="End the command after this time, with exit code 2 and no file half written.",
        heading="Limits",
        default_text="no limit",
    )
    memory = option(
        "--max-memory",
        type=Size(),
        metavar="SIZE",
        heading="Limits",
        default_text="half of the free memory",
        help="Largest amount of memory to use in addition to Python and torch, such as 2GiB.",
    )
    return with_options(command, timeout, memory)


def keep_memory(options: dict[str, Any], *, cuda: bool = False) -> dict[str, Any]:
    """Limit the memory of the rest of the command to ``--max-memory``.

    Args:
        options: the options of the command.
        cuda: whether the command may use CUDA. The driver reserves more addresses than there is memory, so the process
            itself is not limited then.

    Returns:
        The other options.
    """
    size = options.get("max_memory")
    click.get_current_context().with_resource(allowing(size))
    if is_supervised() and not cuda:
        confine(size)
    return {name: value for name, value in options.items() if name != "max_memory"}
