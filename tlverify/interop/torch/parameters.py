"""Parameters of our layers and of PyTorch's: both name them alike."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tlverify.core import nn, pytree
from tlverify.interop.torch.arrays import array_of, load_torch, to_tensor
from tlverify.interop.torch.errors import TorchError

_IGNORED = "num_batches_tracked"


def to_state_dict(params: Any, state: Any = None) -> dict[str, Any]:
    """Parameters, and the state of layers, as a dictionary for `module.load_state_dict`, as in `0.weight`.

    PyTorch's batch normalisation adds its count of batches by itself.
    """
    result: dict[str, Any] = {}
    for tree in (params, state):
        leaves, definition = pytree.flatten({} if tree is None else tree)
        for path, leaf in zip(pytree.paths(definition), leaves, strict=True):
            result[path] = to_tensor(np.array(leaf))
    return result


def from_state_dict(model: nn.Layer, source: Any) -> tuple[Any, Any]:
    """(params, state) of our `model` from a PyTorch module or its `state_dict()`, bit for bit.

    TorchError names the first tensor that is missing, left over, or of another shape.
    """
    torch = load_torch()
    given = source.state_dict() if isinstance(source, torch.nn.Module) else source
    if not isinstance(given, Mapping):
        raise TorchError(f"expected a torch.nn.Module or its state_dict(), found {type(source).__name__}")
    tensors = {name: tensor for name, tensor in given.items() if name.rpartition(".")[2] != _IGNORED}
    used: set[str] = set()
    trees = [_filled(tree, tensors, used) for tree in (model.init(np.random.default_rng(0)), nn.init_state(model))]
    left = sorted(set(tensors) - used)
    if left:
        raise TorchError(f"{left[0]!r} is not a parameter of {model}; it has {', '.join(sorted(used))}")
    return trees[0], trees[1]


def _filled(tree: Any, tensors: Mapping[str, Any], used: set[str]) -> Any:
    """The tree with the tensors of its paths in the place of its leaves."""
    leaves, definition = pytree.flatten(tree)
    found = []
    for path, leaf in zip(pytree.paths(definition), leaves, strict=True):
        if path not in tensors:
            raise TorchError(f"{path!r} is missing; found {', '.join(tensors) or 'nothing'}")
        array = array_of(tensors[path], path)
        if array.shape != leaf.shape:
            raise TorchError(f"{path!r}: expected shape {list(leaf.shape)}, found {list(array.shape)}")
        used.add(path)
        found.append(array)
    return pytree.unflatten(definition, found)
