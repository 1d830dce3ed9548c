"""The two trainings of the quickstart: a digit classifier, plain and certified.

The settings were chosen by cross-validation on the training images only.

Products of 64 rows by 64 features are as large as OpenBLAS leaves to one thread. More threads would only wait for each
other, and their number would change the digest.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from tlverify.core import nn
from tlverify.train import losses, optim
from tlverify.train.augment import Jitter
from tlverify.train.data import Dataset
from tlverify.train.objective import Objective, OutputLoss
from tlverify.train.trained import Trained
from tlverify.train.trainer import Trainer


def digit_classifier() -> nn.Sequential:
    """Images (8, 8) to logits (10,), through 64 and 32 ReLU."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))


@dataclass(frozen=True)
class Recipe:
    """All settings of a training but the data and the seed."""

    title: str
    description: str
    loss: OutputLoss | Objective
    optimizer: optim.Optimizer
    epochs: int
    batch_size: int
    augment: Jitter
    schedule: optim.Schedule = optim.cosine
    model: Callable[[], nn.Sequential] = digit_classifier

    def train(self, data: Dataset, seed: int = 0, evaluation: Dataset | None = None, progress: bool = True) -> Trained:
        """Train on `data`; the arguments are those of Trainer.train."""
        return Trainer(self.model(), optimizer=self.optimizer, loss=self.loss, seed=seed).train(
            data,
            epochs=self.epochs,
            batch_size=self.batch_size,
            schedule=self.schedule,
            augment=self.augment,
            evaluation=evaluation,
            progress=progress,
            title=self.title,
        )

    def __str__(self) -> str:
        pace = f"learning rate {self.optimizer.lr:g}, {self.epochs} epochs of batches of {self.batch_size}"
        return f"{self.description}; {type(self.optimizer).__name__}, {pace}"


PLAIN = Recipe(
    title="plain",
    description="cross-entropy",
    loss=partial(losses.cross_entropy, smoothing=0.2),
    optimizer=optim.Adam(0.006),
    epochs=100,
    batch_size=64,
    augment=Jitter(shift=0.15, rotate=4.0, scale=0.05, noise=0.1),
)
CERTIFIED = Recipe(
    title="certified",
    description="interval-bound cross-entropy in boxes of 0.01 around gradient steps of 0.05",
    loss=losses.IntervalCrossEntropy(0.06, kappa=0.0, smoothing=0.2, subset=1 / 6),
    optimizer=optim.Adam(0.006),
    epochs=200,
    batch_size=64,
    augment=Jitter(shift=0.15, rotate=4.0, scale=0.05, noise=0.1),
)
