"""Layers beyond what PyTorch is compared for: shapes before any data, state, randomness, positions, Mamba."""

import numpy as np
import pytest

from tlverify.core import checkpoint, grad, nn, ops, pytree, run, trace, vmap
from tlverify.graph import GraphError, ShapeError

rng = np.random.default_rng(29)
KEY = ops.key(3)


def floats(params):
    return pytree.map(np.float64, params)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


CONVNET = nn.Sequential(
    nn.Conv2d(3, 8, 3, padding=1),
    nn.BatchNorm2d(8),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Residual(nn.Sequential(nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Dropout(0.25))),
    nn.GlobalAvgPool(),
    nn.Linear(8, 10),
)

# layer, shape of an input without batch axes, shape of the result
SHAPES = [
    (nn.Conv1d(4, 6, 3, padding=(2, 0)), (4, 9), (6, 9)),
    (nn.Conv2d(4, 6, 3, padding=(1, 0, 2, 0)), (4, 5, 6), (6, 6, 4)),
    (nn.GlobalAvgPool(), (4, 5, 6), (4,)),
    (nn.GlobalMaxPool(1), (4, 5), (4,)),
    (nn.Reshape((3, 4), 1), (5, 12), (5, 3, 4)),
    (nn.Select(-2, -1), (5, 4), (4,)),
    (nn.Resize((2, 9), "linear"), (3, 4, 5), (3, 2, 9)),
    (nn.LearnedPositions(7, 4), (5, 4), (5, 4)),
    (nn.SinusoidalPositions(7, 4), (5, 4), (5, 4)),
    (nn.Mamba(6, 4), (5, 6), (5, 6)),
    (nn.Parallel(nn.Linear(4, 3), nn.Linear(4, 2), concat=-1), (6, 4), (6, 5)),
    (nn.Parallel(nn.Linear(4, 3), nn.Linear(4, 3)), (4,), (3,)),
    (nn.Function(ops.square, lambda shape: shape), (4,), (4,)),
    (nn.Identity(), (4,), (4,)),
    (nn.Residual(nn.Linear(4, 4)), (2, 4), (2, 4)),
    (nn.MultiheadAttention(8, 2, causal=True, rotary=True, bias=False), (5, 8), (5, 8)),
    (nn.TransformerEncoderLayer(8, 2, 16, activation="silu"), (5, 8), (5, 8)),
    (nn.BatchNorm(4, -1, affine=False), (6, 4), (6, 4)),
    (nn.LayerNorm(4, affine=False), (6, 4), (6, 4)),
]


@pytest.mark.parametrize(("layer", "before", "after"), SHAPES, ids=lambda value: str(value)[:30])
def test_check_gives_the_shape_of_the_result(layer, before, after):
    x = normal(2, *before)
    params, state = layer.init(np.random.default_rng(0)), nn.init_state(layer)
    y, _ = nn.apply(layer, params, state, x)
    assert y.shape == (2, *after)
    assert layer.check(before) == after
    known = layer.check((...,))[1:]
    assert not known or all(a in (None, b) for a, b in zip(known, after[-len(known) :], strict=True))
    model = nn.evaluation(layer, state)
    np.testing.assert_allclose(y[1], model(params, x[1]), atol=1e-5)
    np.testing.assert_allclose(vmap(model, (None, 0))(params, x), y, atol=1e-5)
    graph = nn.export_graph(layer, params, before, state=state)
    np.testing.assert_allclose(run(graph, [x[0]], check=True)[0], y[0], atol=1e-5)


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (
            lambda: nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(4, 8, 3)),
            r"layer 1 Conv2d\(4, 8, 3\) expects 4 channels, but layer 0 Conv2d\(3, 8, 3\) gives",
        ),
        (
            lambda: nn.Sequential(nn.Linear(2, 3), nn.LayerNorm(4)),
            r"layer 1 LayerNorm\(4\) expects \(..., 4\), but .* gives 3",
        ),
        (
            lambda: nn.Sequential(nn.Embedding(9, 8), nn.LSTM(7, 4)),
            r"LSTM\(7, 4\) expects 7 inputs, but layer 0 Embedding\(9, 8\) gives 8",
        ),
        (
            lambda: nn.Sequential(nn.GlobalAvgPool(), nn.Linear(4, 2)).check((3, 5, 5)),
            "layer 1 Linear.* expects 4 features, but layer 0 GlobalAvgPool",
        ),
        (lambda: nn.Conv2d(3, 8, 7).check((3, 5, 9)), "spans 7 along the height, more than the padded input"),
        (lambda: nn.Conv2d(3, 8, 7).check((5, 9)), r"expects \(..., 3, height, width\)"),
        (lambda: nn.Conv2d(3, 8, 3, groups=2), "groups 2: expected a divisor of both"),
        (lambda: nn.Conv2d(3, 8, (3, 3, 3)), r"kernel_size: expected one number or 2, found \[3, 3, 3\]"),
        (lambda: nn.Conv2d(3, 8, 0), "expected a kernel, stride and dilation of 1 or more"),
        (lambda: nn.Conv2d(0, 8, 1), "Conv2d: .*: expected an integer of 1 or more"),
        (lambda: nn.Conv1d(3, 8, 1, weight_init="magic"), "unknown weight_init 'magic'"),
        (lambda: nn.MaxPool2d(4).check((3, 8)), "has a window of 4, more than the padded input"),
        (lambda: nn.MaxPool2d((2, 2, 2)).check((8, 8)), "expected one number or 2"),
        (lambda: nn.Reshape((2, 2)).check((5,)), "expects 4 elements on the last 1 axes"),
        (lambda: nn.Select(-1, 3).check((2,)), "expects more than 3 elements on axis -1"),
        (lambda: nn.Select(0, 3), "expected a negative axis"),
        (lambda: nn.BatchNorm2d(4).check((3, 5, 5)), r"expects 4 channels on axis -3"),
        (lambda: nn.GroupNorm(3, 4), "a number of groups that divides the features"),
        (lambda: nn.LayerNorm(()), "LayerNorm: shape: expected one or more axes"),
        (lambda: nn.RMSNorm(4).check((3,)), "expects 4 features"),
        (lambda: nn.MultiheadAttention(8, 3), "a number of heads that divides the features"),
        (lambda: nn.TransformerEncoderLayer(8, 2).check((5, 4)), "expects 8 features"),
        (lambda: nn.LearnedPositions(3, 4).check((5, 4)), "expects at most 3 steps"),
        (lambda: nn.SinusoidalPositions(3, 5), "an even number of features"),
        (lambda: nn.rotary(normal(2, 3)), "rotary: expected an even number of features"),
        (lambda: nn.Embedding(0, 3), "Embedding: count: expected an integer of 1 or more, found 0"),
        (lambda: nn.LSTM(3, 0), "LSTM: hidden: expected an integer of 1 or more, found 0"),
        (lambda: nn.GRU(3, 2).check((0, 3)), "expects one or more steps"),
        (lambda: nn.Mamba(0), "Mamba: features: expected an integer of 1 or more"),
        (lambda: nn.LSTM("4", 2), "LSTM: inputs: expected an integer of 1 or more, found '4'"),
        (lambda: nn.BatchNorm1d("3"), "BatchNorm: features: expected an integer of 1 or more, found '3'"),
        (lambda: nn.Dropout("a"), r"expected a probability in \[0, 1\), found 'a'"),
        (lambda: nn.Dropout(1.0), r"expected a probability in \[0, 1\)"),
        (lambda: nn.Residual(nn.Linear(4, 3)).check((4,)), r"expects a layer that keeps the shape, which gives \[3\]"),
        (
            lambda: nn.Parallel(nn.Linear(4, 3), nn.Linear(4, 2)).check((4,)),
            r"layers that agree, which give \[3\] and \[2\]",
        ),
        (lambda: nn.apply(nn.BatchNorm1d(3), {}, {}, normal(1, 3), True), "two or more values of a channel"),
    ],
)
def test_shape_errors(action, reason):
    with pytest.raises(ShapeError, match=reason):
        action()


@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda: nn.apply(nn.Dropout(), {}, {}, normal(2), True), "expected a key in training"),
        (
            lambda: CONVNET(CONVNET.init(rng), normal(1, 3, 8, 8)),
            r"BatchNorm\(8, axis=-3\) needs its running statistics",
        ),
        (lambda: nn.apply(CONVNET, CONVNET.init(rng), {}, normal(1, 3, 8, 8)), "parameter or state .* is missing"),
        (lambda: nn.TransformerEncoderLayer(8, 2, activation="magic"), "activation: expected one of gelu, relu, silu"),
        (lambda: nn.Parallel(), "Parallel: expected one or more layers"),
    ],
)
def test_errors(action, reason):
    with pytest.raises(GraphError, match=reason):
        action()


def test_state_is_passed_in_and_handed_back():
    params, state = CONVNET.init(np.random.default_rng(0)), nn.init_state(CONVNET)
    assert sorted(state) == ["1", "4"]
    x = normal(4, 3, 8, 8)
    y, new = nn.apply(CONVNET, params, state, x, train=True, key=KEY)
    assert pytree.flatten(new)[1] == pytree.flatten(state)[1]
    assert not np.array_equal(new["1"]["running_mean"], state["1"]["running_mean"])
    assert (state["1"]["running_mean"] == 0).all()
    again, _ = nn.apply(CONVNET, params, state, x, train=True, key=KEY)
    np.testing.assert_array_equal(y, again)
    other, _ = nn.apply(CONVNET, params, state, x, train=True, key=ops.key(4))
    assert not np.array_equal(y, other)
    evaluated, same = nn.apply(CONVNET, params, new, x)
    assert same == new or all(map(np.array_equal, pytree.flatten(same)[0], pytree.flatten(new)[0]))
    traced = trace(lambda p, s, x, k: nn.apply(CONVNET, p, s, x, True, k), params, state, x, KEY)
    found, following = traced(params, state, x, KEY)
    np.testing.assert_allclose(found, y, atol=1e-6)
    np.testing.assert_allclose(following["4"]["1"]["running_var"], new["4"]["1"]["running_var"], rtol=1e-5)
    graph = nn.export_graph(CONVNET, params, (3, 8, 8), state=new)
    assert "1.running_mean" in {parameter.name for parameter in graph.parameters}
    np.testing.assert_allclose(run(graph, [x[1]])[0], evaluated[1], atol=1e-5)


def test_evaluation_of_one_example_does_not_depend_on_the_batch():
    params, state = CONVNET.init(np.random.default_rng(0)), nn.init_state(CONVNET)
    x = normal(4, 3, 8, 8)
    model = nn.evaluation(CONVNET, state)
    np.testing.assert_allclose(model(params, x)[2], model(params, x[2]), atol=1e-6)


def test_dropout_keeps_the_mean_and_is_a_function_of_the_key():
    x = np.ones((100, 100), np.float32)
    layer = nn.Dropout(0.2)
    y, _ = nn.apply(layer, {}, {}, x, train=True, key=KEY)
    assert set(np.unique(y)) == {np.float32(0), np.float32(1 / 0.8)}
    assert abs(y.mean() - 1) < 0.02
    np.testing.assert_array_equal(y, nn.apply(layer, {}, {}, x, train=True, key=KEY)[0])
    np.testing.assert_array_equal(nn.apply(layer, {}, {}, x)[0], x)
    slope = grad(lambda x: ops.sum(nn.apply(layer, {}, {}, x, train=True, key=KEY)[0]))(x)
    np.testing.assert_array_equal(slope, y)
    block = nn.Sequential(nn.Linear(3, 3), layer, layer)
    both, _ = nn.apply(block, block.init(rng), {}, np.ones((50, 3), np.float32), True, KEY)
    assert 0.2 < (both == 0).mean() < 0.55


def test_dropout_in_a_transformer_block():
    block = nn.TransformerEncoderLayer(8, 2, 16, dropout=0.5)
    params, x = block.init(np.random.default_rng(0)), normal(3, 5, 8)
    trained, _ = nn.apply(block, params, {}, x, train=True, key=KEY)
    assert not np.allclose(trained, block(params, x))
    decoder = nn.TransformerDecoderLayer(8, 2, 16, dropout=0.5)
    weights = decoder.init(np.random.default_rng(0))
    assert not np.allclose(decoder(weights, x, x, key=KEY), decoder(weights, x, x))


def test_causal_layers_do_not_look_ahead():
    x = normal(6, 8)
    for layer in (nn.TransformerEncoderLayer(8, 2, 16, causal=True, rotary=True), nn.Mamba(8, 4), nn.GRU(8, 4)):
        params = layer.init(np.random.default_rng(0))
        changed = x.copy()
        changed[4:] += 1
        first, second = layer(params, x), layer(params, changed)
        np.testing.assert_allclose(first[:4], second[:4], atol=1e-6)
        assert not np.allclose(first[4:], second[4:])


def test_causal_mask_of_few_queries_is_the_end_of_the_whole():
    assert nn.causal_mask(2, 4).tolist() == nn.causal_mask(4)[2:].tolist()


def test_rotary_products_depend_on_the_distance_only():
    q, k = rng.normal(size=(2, 1, 8))
    products = [[(nn.rotary(q, start=i) @ nn.rotary(k, start=j).T).item() for j in range(5)] for i in range(5)]
    for i in range(4):
        for j in range(4):
            assert products[i][j] == pytest.approx(products[i + 1][j + 1], rel=1e-10)
    x = rng.normal(size=(2, 6, 8))
    np.testing.assert_allclose(nn.rotary(x)[:, 4:], nn.rotary(x[:, 4:], start=4), rtol=1e-10)
    np.testing.assert_allclose(np.linalg.norm(nn.rotary(x), axis=-1), np.linalg.norm(x, axis=-1))


def test_sinusoids():
    table = nn.sinusoids(5, 4)
    np.testing.assert_allclose(table[3], [np.sin(3), np.cos(3), np.sin(0.03), np.cos(0.03)])


def test_recurrent_state_can_be_carried_over():
    for layer in (nn.RNN(3, 4, 2), nn.GRU(3, 4), nn.LSTM(3, 4, 2)):
        params, x = layer.init(np.random.default_rng(0)), normal(2, 6, 3)
        whole, final = layer.scan(params, x)
        first, middle = layer.scan(params, x[:, :4])
        second, last = layer.scan(params, x[:, 4:], middle)
        np.testing.assert_allclose(np.concatenate([first, second], 1), whole, atol=1e-6)
        for a, b in zip(pytree.flatten(final)[0], pytree.flatten(last)[0], strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6)


def test_mamba_is_its_recurrence():
    layer = nn.Mamba(4, states=3, expand=2, kernel=2)
    params = floats(layer.init(np.random.default_rng(0)))
    x = rng.normal(size=(5, 4))

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    u, gate = np.split(x @ params["in_proj"]["weight"].T, 2, -1)
    weight, bias = params["conv1d"]["weight"][:, 0], params["conv1d"]["bias"]
    before = np.vstack([np.zeros((1, 8)), u])
    u = before[:-1] * weight[:, 0] + before[1:] * weight[:, 1] + bias
    u = u * sigmoid(u)
    made = u @ params["x_proj"]["weight"].T
    rank = layer.step_rank
    step = np.log1p(np.exp(made[:, :rank] @ params["dt_proj"]["weight"].T + params["dt_proj"]["bias"]))
    b, c = made[:, rank : rank + 3], made[:, rank + 3 :]
    h, rows = np.zeros((8, 3)), []
    for t in range(5):
        h = np.exp(-np.exp(params["A_log"]) * step[t][:, None]) * h + (step[t] * u[t])[:, None] * b[t]
        rows.append(h @ c[t] + params["D"] * u[t])
    expected = (np.stack(rows) * gate * sigmoid(gate)) @ params["out_proj"]["weight"].T
    np.testing.assert_allclose(layer(params, x), expected, rtol=1e-10)


def test_layer_norm_of_an_axis_of_size_one_is_the_bias():
    params = {"weight": np.ones(1), "bias": np.full(1, 0.5)}
    assert nn.LayerNorm(1)(params, rng.normal(size=(4, 1))).tolist() == [[0.5]] * 4


def test_checkpoint_of_a_block():
    block = nn.TransformerEncoderLayer(8, 2, 16)
    params, x = block.init(np.random.default_rng(0)), normal(5, 8)
    plain = grad(lambda p: ops.sum(block(p, x)))(params)
    saved = grad(lambda p: ops.sum(checkpoint(block)(p, x)))(params)
    for a, b in zip(pytree.flatten(plain)[0], pytree.flatten(saved)[0], strict=True):
        np.testing.assert_array_equal(a, b)


def test_initialisers():
    square = nn.init.orthogonal(np.random.default_rng(0), (6, 2, 3), dtype="float64").reshape(6, 6)
    np.testing.assert_allclose(square @ square.T, np.eye(6), atol=1e-12)
    wide = nn.init.orthogonal(np.random.default_rng(0), (2, 6), 2.0, dtype="float64")
    np.testing.assert_allclose(wide @ wide.T, 4 * np.eye(2), atol=1e-12)
    assert abs(nn.init.fan_in_uniform(rng, (50, 64))).max() <= 1 / 8
    assert abs(nn.init.normal(rng, (100, 100)).std() - 0.02) < 1e-3


def test_names_of_layers():
    assert str(nn.Conv2d(3, 8, 3, 2, padding=[1, 2])) == "Conv2d(3, 8, 3, stride=2, padding=(1, 2))"
    assert str(nn.LeakyReLU(0.2)) == "LeakyReLU(0.2)"
    assert str(nn.Residual(nn.Sequential(nn.ReLU()))) == "Residual(Sequential(ReLU))"
    assert hash(nn.Conv2d(3, 8, [3, 3])) == hash(nn.Conv2d(3, 8, (3, 3)))
