"""Different optimizers for different parameters."""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tlverify.core import pytree
from tlverify.graph import TlverifyError
from tlverify.train.optim.base import Optimizer


@dataclass(frozen=True)
class Frozen:
    """Leaves parameters as they are."""

    lr: float = 0.0

    def init(self, params: Any) -> Any:
        """None."""
        return None

    def update(self, grads: Any, state: Any, params: Any, lr: float | None = None) -> tuple[Any, Any]:
        """The same parameters."""
        return params, state


@dataclass(frozen=True)
class Groups:
    """Parameters by their path in the tree: each goes to the first pattern that matches, and else to `default`.

    Patterns are those of `fnmatch`: `Groups(Adam(1e-3), {"*.bias": SGD(0.1), "0.*": Frozen()})`. A schedule that
    changes the learning rate of `default` changes those of the groups in proportion.
    """

    default: Optimizer
    groups: Mapping[str, Optimizer]

    @property
    def lr(self) -> float:
        """The learning rate of `default`."""
        return self.default.lr

    def init(self, params: Any) -> Any:
        """The state of every group, by pattern; that of the default is last. TlverifyError for a useless pattern."""
        members = self._members(params)
        leaves, _ = pytree.flatten(params)
        for pattern in self.groups:
            if not members[pattern]:
                known = ", ".join(pytree.paths(pytree.flatten(params)[1]))
                raise TlverifyError(f"Groups: pattern {pattern!r} matches no parameter; they are: {known}")
        return tuple(optimizer.init([leaves[i] for i in members[name]]) for name, optimizer in self._all())

    def update(self, grads: Any, state: Any, params: Any, lr: float | None = None) -> tuple[Any, Any]:
        """New parameters and state."""
        factor = 1.0 if lr is None else lr / self.lr
        members = self._members(params)
        leaves, tree = pytree.flatten(params)
        slopes, _ = pytree.flatten(grads)
        result, states = list(leaves), []
        for (name, optimizer), own in zip(self._all(), state, strict=True):
            places = members[name]
            chosen = [slopes[i] for i in places], own, [leaves[i] for i in places]
            moved, new = optimizer.update(*chosen, optimizer.lr * factor)
            states.append(new)
            for i, leaf in zip(places, moved, strict=True):
                result[i] = leaf
        return pytree.unflatten(tree, result), tuple(states)

    def _all(self) -> list[tuple[str, Optimizer]]:
        return [*self.groups.items(), ("", self.default)]

    def _members(self, params: Any) -> dict[str, list[int]]:
        """Positions of the leaves of each group; the default has the name ""."""
        members: dict[str, list[int]] = {name: [] for name, _ in self._all()}
        for i, path in enumerate(pytree.paths(pytree.flatten(params)[1])):
            matching = (pattern for pattern in self.groups if fnmatch.fnmatchcase(path, pattern))
            members[next(matching, "")].append(i)
        return members
