"""Layers against PyTorch's with the same parameters: values and gradients in float64."""

import numpy as np
import pytest

from tlverify.core import nn, pytree, vjp

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tlverify[torch]'")
torch.set_num_threads(1)
T = torch.nn
rng = np.random.default_rng(23)


def normal(*shape):
    return rng.normal(size=shape)


IMAGE, SIGNAL, VOLUME, STEPS = normal(3, 4, 7, 6), normal(3, 4, 9), normal(2, 4, 5, 6, 4), normal(3, 5, 8)
BLOCK = {"dropout": 0.0, "batch_first": True}

# name: (our layer, PyTorch's, input)
CASES = {
    "Linear": (nn.Linear(8, 3), T.Linear(8, 3), STEPS),
    "Conv1d": (nn.Conv1d(4, 6, 3, 2, 1, 2, 2), T.Conv1d(4, 6, 3, 2, 1, 2, 2), SIGNAL),
    "Conv2d": (nn.Conv2d(4, 6, (3, 2), (2, 1), (1, 0)), T.Conv2d(4, 6, (3, 2), (2, 1), (1, 0)), IMAGE),
    "Conv3d": (nn.Conv3d(4, 2, (3, 2, 1), padding=1), T.Conv3d(4, 2, (3, 2, 1), padding=1), VOLUME),
    "ConvTranspose1d": (
        nn.ConvTranspose1d(4, 6, 3, 2, 1, output_padding=1, groups=2),
        T.ConvTranspose1d(4, 6, 3, 2, 1, output_padding=1, groups=2),
        SIGNAL,
    ),
    "ConvTranspose2d": (
        nn.ConvTranspose2d(4, 6, 3, (2, 3), output_padding=1, dilation=2),
        T.ConvTranspose2d(4, 6, 3, (2, 3), output_padding=1, dilation=2),
        IMAGE,
    ),
    "MaxPool1d": (nn.MaxPool1d(2), T.MaxPool1d(2), SIGNAL),
    "MaxPool2d": (nn.MaxPool2d(3, 2, 1), T.MaxPool2d(3, 2, 1), IMAGE),
    "MaxPool3d": (nn.MaxPool3d(2), T.MaxPool3d(2), VOLUME),
    "AvgPool1d": (nn.AvgPool1d(3, 2, 1), T.AvgPool1d(3, 2, 1), SIGNAL),
    "AvgPool2d": (nn.AvgPool2d((2, 3), 1, (1, 0)), T.AvgPool2d((2, 3), 1, (1, 0)), IMAGE),
    "AvgPool3d": (nn.AvgPool3d(2, 1), T.AvgPool3d(2, 1), VOLUME),
    "AdaptiveAvgPool2d": (nn.AdaptiveAvgPool2d((3, 4)), T.AdaptiveAvgPool2d((3, 4)), IMAGE),
    "Resize": (nn.Resize((14, 12)), T.Upsample((14, 12)), IMAGE),
    "LayerNorm": (nn.LayerNorm((5, 8)), T.LayerNorm((5, 8)), STEPS),
    "RMSNorm": (nn.RMSNorm(8), T.RMSNorm(8, eps=1e-5), STEPS),
    "GroupNorm": (nn.GroupNorm(2, 4), T.GroupNorm(2, 4), IMAGE),
    "InstanceNorm": (nn.InstanceNorm(4), T.InstanceNorm2d(4), IMAGE),
    "RNN": (nn.RNN(8, 6, 2), T.RNN(8, 6, 2, batch_first=True), STEPS),
    "GRU": (nn.GRU(8, 6), T.GRU(8, 6, batch_first=True), STEPS),
    "LSTM": (nn.LSTM(8, 6, 2), T.LSTM(8, 6, 2, batch_first=True), STEPS),
    "MultiheadAttention": (nn.MultiheadAttention(8, 2), T.MultiheadAttention(8, 2, batch_first=True), STEPS),
    "TransformerEncoderLayer": (
        nn.TransformerEncoderLayer(8, 2, 16, 0.0),
        T.TransformerEncoderLayer(8, 2, 16, **BLOCK),
        STEPS,
    ),
    "TransformerEncoderLayer norm_first": (
        nn.TransformerEncoderLayer(8, 4, 16, 0.0, "gelu", norm_first=True),
        T.TransformerEncoderLayer(8, 4, 16, activation="gelu", norm_first=True, **BLOCK),
        STEPS,
    ),
    "ELU": (nn.ELU(0.5), T.ELU(0.5), IMAGE),
    "GELU": (nn.GELU(), T.GELU(), IMAGE),
    "LeakyReLU": (nn.LeakyReLU(0.2), T.LeakyReLU(0.2), IMAGE),
    "LogSoftmax": (nn.LogSoftmax(), T.LogSoftmax(-1), IMAGE),
    "ReLU": (nn.ReLU(), T.ReLU(), IMAGE),
    "SiLU": (nn.SiLU(), T.SiLU(), IMAGE),
    "Sigmoid": (nn.Sigmoid(), T.Sigmoid(), IMAGE),
    "Softmax": (nn.Softmax(1), T.Softmax(1), IMAGE),
    "Softplus": (nn.Softplus(), T.Softplus(), IMAGE),
    "Tanh": (nn.Tanh(), T.Tanh(), IMAGE),
}


def parameters(module):
    """The parameters of a module in float64, as the tree that its dotted names describe."""
    tree = {}
    for name, value in module.double().named_parameters():
        *path, last = name.split(".")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[last] = value.detach().numpy().copy()
    return tree


def theirs(module, x):
    if isinstance(module, T.MultiheadAttention):
        return module(x, x, x)[0]
    result = module(x)
    return result[0] if isinstance(result, tuple) else result


def by_path(tree):
    leaves, treedef = pytree.flatten(tree)
    return dict(zip(pytree.paths(treedef), leaves, strict=True))


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradients(name):
    layer, module, x = CASES[name]
    params = parameters(module)
    own = layer.init(np.random.default_rng(0))
    assert {path: leaf.shape for path, leaf in by_path(own).items()} == {
        path: leaf.shape for path, leaf in by_path(params).items()
    }
    y, pullback = vjp(lambda params, x: layer(params, x), params, x)
    given = torch.tensor(x, requires_grad=True)
    expected = theirs(module, given)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-11)
    assert layer.check(x.shape) == y.shape
    cotangent = normal(*y.shape)
    module.zero_grad()
    expected.backward(torch.tensor(cotangent))
    by_params, by_x = pullback(cotangent)
    np.testing.assert_allclose(by_x, given.grad.numpy(), rtol=1e-7, atol=1e-9)
    wanted = {path: value.grad.numpy() for path, value in module.named_parameters()}
    for path, found in by_path(by_params).items():
        np.testing.assert_allclose(found, wanted[path], rtol=1e-7, atol=1e-9, err_msg=path)


def test_decoder_layer():
    layer = nn.TransformerDecoderLayer(8, 2, 16, 0.0)
    module = T.TransformerDecoderLayer(8, 2, 16, **BLOCK)
    params, memory = parameters(module), normal(3, 4, 8)
    causal = T.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64)
    expected = module(torch.tensor(STEPS), torch.tensor(memory), tgt_mask=causal)
    np.testing.assert_allclose(layer(params, STEPS, memory), expected.detach().numpy(), rtol=1e-9, atol=1e-11)


def test_causal_attention():
    layer = nn.MultiheadAttention(8, 2, causal=True)
    module = T.MultiheadAttention(8, 2, batch_first=True)
    params, x = parameters(module), torch.tensor(STEPS)
    mask = torch.ones(5, 5, dtype=bool).triu(1)
    expected = module(x, x, x, attn_mask=mask)[0]
    np.testing.assert_allclose(layer(params, STEPS), expected.detach().numpy(), rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(
    ("layer", "module", "x"),
    [
        (nn.BatchNorm1d(8), T.BatchNorm1d(8), normal(6, 8)),
        (nn.BatchNorm2d(4, momentum=0.3), T.BatchNorm2d(4, momentum=0.3), IMAGE),
        (nn.BatchNorm3d(4), T.BatchNorm3d(4), VOLUME),
    ],
    ids=["1d", "2d", "3d"],
)
def test_batch_norm_in_training_and_evaluation(layer, module, x):
    params = parameters(module)
    state = pytree.map(np.float64, layer.init_state())
    for _ in range(3):
        x = x * 1.5 + 0.3
        given = torch.tensor(x, requires_grad=True)
        expected = module.train()(given)
        (
            y,
            pullback,
        ) = vjp(lambda x, s=state: nn.apply(layer, params, s, x, train=True)[0], x)
        np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9)
        cotangent = normal(*y.shape)
        expected.backward(torch.tensor(cotangent))
        np.testing.assert_allclose(pullback(cotangent)[0], given.grad.numpy(), rtol=1e-6, atol=1e-9)
        _, state = nn.apply(layer, params, state, x, train=True)
        np.testing.assert_allclose(state["running_mean"], module.running_mean.numpy(), rtol=1e-9)
        np.testing.assert_allclose(state["running_var"], module.running_var.numpy(), rtol=1e-9)
        assert layer.check(x.shape) == x.shape
    evaluated = module.eval()(torch.tensor(x)).detach().numpy()
    np.testing.assert_allclose(nn.evaluation(layer, state)(params, x), evaluated, rtol=1e-9)


def test_embedding():
    module = T.Embedding(5, 3)
    ids = np.array([[4, 0], [1, 1]])
    expected = module.double()(torch.tensor(ids)).detach().numpy()
    np.testing.assert_array_equal(nn.Embedding(5, 3)(parameters(module), ids), expected)


def test_scaled_dot_product_attention():
    q, k, v = normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 4)
    mask = rng.random((3, 5)) > 0.3
    mask[:, 0] = True
    expected = torch.nn.functional.scaled_dot_product_attention(*map(torch.tensor, (q, k, v)), torch.tensor(mask))
    np.testing.assert_allclose(nn.attend(q, k, v, mask), expected.numpy(), rtol=1e-9)
