"""The options that formats own, as each of them says itself."""

from collections.abc import Callable
from typing import Any, get_type_hints

import click

from nalu_export import formats

Command = Callable[..., Any]


def format_options(command: Command) -> Command:
    """Add every option of every format to a command; one that is not given is ``None``."""
    for name, each in reversed(list(formats.option_fields())):
        kind = formats.value_type(get_type_hints(formats.options_of(name))[each.name])
        told = each.metadata
        default = "" if each.default is None or each.default is False else f"  [default: {each.default}]"
        shown: dict[str, Any] = {"help": f"{told['help']}{default}", "default": None}
        if kind is bool:
            shown["is_flag"] = True
        elif kind is int and (told["low"], told["high"]) != (None, None):
            shown["type"] = click.IntRange(told["low"], told["high"])
        else:
            shown |= {"type": kind, "metavar": told["metavar"]}
        command = click.option(formats.flag(each.name), each.name, **shown)(command)
    return command


def given_options(options: dict[str, Any]) -> dict[str, Any]:
    """The options of a command without those of formats that were not given."""
    own = {each.name for _, each in formats.option_fields()}
    return {name: value for name, value in options.items() if value is not None or name not in own}
