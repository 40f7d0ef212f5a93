"""What the command line calls an argument of the Python API, for errors and notes."""

# The others have the name of the argument, with - for _.
_OTHERS = {
    "check": "--no-check",
    "constant_folding": "--no-constant-folding",
    "dynamic_shapes": "--input",
    "example_inputs": "--example",
    "only_inputs": "--replay",
    "path": "--output",
    "provider_options": "--provider-option",
    "ranges": "--range",
    "runtimes": "--runtime",
}


def flag(name: str) -> str:
    """``--input-size`` for ``input_size``."""
    return _OTHERS.get(name, f"--{name.replace('_', '-')}")
