"""Modules that the tests import: ordinary layers and models, and functions by the dozen."""

import numpy as np
import torch
from torch import nn
from torch.nn import functional

torch.set_num_threads(1)


def floats(*shape):
    return np.zeros(shape, np.float32)


class Call(nn.Module):
    """A function as a module."""

    def __init__(self, function, **buffers):
        super().__init__()
        self.function = function
        for name, value in buffers.items():
            self.register_buffer(name, value)

    def forward(self, x):
        return self.function(x)


class First(nn.Module):
    """The first of the results of a module."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def forward(self, x):
        return self.module(x)[0]


class Block(nn.Module):
    """A residual block with addition and activation in place."""

    def __init__(self, channels):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.two = nn.Sequential(nn.Conv2d(channels, channels, 3, padding=1, bias=False), nn.BatchNorm2d(channels))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        y = self.two(self.relu(self.one(x)))
        y += x
        return self.relu(y)


class Normalized(nn.Module):
    """Images in 0..255, a stored mean, a division by a number."""

    def __init__(self):
        super().__init__()
        self.register_buffer("mean", torch.rand(3, 1, 1))
        self.linear = nn.Linear(48, 2)

    def forward(self, x):
        return self.linear(((x - self.mean) / 255).flatten(1))


class Attention(nn.Module):
    def __init__(self, need_weights):
        super().__init__()
        self.need_weights = need_weights
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=self.need_weights)[0]


class Language(nn.Module):
    """Tokens, positions, a causal mask of -inf, two encoder layers, a head."""

    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(3, 8)
        self.positions = nn.Parameter(torch.rand(1, 5, 8))
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.register_buffer("mask", torch.triu(torch.full((5, 5), float("-inf")), 1))
        self.head = nn.Linear(8, 3)

    def forward(self, tokens):
        x = self.embedding(tokens) + self.positions
        return self.head(self.encoder(x, mask=self.mask, is_causal=False))


class Causal(nn.Module):
    """Attention written out, with masked_fill by -inf."""

    def forward(self, x):
        scores = x @ x.transpose(-2, -1) * 0.5
        closed = torch.triu(torch.ones(4, 4, dtype=torch.bool), 1)
        return functional.dropout(scores.masked_fill(closed, float("-inf")).softmax(-1), 0.1, self.training) @ x


def statistics(module):
    """The module with running statistics other than 0 and 1."""
    for part in module.modules():
        if isinstance(part, nn.modules.batchnorm._BatchNorm):
            part.running_mean.normal_()
            part.running_var.uniform_(0.5, 2)
            nn.init.normal_(part.weight)
            nn.init.normal_(part.bias)
    return module


def activations(x):
    layers = (
        *(nn.ReLU(), nn.ReLU6(), nn.ELU(), nn.SELU(), nn.CELU(0.5), nn.GELU(), nn.GELU("tanh"), nn.SiLU(), nn.Mish()),
        *(nn.Sigmoid(), nn.Tanh(), nn.Softplus(), nn.Softplus(2), nn.Softsign(), nn.Hardswish(), nn.Hardsigmoid()),
        *(nn.Hardtanh(-0.5, 0.25), nn.LogSigmoid(), nn.LeakyReLU(0.2), nn.Tanhshrink(), nn.Hardshrink()),
        *(nn.Softshrink(), nn.GLU(), nn.Softmax(-1), nn.LogSoftmax(-1), nn.Threshold(0.1, 2.0)),
    )
    return tuple(layer(x) for layer in layers)


def arithmetic(x):
    size = x.abs() + 1
    return (
        *(x**2, x**3, size**1.5, size**0.5, torch.sqrt(size), torch.rsqrt(size), 1 / size, x / 3, x / 4, x / size),
        *(3 - x, x - 3, 2 * x, torch.add(x, x, alpha=0.5), torch.sub(x, x.flip(-1), alpha=2), -x, x.sign()),
        *(x.exp(), size.log(), x.expm1(), size.log1p(), x.sin(), x.cos(), x.erf(), size.reciprocal()),
        *(x.clamp(-0.5, 0.5), x.clamp_min(0.1), x.clamp_min(0), x.clamp_max(0.1), torch.maximum(x, -x)),
        *(torch.minimum(x, -x), torch.where(x > 0, x, 0.5), torch.where(x > 0, torch.zeros_like(x), x)),
        *(x.masked_fill(x > 0, -1.0), (x >= 0.1) & (x < 0.5), (x <= 0) | (x != 0), ~(x > 0), x.double(), x == 0),
    )


def shapes(x):
    """x (n, 4, 6)."""
    return (
        *(torch.cat(x.chunk(4, -1)[::-1], -1), torch.stack(x.split([1, 5], -1)[1].unbind(-1), -1), x[:, [1, 0]]),
        *(
            x.roll(1, -1),
            x.flip(-1),
            x.repeat(1, 2, 3),
            functional.pad(x, (1, 2)),
            functional.pad(x, (0, 1, 2, 0), value=0.5),
        ),
        *(x.transpose(1, 2), x.permute(0, 2, 1).reshape(-1, 24), x.unflatten(-1, (2, -1)), x[..., 1:5:2], x[:, -1]),
        *(x.unsqueeze(1).expand(-1, 3, -1, -1), x.unsqueeze(2).squeeze(2), x.tril(), x.triu(1), x.narrow(-1, 1, 2)),
        *(
            functional.pad(x, (0, 1, 2, 0), value=0.5),
            x * torch.arange(6),
            x.index_select(1, torch.tensor([2, 0])),
            x.split(4, -1)[1],
        ),
    )


def reductions(x):
    """x (n, 4, 6)."""
    return (
        *(x.sum((1, 2)), x.sum(1, keepdim=True), x.mean(-1), x.mean((1, 2)), x.mean(1), x.amax(-1), x.amin(1)),
        *(x.max(-1)[0], x.max(-1)[1], x.min(1)[0], x.argmax(-1), x.argmax(1, keepdim=True), x.var(-1), x.std(1)),
        *(x.var(-1, unbiased=False), x.norm(dim=-1), x.logsumexp(-1), x.cumsum(-1), functional.normalize(x, dim=-1)),
        *(x @ x.mT, torch.einsum("bij,bkj->bik", x, x), x.gather(1, x.argmax(1, keepdim=True))),
    )


def windows(x):
    """x (n, 4, 8, 8)."""
    layers = (
        *(nn.MaxPool2d(2), nn.MaxPool2d(3, 2, 1), nn.MaxPool2d(2, ceil_mode=True), nn.AvgPool2d(3, 2, 1)),
        *(nn.AvgPool2d((2, 3), count_include_pad=False), nn.AdaptiveAvgPool2d(1), nn.AdaptiveAvgPool2d((3, 2))),
        *(nn.AdaptiveMaxPool2d(2), nn.Upsample(scale_factor=2), nn.Upsample((5, 7)), nn.PixelShuffle(2)),
        *(nn.Upsample(scale_factor=2, mode="bilinear"), nn.Unfold(3, padding=1, stride=2), nn.InstanceNorm2d(4)),
        *(nn.ChannelShuffle(2), nn.ZeroPad2d((1, 0, 2, 1))),
    )
    return tuple(layer(x) for layer in layers)


CASES = {
    "activations": (Call(activations), floats(4, 6)),
    "arithmetic": (Call(arithmetic), floats(4, 6)),
    "shapes": (Call(shapes), floats(4, 6)),
    "reductions": (Call(reductions), floats(4, 6)),
    "windows": (Call(windows), floats(4, 8, 8)),
    "dense": (nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Dropout(), nn.Linear(8, 3, bias=False)), floats(4)),
    "convolutions": (
        nn.Sequential(
            *(nn.Conv2d(2, 4, 3, 2, 1), nn.LeakyReLU(), nn.Conv2d(4, 4, 2, padding="same", groups=2)),
            *(nn.ConvTranspose2d(4, 3, 3, 2, 1, 1), nn.BatchNorm2d(3), nn.GroupNorm(3, 3), nn.PReLU(3), nn.PReLU()),
        ),
        floats(2, 6, 6),
    ),
    "signals": (
        nn.Sequential(
            *(nn.Conv1d(2, 4, 3, padding="same"), nn.MaxPool1d(2), nn.ConvTranspose1d(4, 3, 3), nn.AvgPool1d(2)),
            *(nn.AdaptiveAvgPool1d(3), nn.BatchNorm1d(3), nn.Flatten(), nn.LayerNorm(9), nn.RMSNorm(9)),
        ),
        floats(2, 9),
    ),
    "volumes": (nn.Conv3d(2, 3, 2, padding=1), floats(2, 3, 3, 3)),
    "residual": (
        nn.Sequential(nn.Conv2d(3, 4, 3), Block(4), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)),
        floats(3, 8, 8),
    ),
    "normalized": (Normalized(), floats(3, 4, 4)),
    "attention": (Attention(False), floats(5, 8)),
    "attention with weights": (Attention(True), floats(5, 8)),
    "causal": (Causal(), floats(4, 6)),
    "encoder": (nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, activation="gelu"), floats(5, 8)),
    "language": (Language(), np.zeros(5, np.int64)),
    "gru": (First(nn.GRU(3, 4, 2, batch_first=True)), floats(4, 3)),
    "lstm": (First(nn.LSTM(3, 4, batch_first=True)), floats(4, 3)),
    "double": (nn.Sequential(nn.Linear(3, 2), nn.Tanh()).double(), np.zeros(3)),
}
