"""Numerics: tracing, op rules, autograd, layers."""

from tlverify.core import ops as ops  # isort: skip
from tlverify.core import nn as nn
from tlverify.core import pytree as pytree
from tlverify.core.autograd import grad as grad
from tlverify.core.autograd import jvp as jvp
from tlverify.core.autograd import value_and_grad as value_and_grad
from tlverify.core.autograd import vjp as vjp
from tlverify.core.derive import vjp_graph as vjp_graph
from tlverify.core.interpreter import NonFiniteError as NonFiniteError
from tlverify.core.interpreter import run as run
from tlverify.core.jit import jit as jit
from tlverify.core.ops.custom import custom_op as custom_op
from tlverify.core.ops.custom import remove_op as remove_op
from tlverify.core.recompute import checkpoint as checkpoint
from tlverify.core.tensor import Tensor as Tensor
from tlverify.core.trace import Spec as Spec
from tlverify.core.trace import Traced as Traced
from tlverify.core.trace import apply_graph as apply_graph
from tlverify.core.trace import bind as bind
from tlverify.core.trace import rename as rename
from tlverify.core.trace import trace as trace
from tlverify.core.transforms import hessian as hessian
from tlverify.core.transforms import hvp as hvp
from tlverify.core.transforms import jacfwd as jacfwd
from tlverify.core.transforms import jacrev as jacrev
from tlverify.core.transforms import vmap as vmap
