"""Train a classifier of handwritten digits, export its graph, and certify ten images: about ten seconds.

    python examples/digits.py

Then the same from the command line, on the files that this wrote:

    tlverify certify digits/model.graph.json --data digits/test.npz --epsilon 0.02 --index 0:20 --out digits/proofs
    tlverify check digits/proofs
"""

from pathlib import Path

import numpy as np

from tlverify import data, losses, nn
from tlverify.train import flags

options = flags.parse(__doc__, steps=880, batch_size=64, lr=0.003)
folder = Path("digits")
train, test = data.digits()
model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
loss = losses.IntervalCrossEntropy(epsilon=0.02)
trained = options.trainer(model, "classification", loss).train(train, **options.run, title="digits")
print(trained.summary())
print(f"accuracy on {len(test)} held-out images: {trained.accuracy(test):.3f}")
trained.export(folder / "model.graph.json")
np.savez(folder / "test.npz", x=test.x, y=test.y)
verdicts = [result.verdict for result in trained.certify(test, epsilon="0.02", index=range(10))]
verified = verdicts.count("verified")
print(f"\nEstablished: for {verified} of 10 images a proof was accepted that no change of up to 0.02 a pixel changes")
arithmetic = "any float32 execution" if options.dtype == "float32" else "real numbers"
print(f"the class, in {arithmetic}. Not established: anything about other images.")
