"""From a PyTorch module to a graph, through torch.export."""

from __future__ import annotations

import inspect
import operator
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tlverify.core import ops
from tlverify.core.ops.apply import trace_of
from tlverify.core.tensor import Tensor, Trace
from tlverify.graph import DTYPES, Graph, GraphError, Type
from tlverify.interop.torch.arrays import array_of, dtype_of, load_torch
from tlverify.interop.torch.check import cross_check
from tlverify.interop.torch.errors import TorchError
from tlverify.interop.torch.masks import Masked
from tlverify.interop.torch.rules import ATEN, CHECKS, CREATED, KEPT, MASKED, MOVES


def from_torch(module: Any, *examples: Any, batch: bool = True, samples: int = 4, seed: int = 0) -> Graph:
    """The graph of a `torch.nn.Module` in evaluation, for inputs like `examples` (arrays or torch tensors).

    An example is one input without a batch axis, as a graph takes it; the module sees it with a first axis of size 1.
    With `batch=False` the module takes the examples as they are. Parameters and buffers keep their bits and names; the
    outputs are `y`, or `y_0`, `y_1`, ... The graph and the module are compared on `samples` random inputs.

    TorchError names the function of ATen that a graph cannot say, or the place where the two differ.
    """
    torch = load_torch()
    if not isinstance(module, torch.nn.Module):
        raise TorchError(f"expected a torch.nn.Module, found {type(module).__name__}")
    if not examples:
        raise TorchError("expected one example for each input, as in from_torch(module, np.zeros((1, 28, 28), 'f4'))")
    tensors = tuple(_example(torch, i, example, batch) for i, example in enumerate(examples))
    modes = [(part, part.training) for part in module.modules()]
    module.eval()
    try:
        program = _export(torch, module, tensors)
        graph = _lower(torch, program, batch)
        if samples:
            cross_check(graph, module, samples, seed, batch)
    finally:
        for part, mode in modes:
            part.training = mode
    return graph


class _Import(Trace):
    """A trace whose constants have the names that they have in the module."""

    def __init__(self) -> None:
        super().__init__()
        self.stored: dict[int, tuple[str, np.ndarray[Any, Any]]] = {}

    def store(self, name: str, array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        self.stored[id(array)] = name, array
        return array

    def constant(self, value: Any, dtype: str | None = None, name: str | None = None) -> Tensor:
        found = self._origin(value)
        if isinstance(value, float | np.ndarray) and not np.isfinite(value).all():
            what = found[0] if found else "a constant"
            raise TorchError(f"{what}: holds a NaN or an infinity, which a graph cannot store")
        return super().constant(value, dtype, found[0] if found else name)

    def _origin(self, value: Any) -> tuple[str, np.ndarray[Any, Any]] | None:
        """What is stored as `value`, or as the array of the same size that it is a view of."""
        view = value
        while isinstance(view, np.ndarray) and view.size == value.size:
            if id(view) in self.stored:
                return self.stored[id(view)]
            view = view.base
        return None


def _example(torch: Any, number: int, example: Any, batch: bool) -> Any:
    tensor = example if isinstance(example, torch.Tensor) else torch.from_numpy(np.array(example))
    if dtype_of(tensor) not in DTYPES:
        raise TorchError(f"example {number}: expected {', '.join(DTYPES)}, found {tensor.dtype}; as in x.float()")
    tensor = tensor.detach().cpu()
    return tensor[None] if batch else tensor


def _export(torch: Any, module: Any, tensors: Sequence[Any]) -> Any:
    """The exported program, with functions of ours kept whole, and nothing done in place."""
    table = torch.export.default_decompositions()
    for overload in list(table):
        if overload._schema.name.removeprefix("aten::") in KEPT:
            del table[overload]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.export warns of its own internals
        try:
            return torch.export.export(module, tuple(tensors)).run_decompositions(table)
        except Exception as error:
            lines = str(error).strip().splitlines() or [""]
            raise TorchError(
                f"torch.export cannot take this module: {type(error).__name__}: {lines[0]}; "
                "a module must not branch on the values of its input"
            ) from error


def _lower(torch: Any, program: Any, batch: bool) -> Graph:
    """Every node of the program with our ops."""
    trace = _Import()
    values: dict[str, Any] = {}
    try:
        _bind_inputs(torch, program, trace, values, batch)
        for node in program.graph.nodes:
            if node.op == "call_function":
                values[node.name] = _evaluate(torch, trace, node, values)
            elif node.op == "get_attr":
                raise TorchError(
                    f"node {node.name!r}: a function that takes functions, as torch.cond, is not supported"
                )
        results = [_result(spec, values) for spec in program.graph_signature.output_specs]
        if any(isinstance(result, Masked) for result in results):
            raise TorchError("an output holds -inf, which a graph cannot store")
        outputs = []
        for i, result in enumerate(results):
            tensor = trace.lift(result)
            if batch and tensor.shape[:1] != (1,):
                found = list(tensor.shape)
                raise TorchError(f"output {i}: expected a first axis of size 1, found {found}; use batch=False")
            name = "y" if len(results) == 1 else f"y_{i}"
            while name in trace:
                name += "_"
            shape = tensor.shape[1:] if batch else tensor.shape
            outputs.append(trace.node("reshape", tensor.name, name=name, shape=shape))
        graph = trace.build(*outputs)
    finally:
        trace.closed = True
    return graph


def _bind_inputs(torch: Any, program: Any, trace: _Import, values: dict[str, Any], batch: bool) -> None:
    """Inputs become inputs; parameters, buffers and constants are arrays under their names in the module."""
    kinds = torch.export.graph_signature.InputKind
    types = {node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"}
    for spec in program.graph_signature.input_specs:
        name = getattr(spec.arg, "name", "")
        if spec.kind == kinds.USER_INPUT:
            if name not in types or not isinstance(types[name], torch.Tensor):
                raise TorchError(f"input {name!r}: expected a tensor; give other arguments inside the module")
            shape = tuple(types[name].shape)
            declared = trace.add_input(name, Type(shape[1:] if batch else shape, str(dtype_of(types[name]))))
            values[name] = ops.reshape(declared, (1, *declared.shape)) if batch else declared
        elif spec.kind in (kinds.PARAMETER, kinds.BUFFER, kinds.CONSTANT_TENSOR):
            tensor = program.state_dict.get(spec.target, program.constants.get(spec.target))
            values[name] = trace.store(spec.target, array_of(tensor, spec.target))
        else:
            raise TorchError(f"input {name!r} of kind {spec.kind.name} is not supported")


def _result(spec: Any, values: Mapping[str, Any]) -> Any:
    if spec.kind.name != "USER_OUTPUT":
        raise TorchError(f"the module changes {spec.target!r} in evaluation, which a graph cannot say")
    name = str(getattr(spec.arg, "name", ""))
    if name not in values:
        raise TorchError(f"outputs: expected tensors, found {spec.arg}")
    return values[name]


def _evaluate(torch: Any, trace: _Import, node: Any, values: Mapping[str, Any]) -> Any:
    """One call, with our ops on Tensors, or at once on stored arrays where that is exact."""

    def value(argument: Any) -> Any:
        if isinstance(argument, torch.fx.Node):
            return values[argument.name]
        if isinstance(argument, list | tuple):
            return [value(part) for part in argument]
        return argument

    arguments = [value(argument) for argument in node.args]
    named = {key: value(argument) for key, argument in node.kwargs.items()}
    if node.target is operator.getitem:
        return arguments[0][arguments[1]]
    masked = any(isinstance(leaf, Masked) for leaf in _leaves((arguments, named)))
    full = str(node.target)
    name = full.removeprefix("aten.").split(".")[0] if full.startswith("aten.") else full
    where = f"node {node.name!r} ({full})"
    if name in CHECKS:
        return None
    if name in CREATED:
        return _created(torch, node, where)
    if name == "_to_copy" or full == "aten.to.dtype":
        return _cast(arguments[0], node, where)
    rule = ATEN.get(name)
    if rule is None:
        known = ", ".join(sorted(ATEN))
        raise TorchError(f"{where}: this function is not supported; supported: {known}")
    if masked and name not in MASKED:
        raise TorchError(f"{where}: its input holds -inf, which only a softmax may take")
    arrays = [leaf for leaf in _leaves((arguments, named)) if isinstance(leaf, np.ndarray)]
    if arrays and trace_of(*_leaves((arguments, named))) is None and not _exact(name, arrays):
        lifted = {id(array): trace.lift(array) for array in arrays}
        arguments, named = (_replaced(part, lifted) for part in (arguments, named))
    return _call(rule, arguments, named, where)


def _call(rule: Callable[..., Any], arguments: Sequence[Any], named: Mapping[str, Any], where: str) -> Any:
    try:
        bound = inspect.signature(rule).bind(*arguments, **named)
    except TypeError as error:
        raise TorchError(f"{where}: arguments that are not supported: {error}") from None
    try:
        return rule(*bound.args, **bound.kwargs)
    except (GraphError, TorchError) as error:
        raise TorchError(f"{where}: {error}") from None


def _exact(name: str, arrays: Sequence[np.ndarray[Any, Any]]) -> bool:
    return name in MOVES or all(array.dtype.kind in "ib" for array in arrays)


def _created(torch: Any, node: Any, where: str) -> np.ndarray[Any, Any]:
    """The constant itself: it depends on nothing but numbers, and on the shapes of tensors."""
    like = [torch.empty(a.meta["val"].shape, dtype=a.meta["val"].dtype) for a in node.args if hasattr(a, "meta")]
    rest = [argument for argument in node.args if not hasattr(argument, "meta")]
    named = {key: item for key, item in node.kwargs.items() if key not in ("device", "pin_memory")}
    return array_of(node.target(*like, *rest, **named), where)


def _cast(x: Any, node: Any, where: str) -> Any:
    wanted = str(dtype_of(node.meta["val"]))
    if wanted not in DTYPES:
        raise TorchError(f"{where}: expected a cast to {', '.join(DTYPES)}, found {wanted}")
    if not isinstance(x, np.ndarray):
        return ops.cast(x, wanted)
    data = x.astype(wanted)
    if not np.array_equal(data.astype(x.dtype), x):
        raise TorchError(f"{where}: a cast of stored numbers to {wanted} would round them")
    return data


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for part in value.values() for leaf in _leaves(part)]
    if isinstance(value, list | tuple):
        return [leaf for part in value for leaf in _leaves(part)]
    return [value]


def _replaced(value: Any, lifted: Mapping[int, Tensor]) -> Any:
    if isinstance(value, dict):
        return {key: _replaced(part, lifted) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_replaced(part, lifted) for part in value]
    return lifted.get(id(value), value) if isinstance(value, np.ndarray) else value
