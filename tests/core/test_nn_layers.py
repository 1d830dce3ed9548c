import numpy as np
import pytest

from tlverify.core import nn, ops, trace
from tlverify.graph import GraphError, ShapeError

X = np.random.default_rng(0).random((5, 4), "float32")


def test_linear_is_x_times_weight_transposed_plus_bias():
    layer = nn.Linear(4, 3)
    params = layer.init(np.random.default_rng(1))
    assert (params["weight"].shape, params["bias"].shape) == ((3, 4), (3,))
    np.testing.assert_allclose(layer(params, X), X @ params["weight"].T + params["bias"], rtol=1e-6)


def test_linear_without_bias():
    layer = nn.Linear(4, 3, bias=False)
    params = layer.init(np.random.default_rng(1))
    assert list(params) == ["weight"]
    np.testing.assert_allclose(layer(params, X), X @ params["weight"].T, rtol=1e-6)


def test_sequential_parameters_are_named_by_position_and_seeded():
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    first, second = (model.init(np.random.default_rng(1)) for _ in range(2))
    assert list(first) == ["1", "3"]
    np.testing.assert_array_equal(first["3"]["weight"], second["3"]["weight"])
    assert first["1"]["weight"].dtype == np.float32


def test_layers_act_on_trailing_axes():
    model = nn.Sequential(nn.Flatten(-2), nn.Linear(4, 3), nn.ReLU())
    params = model.init(np.random.default_rng(1))
    images = np.random.default_rng(2).random((6, 5, 2, 2), "float32")
    batches = model(params, images)
    assert batches.shape == (6, 5, 3)
    np.testing.assert_allclose(batches[1, 2], model(params, images[1, 2]), rtol=1e-6)
    np.testing.assert_array_equal(trace(model, params, images)(params, images), batches)


def test_sequential_nests():
    inner = nn.Sequential(nn.Linear(4, 3), nn.ReLU())
    model = nn.Sequential(inner, nn.Linear(3, 2))
    params = model.init(np.random.default_rng(1))
    assert list(params["0"]) == ["0"]
    assert model(params, X).shape == (5, 2)
    assert str(model) == "Sequential(Sequential(Linear(4, 3), ReLU), Linear(3, 2))"


def test_composing_checks_shapes_as_far_as_they_are_known():
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Flatten(), nn.Linear(9, 1))
    with pytest.raises(ShapeError, match=r"layer 3 Linear\(9, 1\) expects 9 features, but layer 2 .* gives \[24\]"):
        model.check((3, 4))


@pytest.mark.parametrize(
    ("action", "error", "reason"),
    [
        (
            lambda: nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(9, 1)),
            ShapeError,
            r"^Sequential: layer 2 Linear\(9, 1\) expects 9 features, but layer 1 ReLU gives 8$",
        ),
        (
            lambda: nn.Sequential(nn.Sequential(nn.Linear(4, 8)), nn.Linear(9, 1)),
            ShapeError,
            r"layer 1 Linear\(9, 1\) expects 9 features, but layer 0 Sequential\(Linear\(4, 8\)\) gives 8",
        ),
        (
            lambda: nn.Sequential(nn.ReLU(), nn.Linear(9, 1))({}, X),
            ShapeError,
            r"Sequential: layer 1 Linear\(9, 1\) expects 9 features, but layer 0 ReLU gives \[5, 4\]",
        ),
        (
            lambda: nn.Sequential(nn.Linear(9, 1)).check((4,)),
            ShapeError,
            r"layer 0 Linear\(9, 1\) expects 9 features, but the input has shape \[4\]",
        ),
        (lambda: nn.Linear(3, 1).check(()), ShapeError, r"Linear\(3, 1\) expects 3 features"),
        (lambda: nn.Flatten(-3).check((4, 4)), ShapeError, r"Flatten\(-3\) expects at least 3 axes"),
        (lambda: nn.Flatten(1), ShapeError, r"Flatten\(1\): expected a negative start_dim"),
        (lambda: nn.Linear(0, 1), ShapeError, "Linear: in_features: expected an integer of 1 or more, found 0"),
        (
            lambda: nn.Linear(2, 1, weight_init="magic"),
            GraphError,
            "unknown weight_init 'magic'; known: fan_in_uniform",
        ),
        (
            lambda: nn.Sequential(nn.Linear(4, 2))({}, X),
            GraphError,
            r"Sequential: layer 0 Linear\(4, 2\): parameter 'weight' is missing",
        ),
        (
            lambda: nn.Sequential(nn.Linear(4, 2))({"0": {"weight": X, "bias": X[0, :2]}}, X),
            ShapeError,
            r"layer 0 Linear\(4, 2\): linear: bias: expected \(5,\) to match weight",
        ),
    ],
)
def test_errors(action, error, reason):
    with pytest.raises(error, match=reason):
        action()


@pytest.mark.parametrize(
    ("layer", "shape", "expected"),
    [
        (nn.Linear(4, 2), (..., 4), (..., 2)),
        (nn.Linear(4, 2), (...,), (..., 2)),
        (nn.Linear(4, 2), (7, 4), (7, 2)),
        (nn.ReLU(), (..., 4), (..., 4)),
        (nn.Flatten(), (3, 2, 4), (3, 8)),
        (nn.Flatten(), (..., 4), (...,)),
        (nn.Flatten(-3), (..., 2, 3, 4), (..., 24)),
        (nn.Flatten(), (...,), (...,)),
        (nn.Sequential(), (3,), (3,)),
    ],
)
def test_check_gives_the_shape_as_far_as_it_is_known(layer, shape, expected):
    assert layer.check(shape) == expected


def test_a_plain_function_is_a_model():
    def model(params, x):
        return ops.relu(ops.linear(x, params["w"]))

    weight = np.float32([[1, -1, 0, 2]])
    np.testing.assert_allclose(trace(model, {"w": weight}, X)({"w": weight}, X), np.maximum(X @ weight.T, 0), rtol=1e-6)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        (nn.ReLU, r"layer 1: expected a layer, .*found the class ReLU; make a layer of it, as in ReLU\(...\)"),
        ([nn.ReLU()], r"found list; give the layers one by one, as in Sequential\(\*layers\)"),
        (abs, r"found the function abs; nn.Function\(abs\) makes a layer of it"),
    ],
)
def test_what_is_no_layer_is_named_with_its_remedy(layer, reason):
    with pytest.raises(GraphError, match=reason):
        nn.Sequential(nn.Linear(2, 3), layer)


def test_a_layer_of_ones_own_may_do_without_check():
    class Double:
        def init(self, rng):
            return {}

        def __call__(self, params, x):
            return x + x

    model = nn.Sequential(nn.Linear(2, 3), Double(), nn.Linear(3, 1))
    assert "Double" in repr(model)
