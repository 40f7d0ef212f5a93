"""A loop with an arithmetic step in TorchScript. It runs one step per entry of the scanned inputs' first axis."""

import torch

from nalu_export.modules import jit


def scripted_loop(
    step: torch.jit.ScriptModule, carried: int, scanned: int, inputs: int, outputs: int
) -> torch.jit.ScriptModule:
    """Return a module that runs ``step`` for each entry of the first axis.

    Args:
        step: module of one step. It takes the carried values, one entry of each scanned input, and the inputs that are
            the same in each step. It returns the new carried values and the results.
        carried: number of values that one step hands to the next.
        scanned: number of inputs that are read one entry per step.
        inputs: number of inputs of a step.
        outputs: number of outputs of a step.
    """
    names = [f"x{place}" for place in range(inputs)]
    given = [f"{name}[step]" if carried <= k < carried + scanned else name for k, name in enumerate(names)]
    made = [*names[:carried], *(f"y{place}" for place in range(outputs - carried))]
    lists = [f"all{place}" for place in range(outputs - carried)]
    results = ", ".join([*names[:carried], *(f"torch.stack({each})" for each in lists)])
    lines = [
        f"def forward(self, {', '.join(f'{name}: Tensor' for name in names)}):",
        *(f"    {each}: List[Tensor] = []" for each in lists),
        f"    for step in range({names[carried]}.size(0)):",
        f"        {', '.join(made)} = self.body({', '.join(given)})",
        *(f"        all{place}.append(y{place})" for place in range(outputs - carried)),
        f"    return ({results},)" if outputs == 1 else f"    return {results}",
    ]
    return jit.defined({"body": step}, "\n".join([*lines, ""]))
