"""How the standard operators differ between opsets."""


def axes_are_an_input(op_type: str, opset: int) -> bool:
    """Return whether a reduction takes its axes as an input; in older opsets they are an attribute.

    Args:
        op_type: the operator, such as ``ReduceMax``.
        opset: the opset of the file.
    """
    return opset >= (13 if op_type == "ReduceSum" else 18)
