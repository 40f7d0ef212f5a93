"""The faux NAC beside the real one on the sum of two numbers: ``python examples/faux_nac/faux_nac.py``.

Many public PyTorch NACs compute ``W = tanh(W_hat)·σ(M_hat)`` once, in ``__init__``, and keep W as its own parameter.
The raw parameters then never train, and W is the weight of an ordinary linear layer. Nothing in the loss shows it.
"""

import argparse
import sys
import tempfile
from collections import OrderedDict
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from nalu_export import NACCell
from nalu_export.nn.functional import effective_weight

mpl.use("Agg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

HERE = Path(__file__).resolve().parent
RANGE, FAR = 5.0, 1000  # inputs in −5..5; the error is taken at 1000 times that range
SAMPLES, BATCH, RATE = 4096, 512, 1e-2
# The second task: few samples with noise, many outputs at once, each with noise of its own.
FEW, OUTPUTS, NOISE, SEEDS = 16, 64, 1.0, range(5)
# Okabe and Ito's colours, which the colour-blind can tell apart.
BLUE, ORANGE, GREEN, GREY, INK = "#0072B2", "#D55E00", "#009E73", "#b0b4c0", "#1a1a2e"
TITLES = (
    "Faux NAC: raw parameters never move …",
    "Real NAC: raw parameters train …",
    "… and the stored W trains without them",
    "… and W, made from them, follows",
)


class FauxNAC(nn.Module):
    """A NAC with the bug: W is computed once and trains by itself, ``W_hat`` and ``M_hat`` are never read again.

    Shapes: ``x (..., in_features)`` → ``(..., out_features)``; all three parameters ``(out_features, in_features)``.
    The public ones compute W before they initialise, from whatever memory held; here W starts as in the real NAC.
    """

    def __init__(self, in_features: int, out_features: int) -> None:
        super().__init__()
        self.W_hat = nn.Parameter(torch.empty(out_features, in_features))
        self.M_hat = nn.Parameter(torch.empty(out_features, in_features))
        nn.init.kaiming_uniform_(self.W_hat)
        nn.init.kaiming_uniform_(self.M_hat)
        self.W = nn.Parameter(effective_weight(self.W_hat, self.M_hat).detach())

    def forward(self, x: Tensor) -> Tensor:
        """``x Wᵀ`` with the stored W."""
        return F.linear(x, self.W)


@dataclass(frozen=True)
class Trained:
    """A model after training.

    Attributes:
        model: the cell as the one layer of a stack.
        history: the weights of its cell before the first epoch and after each, ``(epochs + 1, out_features, 2)``.
        loss: mean squared error over the training data at the end.
    """

    model: nn.Module
    history: dict[str, Tensor]
    loss: float

    def final(self, name: str) -> Tensor:
        """The weight ``name`` after the last epoch, ``(out_features, 2)``."""
        return self.history[name][-1]


def weights(cell: nn.Module) -> dict[str, Tensor]:
    """Copies of ``W_hat``, ``M_hat``, the ``W`` that computes, and the W that the raw parameters ``claim``."""
    found = {name: parameter.detach().clone() for name, parameter in cell.named_parameters()}
    claim = effective_weight(found["W_hat"], found["M_hat"])
    return {"W": claim, "claim": claim, **found}


def train(kind: type[nn.Module], samples: int, outputs: int, noise: float, epochs: int, seed: int = 0) -> Trained:
    """Teach a cell of ``kind`` the sum of pairs in −5..5; one seed is one start, one data set and one order.

    Args:
        kind: ``FauxNAC`` or ``NACCell``.
        samples: number of pairs.
        outputs: number of outputs; each is taught the sum with noise of its own.
        noise: standard deviation of the noise in the targets.
        epochs: passes over the pairs, in batches of 512.
        seed: of the weights, the pairs, the noise and the order.
    """
    torch.manual_seed(seed)
    cell = kind(2, outputs)
    # Keys as in many public stacks: model.0.W_hat, model.0.M_hat and, in the faux one, model.0.W.
    model = nn.Sequential(OrderedDict(model=nn.Sequential(cell)))
    generator = Generator().manual_seed(seed)
    pairs = torch.empty(samples, 2).uniform_(-RANGE, RANGE, generator=generator)
    targets = pairs.sum(dim=1, keepdim=True) + noise * torch.randn(samples, outputs, generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    seen = [weights(cell)]
    for _ in range(epochs):
        for chosen in torch.split(torch.randperm(samples, generator=generator), BATCH):
            loss = F.mse_loss(model(pairs[chosen]), targets[chosen])
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        seen.append(weights(cell))
    history = {name: torch.stack([one[name] for one in seen]) for name in seen[0]}
    return Trained(model, history, float(F.mse_loss(model(pairs), targets).detach()))


def far_error(weight: Tensor) -> Tensor:
    """Mean absolute error of each output of ``x Wᵀ`` from the true sum, for x in −5000..5000; ``(o, 2)`` → ``(o,)``.

    In float64, so that it is the error of the weight and not of the arithmetic.
    """
    unit = 2 * torch.rand(10_000, 2, dtype=torch.float64, generator=Generator().manual_seed(1)) - 1
    return F.linear(FAR * RANGE * unit, weight.double() - 1).abs().mean(dim=0)


def sum_table(faux: Trained, real: Trained) -> str:
    """The task of the plot in numbers."""
    both = (faux, real)
    rows = [("y = x1 + x2, without noise", ["faux NAC", "real NAC"])]
    for name in ("W_hat", "M_hat"):
        moved = [float((one.final(name) - one.history[name][0]).abs().max()) for one in both]
        rows.append((f"largest change of {name}", [f"{value:.3f}" if value else "0" for value in moved]))
    for name, what in (("W", "that computes"), ("claim", "by tanh(W_hat)·σ(M_hat)")):
        rows.append((f"W {what}", [", ".join(f"{value:.6f}" for value in one.final(name)[0].tolist()) for one in both]))
        rows.append(("  error in −5000..5000", [f"{float(far_error(one.final(name))):.4g}" for one in both]))
    rows.append(("training loss", [f"{one.loss:.2g}" for one in both]))
    return "\n".join(f"{label:28}" + "".join(f"{cell:>22}" for cell in cells) for label, cells in rows)


def noise_table(epochs: int) -> str:
    """The task with noise in numbers, one line for each seed; each pair of numbers is faux, real."""
    rows = [("y = x1 + x2, noise of 1", "training loss", "error in −5000..5000", "largest |W|", "real nearer")]
    for seed in SEEDS:
        faux, real = (train(kind, FEW, OUTPUTS, NOISE, epochs, seed) for kind in (FauxNAC, NACCell))
        far = [far_error(one.final("W")) for one in (faux, real)]
        largest = [float(one.final("W").abs().max()) for one in (faux, real)]
        rows.append(
            (
                f"seed {seed}: faux, real",
                f"{faux.loss:.3f}, {real.loss:.3f}",
                f"{far[0].mean():.0f}, {far[1].mean():.0f}",
                f"{largest[0]:.4f}, {largest[1]:.4f}",
                f"{int((far[1] < far[0]).sum())} of {OUTPUTS}",
            )
        )
    return "\n".join(f"{label:24}{loss:>14}{far:>22}{top:>16}{nearer:>13}" for label, loss, far, top, nearer in rows)


def draw(faux: Trained, real: Trained, output: Path) -> None:
    """Raw parameters above, the weights that compute below; the faux NAC on the left, the real one on the right."""
    with plt.rc_context({"font.size": 12, "axes.titlesize": 13, "axes.titlelocation": "left"}):
        figure, panels = plt.subplots(2, 2, figsize=(12, 7.6), sharex=True, sharey="row", layout="constrained")
        figure.suptitle("y = x1 + x2, with the same start, data and optimizer on both sides", fontsize=14)
        for above, below, one in zip(*panels, (faux, real), strict=True):
            _lines(above, one.history["W_hat"], ORANGE, 2.4, "W_hat")
            _lines(above, one.history["M_hat"], BLUE, 2.4, "M_hat")
            # Thick below thin: on the right the two lie on each other, on the left they part.
            _lines(below, one.history["claim"], GREEN, 5.5, "tanh(W_hat)·σ(M_hat)")
            _lines(below, one.history["W"], INK, 2.0, "W that computes")
            _level(below)
        for axes, title in zip(panels.flat, TITLES, strict=True):
            axes.set_title(title)
            axes.spines[["top", "right"]].set_visible(False)
            axes.margins(x=0.02)
        for row, what in zip(panels, ("raw parameter", "effective weight"), strict=True):
            row[0].set_ylabel(what)
            row[1].legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3.7)
        figure.savefig(output, dpi=110)
        plt.close(figure)


def _lines(axes: Axes, values: Tensor, colour: str, width: float, label: str) -> None:
    """One line for the weight of each input over the epochs: solid for x1, dashed for x2."""
    for place, style in enumerate(("-", "--")):
        axes.plot(values[:, 0, place], c=colour, lw=width, ls=style, label=f"{label}, x{place + 1}")


def _level(axes: Axes) -> None:
    """The axes of effective weights, with lines at −1, 0 and 1."""
    axes.set(xlabel="epoch", ylim=(-1.15, 1.15), yticks=(-1, 0, 1))
    for level in (-1, 0, 1):
        axes.axhline(level, color=GREY, lw=1, zorder=0)


def _arguments() -> argparse.Namespace:
    """The command line; its folders are made before the training, not found missing after it."""
    parser = argparse.ArgumentParser(description="Train the faux and the real NAC on the sum task and plot both.")
    parser.add_argument("--models", type=Path, help="folder for faux.pt and real.pt; without it a temporary one")
    parser.add_argument("--plot", type=Path, default=HERE / "training.png")
    parser.add_argument("--epochs", type=int, default=100, help="of the task in the plot")
    parser.add_argument("--noise-epochs", type=int, default=5000, help="of the task with noise")
    arguments = parser.parse_args()
    for name in ("epochs", "noise_epochs"):
        if getattr(arguments, name) < 1:
            parser.error(f"--{name.replace('_', '-')} is {getattr(arguments, name)}; it must be at least 1")
    arguments.models = arguments.models or Path(tempfile.mkdtemp(prefix="faux_nac_"))
    for folder in (arguments.models, arguments.plot.parent):
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as problem:
            parser.error(f"{folder} cannot be made: {problem.strerror}; give a folder that can")
    return arguments


def main() -> int:
    """Train both, print the numbers, save the models and the plot; the exit code."""
    arguments = _arguments()
    torch.set_num_threads(1)  # the tensors are tiny, and the order of additions would depend on the number of threads
    faux, real = (train(kind, SAMPLES, 1, 0.0, arguments.epochs) for kind in (FauxNAC, NACCell))
    print(sum_table(faux, real), flush=True)
    draw(faux, real, arguments.plot)
    for name, one in (("faux.pt", faux), ("real.pt", real)):
        torch.save(one.model.state_dict(), arguments.models / name)
    print(f"\n{noise_table(arguments.noise_epochs)}")
    print(f"\nplot: {arguments.plot}\nmodels: faux.pt and real.pt in {arguments.models}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
