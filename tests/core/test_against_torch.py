"""Values and gradients of the public functions against PyTorch, in float64."""

import numpy as np
import pytest

from tlverify.core import ops, vjp

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tlverify[torch]'")
torch.set_num_threads(1)
F = torch.nn.functional
rng = np.random.default_rng(17)


def normal(*shape):
    return rng.normal(size=shape)


def spd(n):
    a = normal(2, n, n)
    return a @ a.swapaxes(1, 2) + np.eye(n)


X, IMAGE, SIGNAL, VOLUME = normal(3, 4), normal(2, 4, 7, 6), normal(2, 4, 9), normal(2, 2, 5, 6, 4)
IDS = np.array([[2, 0, 1], [1, 1, 2]])
MASK = rng.random((3, 4)) > 0.3
MASK[:, 0] = True

# name: (ours, PyTorch's, arguments)
CASES = {
    "elu": (ops.elu, F.elu, [X]),
    "gelu": (ops.gelu, F.gelu, [X]),
    "gelu tanh": (lambda x: ops.gelu(x, True), lambda x: F.gelu(x, approximate="tanh"), [X]),
    "glu": (ops.glu, F.glu, [X]),
    "hard_sigmoid": (ops.hard_sigmoid, F.hardsigmoid, [4 * X]),
    "hard_swish": (ops.hard_swish, F.hardswish, [4 * X]),
    "leaky_relu": (ops.leaky_relu, F.leaky_relu, [X]),
    "log_sigmoid": (ops.log_sigmoid, F.logsigmoid, [X]),
    "log_softmax": (ops.log_softmax, lambda x: F.log_softmax(x, -1), [X]),
    "masked_softmax": (
        lambda x: ops.masked_softmax(x, MASK),
        lambda x: torch.softmax(x.masked_fill(~torch.tensor(MASK), -torch.inf), -1),
        [X],
    ),
    "mish": (ops.mish, F.mish, [X]),
    "relu6": (ops.relu6, F.relu6, [4 * X]),
    "selu": (ops.selu, F.selu, [X]),
    "sigmoid": (ops.sigmoid, torch.sigmoid, [X]),
    "silu": (ops.silu, F.silu, [X]),
    "softmax": (ops.softmax, lambda x: F.softmax(x, -1), [X]),
    "softplus": (ops.softplus, F.softplus, [X]),
    "softsign": (ops.softsign, F.softsign, [X]),
    **{name: (getattr(ops, name), getattr(torch, name), [X]) for name in ("cos", "erf", "expm1", "sin", "tanh")},
    "log1p": (ops.log1p, torch.log1p, [np.abs(X)]),
    "pow": (ops.pow, torch.pow, [np.abs(X), normal(3, 4)]),
    "logsumexp": (ops.logsumexp, lambda x: torch.logsumexp(x, -1), [X]),
    "norm": (lambda x: ops.norm(x, 1), lambda x: torch.linalg.vector_norm(x, dim=1), [X]),
    "norm 3": (lambda x: ops.norm(x, 1, order=3), lambda x: torch.linalg.vector_norm(x, 3, dim=1), [X]),
    "var": (lambda x: ops.var(x, 1, correction=1), lambda x: torch.var(x, 1), [X]),
    "cumsum": (lambda x: ops.cumsum(x, 0), lambda x: torch.cumsum(x, 0), [X]),
    "sort": (lambda x: ops.sort(x, descending=True), lambda x: torch.sort(x, descending=True).values, [X]),
    "topk": (lambda x: ops.topk(x, 2)[0], lambda x: torch.topk(x, 2).values, [X]),
    "embedding": (lambda w: ops.embedding(IDS, w), lambda w: F.embedding(torch.tensor(IDS), w), [X]),
    "take_along_axis": (
        lambda x: ops.take_along_axis(x, IDS, 0),
        lambda x: torch.gather(x, 0, torch.tensor(IDS)),
        [normal(3, 3)],
    ),
    "scatter_add": (
        lambda x: ops.scatter_add(x, IDS[0], 5),
        lambda x: torch.zeros(5, 4, dtype=torch.float64).index_add(0, torch.tensor(IDS[0]), x),
        [X],
    ),
    "roll": (lambda x: ops.roll(x, 2, 1), lambda x: torch.roll(x, 2, 1), [X]),
    "flip": (lambda x: ops.flip(x, 1), lambda x: torch.flip(x, [1]), [X]),
    "repeat": (lambda x: ops.repeat(x, 2, 1), lambda x: torch.repeat_interleave(x, 2, 1), [X]),
    "chunk": (lambda x: ops.chunk(x, 3, 1)[1], lambda x: torch.chunk(x, 3, 1)[1], [normal(2, 7)]),
    "einsum": (
        lambda a, b: ops.einsum("ij,kjl->kil", a, b),
        lambda a, b: torch.einsum("ij,kjl->kil", a, b),
        [X, normal(2, 4, 5)],
    ),
    "cholesky": (ops.cholesky, torch.linalg.cholesky, [spd(3)]),
    "qr q": (lambda x: ops.qr(x)[0], lambda x: torch.linalg.qr(x)[0], [normal(2, 4, 3)]),
    "qr r": (lambda x: ops.qr(x)[1], lambda x: torch.linalg.qr(x)[1], [normal(2, 4, 3)]),
    "solve": (ops.solve, torch.linalg.solve, [spd(3), normal(2, 3, 2)]),
    "inv": (ops.inv, torch.linalg.inv, [spd(3)]),
    "rfft": (ops.rfft, lambda x: torch.view_as_real(torch.fft.rfft(x)), [normal(3, 7)]),
    "irfft": (
        lambda x: ops.irfft(x, 7),
        lambda x: torch.fft.irfft(torch.view_as_complex(x), 7),
        [normal(3, 4, 2)],
    ),
    "fft": (ops.fft, lambda x: torch.view_as_real(torch.fft.fft(torch.view_as_complex(x))), [normal(3, 4, 2)]),
    "conv1d": (
        lambda *a: ops.conv1d(*a, stride=2, padding=3, dilation=2, groups=2),
        lambda *a: F.conv1d(*a, stride=2, padding=3, dilation=2, groups=2),
        [SIGNAL, normal(6, 2, 3), normal(6)],
    ),
    "conv2d": (
        lambda *a: ops.conv2d(*a, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        lambda *a: F.conv2d(*a, stride=(2, 1), padding=(1, 2), dilation=(1, 2), groups=2),
        [IMAGE, normal(6, 2, 3, 2), normal(6)],
    ),
    "conv3d": (
        lambda *a: ops.conv3d(*a, stride=(2, 1, 2), padding=(1, 2, 0), dilation=(1, 2, 1)),
        lambda *a: F.conv3d(*a, stride=(2, 1, 2), padding=(1, 2, 0), dilation=(1, 2, 1)),
        [VOLUME, normal(3, 2, 3, 2, 2), normal(3)],
    ),
    "conv_transpose1d": (
        lambda *a: ops.conv_transpose1d(*a, stride=3, padding=1, output_padding=2, groups=2, dilation=2),
        lambda *a: F.conv_transpose1d(*a, stride=3, padding=1, output_padding=2, groups=2, dilation=2),
        [SIGNAL, normal(4, 3, 3), normal(6)],
    ),
    "conv_transpose2d": (
        lambda *a: ops.conv_transpose2d(*a, stride=(2, 3), padding=(1, 0), output_padding=(1, 2), groups=2),
        lambda *a: F.conv_transpose2d(*a, stride=(2, 3), padding=(1, 0), output_padding=(1, 2), groups=2),
        [IMAGE, normal(4, 3, 3, 2), normal(6)],
    ),
    "max_pool1d": (lambda x: ops.max_pool1d(x, 3, 2, 1), lambda x: F.max_pool1d(x, 3, 2, 1), [SIGNAL]),
    "avg_pool1d": (lambda x: ops.avg_pool1d(x, 3, 2, 1), lambda x: F.avg_pool1d(x, 3, 2, 1), [SIGNAL]),
    "max_pool2d": (lambda x: ops.max_pool2d(x, 3, 2, 1), lambda x: F.max_pool2d(x, 3, 2, 1), [IMAGE]),
    "avg_pool2d": (
        lambda x: ops.avg_pool2d(x, (3, 2), 2, 1, False),
        lambda x: F.avg_pool2d(x, (3, 2), 2, 1, count_include_pad=False),
        [IMAGE],
    ),
    "max_pool3d": (lambda x: ops.max_pool3d(x, 3, 2, 1), lambda x: F.max_pool3d(x, 3, 2, 1), [VOLUME]),
    "avg_pool3d": (
        lambda x: ops.avg_pool3d(x, (2, 3, 2), 2, 1, False),
        lambda x: F.avg_pool3d(x, (2, 3, 2), 2, 1, count_include_pad=False),
        [VOLUME],
    ),
    "adaptive_avg_pool2d": (
        lambda x: ops.adaptive_avg_pool2d(x, (3, 4)),
        lambda x: F.adaptive_avg_pool2d(x, (3, 4)),
        [IMAGE],
    ),
    "resize nearest": (
        lambda x: ops.resize(x, (3, 11)),
        lambda x: F.interpolate(x, (3, 11), mode="nearest"),
        [IMAGE],
    ),
    **{
        f"resize linear {corners}": (
            lambda x, c=corners: ops.resize(x, (3, 11), "linear", c),
            lambda x, c=corners: F.interpolate(x, (3, 11), mode="bilinear", align_corners=c),
            [IMAGE],
        )
        for corners in (False, True)
    },
}


@pytest.mark.parametrize("name", CASES)
def test_value_and_gradient(name):
    ours, theirs, args = CASES[name]
    y, pullback = vjp(ours, *args)
    tensors = [torch.tensor(arg, requires_grad=True) for arg in args]
    expected = theirs(*tensors)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-9, atol=1e-11)
    cotangent = normal(*y.shape)
    wanted = torch.autograd.grad(expected, tensors, torch.tensor(cotangent))
    for found, gradient in zip(pullback(cotangent), wanted, strict=True):
        np.testing.assert_allclose(found, gradient.numpy(), rtol=1e-7, atol=1e-10)
