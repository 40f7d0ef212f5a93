"""Train a CNN with a NALU head to add the handwritten digits in an image: ``python examples/digits_sum/train.py``."""

import argparse
import math
import time
from pathlib import Path

import torch
from data import Digits, side_by_side, split
from torch import Generator, Tensor, nn
from torch.nn import functional as F

import nalu_export

HERE = Path(__file__).parent
LENGTH = 3
STEPS = 3000
STRIPS = 40
RATE = 2e-2
# A NALU whose gate starts on the product path rarely comes back: small errors of a feature become factors.
GATE_START = 5.0


def build_model() -> nalu_export.BackboneHead:
    """A backbone that sees one digit at a time (stride 8 over all), sum pooling, and a NALU from 8 features to 1."""
    backbone = nn.Sequential(
        *_block(1, 16, 3, padding=1),
        *_block(16, 24, 3, padding=1),
        nn.MaxPool2d(2),
        *_block(24, 48, 3, padding=1),
        *_block(48, 64, 4, stride=4),
        nn.Conv2d(64, 16, 1),
        nn.Softmax(dim=1),
    )
    model = nalu_export.build_head(backbone, 16, [8], "regression", 1, pool="sum")
    with torch.no_grad():
        # Features that are not negative, weights that start near 1 and a gate on the sum: the head begins as an adder
        # of whatever the backbone says, and everything in it is trained from there.
        model.reduce.weight.abs_()
        assert model.reduce.bias is not None
        model.reduce.bias.zero_()
        for name, parameter in model.head.named_parameters():
            parameter.fill_(GATE_START if name.endswith("G") else 2.0)
    return model


def _block(inputs: int, outputs: int, kernel: int, *, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    convolution = nn.Conv2d(inputs, outputs, kernel, stride=stride, padding=padding, bias=False)
    return [convolution, nn.BatchNorm2d(outputs), nn.ReLU()]


def augment(images: Tensor, strength: float, generator: Generator) -> Tensor:
    """Rotate (12°), scale (12 %), shear and shift (1 pixel) each digit ``(N, 1, 8, 8)`` at random, by ``strength``."""
    count = len(images)

    def spread(columns: int, width: float) -> Tensor:
        return strength * width * (2 * torch.rand(count, columns, generator=generator) - 1)

    angle, scale, shear, shift = spread(1, math.radians(12)), 1 + spread(2, 0.12), spread(1, 0.15), spread(2, 0.25)
    rows = torch.stack(
        [
            torch.cat([angle.cos() * scale[:, :1], shear - angle.sin(), shift[:, :1]], dim=1),
            torch.cat([angle.sin(), angle.cos() * scale[:, 1:], shift[:, 1:]], dim=1),
        ],
        dim=1,
    )
    grid = F.affine_grid(rows, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def train(model: nn.Module, digits: Digits, steps: int, *, seed: int = 0, report: bool = True) -> list[float]:
    """Fit the sums of strips of three digits; the labels of single digits are never used. Returns the losses."""
    generator = Generator().manual_seed(seed)
    kernels = [parameter for parameter in model.parameters() if parameter.ndim == 4]
    others = [parameter for parameter in model.parameters() if parameter.ndim != 4]
    optimizer = torch.optim.AdamW([{"params": kernels, "weight_decay": 1e-2}, {"params": others, "weight_decay": 0.0}])
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=steps, pct_start=0.2)
    losses: list[float] = []
    started = time.monotonic()
    model.train()
    for step in range(steps):
        chosen = torch.randint(len(digits.labels), (STRIPS, LENGTH), generator=generator)
        # The last third of the training sees the digits less and less distorted, as they are when it counts.
        strength = min(1.0, 3 * (1 - step / steps))
        images = augment(digits.images[chosen.flatten()], strength, generator).reshape(STRIPS, LENGTH, 1, 8, 8)
        target = digits.labels[chosen].sum(dim=1, keepdim=True).float()
        loss = F.smooth_l1_loss(model(side_by_side(images)), target)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(float(loss.detach()))
        if report and (step + 1) % 500 == 0:
            recent = sum(losses[-200:]) / len(losses[-200:])
            print(f"step {step + 1:5}  loss {recent:.4f}  {time.monotonic() - started:.0f} s", flush=True)
    return losses


def accuracy(model: nn.Module, digits: Digits, length: int, *, strips: int = 2000) -> tuple[float, float]:
    """Share of strips whose rounded output is the sum, and the mean absolute error."""
    images, sums = digits.strips(strips, length, Generator().manual_seed(length))
    model.eval()
    with torch.no_grad():
        found = torch.cat([model(part)[:, 0] for part in torch.split(images, 500)])
    return float((found.round() == sums).float().mean()), float((found - sums).abs().mean())


def main() -> None:
    """Train, report on the held-out digits, save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--output", type=Path, default=HERE / "model.pt")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=STEPS)
    arguments = parser.parse_args()
    torch.manual_seed(arguments.seed)
    training, held_out = split()
    model = build_model()
    train(model, training, arguments.steps, seed=arguments.seed)
    for length in (1, 3, 5, 10, 20):
        exact, error = accuracy(model, held_out, length)
        print(f"{length:2} held-out digits: {exact:.1%} exact, mean absolute error {error:.2f}")
    nalu_export.save(model.eval(), arguments.output)
    print(f"saved {arguments.output}")


if __name__ == "__main__":
    main()
