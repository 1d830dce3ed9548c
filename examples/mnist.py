"""A convolutional network for the 10,000 MNIST test images: 9,000 to train on, 1,000 to judge it by.

The two files `t10k-images-idx3-ubyte.gz` and `t10k-labels-idx1-ubyte.gz` are looked for in `$TLVERIFY_DATA/mnist`, by
default `../shared/data/mnist` beside this repository.
"""

import os
from pathlib import Path

import numpy as np

from tlverify import data, nn, optim
from tlverify.train import flags
from tlverify.train.augment import Jitter

options = flags.parse(__doc__, steps=2100, batch_size=64, lr=0.003, optim="adamw")
root = Path(__file__).resolve().parents[1]
folder = Path(os.environ.get("TLVERIFY_DATA", root.parent / "shared" / "data")) / "mnist"
everything = data.mnist(folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz")
train, test = everything.split(9000, np.random.default_rng(0))

model = nn.Sequential(
    nn.Reshape((1, 28, 28), 2),
    *(nn.Conv2d(1, 24, 5, 2, 2), nn.ReLU()),
    *(nn.Conv2d(24, 48, 3, 2, 1), nn.ReLU()),
    *(nn.Conv2d(48, 64, 3, 2, 1), nn.ReLU()),
    *(nn.Flatten(-3), nn.Linear(1024, 64), nn.ReLU(), nn.Linear(64, 10)),
)
jitter = Jitter(shift=2.0, rotate=10.0, scale=0.1)
trained = options.trainer(model, "classification").train(
    train, **options.run, schedule=optim.cosine, augment=jitter, evaluation=test, title="MNIST"
)
print(trained.summary())
print(f"\nEstablished: {trained.accuracy(test):.1%} of 1,000 images that were not trained on.")
print("Not established: robustness.")
