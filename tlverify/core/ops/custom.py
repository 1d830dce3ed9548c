"""Ops of one's own: a name and all the rules that an op of the table has.

`custom_op` binds rules to a name for as long as the program runs. Such a graph can be trained, differentiated,
mapped and saved; where a rule is asked for that was not given, the error says so. The kernel knows no custom op, so
nothing about one is ever proved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tlverify.core.ops.apply import Value, apply, as_value, same_dtype
from tlverify.core.ops.batch import BATCH, BatchRule, trailing
from tlverify.core.ops.forward import FORWARD
from tlverify.core.ops.jvp import JVP
from tlverify.core.ops.vjp import VJP
from tlverify.graph import GraphError, Type
from tlverify.graph.ops import OPS, Attributes, Op

Infer = Callable[..., Type]


def batch_rule(op: str) -> BatchRule:
    """The rule of an op for vmap."""
    return BATCH[op]
