"""The first training of every tutorial, ours and PyTorch's from the same parameters."""

import numpy as np
import pytest

from tlverify.core import nn
from tlverify.train import Trainer, data, optim

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tlverify[torch]'")
torch.set_num_threads(1)


def test_the_losses_of_a_small_regression_are_those_of_pytorch():
    model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))
    grid = data.regression_grid_2to1()
    trainer = Trainer(model, "regression", optim.Adam(lr=0.03))
    start = model.init(np.random.default_rng(1))
    trained = trainer.train(grid, steps=200, batch_size=25, params=start)

    theirs = torch.nn.Sequential(torch.nn.Linear(2, 8), torch.nn.ReLU(), torch.nn.Linear(8, 1))
    with torch.no_grad():
        for place in ("0", "2"):
            for name in ("weight", "bias"):
                getattr(theirs[int(place)], name).copy_(torch.tensor(start[place][name]))
    optimizer = torch.optim.Adam(theirs.parameters(), lr=0.03)
    losses = []
    for _ in range(200):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(theirs(torch.tensor(grid.x)), torch.tensor(grid.y))
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    np.testing.assert_allclose(trained.report.losses, losses, atol=1e-5)
    assert trained.report.after < 0.01 < trained.report.before
