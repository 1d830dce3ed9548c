"""Trajectories of 100 steps against PyTorch's optimizers, schedules and clipping, in float64."""

import numpy as np
import pytest

from tlverify.core import ops, value_and_grad
from tlverify.train import optim

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tlverify[torch]'")
torch.set_num_threads(1)
rng = np.random.default_rng(31)
X, Y = rng.normal(size=(20, 4)), rng.normal(size=(20, 3))
PARAMS = {"b": rng.normal(size=3), "w": rng.normal(size=(3, 4))}
STEPS = 100


def loss(params):
    return ops.mean(ops.square(ops.tanh(ops.linear(X, params["w"], params["b"])) - Y))


def ours(optimizer, schedule=lambda fraction: 1.0):
    params, state = PARAMS, optimizer.init(PARAMS)
    step_of, path = value_and_grad(loss), []
    for step in range(STEPS):
        _, grads = step_of(params)
        params, state = optimizer.update(grads, state, params, optimizer.lr * schedule(step / STEPS))
        path.append(np.concatenate([params["b"], params["w"].ravel()]))
    return np.stack(path)


def theirs(make, schedule=None, clip=None):
    b, w = (torch.tensor(PARAMS[name], requires_grad=True) for name in ("b", "w"))
    optimizer = make([{"params": [b]}, {"params": [w]}])
    scheduler = schedule and schedule(optimizer)
    path = []
    for _ in range(STEPS):
        optimizer.zero_grad()
        torch.mean((torch.tanh(torch.tensor(X) @ w.T + b) - torch.tensor(Y)) ** 2).backward()
        if clip:
            clip([b, w])
        optimizer.step()
        if scheduler:
            scheduler.step()
        path.append(torch.cat([b, w.ravel()]).detach().numpy().copy())
    return np.stack(path)


topt = torch.optim
CASES = {
    "SGD": (optim.SGD(0.3), lambda p: topt.SGD(p, 0.3)),
    "momentum": (
        optim.SGD(0.1, 0.9, weight_decay=0.01),
        lambda p: topt.SGD(p, 0.1, 0.9, weight_decay=0.01),
    ),
    "nesterov": (optim.SGD(0.1, 0.9, True), lambda p: topt.SGD(p, 0.1, 0.9, nesterov=True)),
    "Adagrad": (optim.Adagrad(0.1, 0.02, 0.01), lambda p: topt.Adagrad(p, 0.1, 0.02, 0.01)),
    "RMSprop": (optim.RMSprop(0.01, weight_decay=0.01), lambda p: topt.RMSprop(p, 0.01, weight_decay=0.01)),
    "RMSprop centered": (
        optim.RMSprop(0.01, 0.9, momentum=0.5, centered=True),
        lambda p: topt.RMSprop(p, 0.01, 0.9, momentum=0.5, centered=True),
    ),
    "Adam": (optim.Adam(0.03, weight_decay=0.01), lambda p: topt.Adam(p, 0.03, weight_decay=0.01)),
    "AdamW": (optim.AdamW(0.03, (0.8, 0.95)), lambda p: topt.AdamW(p, 0.03, (0.8, 0.95))),
    "Adadelta": (optim.Adadelta(0.5, weight_decay=0.01), lambda p: topt.Adadelta(p, 0.5, weight_decay=0.01)),
}


@pytest.mark.parametrize("name", CASES)
def test_trajectory(name):
    mine, make = CASES[name]
    np.testing.assert_allclose(ours(mine), theirs(make), rtol=1e-6)


def test_parameter_groups():
    mine = optim.Groups(optim.Adam(0.03), {"b": optim.Adam(0.01, weight_decay=0.1)})

    def make(groups):
        groups[0] |= {"lr": 0.01, "weight_decay": 0.1}
        return topt.Adam(groups, 0.03)

    np.testing.assert_allclose(ours(mine), theirs(make), rtol=1e-6)
    schedule = optim.step((0.5,), 0.1)
    stepped = theirs(make, lambda o: topt.lr_scheduler.StepLR(o, 50, 0.1))
    np.testing.assert_allclose(ours(mine, schedule), stepped, rtol=1e-6)


L = topt.lr_scheduler
SCHEDULES = {
    "constant": (optim.constant, lambda o: L.ConstantLR(o, 1.0)),
    "step": (optim.step((0.25, 0.5, 0.75), 0.5), lambda o: L.StepLR(o, 25, 0.5)),
    "exponential": (optim.exponential(0.97**STEPS), lambda o: L.ExponentialLR(o, 0.97)),
    "cosine": (optim.cosine, lambda o: L.CosineAnnealingLR(o, STEPS)),
    "linear": (optim.linear(0.1), lambda o: L.LinearLR(o, 1.0, 0.1, STEPS)),
    "warmup": (
        optim.warmup(0.2),
        lambda o: L.LambdaLR(o, lambda step: min(1.0, step / 20)),
    ),
    "warmup_cosine": (
        optim.warmup_cosine(0.2),
        lambda o: L.LambdaLR(o, lambda s: s / 20 if s < 20 else 0.5 * (1 + np.cos(np.pi * (s - 20) / 80))),
    ),
    "cyclic": (optim.cyclic(4, 0.1), lambda o: L.CyclicLR(o, 0.03, 0.3, 12.5, cycle_momentum=False)),
    "one_cycle": (
        optim.one_cycle(0.3),
        lambda o: L.OneCycleLR(o, 0.3, total_steps=STEPS + 1, pct_start=31 / 101, cycle_momentum=False),
    ),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_schedule(name):
    mine, make = SCHEDULES[name]
    np.testing.assert_allclose(ours(optim.SGD(0.3), mine), theirs(lambda p: topt.SGD(p, 0.3), make), rtol=1e-6)


@pytest.mark.parametrize(
    ("clip", "apply"),
    [
        (optim.ClipNorm(0.05), lambda p: torch.nn.utils.clip_grad_norm_(p, 0.05)),
        (optim.ClipValue(0.02), lambda p: torch.nn.utils.clip_grad_value_(p, 0.02)),
    ],
    ids=["norm", "value"],
)
def test_clipping(clip, apply):
    found = ours(optim.Clipped(optim.SGD(0.3, 0.9), clip))
    np.testing.assert_allclose(found, theirs(lambda p: topt.SGD(p, 0.3, 0.9), clip=apply), rtol=1e-6)


def test_muon_in_the_precision_of_bfloat16():
    weight, slope = rng.normal(size=(6, 4)), rng.normal(size=(6, 4))
    given = torch.tensor(weight, requires_grad=True)
    theirs, mine = topt.Muon([given], 0.1), optim.Muon(0.1)
    state, params = mine.init({"w": weight}), {"w": weight}
    for _ in range(3):
        given.grad = torch.tensor(slope)
        theirs.step()
        params, state = mine.update({"w": slope}, state, params)
    np.testing.assert_allclose(params["w"], given.detach().numpy(), atol=0.01)
