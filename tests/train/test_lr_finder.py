import numpy as np
import pytest

from tlverify.core import nn
from tlverify.graph import TlverifyError
from tlverify.train import Trainer, data, optim
from tlverify.train.lr_finder import find_lr

X = np.random.default_rng(0).uniform(-1, 1, (64, 3)).astype(np.float32)
DATA = data.tensor_dataset(X, X @ np.float32([[1.0], [-2.0], [0.5]]))
TRAINER = Trainer(nn.Linear(3, 1), "regression", optim.SGD(0.1))


def test_the_suggestion_trains_faster_than_its_neighbours_far_away() -> None:
    test = find_lr(TRAINER, DATA, 1e-5, 100.0, batch_size=64)
    np.testing.assert_allclose(test.rates[0], 1e-5)
    ratios = np.diff(np.log(test.rates))
    np.testing.assert_allclose(ratios, ratios[0])
    assert len(test.rates) < 100  # it stopped when the loss grew

    def after(rate: float) -> float:
        return Trainer(nn.Linear(3, 1), "regression", optim.SGD(rate)).train(DATA, steps=30).report.after

    assert after(test.suggestion) < min(after(test.suggestion / 100), 1.0)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lowest": 1.0, "highest": 0.1}, "find_lr: expected 0 < lowest < highest"),
        ({"steps": 2}, "3 or more steps"),
        ({"lowest": 10.0, "highest": 1000.0}, "the loss did not fall between 10 and"),
    ],
)
def test_errors(options, reason: str) -> None:
    with pytest.raises(TlverifyError, match=reason):
        find_lr(TRAINER, DATA, **{"batch_size": 64, **options})
