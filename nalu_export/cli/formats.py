"""The options of the commands that write artifacts; those of one format are as the format declares them."""

from collections.abc import Callable, Iterator
from typing import Any, get_type_hints

import click

from nalu_export import formats
from nalu_export.cli.headed import option, with_options
from nalu_export.cli.options import compute_option
from nalu_export.cli.spelling import flag

Command = Callable[..., Any]
HEADING = "Format"


def format_options(default_text: str) -> Callable[[Command], Command]:
    """Return ``--format``, ``--weights``, ``--compute`` and the options of all formats.

    An option of a format that is not given is ``None``.

    Args:
        default_text: the default of ``--format`` in words; the value is ``None`` then.
    """
    chosen = option(
        "--format",
        "-f",
        "format_name",
        type=click.Choice(formats.names()),
        heading=HEADING,
        default_text=default_text,
        help="Format of the file.",
    )
    weights = option(
        "--weights",
        type=click.Choice(["folded", "live"]),
        default="folded",
        heading=HEADING,
        help="folded: the file contains the effective weights only. live: it contains the raw parameters, and "
        "computes the effective weights from them.",
    )
    compute = compute_option("float32", "float64", what="float32 inputs and outputs stay float32.", heading=HEADING)
    return lambda command: with_options(command, chosen, weights, compute, *_own_options())


def _own_options() -> Iterator[Callable[[Command], Command]]:
    for name, each in formats.option_fields():
        kind = formats.value_type(get_type_hints(formats.options_of(name))[each.name])
        told = each.metadata
        shown: dict[str, Any] = {"help": told["help"], "default": None, "heading": HEADING}
        if kind is bool:
            shown["is_flag"] = True
        else:
            shown["default_text"] = "" if each.default is None else str(each.default)
            limits = (told["low"], told["high"])
            shown["type"] = click.IntRange(*limits) if kind is int and limits != (None, None) else kind
            shown["metavar"] = told["metavar"]
        yield option(flag(each.name), each.name, **shown)


def given_options(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options of a command without the options of formats that were not given."""
    own = {each.name for _, each in formats.option_fields()}
    return {name: value for name, value in options.items() if value is not None or name not in own}
