"""Training on a GPU gives what training by NumPy does, but for rounding."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import pytree
from tlverify.train import data
from tlverify.train.trainer import Trainer

from .test_device import CASES

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize(("model", "settings"), CASES)
def test_training_agrees_with_numpy(cupy, model, settings):
    x = np.random.default_rng(0).uniform(size=(32, 16))
    points = data.tensor_dataset(x, (x[:, 0] > 0.5).astype(int))
    host, device = (
        Trainer(model, **settings, dtype="float64", backend=backend).train(points, steps=10, batch_size=8)
        for backend in ("numpy", "cupy")
    )
    for a, b in zip(pytree.flatten(host.params)[0], pytree.flatten(device.params)[0], strict=True):
        assert type(b) is np.ndarray
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-9)
