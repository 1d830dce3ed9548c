"""Certified training of a convolutional network on MNIST, and proofs for changes of up to 0.1 of every pixel.

The files are those of `mnist.py`. The loss is the cross-entropy of the worst logits in small boxes around attacked
images (Müller et al. 2023). With the defaults it takes minutes; `--images` limits the proofs to the first images.
"""

import os
import time
from pathlib import Path

import numpy as np

from tlverify import data, losses, nn, optim
from tlverify.train import flags
from tlverify.train.augment import Jitter

EPSILON = 0.1
choices = {"images": ("1000", "100", "10")}
options = flags.parse(__doc__, choices=choices, steps=5000, batch_size=100, lr=0.002, optim="adamw")
root = Path(__file__).resolve().parents[1]
folder = Path(os.environ.get("TLVERIFY_DATA", root.parent / "shared" / "data")) / "mnist"
everything = data.mnist(folder / "t10k-images-idx3-ubyte.gz", folder / "t10k-labels-idx1-ubyte.gz")
train, test = everything.split(9000, np.random.default_rng(0))

model = nn.Sequential(
    nn.Reshape((1, 28, 28), 2),
    *(nn.Conv2d(1, 8, 4, 2, 1), nn.ReLU()),
    *(nn.Conv2d(8, 16, 4, 2, 1), nn.ReLU()),
    *(nn.Flatten(-3), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)),
)
loss = losses.IntervalCrossEntropy(EPSILON, kappa=0.0, warmup=0.05, ramp=0.3, subset=0.4)
trained = options.trainer(model, "classification", loss).train(
    train, **options.run, schedule=optim.cosine, augment=Jitter(1.0, 5.0, 0.05), evaluation=test, title="MNIST"
)
print(trained.summary())
trained.export("mnist-certified/model.graph.json")

count, began, verdicts = int(options.chosen["images"]), time.perf_counter(), []
for result in trained.certify(test, EPSILON, index=range(count), timeout=5):
    verdicts.append(result.verdict)
    if len(verdicts) % 100 == 0:
        print(f"{len(verdicts)} images: {verdicts.count('verified')} verified", flush=True)
arithmetic = "any float32 execution" if options.dtype == "float32" else "real numbers"
share = verdicts.count("verified") / count
print(f"{count} images in {time.perf_counter() - began:.0f} s")
print(f"\nEstablished: {trained.accuracy(test):.1%} of 1,000 images that were not trained on are recognised, and for")
print(f"{share:.1%} of {count} a proof was accepted that no change of up to 0.1 a pixel alters the answer, in")
print(f"{arithmetic}. Not established: anything about other images.")
