"""Train a small diffusion model on handwritten digits, and draw digits out of noise.

The network is shown digits with noise in them, from hardly any to nothing but noise, and told how
much and, mostly, which digit it is; it learns to tell what the picture was. Digits are drawn by
starting from noise and taking away some of it at a time (DDPM's training, DDIM's steps), in the
direction in which it helps to know the digit (guidance without a classifier).
Result: an error of 0.076 in digits never trained on, after 120 epochs in 42 s; what it draws can
be read.
Options: `python examples/mnist_diffusion.py --help`.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path

import grad
import grad.nn.functional as F
from digits import load_digits
from grad import nn, optim
from grad.utils import plot
from grad.utils.data import DataLoader, TensorDataset
from grad.utils.progress import progress

REQUIRED_LOSS = 0.09  # squares of errors in pixels of digits never trained on, from -1 to 1
LEVELS, DRAWING_STEPS = 200, 50
PIXELS, WIDTH, BLOCKS = 784, 512, 3
ANY_DIGIT, UNTOLD = 10, 0.1  # what is said instead of the digit, and how often
GUIDANCE = 2.0


class Denoiser(nn.Module):
    """Pixels with noise ``(batch, 784)``, the level of noise and the digit, to those without."""

    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Linear(PIXELS, WIDTH)
        self.level = nn.Embedding(LEVELS, WIDTH)
        self.digit = nn.Embedding(10 + 1, WIDTH)
        self.blocks = nn.ModuleList(
            nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, WIDTH), nn.SiLU())
            for _ in range(BLOCKS)
        )
        self.outward = nn.Linear(WIDTH, PIXELS)

    def forward(self, pixels, level, digit):
        told = self.level(level) + self.digit(digit)
        x = self.inward(pixels)
        for block in self.blocks:
            x = x + block(x + told)
        # The picture, not the noise: that would not pass through fewer numbers than it has itself.
        return self.outward(x).tanh()


def signal_of(level: grad.Tensor) -> grad.Tensor:
    """The part of the variance that is still the digit's, along a cosine from 1 to nearly 0."""
    angle = (level + 1) / (LEVELS + 1) * (math.pi / 2)
    return angle.cos().square()


def loss_of(model: nn.Module, pixels: grad.Tensor, digit: grad.Tensor) -> grad.Tensor:
    """The mean square of the error in the pixels, at random levels of noise."""
    level = grad.randint(LEVELS, (len(pixels),))
    noise = grad.randn_like(pixels)
    signal = signal_of(level).unsqueeze(1)
    noisy = signal.sqrt() * pixels + (1 - signal).sqrt() * noise
    told = grad.where(grad.rand(len(pixels)) < UNTOLD, ANY_DIGIT, digit)
    return F.mse_loss(model(noisy, level, told), pixels)


def train(model: nn.Module, pixels: grad.Tensor, digit: grad.Tensor, epochs: int) -> list[float]:
    optimizer = optim.AdamW(model.parameters(), lr=1e-3)
    schedule = optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    dataset = TensorDataset(pixels, digit)
    loader = DataLoader(dataset, batch_size=100, shuffle=True, drop_last=True)

    @grad.compile
    def train_step(batch: grad.Tensor, labels: grad.Tensor) -> grad.Tensor:
        optimizer.zero_grad()
        loss = loss_of(model, batch, labels)
        loss.backward()
        optimizer.step()
        return loss

    losses = []
    for _ in (watched := progress(range(epochs), "training", unit="epoch")):
        for batch, labels in loader:
            losses.append(train_step(batch, labels).item())
        schedule.step()
        watched.set_postfix(loss=losses[-1])
    return losses


def draw(model: nn.Module, digit: grad.Tensor) -> grad.Tensor:
    """Pictures of these digits, from noise alone: ``(count, 784)``."""
    stride, anything = LEVELS // DRAWING_STEPS, grad.full_like(digit, ANY_DIGIT)
    with grad.no_grad():
        x = grad.randn(len(digit), PIXELS)
        for step in range(LEVELS - 1, -1, -stride):
            level = grad.full((len(digit),), step)
            signal = signal_of(level).unsqueeze(1)
            clean, unguided = (model(x, level, told) for told in (digit, anything))
            clean = (clean + GUIDANCE * (clean - unguided)).clamp(-1, 1)
            noise = (x - signal.sqrt() * clean) / (1 - signal).sqrt()
            left = signal_of(level - stride).unsqueeze(1)
            x = left.sqrt() * clean + (1 - left).sqrt() * noise
        return clean


def main() -> None:
    parser = argparse.ArgumentParser(description="Train a diffusion model on digits.")
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="few digits, to see that it runs")
    parser.add_argument("--output", type=Path, default=Path("build/examples"))
    options = parser.parse_args()

    grad.manual_seed(options.seed)
    digits = load_digits()
    pixels, labels = grad.tensor(digits.train_images) * 2 - 1, grad.tensor(digits.train_labels)
    model = Denoiser()
    started = time.perf_counter()
    losses = train(model, pixels, labels, 2 if options.quick else options.epochs)
    seconds = time.perf_counter() - started
    with grad.no_grad():
        test_pixels = grad.tensor(digits.test_images) * 2 - 1
        loss = loss_of(model, test_pixels, grad.tensor(digits.test_labels)).item()
    print(f"training       {losses[0]:.3f} to {losses[-1]:.3f}, {seconds:.1f} s")
    print(f"test loss      {loss:.3f}")
    options.output.mkdir(parents=True, exist_ok=True)
    drawn = draw(model, grad.arange(10).repeat_interleave(10)) * 0.5 + 0.5
    picture = options.output / "diffusion.png"
    plot.images(drawn.view(-1, 28, 28), picture, columns=10, title="digits out of noise")
    print(f"picture        {picture}")
    if loss > (losses[0] if options.quick else REQUIRED_LOSS):
        raise SystemExit(f"the test loss is over {REQUIRED_LOSS}, which this must reach")


if __name__ == "__main__":
    main()
