"""Handwritten digits through a code of eight numbers, or of four words out of 32: --model ae, vqvae. See vae.py too."""

from dataclasses import dataclass

import numpy as np

from tlverify import data, losses, models, nn, ops, optim
from tlverify.certify import Inequality, box, certify
from tlverify.train import flags

options = flags.parse(__doc__, choices={"model": ("ae", "vqvae")}, steps=3000, batch_size=64, lr=0.003)
train, test = (data.tensor_dataset(part.x.reshape(-1, 64), part.x.reshape(-1, 64)) for part in data.digits())


@dataclass(frozen=True)
class Words:
    """An encoder to four vectors of eight numbers, each replaced by the nearest of 32 words, and a decoder."""

    encoder: nn.Layer
    words: models.VectorQuantizer
    decoder: nn.Layer

    def init(self, rng):
        return {name: getattr(self, name).init(rng) for name in ("encoder", "words", "decoder")}

    def vectors(self, params, x):
        return ops.reshape(self.encoder(params["encoder"], x), *x.shape[:-1], 4, 8)

    def __call__(self, params, x):
        quantized = self.words(params["words"], self.vectors(params, x))
        return self.decoder(params["decoder"], ops.reshape(quantized, *x.shape[:-1], 32))

    def check(self, shape):
        return (*self.encoder.check(shape)[:-1], 64)


@dataclass(frozen=True)
class WithWords:
    """Squared error of the reconstruction, and the distances of words and vectors."""

    model: Words

    def coefficients(self, fraction):
        return ()

    def __call__(self, model, params, x, y):
        distance = self.model.words.losses(params["words"], self.model.vectors(params, x))
        return ops.add(losses.mse(model(params, x), y), distance)


plain = options.chosen["model"] == "ae"
words = Words(models.mlp((64, 64, 32)), models.VectorQuantizer(32, 8), models.mlp((32, 64, 64)))
model = models.autoencoder((64, 32, 8)) if plain else words
trained = options.trainer(model, "custom", losses.mse if plain else WithWords(words)).train(
    train, **options.run, schedule=optim.cosine, title=options.chosen["model"]
)
print(trained.report)
found = trained.outputs(test.x)
for row in range(8):
    shown = (image.reshape(8, 8)[row] for pair in zip(test.x[:4], found[:4], strict=True) for image in pair)
    print("  ".join("".join(" .:-=+*#%@"[int(np.clip(p, 0, 1) * 9.99)] for p in line) for line in shown))
error, spread = np.square(found - test.x).mean(), np.square(train.x.mean(0) - test.x).mean()
print(f"\nEstablished: squared error {error:.4f} on 360 test images; their mean as the answer has {spread:.4f}.")
if plain:
    # A bound on the brightest pixel in the middle, for every image within 1/100 of the first test image.
    graph, pixel, limit = trained.graph, 27, float(found[0, 27]) + 0.1
    ends = np.clip(test.x[0] - 0.01, 0, 1).tolist(), np.clip(test.x[0] + 0.01, 0, 1).tolist()
    claim = box(graph, {"x": ends}, [[Inequality(((graph.outputs[0], pixel, 1),), limit)]])
    (result,) = certify(graph, [claim], timeout=10)
    print(f"Changes of up to 0.01 a pixel of the first image brighten pixel 27 by less than 0.1: {result.verdict}.")
print("Not established: that a digit is still the same digit afterwards.")
