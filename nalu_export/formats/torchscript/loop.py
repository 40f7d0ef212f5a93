"""A loop whose step is arithmetic in TorchScript: as many steps as what it is given has entries."""

import torch

from nalu_export.modules import jit


def scripted_loop(
    step: torch.jit.ScriptModule, carried: int, scanned: int, inputs: int, outputs: int
) -> torch.jit.ScriptModule:
    """A module that runs ``step`` for each entry of the first axis.

    Args:
        step: takes the carried values, one entry of each scanned one, and the rest; gives the new carried values and
            the results.
        carried: how many values are carried.
        scanned: how many are scanned.
        inputs: how many a step takes.
        outputs: how many it gives.
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
