"""Steps of training beside PyTorch and JAX: the same models, parameters and batches, in turns in one run.

    PYTHONPATH=. python benchmarks/training.py --torch PYTHON --jax PYTHON [--only abg] [--threads 2] [--busy]
    PYTHONPATH=. python benchmarks/training.py --torch PYTHON --growth growth.svg
    PYTHONPATH=. python benchmarks/training.py --torch PYTHON --jax PYTHON --compile

PYTHON is an interpreter that has PyTorch, or JAX; without one that peer is left out. Each framework runs in a process
of its own with one thread, pinned to one processor, and they take turns; a figure is the median over the rounds of the
processor time of one step (forward, loss, backward, Adam), after the first ones, in which plans are made and code is
compiled. With more threads it is the time of the wall, on as many processors, and `NAME 1` is with one. `+ MB` is what
the first ten steps add to the peak memory of a process that has imported the framework. With `--busy` there are twice
as many busy processes as processors beside it, and the figure is how many times longer that takes. `--growth` is for
perceptrons of several widths, depths and batches, as a plot and a table beside it (.csv). `--compile` tells the seconds
until the first ten steps are done, and what of them is tracing, planning and code, with an empty cache and with a full
one. `torch best` has the fused Adam, images in channels-last order, and `torch.compile` for b, e
and g, but not a, where it costs more than it saves. `scan` and `jax scan` take many steps at once (`Stepper.scan`,
`jax.lax.scan`), on a, where a step is shorter than a call. The losses after ten steps are compared. With `--gpu` native
(one CUDA graph), plan (CuPy), torch and `torch best` (CUDA graphs by `torch.compile(mode="reduce-overhead")`) run on a
GPU, all with the interpreter of this script, and times are of the wall.

a  MLP 2-8-1, batch 16               b  MLP 784-256-256-10, batch 128
c  CNN 1x28x28, 3x3 convolutions 16 and 32 (stride 2), linear, batch 64
d  CNN 3x32x32, four 3x3 convolutions 32, 32 (stride 2), 64, 64 (stride 2), linear, batch 64
e  GPT: 4 layers, 128 features, 4 heads, context 64, 96 tokens, batch 16
f  LSTM 128, 64 steps, batch 32      g  interval bound propagation on b      h  CROWN-IBP on b, half of each
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

WORKLOADS = "abcdefgh"
RATE, EPSILON = 1e-3, 0.1
REPEATS = {"a": 2000, "b": 20, "c": 8, "d": 2, "e": 2, "f": 4, "g": 10, "h": 2}
SHAPES = {
    "a": (16, 2),
    "b": (128, 784),
    "c": (64, 1, 28, 28),
    "d": (64, 3, 32, 32),
    "f": (32, 64, 128),
    "g": (128, 784),
    "h": (128, 784),
}
GROWTH = {
    "width": [f"mlp-{n}-3-128" for n in (32, 64, 128, 256, 512, 1024)],
    "depth": [f"mlp-256-{n}-128" for n in (2, 4, 8, 16, 32)],
    "batch": [f"mlp-256-3-{n}" for n in (8, 32, 128, 512, 2048)],
}
"""mlp-WIDTH-LAYERS-BATCH, of 784 inputs and 10 classes"""
GPU = os.environ.get("BENCHMARK_DEVICE") == "gpu"
WARM = 1.0  # seconds of steps that are not counted, once all frameworks have compiled
THREADS = int(os.environ.get("BENCHMARK_THREADS", "1"))
clock = time.perf_counter if GPU or os.environ.get("BENCHMARK_WALL") == "True" else time.process_time
Steps = Callable[[int], float]
"""So many steps; the loss before the last one."""


def sizes_of(workload: str) -> tuple[list[int], int]:
    """Of mlp-WIDTH-LAYERS-BATCH: the sizes of its values, and the batch."""
    width, layers, count = map(int, workload.split("-")[1:])
    return [784, *[width] * (layers - 1), 10], count


def batch(workload: str) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    if workload == "e":
        return rng.integers(0, 96, (16, 64)), rng.integers(0, 96, (16, 64))
    shape = (sizes_of(workload)[1], 784) if workload.startswith("mlp") else SHAPES[workload]
    x = rng.random(shape, np.float32)
    y = rng.random((16, 1), np.float32) if workload == "a" else rng.integers(0, 10, len(x))
    return x, y


# tlverify


def our_model(workload: str) -> Any:
    from tlverify import models, nn

    relu = nn.ReLU()
    if workload.startswith("mlp"):
        sizes = sizes_of(workload)[0]
        return nn.Sequential(*[p for m, n in pairwise(sizes) for p in (nn.Linear(m, n), relu)][:-1])
    if workload == "a":
        return nn.Sequential(nn.Linear(2, 8), relu, nn.Linear(8, 1))
    if workload in "bgh":
        return nn.Sequential(nn.Linear(784, 256), relu, nn.Linear(256, 256), relu, nn.Linear(256, 10))
    if workload == "c":
        first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1)
        return nn.Sequential(first, relu, second, relu, nn.Flatten(-3), nn.Linear(32 * 14 * 14, 10))
    if workload == "d":
        shapes = ((3, 32, 1), (32, 32, 2), (32, 64, 1), (64, 64, 2))
        layers = [layer for m, n, s in shapes for layer in (nn.Conv2d(m, n, 3, stride=s, padding=1), relu)]
        return nn.Sequential(*layers, nn.Flatten(-3), nn.Linear(64 * 8 * 8, 10))
    if workload == "e":
        return models.gpt(96, 64, 128, 4, 4)
    return nn.Sequential(nn.LSTM(128, 128), nn.Select(-2, -1), nn.Linear(128, 10))


def initial(workload: str) -> dict[str, np.ndarray]:
    """The parameters by name."""
    from tlverify.core import pytree

    leaves, tree = pytree.flatten(our_model(workload).init(np.random.default_rng(0)))
    return dict(zip(pytree.paths(tree), leaves, strict=True))


def repeated(step: Callable[[], float]) -> Steps:
    """One by one."""

    def steps(count: int) -> float:
        loss = 0.0
        for _ in range(count):
            loss = step()
        return loss

    return steps


def stacker() -> Callable[[tuple[np.ndarray, np.ndarray], int], tuple[np.ndarray, np.ndarray]]:
    """Batches along a new first axis, which are made once for each number of them."""
    known: dict[int, tuple[np.ndarray, np.ndarray]] = {}

    def stacked(points: tuple[np.ndarray, np.ndarray], count: int) -> tuple[np.ndarray, np.ndarray]:
        if count not in known:
            x, y = (np.stack([np.asarray(part)] * count) for part in points)
            known[count] = x, y
        return known[count]

    return stacked


def ours(workload: str, execution: str, many: bool = False) -> Steps:
    from tlverify import Trainer, losses, optim
    from tlverify.core import pytree

    loss: Any = losses.cross_entropy
    if workload == "g":
        loss = losses.IntervalCrossEntropy(EPSILON, ramp=0.0)
    elif workload == "h":
        loss = losses.CrownCrossEntropy(EPSILON, beta=0.5, ramp=0.0)
    task = "regression" if workload == "a" else "custom"
    settings: Any = {"execution": execution, "backend": "cupy" if GPU else "numpy"}
    trainer = Trainer(our_model(workload), task, optim.Adam(RATE), None if workload == "a" else loss, **settings)
    stepper = trainer.stepper(10**6)
    given = np.load(os.environ["BENCHMARK_PARAMETERS"])
    _, tree = pytree.flatten(our_model(workload).init(np.random.default_rng(0)))
    state = stepper.start(pytree.unflatten(tree, [given[name] for name in pytree.paths(tree)]))
    points, stacked = tuple(stepper.backend.to_device(part) for part in batch(workload)), stacker()

    def step() -> float:
        nonlocal state
        state, metrics = stepper(state, points)
        return metrics.loss

    def scan(count: int) -> float:
        nonlocal state
        state, losses = stepper.scan(state, stacked(points, count))
        return float(losses[-1])

    return scan if many else repeated(step)


# PyTorch


def torch_step(workload: str, best: bool) -> Steps:
    import torch
    from torch import nn
    from torch.nn import functional

    torch.set_num_threads(THREADS)

    class Last(nn.Module):
        def forward(self, given: Any) -> Any:
            return given[0][:, -1]

    class Gpt(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embedding = nn.Embedding(96, 128)
            self.positions = nn.Parameter(torch.zeros(64, 128))
            blocks = [
                nn.TransformerEncoderLayer(128, 4, 512, 0.0, "gelu", batch_first=True, norm_first=True)
                for _ in range(4)
            ]
            self.blocks, self.norm = nn.ModuleList(blocks), nn.LayerNorm(128)
            self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(64), persistent=False)

        def forward(self, x: Any) -> Any:
            x = self.embedding(x) + self.positions
            for block in self.blocks:
                x = block(x, src_mask=self.mask, is_causal=True)
            return self.norm(x) @ self.embedding.weight.T

    relu = nn.ReLU()
    if workload.startswith("mlp"):
        sizes = sizes_of(workload)[0]
        model: Any = nn.Sequential(*[p for m, n in pairwise(sizes) for p in (nn.Linear(m, n), relu)][:-1])
    elif workload == "a":
        model = nn.Sequential(nn.Linear(2, 8), relu, nn.Linear(8, 1))
    elif workload in "bgh":
        model = nn.Sequential(nn.Linear(784, 256), relu, nn.Linear(256, 256), relu, nn.Linear(256, 10))
    elif workload == "c":
        first, second = nn.Conv2d(1, 16, 3, padding=1), nn.Conv2d(16, 32, 3, stride=2, padding=1)
        model = nn.Sequential(first, relu, second, relu, nn.Flatten(), nn.Linear(32 * 14 * 14, 10))
    elif workload == "d":
        shapes = ((3, 32, 1), (32, 32, 2), (32, 64, 1), (64, 64, 2))
        layers = [layer for m, n, s in shapes for layer in (nn.Conv2d(m, n, 3, stride=s, padding=1), nn.ReLU())]
        model = nn.Sequential(*layers, nn.Flatten(), nn.Linear(64 * 8 * 8, 10))
    elif workload == "e":
        model = Gpt()
    else:
        model = nn.Sequential(nn.LSTM(128, 128, batch_first=True), Last(), nn.Linear(128, 10))
    given = np.load(os.environ["BENCHMARK_PARAMETERS"])
    named = dict(model.named_parameters())
    with torch.no_grad():
        for name in given.files:
            named[torch_name(name) if workload == "e" else name].copy_(torch.from_numpy(given[name]))
    device = "cuda" if GPU else "cpu"
    model = model.to(device)
    x, y = (torch.from_numpy(part).to(device) for part in batch(workload))
    if best and workload in "cd":
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)

    def bounds(x: Any) -> Any:
        low, high = (x - EPSILON).clamp(0, 1), (x + EPSILON).clamp(0, 1)
        for layer in model:
            if isinstance(layer, nn.Linear):
                center, radius = (low + high) / 2, (high - low) / 2
                center, radius = layer(center), functional.linear(radius, layer.weight.abs())
                low, high = center - radius, center + radius
            else:
                low, high = layer(low), layer(high)
        return torch.where(y[:, None] == torch.arange(10, device=device), low, high)

    def margins(x: Any) -> Any:
        low, high = (x - EPSILON).clamp(0, 1), (x + EPSILON).clamp(0, 1)
        linear, boxes = [layer for layer in model if isinstance(layer, nn.Linear)], [(low, high)]
        for layer in linear[:-1]:
            low, high = (boxes[-1][0].relu(), boxes[-1][1].relu()) if len(boxes) > 1 else boxes[0]
            center, radius = (low + high) / 2, (high - low) / 2
            center, radius = layer(center), functional.linear(radius, layer.weight.abs())
            boxes.append((center - radius, center + radius))
        eye = torch.eye(10, device=device)
        rows = eye[y][:, None] - eye

        def least(rows: Any, low: Any, high: Any) -> Any:
            return (rows.relu() * low[:, None]).sum(-1) + (rows.clamp(max=0) * high[:, None]).sum(-1)

        constant, rows = (rows * linear[-1].bias).sum(-1), rows @ linear[-1].weight
        interval = constant + least(rows, boxes[-1][0].relu(), boxes[-1][1].relu())
        for layer, (low, high) in zip(linear[-2::-1], boxes[:0:-1], strict=True):
            down, up = (-low).relu(), high.relu()
            width = down + up
            chord = up / torch.where(width == 0, 1.0, width)
            negative = rows.clamp(max=0)
            constant = constant + (negative * (chord * down)[:, None]).sum(-1)
            rows = rows.relu() * (low + high > 0)[:, None] + negative * chord[:, None]
            constant, rows = constant + (rows * layer.bias).sum(-1), rows @ layer.weight
        return 0.5 * (constant + least(rows, *boxes[0])) + 0.5 * interval

    def loss_of(x: Any, y: Any) -> Any:
        if workload == "a":
            return functional.mse_loss(model(x), y)
        if workload == "h":
            return 0.5 * functional.cross_entropy(model(x), y) + 0.5 * functional.cross_entropy(-margins(x), y)
        if workload == "g":
            return 0.5 * functional.cross_entropy(model(x), y) + 0.5 * functional.cross_entropy(bounds(x), y)
        return functional.cross_entropy(model(x).reshape(-1, 96 if workload == "e" else 10), y.reshape(-1))

    optimizer = torch.optim.Adam(model.parameters(), RATE, fused=best)
    compiled = loss_of
    if best and (GPU or workload in "begh"):
        compiled = torch.compile(loss_of, mode="reduce-overhead" if GPU else None)

    def step() -> float:
        optimizer.zero_grad()
        loss = compiled(x, y)
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    return repeated(step)


def torch_name(name: str) -> str:
    """Of a parameter of our GPT in PyTorch's."""
    if not name.startswith("body."):
        return name
    _, place, *rest = name.split(".")
    if place == "0":
        return "positions"
    return f"norm.{rest[-1]}" if place == "5" else f"blocks.{int(place) - 1}.{'.'.join(rest)}"


# JAX


def jax_step(workload: str, many: bool = False) -> Steps:
    import jax
    from jax import lax
    from jax import numpy as jnp

    given = np.load(os.environ["BENCHMARK_PARAMETERS"])
    params = {name: jnp.asarray(given[name]) for name in given.files}
    x, y = map(jnp.asarray, batch(workload))

    def linear(p: Any, name: str, x: Any) -> Any:
        return x @ p[f"{name}.weight"].T + p[f"{name}.bias"]

    def conv(p: Any, name: str, x: Any, stride: int) -> Any:
        moved = lax.conv_general_dilated(x, p[f"{name}.weight"], (stride, stride), [(1, 1), (1, 1)])
        return moved + p[f"{name}.bias"][:, None, None]

    def entropy(logits: Any, y: Any) -> Any:
        return -jnp.mean(jnp.take_along_axis(jax.nn.log_softmax(logits), y[..., None], -1))

    def dense(p: Any, x: Any, names: Sequence[str]) -> Any:
        for name in names[:-1]:
            x = jax.nn.relu(linear(p, name, x))
        return linear(p, names[-1], x)

    def norm(p: Any, name: str, x: Any) -> Any:
        mean = x.mean(-1, keepdims=True)
        spread = jnp.square(x - mean).mean(-1, keepdims=True)
        return (x - mean) / jnp.sqrt(spread + 1e-5) * p[f"{name}.weight"] + p[f"{name}.bias"]

    def block(p: Any, name: str, x: Any) -> Any:
        n, steps, size = x.shape
        inner = norm(p, f"{name}.norm1", x)
        packed = inner @ p[f"{name}.self_attn.in_proj_weight"].T + p[f"{name}.self_attn.in_proj_bias"]
        q, k, v = (part.reshape(n, steps, 4, size // 4).swapaxes(1, 2) for part in jnp.split(packed, 3, -1))
        scores = jnp.where(
            jnp.tril(jnp.ones((steps, steps), bool)), q @ k.swapaxes(2, 3) / np.sqrt(size // 4), -jnp.inf
        )
        mixed = (jax.nn.softmax(scores) @ v).swapaxes(1, 2).reshape(n, steps, size)
        x = x + linear(p, f"{name}.self_attn.out_proj", mixed)
        inner = jax.nn.gelu(linear(p, f"{name}.linear1", norm(p, f"{name}.norm2", x)), approximate=False)
        return x + linear(p, f"{name}.linear2", inner)

    def margins(p: Any, x: Any, y: Any) -> Any:
        low, high = jnp.clip(x - EPSILON, 0, 1), jnp.clip(x + EPSILON, 0, 1)
        boxes = [(low, high)]
        for name in "02":
            low, high = map(jax.nn.relu, boxes[-1]) if len(boxes) > 1 else boxes[0]
            center, radius = (low + high) / 2, (high - low) / 2
            center, radius = linear(p, name, center), radius @ jnp.abs(p[f"{name}.weight"]).T
            boxes.append((center - radius, center + radius))
        rows = jnp.eye(10)[y][:, None] - jnp.eye(10)

        def least(rows: Any, low: Any, high: Any) -> Any:
            return (jax.nn.relu(rows) * low[:, None]).sum(-1) + (jnp.minimum(rows, 0) * high[:, None]).sum(-1)

        constant, rows = rows @ p["4.bias"], rows @ p["4.weight"]
        interval = constant + least(rows, *map(jax.nn.relu, boxes[-1]))
        for name, (low, high) in zip("20", boxes[:0:-1], strict=True):
            down, up = jax.nn.relu(-low), jax.nn.relu(high)
            width = down + up
            chord = up / jnp.where(width == 0, 1.0, width)
            negative = jnp.minimum(rows, 0)
            constant = constant + (negative * (chord * down)[:, None]).sum(-1)
            rows = jax.nn.relu(rows) * (low + high > 0)[:, None] + negative * chord[:, None]
            constant, rows = constant + rows @ p[f"{name}.bias"], rows @ p[f"{name}.weight"]
        return 0.5 * (constant + least(rows, *boxes[0])) + 0.5 * interval

    def loss_of(p: Any, x: Any, y: Any) -> Any:
        if workload == "a":
            return jnp.mean(jnp.square(dense(p, x, "02") - y))
        if workload == "b":
            return entropy(dense(p, x, "024"), y)
        if workload.startswith("mlp"):
            names = [str(2 * k) for k in range(len(sizes_of(workload)[0]) - 1)]
            return entropy(dense(p, x, names), y)
        if workload == "g":
            low, high = jnp.clip(x - EPSILON, 0, 1), jnp.clip(x + EPSILON, 0, 1)
            for name in "024":
                center, radius = (low + high) / 2, (high - low) / 2
                center, radius = linear(p, name, center), radius @ jnp.abs(p[f"{name}.weight"]).T
                low, high = center - radius, center + radius
                if name != "4":
                    low, high = jax.nn.relu(low), jax.nn.relu(high)
            worst = jnp.where(y[:, None] == jnp.arange(10), low, high)
            return 0.5 * entropy(dense(p, x, "024"), y) + 0.5 * entropy(worst, y)
        if workload == "h":
            return 0.5 * entropy(dense(p, x, "024"), y) + 0.5 * entropy(-margins(p, x, y), y)
        if workload in "cd":
            strides = {"0": 1, "2": 2} if workload == "c" else {"0": 1, "2": 2, "4": 1, "6": 2}
            for name, stride in strides.items():
                x = jax.nn.relu(conv(p, name, x, stride))
            return entropy(linear(p, "5" if workload == "c" else "9", x.reshape(len(x), -1)), y)
        if workload == "e":
            table = p["embedding.weight"]
            x = table[x] + next(p[name] for name in p if name.startswith("body.0."))
            for place in "1234":
                x = block(p, f"body.{place}", x)
            return entropy(norm(p, "body.5", x) @ table.T, y)
        gates = x @ p["0.weight_ih_l0"].T + p["0.bias_ih_l0"]

        def cell(state: Any, given: Any) -> Any:
            h, c = state
            i, f, g, o = jnp.split(given + h @ p["0.weight_hh_l0"].T + p["0.bias_hh_l0"], 4, -1)
            c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), None

        zero = jnp.zeros((len(x), 128))
        (h, _), _ = lax.scan(cell, (zero, zero), gates.swapaxes(0, 1))
        return entropy(linear(p, "2", h), y)

    def update(state: Any, x: Any, y: Any) -> Any:
        p, m, v, t = state
        loss, grads = jax.value_and_grad(loss_of)(p, x, y)
        t = t + 1
        m = jax.tree.map(lambda m, g: 0.9 * m + 0.1 * g, m, grads)
        v = jax.tree.map(lambda v, g: 0.999 * v + 0.001 * g * g, v, grads)
        size, root = RATE / (1 - 0.9**t), jnp.sqrt(1 - 0.999**t)
        p = jax.tree.map(lambda p, m, v: p - size * m / (jnp.sqrt(v) / root + 1e-8), p, m, v)
        return (p, m, v, t), loss

    compiled = jax.jit(update, donate_argnums=0)
    zeros = jax.tree.map(jnp.zeros_like, params)
    state = (params, zeros, jax.tree.map(jnp.zeros_like, params), jnp.float32(0))

    def step() -> float:
        nonlocal state
        state, loss = compiled(state, x, y)
        return float(loss)

    together = jax.jit(lambda state, xs, ys: lax.scan(lambda s, b: update(s, *b), state, (xs, ys)), donate_argnums=0)
    stacked = stacker()

    def scan(count: int) -> float:
        nonlocal state
        state, losses = together(state, *stacked((x, y), count))
        return float(losses[-1])

    return scan if many else repeated(step)


FRAMEWORKS: dict[str, Callable[[str], Steps]] = {
    "scan": lambda w: ours(w, "native", many=True),
    "jax scan": lambda w: jax_step(w, many=True),
    "native": lambda w: ours(w, "native"),
    "native 1": lambda w: ours(w, "native"),
    "plan": lambda w: ours(w, "compiled"),
    "eager": lambda w: ours(w, "eager"),
    "torch": lambda w: torch_step(w, False),
    "torch best": lambda w: torch_step(w, True),
    "jax": jax_step,
}
FRAMEWORKS |= {f"{name} 1": FRAMEWORKS[name] for name in ("torch", "torch best", "jax")}


def child(framework: str, workload: str) -> None:
    """Ten steps, whose last loss is told; then the time of a step, in microseconds, for each line read."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:THREADS])
    import_module({"t": "torch", "j": "jax"}.get(framework[0], "tlverify.train.compiled"))
    parts = timed() if framework == "native" else {}
    before, begin, wall = peak(), clock(), time.perf_counter()
    steps = FRAMEWORKS[framework](workload)
    loss = steps(10)
    told = {"loss": loss, "first": clock() - begin, "memory": peak() - before}
    print(json.dumps({**told, "wall": time.perf_counter() - wall, "parts": parts}), flush=True)
    repeats, warm = REPEATS.get(workload, 10), False
    for _ in sys.stdin:
        begin = time.perf_counter()
        while not warm and time.perf_counter() < begin + WARM:
            steps(repeats)
        warm = True
        start = clock()
        steps(repeats)
        print((clock() - start) / repeats * 1e6, flush=True)


def timed() -> dict[str, float]:
    """Seconds of each part of making machine code, which are added up from now on."""
    from tlverify.core.native import machine, program
    from tlverify.train import stepper

    totals: dict[str, float] = {}

    def watch(owner: Any, name: str, part: str) -> None:
        function = getattr(owner, name)
        totals[part] = 0.0

        def watched(*args: Any, **kwargs: Any) -> Any:
            begin = time.perf_counter()
            result = function(*args, **kwargs)
            totals[part] += time.perf_counter() - begin
            return result

        setattr(owner, name, watched)

    watch(stepper, "whole_step", "trace")
    for name, part in {"rewrite": "rewrite", "plan": "plan", "module": "text"}.items():
        watch(program, name, part)
    watch(machine, "engine", "code")
    return totals


def peak() -> float:
    """Resident memory at most, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@contextmanager
def busy(count: int) -> Iterator[None]:
    """Beside so many processes that do not rest."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


@dataclass(frozen=True)
class Figure:
    """Of a framework: microseconds of a step, beside busy processes if that was asked for; and from its ten first steps
    the last loss, the seconds, and the megabytes."""

    time: float
    busy: float
    loss: float
    first: float
    memory: float
    wall: float
    parts: dict[str, float]


def measure(
    workload: str, pythons: dict[str, str], rounds: int, threads: int = 1, beside: int = 0
) -> dict[str, Figure]:
    """For each framework the median time of a step, and what it told of its first ones."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "parameters.npz"
        np.savez(path, **initial(workload))

        def environment(name: str) -> dict[str, str]:
            count = "1" if name.endswith(" 1") else str(threads)
            one = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
            names = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
            given = {"BENCHMARK_PARAMETERS": str(path), "BENCHMARK_THREADS": count, "BENCHMARK_WALL": str(threads > 1)}
            return {**os.environ, **dict.fromkeys(names, count), **given, **({} if count > "1" else {"XLA_FLAGS": one})}

        children: dict[str, Any] = {  # with pipes, whatever their type says
            name: subprocess.Popen(
                [python, __file__, "--child", name, "--only", workload],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment(name),
            )
            for name, python in pythons.items()
        }
        told = {name: json.loads(process.stdout.readline()) for name, process in children.items()}

        def times() -> dict[str, float]:
            found: dict[str, list[float]] = {name: [] for name in children}
            for _ in range(rounds):
                for name, process in children.items():
                    print(file=process.stdin, flush=True)
                    found[name].append(float(process.stdout.readline()))
            return {name: statistics.median(values or [0.0]) for name, values in found.items()}

        quiet = loud = times()
        if beside:
            with busy(beside):
                loud = times()
        for process in children.values():
            process.stdin.close()
            process.wait()
    return {name: Figure(quiet[name], loud[name], **told[name]) for name in children}


def growth(pythons: dict[str, str], rounds: int, file: Path) -> None:
    """A plot, and what is in it as text, of the time of a step by width, depth and batch."""
    from matplotlib import pyplot

    table = [["what", "framework", "size", "microseconds"]]
    figure, parts = pyplot.subplots(1, len(GROWTH), figsize=(12, 4))
    for part, (what, workloads) in zip(parts, GROWTH.items(), strict=True):
        place = {"width": 1, "depth": 2, "batch": 3}[what]
        sizes, found = [int(w.split("-")[place]) for w in workloads], [measure(w, pythons, rounds) for w in workloads]
        for name in pythons:
            table += [[what, name, str(n), f"{f[name].time:.1f}"] for n, f in zip(sizes, found, strict=True)]
            part.loglog(sizes, [figures[name].time for figures in found], marker="o", label=name)
            print(
                f"{what}  {name}: "
                + ", ".join(f"{n}: {f[name].time:,.0f} us" for n, f in zip(sizes, found, strict=True))
            )
        part.set_xlabel(what)
    parts[0].set_ylabel("microseconds a step")
    parts[0].legend()
    figure.tight_layout()
    figure.savefig(file)
    with file.with_suffix(".csv").open("w", newline="") as lines:
        csv.writer(lines).writerows(table)


def compile_times(pythons: dict[str, str], workloads: str) -> None:
    """Seconds until ten steps are done, with an empty cache of machine code and with a full one."""
    for workload in workloads:
        with tempfile.TemporaryDirectory() as cache:
            os.environ["TLVERIFY_CACHE"] = cache
            found = {}
            for name, python in (("native, empty cache", sys.executable), *pythons.items()):
                key = name.partition(",")[0]
                found[name] = measure(workload, {key: python}, 0)[key]
        for name, figure in found.items():
            parts = "".join(f", {part} {seconds:.2f}" for part, seconds in figure.parts.items())
            print(f"{workload}  {name}: {figure.wall:.2f} s{parts}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--torch", help="interpreter that has PyTorch")
    parser.add_argument("--jax", help="interpreter that has JAX")
    parser.add_argument("--only", default=WORKLOADS)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--busy", action="store_true")
    parser.add_argument("--growth", type=Path, metavar="FILE")
    parser.add_argument("--compile", action="store_true")
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--child", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.child:
        child(options.child, options.only)
        return
    pythons = {"native": sys.executable, "plan": sys.executable}
    if options.threads > 1:
        pythons = dict.fromkeys(("native", "native 1"), sys.executable)
    if options.torch:
        pythons |= dict.fromkeys(("torch", "torch best"), options.torch)
        if options.threads > 1:
            pythons |= dict.fromkeys(("torch 1", "torch best 1"), options.torch)
    if options.gpu:
        os.environ["BENCHMARK_DEVICE"] = "gpu"
        pythons = dict.fromkeys(("native", "plan", "torch", "torch best"), sys.executable)
    elif options.jax:
        pythons |= dict.fromkeys(("jax", "jax 1") if options.threads > 1 else ("jax",), options.jax)
    if options.compile:
        compile_times(pythons, options.only)
        return
    if options.growth:
        growth(pythons, options.rounds, options.growth)
        return
    beside = 2 * (os.cpu_count() or 1) if options.busy else 0
    for workload in options.only:
        scans = {"scan": sys.executable, **({"jax scan": options.jax} if options.jax else {})}
        chosen = pythons | (scans if workload == "a" and not options.gpu else {})
        if workload in "ab" and options.threads == 1 and not options.gpu:
            chosen["eager"] = sys.executable
        found = measure(workload, chosen, options.rounds, options.threads, beside)
        ours = found["native"]
        off = max(abs(other.loss - ours.loss) / abs(ours.loss) for other in found.values())
        rows = [
            f"{name} {f.time:,.1f} us ({f.time / ours.time:.2f}x, first {f.first:.1f} s, + {f.memory:.0f} MB"
            + (f", busy {f.busy / f.time:.1f}x)" if beside else ")")
            for name, f in found.items()
        ]
        print(f"{workload}  {', '.join(rows)}; loss {ours.loss:.6g}, off by {off:.1e}", flush=True)


if __name__ == "__main__":
    main()
