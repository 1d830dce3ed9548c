"""Denoising diffusion learns two half moons and draws new points from noise."""

import numpy as np

from tlverify import models, ops
from tlverify.core import value_and_grad
from tlverify.train import flags

without = ("dtype", "backend", "execution")
options = flags.parse(__doc__, without=without, steps=1500, batch_size=128, lr=0.003)
rng = np.random.default_rng(options.seed)


def moons(count):
    angle, side = rng.uniform(0, np.pi, count), rng.integers(0, 2, count) * 2 - 1
    points = np.stack([side * (np.cos(angle) - 0.5), side * (np.sin(angle) - 0.25)], -1)
    return (points / 1.6 + rng.normal(0, 0.03, points.shape)).astype(np.float32)


process = models.Diffusion(steps=50)
layers, denoise = models.mlp_denoiser(2, 64)
params = layers.init(rng)
optimizer = options.optimizer
state, key = optimizer.init(params), ops.key(options.seed)
step_of = value_and_grad(lambda params, x, key: process.loss(denoise, params, x, key))
losses = []
for step in range(options.steps):
    loss, grads = step_of(params, moons(options.batch_size), ops.fold_in(key, step))
    params, state = optimizer.update(grads, state, params)
    losses.append(float(loss))
    for log in options.logs:
        log.write(step + 1, {"loss": losses[-1]})
print(f"loss      {np.mean(losses[:50]):.3f} -> {np.mean(losses[-50:]):.3f}")

found = process.sample(denoise, params, rng.normal(size=(400, 2)).astype(np.float32), 25)
real = moons(2000)
near = np.sqrt(np.square(found[:, None] - real[None]).sum(-1).min(1))
print(f"\nEstablished: half of 400 drawn points lie within {np.median(near):.3f} of one of 2,000 true points.")
print("Not established: that all of the shape is covered.")
