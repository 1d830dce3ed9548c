"""A generative adversarial network learns a ring of points, and all that it can make is bounded by a proof."""

import numpy as np

from tlverify import models, nn, optim
from tlverify.certify import Inequality, box, certify
from tlverify.train import Alternating, StepStream, flags

options = flags.parse(__doc__, steps=2000, batch_size=128, lr=0.001)
gan = models.GAN(code=4, features=2)


def pairs(step):
    """Points of the ring, and noise."""
    rng = np.random.default_rng((options.seed, step))
    angle = rng.uniform(0, 2 * np.pi, options.batch_size)
    return np.stack([np.cos(angle), np.sin(angle)], -1), rng.normal(size=(options.batch_size, 4))


stream = StepStream(pairs, (options.batch_size, 2), (options.batch_size, 4))
sides = ("discriminator", "generator")
game = Alternating(
    [
        options.trainer(
            gan,
            "custom",
            models.Turn(gan, side),
            optim.Groups(optim.Adam(options.lr, betas=(0.5, 0.9)), {f"{other}.*": optim.Frozen()}),
        ).stepper(options.steps)
        for side, other in zip(sides, sides[::-1], strict=True)
    ]
)
states = game.init(np.random.default_rng(options.seed))
for step in range(options.steps):
    states, (judged, fooled) = game(states, stream.batch(step))
    for log in options.logs:
        log.write(step + 1, {"discriminator": judged.loss, "generator": fooled.loss})
print(f"loss      discriminator {judged.loss:.3f}, generator {fooled.loss:.3f} (balance: 1.386, 0.693)")

params, rng = game.params(states), np.random.default_rng(options.seed)
made = np.asarray(gan(params, rng.normal(size=(1000, 4)).astype(options.dtype)))
radius = np.linalg.norm(made, axis=-1)
sectors = np.histogram(np.arctan2(made[:, 1], made[:, 0]), 12, (-np.pi, np.pi))[0]

graph = nn.export_graph(gan.generator, params["generator"], (4,), options.dtype)
bad = [[Inequality(((graph.outputs[0], i, sign),), 2)] for i in (0, 1) for sign in (1, -1)]
(result,) = certify(graph, [box(graph, {"x": ([-0.5] * 4, [0.5] * 4)}, bad)], timeout=10)
print(f"\nEstablished: 1,000 points have radius {radius.mean():.3f} +- {radius.std():.3f} (1 is right), and the")
print(f"emptiest of 12 sectors has {sectors.min()} (83 is even). That every code in [-0.5, 0.5]^4 gives a point of")
print(f"(-2, 2)^2: {result.verdict}, over the reals. Not established: that the distribution is the ring's.")
