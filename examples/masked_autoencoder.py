"""A masked autoencoder fills in half of the patches of handwritten digits."""

import numpy as np

from tlverify import data, models, ops
from tlverify.train import flags

options = flags.parse(__doc__, steps=1000, batch_size=64, lr=0.003)
sets = [np.asarray(models.patches(part.x, 2)) for part in data.digits()]
train, test = (data.tensor_dataset(part, part) for part in sets)
model = models.MaskedAutoencoder(16, 4)
trained = options.trainer(model, "custom", model.loss).train(train, **options.run, title="MAE")
print(trained.report)

outputs, _ = model.apply(trained.params, {}, test.x, True, ops.key(1))
mask = np.asarray(outputs)[..., -1] > 0
error = np.square(np.asarray(outputs)[..., :-1] - test.x).mean(-1)[mask].mean()
mean = np.square(train.x.mean(0) - test.x).mean(-1)[mask].mean()
print(f"\nEstablished: squared error {error:.4f} on hidden patches of 360 test images; the mean patch has {mean:.4f}.")
print("Not established: that what it fills in was there.")
