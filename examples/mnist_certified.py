"""Certified training of a convolutional network on MNIST, for changes of up to 0.1 of every pixel.

The files are those of `mnist.py`. The loss is the cross-entropy of the worst logits by interval arithmetic.
"""

import os
from pathlib import Path

import numpy as np

from tlverify import data, losses, nn, optim
from tlverify.train import flags
from tlverify.train.augment import Jitter

EPSILON = 0.1
options = flags.parse(__doc__, steps=2700, batch_size=100, lr=0.002, optim="adamw")
root = Path(__file__).resolve().parents[1]
folder = Path(os.environ.get("TLVERIFY_DATA", root.parent / "shared" / "data")) / "mnist"
everything = data.mnist(folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz")
train, test = everything.split(9000, np.random.default_rng(0))

model = nn.Sequential(
    nn.Reshape((1, 28, 28), 2),
    *(nn.Conv2d(1, 16, 5, 2, 2), nn.ReLU()),
    *(nn.Conv2d(16, 32, 3, 2, 1), nn.ReLU()),
    *(nn.Flatten(-3), nn.Linear(1568, 100), nn.ReLU(), nn.Linear(100, 10)),
)
loss = losses.IntervalCrossEntropy(1.2 * EPSILON, kappa=0.0, warmup=0.05, ramp=0.6)
trained = options.trainer(model, "classification", loss).train(
    train, **options.run, schedule=optim.step((0.8, 0.92), 0.2), augment=Jitter(1.0, 6.0, 0.05), evaluation=test
)
print(trained.summary())
worst = loss.worst_logits(model, trained.params, test.x, test.y, EPSILON)
bounded = (np.asarray(worst).argmax(-1) == test.y).mean()
print(
    f"\nEstablished: {trained.accuracy(test):.1%} of 1,000 new images, {bounded:.1%} by bounds in float32, which round."
)
print("Not established: a proof. `trained.certify(test, epsilon=...)` asks the kernel for one.")
