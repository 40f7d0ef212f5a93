"""Train a CNN with a NALU head to add the handwritten digits in an image: ``python examples/digits_sum/train.py``."""

import argparse
import math
import sys
import time
from pathlib import Path

import torch
from data import SIDE, Digits, side_by_side, split
from torch import Generator, Tensor, nn
from torch.nn import functional as F

import nalu_export

HERE = Path(__file__).resolve().parent
LENGTH = 3
STEPS = 3000
STRIPS = 40
RATE = 2e-2
STATES = 16
FEATURES = 8
# The head starts as an adder: raw weights of 2 are effective weights of tanh(2)·σ(2) = 0.85.
WEIGHT_START = 2.0
GATE_START = 5.0


def build_model() -> nalu_export.BackboneHead:
    """A backbone that gives one of 16 states for each digit, sum pooling, and a NALU from 8 features to their sum."""
    backbone = nn.Sequential(
        *_block(1, 16, 3, padding=1),
        *_block(16, 24, 3, padding=1),
        nn.MaxPool2d(2),
        *_block(24, 48, 3, padding=1),
        *_block(48, 64, 4, stride=4),  # with the pooling before it a stride of 8: one cell for each digit
        nn.Conv2d(64, STATES, 1),
        nn.Softmax(dim=1),
    )
    model = nalu_export.build_head(backbone, STATES, [FEATURES], "regression", 1, head_type="NALU", pool="sum")
    _start_as_adder(model)
    return model


def _block(inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    """Convolution, normalisation, ReLU."""
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def _start_as_adder(model: nalu_export.BackboneHead) -> None:
    """Features that are not negative, weights near 1 and a gate on the sum; all of it is trained from there.

    A softmax is never negative, so with these weights the gate's argument is not either.
    """
    with torch.no_grad():
        model.reduce.weight.abs_()
        assert model.reduce.bias is not None
        model.reduce.bias.zero_()
        for name, parameter in model.head.named_parameters():
            parameter.fill_(GATE_START if name.endswith("G") else WEIGHT_START)


def augment(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Rotate (12°), scale (12 %), shear and shift (1 pixel) each digit ``(N, 1, 8, 8)`` at random, by ``strength``."""
    count = len(images)
    angle = _spread(count, 1, strength * math.radians(12), generator)
    scale = 1 + _spread(count, 2, strength * 0.12, generator)
    shear = _spread(count, 1, strength * 0.15, generator)
    shift = _spread(count, 2, strength * 2 / SIDE, generator)  # the image runs from -1 to 1
    across = torch.cat([angle.cos() * scale[:, :1], shear - angle.sin(), shift[:, :1]], dim=1)
    down = torch.cat([angle.sin(), angle.cos() * scale[:, 1:], shift[:, 1:]], dim=1)
    grid = F.affine_grid(torch.stack([across, down], dim=1), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def _spread(count: int, columns: int, width: float, generator: Generator) -> Tensor:
    """Uniform in ``-width..width``, ``(count, columns)``."""
    return width * (2 * torch.rand(count, columns, generator=generator) - 1)


def train(model: nn.Module, digits: Digits, steps: int, *, seed: int = 0, report: bool = True) -> list[float]:
    """Fit the sums of strips of three digits; the label of a single digit is never used. Returns the losses."""
    generator = Generator().manual_seed(seed)
    optimizer, schedule = _optimizer(model, steps)
    losses: list[float] = []
    started = time.monotonic()
    model.train()
    for step in range(steps):
        # The last third of the training sees the digits less and less distorted, as they are when it counts.
        strength = min(1.0, 3 * (1 - step / steps))
        strips, sums = _batch(digits, strength, generator)
        loss = F.smooth_l1_loss(model(strips)[:, 0], sums)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if report and (step + 1) % max(1, steps // 6) == 0:
            recent = losses[-200:]
            passed = time.monotonic() - started
            print(f"step {step + 1:5}  loss {sum(recent) / len(recent):.4f}  {passed:3.0f} s", flush=True)
    return losses


def _batch(digits: Digits, strength: float, generator: Generator) -> tuple[Tensor, Tensor]:
    """Strips of three distorted digits and their sums."""
    chosen = digits.choose(STRIPS, LENGTH, generator)
    images = augment(digits.images[chosen.flatten()], strength, generator).reshape(STRIPS, LENGTH, 1, SIDE, SIDE)
    return side_by_side(images), digits.labels[chosen].sum(dim=1).float()


def _optimizer(model: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with decay on the convolutions only: decay would pull the head's weights away from 1."""
    kernels = [parameter for parameter in model.parameters() if parameter.ndim == 4]
    others = [parameter for parameter in model.parameters() if parameter.ndim != 4]
    groups = [{"params": kernels, "weight_decay": 1e-2}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=RATE)
    return optimizer, torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)


def accuracy(model: nn.Module, digits: Digits, length: int, *, strips: int = 2000) -> tuple[float, float]:
    """Share of strips whose rounded output is the sum, and the mean absolute error."""
    images, sums = digits.strips(strips, length, Generator().manual_seed(length))
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part)[:, 0] for part in torch.split(images, 500)])
    return float((found.round() == sums).float().mean()), float((found - sums).abs().mean())


def _arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Train a CNN with a NALU head to add handwritten digits.")
    parser.add_argument("--output", type=Path, default=HERE / "model.pt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    if arguments.steps < 2:
        parser.error(f"--steps is {arguments.steps}; it must be at least 2")
    return arguments


def main() -> int:
    """Train, report on the held-out digits, save; the exit code."""
    arguments = _arguments()
    # The tensors are small: two threads took ten times as long on a busy machine, and the order of additions, so the
    # result, would depend on their number.
    torch.set_num_threads(1)
    torch.manual_seed(arguments.seed)
    training, held_out = split()
    print(f"{len(training.labels)} digits to train on, {len(held_out.labels)} held out", flush=True)
    model = build_model()
    train(model, training, arguments.steps, seed=arguments.seed)
    for length in (1, 3, 5, 10, 20):
        exact, error = accuracy(model, held_out, length)
        print(f"{length:2} held-out digits: {exact:6.1%} exact, mean absolute error {error:.3f}")
    try:
        nalu_export.save(model.eval(), arguments.output)
    except nalu_export.NaluExportError as problem:
        print(problem, file=sys.stderr)
        return problem.exit_code
    print(f"saved {arguments.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
