"""A variational autoencoder of handwritten digits, and new digits drawn from it."""

import numpy as np

from tlverify import data, models
from tlverify.train import flags

options = flags.parse(__doc__, steps=600, batch_size=64, lr=0.003)
train, test = data.digits()
flat, held_out = (data.transform(d, lambda x: x.reshape(-1, 64)) for d in (train, test))
images = data.tensor_dataset(flat.x, flat.x)
vae = models.VAE((64, 64, 8))
trained = options.trainer(vae, "custom", vae.loss).train(images, **options.run, title="VAE")
print(trained.report)

codes = np.random.default_rng(1).normal(size=(6, 8)).astype(np.float32)
digits = np.asarray(vae.decode(trained.params, codes)).reshape(6, 8, 8)
for row in range(8):
    print("  ".join("".join(" .:-=+*#%@"[int(p * 9.99)] for p in digit[row]) for digit in digits))
bound = vae.loss(trained.outputs(held_out.x), held_out.x)
print(f"\nEstablished: a negative evidence bound of {bound:.2f} on the test images, with the code at its mean.")
print("Not established: how likely an image is, which the bound is below.")
