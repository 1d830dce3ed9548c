"""Recurrent layers on (..., steps, inputs), with formulas and parameter names of PyTorch. Steps are unrolled."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.backend import namespace
from tlverify.core.nn.init import uniform
from tlverify.core.nn.layers import Params
from tlverify.core.nn.shapes import PartialShape, last, replaced, require_size, require_sizes
from tlverify.graph import ShapeError


@dataclass(frozen=True)
class _Recurrent(ABC):
    """(..., steps, inputs) -> (..., steps, hidden), the hidden state of the last of `layers` layers after each step."""

    inputs: int
    hidden: int
    layers: int = 1

    gates = 1

    def __post_init__(self) -> None:
        require_sizes(self, inputs=self.inputs, hidden=self.hidden, layers=self.layers)

    def init(self, rng: np.random.Generator) -> Params:
        """Uniform on [-b, b] with b = 1 / sqrt(hidden)."""
        bound, rows = 1.0 / math.sqrt(self.hidden), self.gates * self.hidden
        params = {}
        for layer in range(self.layers):
            columns = self.inputs if layer == 0 else self.hidden
            params[f"weight_ih_l{layer}"] = uniform(rng, (rows, columns), bound)
            params[f"weight_hh_l{layer}"] = uniform(rng, (rows, self.hidden), bound)
            params[f"bias_ih_l{layer}"] = uniform(rng, (rows,), bound)
            params[f"bias_hh_l{layer}"] = uniform(rng, (rows,), bound)
        return params

    def __call__(self, params: Params, x: Any) -> Any:
        return self.scan(params, x)[0]

    def scan(self, params: Params, x: Any, start: Any = None) -> tuple[Any, Any]:
        """The outputs, and the state after the last step: one tree (..., hidden) for each layer, 0 at the start."""
        self.check(tuple(x.shape))
        finals = []
        for layer in range(self.layers):
            state = self.zeros(x, params) if start is None else start[layer]
            weights = [params[f"{name}_l{layer}"] for name in ("weight_ih", "bias_ih", "weight_hh", "bias_hh")]
            given = ops.linear(x, *weights[:2])
            outputs = []
            for step in range(x.shape[-2]):
                output, state = self.step(ops.slice(given, ..., step, slice(None)), state, *weights[2:])
                outputs.append(output)
            finals.append(state)
            x = ops.stack(outputs, -2)
        return x, finals

    @abstractmethod
    def step(self, given: Any, state: Any, weight: Any, bias: Any) -> tuple[Any, Any]:
        """One step from what the input gives (..., gates * hidden): the output and the new state."""

    def zeros(self, x: Any, params: Params) -> Any:
        """The state before the first step."""
        return namespace(params["weight_hh_l0"]).zeros((*x.shape[:-2], self.hidden), str(x.dtype))

    def check(self, shape: PartialShape) -> PartialShape:
        steps, size = last(self, shape, 2, f"(..., steps, {self.inputs})")
        require_size(self, size, self.inputs, "inputs")
        if steps == 0:
            raise ShapeError(f"{self} expects one or more steps")
        return replaced(shape, 1, [self.hidden])

    def __str__(self) -> str:
        return f"{type(self).__name__}({self.inputs}, {self.hidden})"


@dataclass(frozen=True)
class RNN(_Recurrent):
    """h = tanh(W x + b + V h + c) (Elman 1990)."""

    def step(self, given: Any, state: Any, weight: Any, bias: Any) -> tuple[Any, Any]:
        h = ops.tanh(ops.add(given, ops.linear(state, weight, bias)))
        return h, h


@dataclass(frozen=True)
class GRU(_Recurrent):
    """Gates r, z and the candidate n (Cho et al. 2014): h = (1 - z) n + z h."""

    gates = 3

    def step(self, given: Any, state: Any, weight: Any, bias: Any) -> tuple[Any, Any]:
        own = ops.linear(state, weight, bias)
        (reset, update, new), (reset_h, update_h, new_h) = (ops.split(v, self.hidden, -1) for v in (given, own))
        r, z = ops.sigmoid(ops.add(reset, reset_h)), ops.sigmoid(ops.add(update, update_h))
        n = ops.tanh(ops.add(new, ops.mul(r, new_h)))
        h = ops.add(n, ops.mul(z, ops.sub(state, n)))
        return h, h


@dataclass(frozen=True)
class LSTM(_Recurrent):
    """Gates i, f, o and the candidate g (Hochreiter and Schmidhuber 1997): c = f c + i g, h = o tanh(c)."""

    gates = 4

    def step(self, given: Any, state: Any, weight: Any, bias: Any) -> tuple[Any, Any]:
        h, c = state
        i, f, g, o = ops.split(ops.add(given, ops.linear(h, weight, bias)), self.hidden, -1)
        c = ops.add(ops.mul(ops.sigmoid(f), c), ops.mul(ops.sigmoid(i), ops.tanh(g)))
        h = ops.mul(ops.sigmoid(o), ops.tanh(c))
        return h, (h, c)

    def zeros(self, x: Any, params: Params) -> Any:
        """Hidden state and cell."""
        h = super().zeros(x, params)
        return h, h
