"""Options that several commands share."""

import click

size_option = click.option(
    "--input-size",
    type=click.IntRange(min=1),
    nargs=2,
    metavar="H W",
    help="Height and width of the images to start from; 32 32 where the model takes any size.",
)
model_option = click.option(
    "--model",
    "factory",
    metavar="PACKAGE.MODULE:FACTORY",
    help="Function that builds the module, for a model with layers of your own. This runs your code.",
)
seed_option = click.option(
    "--seed", type=click.IntRange(0, 2**32 - 1), default=0, show_default=True, help="Seed of the check's inputs."
)
