"""Deep Q-learning with a replay memory and a target network (Mnih et al. 2015)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import nn, ops, value_and_grad
from tlverify.graph import TlverifyError
from tlverify.train import losses, optim
from tlverify.train.data import Array
from tlverify.train.rl.environments import Environment


class Replay:
    """The last `size` transitions, written round and round."""

    def __init__(self, size: int, features: int) -> None:
        if size < 1:
            raise TlverifyError(f"Replay: expected a size of 1 or more, found {size}")
        self._before = np.zeros((size, features), np.float32)
        self._after = np.zeros((size, features), np.float32)
        self._action = np.zeros(size, np.int64)
        self._reward = np.zeros(size, np.float32)
        self._over = np.zeros(size, np.float32)
        self._count = 0

    def __len__(self) -> int:
        return min(self._count, len(self._action))

    def add(self, before: Array, action: int, reward: float, after: Array, over: bool) -> None:
        """Remember a transition."""
        place = self._count % len(self._action)
        self._before[place], self._after[place] = before, after
        self._action[place], self._reward[place], self._over[place] = action, reward, over
        self._count += 1

    def sample(self, count: int, rng: np.random.Generator) -> tuple[Array, Array, Array, Array, Array]:
        """(before, action, reward, after, over) of `count` transitions, drawn with replacement."""
        if not len(self):
            raise TlverifyError("Replay: expected a transition to sample, found none")
        index = rng.integers(len(self), size=count)
        return (
            self._before[index],
            self._action[index],
            self._reward[index],
            self._after[index],
            self._over[index],
        )


@dataclass(frozen=True)
class DQN:
    """Settings. The share of random actions falls from 1 to `explore` over the first half of the training."""

    gamma: float = 0.95
    batch_size: int = 64
    memory: int = 10000
    explore: float = 0.05
    renew: int = 100
    """Steps between copies of the parameters to the target network."""
    most: int = 100
    """Steps after which an episode is cut off."""


def dqn_loss(model: nn.Layer, params: Any, target: Any, gamma: float, *batch: Any) -> Any:
    """Huber loss of Q(before, action) against reward + gamma Q'(after, best action) (van Hasselt et al. 2016)."""
    before, action, reward, after, over = batch
    best = ops.expand_dims(ops.argmax(model(params, after)), -1)
    future = ops.squeeze(ops.take_along_axis(model(target, after), best), -1)
    aim = ops.detach(ops.add(reward, ops.mul(ops.mul(future, ops.sub(1.0, over)), gamma)))
    found = ops.squeeze(ops.take_along_axis(model(params, before), ops.expand_dims(action, -1)), -1)
    return losses.huber(found, aim)


def train_dqn(
    environment: Environment, model: nn.Layer, settings: DQN, steps: int, optimizer: optim.Optimizer, seed: int = 0
) -> tuple[Any, list[float]]:
    """Parameters, and the sums of rewards of the episodes."""
    rng = np.random.default_rng(seed)
    params = target = model.init(rng)
    state = optimizer.init(params)
    memory = Replay(settings.memory, environment.features)
    step_of = value_and_grad(lambda params, target, *batch: dqn_loss(model, params, target, settings.gamma, *batch))
    observed, total, length = environment.reset(rng), 0.0, 0
    sums: list[float] = []
    for step in range(steps):
        share = max(settings.explore, 1.0 - 2.0 * step / steps)
        if rng.random() < share:
            action = int(rng.integers(environment.actions))
        else:
            action = int(np.asarray(model(params, observed)).argmax())
        after, reward, over = environment.step(observed, action)
        memory.add(observed, action, reward, after, over)
        observed, total, length = after, total + reward, length + 1
        if over or length >= settings.most:
            sums.append(total)
            observed, total, length = environment.reset(rng), 0.0, 0
        if len(memory) >= settings.batch_size:
            _, grads = step_of(params, target, *memory.sample(settings.batch_size, rng))
            params, state = optimizer.update(grads, state, params)
        if step % settings.renew == 0:
            target = params
    return params, sums
