"""tlverify: train a network, export one canonical graph, and prove properties of it.

Importing this package loads nothing; names are found when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from tlverify.version import __version__ as __version__

if TYPE_CHECKING:
    from tlverify import certify as certify
    from tlverify import testing as testing
    from tlverify.core import checkpoint as checkpoint
    from tlverify.core import custom_op as custom_op
    from tlverify.core import grad as grad
    from tlverify.core import hessian as hessian
    from tlverify.core import hvp as hvp
    from tlverify.core import jacfwd as jacfwd
    from tlverify.core import jacrev as jacrev
    from tlverify.core import jit as jit
    from tlverify.core import jvp as jvp
    from tlverify.core import models as models
    from tlverify.core import nn as nn
    from tlverify.core import ops as ops
    from tlverify.core import run as run
    from tlverify.core import trace as trace
    from tlverify.core import value_and_grad as value_and_grad
    from tlverify.core import vjp as vjp
    from tlverify.core import vmap as vmap
    from tlverify.graph import Graph as Graph
    from tlverify.graph import digest as digest
    from tlverify.graph import save_graph as save_graph
    from tlverify.interop import load_graph as load_graph
    from tlverify.train import Trainer as Trainer
    from tlverify.train import data as data
    from tlverify.train import losses as losses
    from tlverify.train import optim as optim

_HOMES = {
    "tlverify.core": (
        *("checkpoint", "custom_op", "grad", "hessian", "hvp", "jacfwd", "jacrev", "jit", "jvp", "run"),
        *("trace", "value_and_grad", "vjp", "vmap"),
    ),
    "tlverify.graph": ("Graph", "digest", "save_graph"),
    "tlverify.interop": ("load_graph",),
    "tlverify.train": ("Trainer",),
}
_ATTRIBUTES = {name: home for home, names in _HOMES.items() for name in names}
_MODULES = {
    "certify": "tlverify.certify",
    "data": "tlverify.train.data",
    "losses": "tlverify.train.losses",
    "models": "tlverify.core.models",
    "nn": "tlverify.core.nn",
    "ops": "tlverify.core.ops",
    "optim": "tlverify.train.optim",
    "testing": "tlverify.testing",
}
__all__ = sorted([*_ATTRIBUTES, *_MODULES])


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return importlib.import_module(_MODULES[name])
    if name in _ATTRIBUTES:
        return getattr(importlib.import_module(_ATTRIBUTES[name]), name)
    raise AttributeError(f"module 'tlverify' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
