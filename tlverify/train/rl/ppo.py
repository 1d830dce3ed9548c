"""Proximal policy optimisation of an actor-critic (Schulman et al. 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import nn, ops, value_and_grad
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape
from tlverify.train import optim
from tlverify.train.data import Array
from tlverify.train.rl.environments import Environment


@dataclass(frozen=True)
class ActorCritic:
    """Observations (..., features) -> (..., actions + 1): logits of the actions, and the value of the state."""

    features: int
    actions: int
    hidden: int = 64

    @property
    def parts(self) -> tuple[nn.Sequential, nn.Sequential]:
        """The actor and the critic."""
        return self._network(self.actions), self._network(1)

    def init(self, rng: np.random.Generator) -> Params:
        actor, critic = self.parts
        return {"actor": actor.init(rng), "critic": critic.init(rng)}

    def __call__(self, params: Params, x: Any) -> Any:
        actor, critic = self.parts
        return ops.concat([actor(params["actor"], x), critic(params["critic"], x)], -1)

    def check(self, shape: PartialShape) -> PartialShape:
        self.parts[0].check(shape)
        return (*shape[:-1], self.actions + 1)

    def _network(self, outputs: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(self.features, self.hidden), nn.Tanh(), nn.Linear(self.hidden, outputs))

    def __str__(self) -> str:
        return f"ActorCritic({self.features}, {self.actions})"


@dataclass(frozen=True)
class PPO:
    """Settings. `gamma` discounts rewards, `trace` is the lambda of the advantages, `clip` limits the policy ratio."""

    gamma: float = 0.99
    trace: float = 0.95
    clip: float = 0.2
    entropy: float = 0.01
    value: float = 0.5
    steps: int = 512
    epochs: int = 6
    batch_size: int = 128
    most: int = 500
    """Steps after which an episode is cut off. It is not over: the value of the state it was left in counts."""


def advantages(rewards: Array, values: Array, over: Array, after: float, gamma: float, trace: float) -> Array:
    """Generalised advantage estimates (steps,) (Schulman et al. 2016, eq. 16); `after` is the value at the end."""
    result, running = np.zeros(len(rewards)), 0.0
    following = np.append(values[1:], after)
    for t in range(len(rewards) - 1, -1, -1):
        open_ = 0.0 if over[t] else 1.0
        running = rewards[t] + gamma * following[t] * open_ - values[t] + gamma * trace * open_ * running
        result[t] = running
    return result


def ppo_loss(
    settings: PPO, model: ActorCritic, params: Any, x: Any, action: Any, old: Any, gain: Any, target: Any
) -> Any:
    """The clipped surrogate (eq. 7), squared error of the values, and minus the entropy of the policy."""
    outputs = model(params, x)
    log_p = ops.log_softmax(ops.slice(outputs, ..., slice(0, model.actions)))
    chosen = ops.squeeze(ops.take_along_axis(log_p, ops.expand_dims(action, -1)), -1)
    ratio = ops.exp(ops.sub(chosen, old))
    limited = ops.clip(ratio, 1.0 - settings.clip, 1.0 + settings.clip)
    surrogate = ops.mean(ops.minimum(ops.mul(ratio, gain), ops.mul(limited, gain)))
    error = ops.mean(ops.square(ops.sub(ops.slice(outputs, ..., model.actions), target)))
    entropy = ops.neg(ops.mean(ops.sum(ops.mul(ops.exp(log_p), log_p), -1)))
    return ops.sub(ops.mul(error, settings.value), ops.add(surrogate, ops.mul(entropy, settings.entropy)))


def train_ppo(
    environment: Environment,
    model: ActorCritic,
    settings: PPO,
    iterations: int,
    optimizer: optim.Optimizer,
    seed: int = 0,
    report: Callable[[int, float], None] = lambda iteration, length: None,
) -> tuple[Any, list[float]]:
    """Parameters, and the mean sum of rewards of the episodes that ended in each iteration."""
    rng = np.random.default_rng(seed)
    params = model.init(rng)
    state = optimizer.init(params)
    step_of = value_and_grad(lambda params, *batch: ppo_loss(settings, model, params, *batch))
    observed, total, length = environment.reset(rng), 0.0, 0
    history: list[float] = []
    for iteration in range(iterations):
        rows: list[tuple[Any, ...]] = []
        sums: list[float] = []
        for _ in range(settings.steps):
            outputs = np.asarray(model(params, observed))
            log_p = np.asarray(ops.log_softmax(outputs[:-1]))
            weights = np.exp(log_p.astype(np.float64))
            action = int(rng.choice(model.actions, p=weights / weights.sum()))
            after, reward, over = environment.step(observed, action)
            total, length = total + reward, length + 1
            cut = over or length >= settings.most
            if cut and not over:
                reward += settings.gamma * float(np.asarray(model(params, after))[-1])
            rows.append((observed, action, log_p[action], float(outputs[-1]), reward, cut))
            observed = after
            if cut:
                sums.append(total)
                observed, total, length = environment.reset(rng), 0.0, 0
        x, action_of, old, value, reward_of, cut_of = (np.array(column) for column in zip(*rows, strict=True))
        last = float(np.asarray(model(params, observed))[-1])
        gain = advantages(reward_of, value, cut_of, last, settings.gamma, settings.trace)
        target = (gain + value).astype(np.float32)
        gain = ((gain - gain.mean()) / (gain.std() + 1e-8)).astype(np.float32)
        for _ in range(settings.epochs):
            order = rng.permutation(settings.steps)
            for start in range(0, settings.steps - settings.batch_size + 1, settings.batch_size):
                index = order[start : start + settings.batch_size]
                batch = (x[index], action_of[index].astype(np.int64), old[index].astype(np.float32))
                _, grads = step_of(params, *batch, gain[index], target[index])
                params, state = optimizer.update(grads, state, params)
        history.append(float(np.mean(sums)) if sums else total)
        report(iteration, history[-1])
    return params, history
