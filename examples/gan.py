"""A generative adversarial network learns a ring of points."""

import numpy as np

from tlverify import models, ops, optim
from tlverify.core import value_and_grad
from tlverify.train import flags

options = flags.parse(__doc__, steps=2000, batch_size=128, lr=0.001)
rng = np.random.default_rng(options.seed)
gan = models.GAN(code=4, features=2)
generator, discriminator = gan.init(rng)
optimizer = optim.Adam(options.lr, betas=(0.5, 0.9))
states = [optimizer.init(params) for params in (generator, discriminator)]
by_generator = value_and_grad(lambda g, d, key: gan.generator_loss(g, d, key, options.batch_size))
by_discriminator = value_and_grad(gan.discriminator_loss)


def ring(count):
    angle = rng.uniform(0, 2 * np.pi, count)
    return np.stack([np.cos(angle), np.sin(angle)], -1).astype(np.float32)


for step in range(options.steps):
    key = ops.fold_in(ops.key(options.seed), step)
    real = ring(options.batch_size)
    judged, grads = by_discriminator(discriminator, generator, real, ops.fold_in(key, 0))
    discriminator, states[1] = optimizer.update(grads, states[1], discriminator)
    fooled, grads = by_generator(generator, discriminator, ops.fold_in(key, 1))
    generator, states[0] = optimizer.update(grads, states[0], generator)
print(f"loss      discriminator {float(judged):.3f}, generator {float(fooled):.3f} (balance: 1.386, 0.693)")

made = np.asarray(gan.generator(generator, gan.noise(ops.key(99), 1000)))
radius = np.linalg.norm(made, axis=-1)
sectors = np.histogram(np.arctan2(made[:, 1], made[:, 0]), 12, (-np.pi, np.pi))[0]
print(f"\nEstablished: 1,000 points have radius {radius.mean():.3f} +- {radius.std():.3f} (1 is right), and the")
print(f"emptiest of 12 sectors has {sectors.min()} (83 is even). Not established: that the distribution is the ring's.")
