"""An LSTM forecasts the next value of a noisy wave from the last twenty."""

import numpy as np

from tlverify import data, models, nn
from tlverify.train import flags, metrics

options = flags.parse(__doc__, steps=150, batch_size=32, lr=0.01)
rng = np.random.default_rng(0)
time = np.arange(800) / 10
wave = (np.sin(time) + 0.5 * np.sin(2.7 * time) + 0.05 * rng.normal(size=len(time))).astype(np.float32)
windows = np.lib.stride_tricks.sliding_window_view(wave, 21)
train = data.tensor_dataset(windows[:600, :20, None], windows[:600, 20:])
test = data.tensor_dataset(windows[620:, :20, None], windows[620:, 20:])

trained = options.trainer(models.recurrent_head(nn.LSTM(1, 16), 1)).train(train, **options.run, title="forecast")
print(trained.summary())
score = metrics.r2(trained.outputs(test.x), test.y)
print(f"\nEstablished: r2 {score:.3f} on the last part of the wave, which it did not see.")
print("Not established: anything about other waves.")
