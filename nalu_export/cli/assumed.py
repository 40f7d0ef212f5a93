"""Prints the assumptions, which even a quiet command says."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from nalu_export.io.text import printable

if TYPE_CHECKING:
    from nalu_export.io.assumption import Assumption


def say_assumed(assumptions: "Sequence[Assumption]") -> None:
    """Print the assumptions to standard error in one line; print nothing if there are none."""
    if assumptions:
        from nalu_export.io.assumption import in_one_line

        click.echo(f"nalu-export: {printable(in_one_line(assumptions))}", err=True)
