"""Functions that are traced once for each type of arguments, and then run from their graph."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import numpy as np

from tlverify.core import native, pytree
from tlverify.core.interpreter import run
from tlverify.core.ops.apply import trace_of
from tlverify.core.trace import trace
from tlverify.graph import Graph, TlverifyError

Execution = Literal["auto", "native", "compiled"]


def jit(fn: Callable[..., Any], execution: Execution = "auto") -> Callable[..., Any]:
    """`fn` of trees of arrays, traced once for each structure and type of its arguments, so a Python `if` or loop in it
    is settled then. Arrays that it closes over must not change.

    Its graph runs as machine code ("native": of NumPy arrays with the extra `native`, or of CuPy arrays) or as a plan
    of NumPy or CuPy ("compiled"); "auto" is native for NumPy arrays where it can be. Inside a trace it is `fn`.
    TlverifyError for another execution, or if native is asked for and cannot be.
    """
    if execution not in ("auto", "native", "compiled"):
        raise TlverifyError(f"jit: execution: expected auto, native or compiled, found {execution!r}")
    known: dict[Any, tuple[Callable[..., Any], pytree.TreeDef]] = {}

    @functools.wraps(fn)
    def wrapped(*args: Any) -> Any:
        leaves, tree = pytree.flatten(args)
        if trace_of(*leaves) is not None:
            return fn(*args)
        arrays = [leaf if hasattr(leaf, "dtype") else np.asarray(leaf) for leaf in leaves]
        key = (tree, tuple((type(a), a.shape, a.dtype) for a in arrays))
        if key not in known:
            traced = trace(fn, *pytree.unflatten(tree, arrays))
            host = all(isinstance(a, np.ndarray | np.generic) for a in arrays)
            known[key] = _program(traced.graph, execution, host), traced.out_tree
        program, out_tree = known[key]
        return pytree.unflatten(out_tree, program(*arrays))

    return wrapped


def _program(graph: Graph, execution: Execution, host: bool) -> Callable[..., Any]:
    if execution == "native" and host and not native.installed():
        raise TlverifyError("jit: execution native: it needs llvmlite; pip install 'tlverify[native]'")
    if execution == "native" and not host:
        from tlverify.core.cuda.device import gpu
        from tlverify.core.cuda.program import compile_graph as record_graph

        return record_graph(graph, gpu())
    if execution != "compiled" and host and native.installed():
        from tlverify.core.native.program import compile_graph  # it needs llvmlite

        return compile_graph(graph)
    return functools.partial(_run, graph)


def _run(graph: Any, *arrays: Any) -> tuple[Any, ...]:
    return run(graph, arrays)
