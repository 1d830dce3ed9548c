"""Fifteen mistakes that deep learning code is known for, each with its story and what is done here instead."""

from __future__ import annotations

import numpy as np
import pytest

from tlverify.core import grad, models, nn, ops, run, trace, vjp
from tlverify.graph import GraphError, ShapeError
from tlverify.train import data, losses

rng = np.random.default_rng(51)


def normal(*shape):
    return rng.normal(size=shape).astype(np.float32)


def test_norm_state() -> None:
    """Forgotten `model.eval()`: predictions depend on what else is in the batch, and change the statistics.

    Here the mode is an argument, the statistics are a value, and a model that needs them does not run without.
    """
    model = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4))
    params, state, x = model.init(rng), nn.init_state(model), normal(6, 3)
    with pytest.raises(GraphError, match="needs its running statistics"):
        model(params, x)
    _, trained = nn.apply(model, params, state, x, train=True)
    evaluated, same = nn.apply(model, params, trained, x)
    np.testing.assert_array_equal(same["1"]["running_mean"], trained["1"]["running_mean"])
    alone, _ = nn.apply(model, params, trained, x[:1])
    np.testing.assert_allclose(alone, evaluated[:1], atol=1e-6)


def test_attention_mask() -> None:
    """A mask that adds -1e4 leaks a little; one of -inf makes a row without any key NaN, and its gradient too.

    Here the weights of masked keys are exactly 0, a row without keys is 0, and so are its derivatives.
    """
    q, k, v = normal(3, 4), normal(5, 4), normal(5, 4)
    mask = np.array([[True, True, False, False, False], [True] * 5, [False] * 5])
    changed = v.copy()
    changed[2:] = 1e30
    np.testing.assert_array_equal(nn.attend(q, k, v, mask)[0], nn.attend(q, k, changed, mask)[0])
    result, pullback = vjp(lambda q: nn.attend(q, k, v, mask), q)
    assert not result[2].any()
    assert np.isfinite(pullback(np.ones_like(result))[0]).all()


def test_batch_invariance() -> None:
    """The output for an example should not depend on its neighbours: mixing axes is the usual cause."""
    model = models.transformer_encoder(3, 2, 8, 8, 2, 1)
    params, x = model.init(rng), normal(4, 5, 3)
    np.testing.assert_allclose(model(params, x)[2], model(params, x[2]), atol=1e-5)
    other = x.copy()
    other[0] += 100
    np.testing.assert_allclose(model(params, other)[1:], model(params, x)[1:], atol=1e-5)


GPT = models.gpt(9, 8, features=8, heads=2, depth=2)


def test_key_value_cache() -> None:
    """A cache that forgets to shift positions, or lets new tokens look ahead, gives other logits than the model."""
    params, tokens = GPT.init(rng), np.array([3, 1, 4, 1, 5])
    whole = GPT(params, tokens)
    first, cache = models.next_logits(GPT, params, tokens[:3], models.Cache())
    second, _ = models.next_logits(GPT, params, tokens[3:], cache)
    np.testing.assert_allclose(np.stack([first, second]), whole[[2, 4]], atol=1e-5)


def test_rotary_positions() -> None:
    """With a cache, rotary angles must go on at the position of the new token, not begin again at 0."""
    x = normal(6, 4)
    np.testing.assert_allclose(nn.rotary(x)[5:], nn.rotary(x[5:], start=5), atol=1e-6)
    assert not np.allclose(nn.rotary(x)[5:], nn.rotary(x[5:]))


def test_tokenizer_boundary() -> None:
    """Encoding a text in pieces is not encoding the text: merges cross the cut, and so do bytes of a character."""
    tokenizer = data.BPETokenizer.train("abababab", 257)
    assert tokenizer.encode("ab") != tokenizer.encode("a") + tokenizer.encode("b")
    pieces = tokenizer.encode("a") + tokenizer.encode("b")
    assert tokenizer.decode(pieces) == tokenizer.decode(tokenizer.encode("ab")) == "ab"
    half = data.ByteTokenizer().encode("ü")[:1]
    assert data.ByteTokenizer().decode(half) == "\ufffd"


def test_compiler_boundary() -> None:
    """A compiled step that disagrees with the eager one: here both run one graph, and a test compares every op.

    A Python `if` on a traced value is refused, where tracing would silently keep one branch.
    """
    model = nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2))
    params, x = model.init(rng), normal(5, 3)
    graph = trace(model, params, x).graph
    leaves = [params["0"]["bias"], params["0"]["weight"], params["2"]["bias"], params["2"]["weight"], x]
    np.testing.assert_array_equal(run(graph, leaves)[0], run(graph, leaves, check=True)[0])
    with pytest.raises(TypeError, match=r"has no value while it is traced; use ops.where instead of if"):
        trace(lambda x: x if x > 0.0 else -x, np.float32(1.0))


def test_shape_broadcast() -> None:
    """Targets (n,) against outputs (n, 1) broadcast to (n, n), and the loss goes down to the mean of the targets."""
    with pytest.raises(ShapeError, match=r"found \[4, 1\] and \[4\]; reshape the targets"):
        losses.mse(normal(4, 1), normal(4))


def test_stable_loss() -> None:
    """log(softmax(x)) overflows; a loss from logits does not, and neither does its gradient."""
    logits = np.array([[1000.0, -1000.0]])
    gradient = grad(lambda x: losses.cross_entropy(x, np.array([1])))(logits)
    assert losses.cross_entropy(logits, np.array([1])) == 2000
    assert gradient.tolist() == [[1, -1]]
    assert losses.bce_with_logits(logits, np.array([[0.0, 1.0]])) == 1000


def test_ignored_label() -> None:
    """Padding that counts in the mean makes short sequences weigh less; one that has a gradient trains on it."""
    logits, labels = normal(4, 3), np.array([0, -100, 2, -100])
    expected = losses.cross_entropy(logits[[0, 2]], labels[[0, 2]])
    np.testing.assert_allclose(losses.cross_entropy(logits, labels, ignore=-100), expected, rtol=1e-6)
    gradient = grad(lambda x: losses.cross_entropy(x, labels, ignore=-100))(logits)
    assert not gradient[[1, 3]].any()


def test_autograd_domain() -> None:
    """`where(x > 0, log(x), 0)` has the derivative NaN at 0, as 0 * infinity: the branch not taken must be safe too."""
    x = np.array([0.0, 2.0])
    with np.errstate(divide="ignore", invalid="ignore"):
        naive = grad(lambda x: ops.sum(ops.where(x > 0.0, ops.log(x), 0)))(x)
    safe = grad(lambda x: ops.sum(ops.where(x > 0.0, ops.log(ops.where(x > 0.0, x, 1)), 0)))(x)
    assert np.isnan(naive[0])
    assert safe.tolist() == [0, 0.5]
    for loss in (losses.bce, losses.kl_divergence):
        assert np.isfinite(grad(lambda p, loss=loss: loss(p, np.array([[0.0, 1.0]])))(np.array([[0.0, 1.0]]))).all()


def test_float_boundary() -> None:
    """Float64 numbers that slip into float32 code are converted, slowly and silently; here they are an error."""
    with pytest.raises(ShapeError, match=r"have different dtypes; cast one"):
        ops.add(normal(3), rng.normal(size=3))
    assert ops.mul(normal(3), 0.1).dtype == np.float32


def test_layer_norm_of_a_degenerate_axis() -> None:
    """Normalising an axis of size 1 gives 0 whatever the input: the layer is dead, and eps hides it."""
    assert not nn.LayerNorm(1, affine=False)({}, normal(5, 1)).any()
    constant = np.full((2, 4), 3.0, np.float32)
    assert not nn.LayerNorm(4, affine=False)({}, constant).any()
    assert np.isfinite(grad(lambda x: ops.sum(nn.LayerNorm(4, affine=False)({}, x)))(constant)).all()


def test_constant_slice() -> None:
    """A slice past the end is empty, and its mean NaN. Here an index past the end is an error, and so is that mean."""
    x = normal(3, 4)
    with pytest.raises(ShapeError, match="index 4 is outside an axis of size 4"):
        ops.slice(x, ..., 4)
    with pytest.raises(ShapeError, match="mean: no elements along axes"):
        ops.mean(ops.slice(x, slice(3, None)), 0)


def test_projection() -> None:
    """Heads are cut from features by reshape and transpose, in this order; a reshape alone mixes steps and heads."""
    layer = nn.MultiheadAttention(4, 2)
    params, x = layer.init(rng), normal(3, 4)
    size = 4
    w, b = params["in_proj_weight"], params["in_proj_bias"]
    heads = []
    for head in (slice(0, 2), slice(2, 4)):
        q, k, v = (x @ w[i * size :][head].T + b[i * size :][head] for i in range(3))
        heads.append(nn.attend(q, k, v))
    expected = np.concatenate(heads, -1) @ params["out_proj"]["weight"].T + params["out_proj"]["bias"]
    np.testing.assert_allclose(layer(params, x), expected, atol=1e-5)
