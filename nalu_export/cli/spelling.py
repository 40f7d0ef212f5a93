"""Translates arguments of the Python API into flags of the command line, for errors and notes."""

# Every other flag has the name of its argument, with - in place of _.
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
    """Return the flag of an argument: ``--input-size`` for ``input_size``."""
    return _OTHERS.get(name, f"--{name.replace('_', '-')}")
