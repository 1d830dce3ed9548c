"""Small worlds to act in: a pole on a cart, and a grid with a goal. A state is an array, a step is a function."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tlverify.graph import TlverifyError
from tlverify.train.data import Array


class Environment(Protocol):
    """A world with `actions` actions, and observations of `features` numbers."""

    @property
    def actions(self) -> int: ...

    @property
    def features(self) -> int: ...

    def reset(self, rng: np.random.Generator) -> Array:
        """A first state, which is also what is observed."""

    def step(self, state: Array, action: int) -> tuple[Array, float, bool]:
        """The next state, the reward, and whether the episode is over."""


@dataclass(frozen=True)
class CartPole:
    """A pole on a cart that is pushed left or right (Barto et al. 1983), with the constants of Gymnasium's CartPole-v1.

    The state is position, speed, angle, angular speed, float32. Each step is worth 1; the episode ends when the pole
    leans more than 12 degrees or the cart leaves [-2.4, 2.4].
    """

    actions: int = 2
    features: int = 4

    def reset(self, rng: np.random.Generator) -> Array:
        return rng.uniform(-0.05, 0.05, 4).astype(np.float32)

    def step(self, state: Array, action: int) -> tuple[Array, float, bool]:
        if action not in (0, 1):
            raise TlverifyError(f"CartPole: action: expected 0 or 1, found {action}")
        x, speed, angle, turn = (float(value) for value in state)
        force = 10.0 if action else -10.0
        cosine, sine = math.cos(angle), math.sin(angle)
        push = (force + 0.05 * turn * turn * sine) / 1.1
        bend = (9.8 * sine - cosine * push) / (0.5 * (4 / 3 - 0.1 * cosine * cosine / 1.1))
        pull = push - 0.05 * bend * cosine / 1.1
        new = (x + 0.02 * speed, speed + 0.02 * pull, angle + 0.02 * turn, turn + 0.02 * bend)
        over = abs(new[0]) > 2.4 or abs(new[2]) > math.radians(12)
        return np.array(new, np.float32), 1.0, over


@dataclass(frozen=True)
class GridWorld:
    """A square of `size` cells: from a random cell to the last one, by steps up, down, left and right.

    The observation is one-hot, float32 (size * size,). A step costs 0.05, the goal is worth 1 and ends the episode.
    """

    size: int = 5
    actions: int = 4

    @property
    def features(self) -> int:
        return self.size * self.size

    def reset(self, rng: np.random.Generator) -> Array:
        return self._observed(int(rng.integers(self.features - 1)))

    def step(self, state: Array, action: int) -> tuple[Array, float, bool]:
        if not 0 <= action < 4:
            raise TlverifyError(f"GridWorld: action: expected 0 to 3, found {action}")
        row, column = divmod(int(np.argmax(state)), self.size)
        row += (action == 1) - (action == 0)
        column += (action == 3) - (action == 2)
        row, column = (min(max(place, 0), self.size - 1) for place in (row, column))
        place = row * self.size + column
        done = place == self.features - 1
        return self._observed(place), 1.0 if done else -0.05, done

    def shortest(self, state: Array) -> int:
        """Steps from a state to the goal."""
        row, column = divmod(int(np.argmax(state)), self.size)
        return 2 * (self.size - 1) - row - column

    def _observed(self, place: int) -> Array:
        cells: Array = np.zeros(self.features, np.float32)
        cells[place] = 1
        return cells
