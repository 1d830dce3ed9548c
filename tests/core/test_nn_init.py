import math

import numpy as np
import pytest

from tlverify.core import nn
from tlverify.core.nn import init
from tlverify.graph import GraphError, ShapeError

SHAPE = (200, 300)
FAN_IN, FAN_OUT = 300, 200
UNIFORM = {
    "kaiming_uniform": math.sqrt(6 / FAN_IN),
    "xavier_uniform": math.sqrt(6 / (FAN_IN + FAN_OUT)),
}
NORMAL = {
    "kaiming_normal": math.sqrt(2 / FAN_IN),
    "xavier_normal": math.sqrt(2 / (FAN_IN + FAN_OUT)),
}


@pytest.mark.parametrize("name", UNIFORM)
def test_uniform_bound(name):
    weight = init.INITIALISERS[name](np.random.default_rng(0), SHAPE)
    assert weight.dtype == np.float32
    assert 0.999 * UNIFORM[name] < abs(weight).max() <= UNIFORM[name] * (1 + 1e-6)
    assert weight.std() == pytest.approx(UNIFORM[name] / math.sqrt(3), rel=0.01)


@pytest.mark.parametrize("name", NORMAL)
def test_normal_deviation(name):
    weight = init.INITIALISERS[name](np.random.default_rng(0), SHAPE)
    assert weight.std() == pytest.approx(NORMAL[name], rel=0.01)
    assert weight.mean() == pytest.approx(0, abs=0.01 * NORMAL[name] * 10)


@pytest.mark.parametrize("name", init.INITIALISERS)
def test_the_same_seed_gives_the_same_weight(name):
    first, second = (init.INITIALISERS[name](np.random.default_rng(3), (4, 5)) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_gain_dtype_and_receptive_field():
    weight = init.kaiming_uniform(np.random.default_rng(0), (8, 4, 3, 3), gain=1.0, dtype="float64")
    assert weight.dtype == np.float64
    assert abs(weight).max() <= math.sqrt(3 / 36)


def test_zeros():
    assert not init.zeros(np.random.default_rng(0), (2, 3)).any()


@pytest.mark.parametrize("shape", [(3,), (), (0, 3), (3, 0)])
def test_a_weight_has_two_axes_or_more(shape):
    with pytest.raises(ShapeError, match=r"expected a weight \(out, in\) without empty axes"):
        init.xavier_normal(np.random.default_rng(0), shape)


def test_a_seed_is_no_generator():
    for layer in (nn.Linear(2, 3), nn.Embedding(4, 2), nn.Linear(2, 3, weight_init="orthogonal")):
        with pytest.raises(
            GraphError, match=r"init: expected a generator of numpy, as np.random.default_rng\(0\) makes"
        ):
            layer.init(0)
