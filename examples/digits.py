"""Train a classifier of handwritten digits, export its graph, and certify ten images: about ten seconds.

    python examples/digits.py

Then the same from the command line, on the files that this wrote:

    tlverify certify digits/model.graph.json --data digits/test.npz --epsilon 0.02 --index 0:20 --out digits/proofs
    tlverify check digits/proofs
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from tlverify import Trainer, data, losses, nn, optim

FOLDER = Path("digits")


def main() -> None:
    train, test = data.digits()
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
    trainer = Trainer(model, optimizer=optim.Adam(lr=3e-3), loss=losses.IntervalCrossEntropy(epsilon=0.02), seed=0)
    trained = trainer.train(train, epochs=40, batch_size=64, title="digits")
    print(trained.summary())
    print(f"accuracy on {len(test)} held-out images: {trained.accuracy(test):.3f}")
    trained.export(FOLDER / "model.graph.json")
    np.savez(FOLDER / "test.npz", x=test.x, y=test.y)
    verdicts = [result.verdict for result in trained.certify(test, epsilon="0.02", index=range(10))]
    verified = verdicts.count("verified")
    print(
        f"For {verified} of 10 images a proof was accepted that no change of up to 0.02 a pixel changes the class, "
        "in exact real arithmetic. Nothing is said about other images, or about rounding in float32."
    )


if __name__ == "__main__":
    main()
