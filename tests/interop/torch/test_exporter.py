"""Every op means the same in PyTorch, and a graph becomes a module that can be trained."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tlverify[torch]'")
torch.set_num_threads(1)

from tlverify.core import nn, ops, run, trace  # noqa: E402
from tlverify.graph import OPS, Graph, Input, Node, Parameter  # noqa: E402
from tlverify.interop.torch import TorchError, cross_check, from_torch, to_torch  # noqa: E402
from tlverify.interop.torch.export_rules import EXPORT, NO_RULE  # noqa: E402

rng = np.random.default_rng(5)
A, B, POSITIVE = rng.normal(size=(3, 4)), rng.normal(size=(3, 4)), rng.uniform(0.5, 2, (3, 4))
IMAGE, SQUARE, PAIRS = rng.normal(size=(2, 4, 7, 6)), rng.normal(size=(2, 3, 3)), rng.normal(size=(3, 4, 2))
SPD = SQUARE @ SQUARE.swapaxes(1, 2) + np.eye(3)
IDS = np.array([[0, 2, 2], [1, 0, 2]])
WEIGHT, CHANNELS = rng.normal(size=(6, 2, 3, 2)), [rng.uniform(0.5, 2, 4) for _ in range(4)]
ODD = {"stride": (2, 1), "padding": (1, 2, 0, 1), "dilation": (1, 2)}

# function, arguments
CASES = [
    *((getattr(ops, name), [A]) for name in ("abs", "cos", "detach", "erf", "exp", "expm1", "neg", "relu", "sigmoid")),
    *((getattr(ops, name), [A]) for name in ("sign", "sin", "softplus", "tanh", "leaky_relu", "argmax", "argsort")),
    *((getattr(ops, name), [POSITIVE]) for name in ("log", "log1p", "sqrt")),
    *((getattr(ops, name), [A, B]) for name in ("add", "sub", "mul", "div", "maximum", "minimum", "equal", "greater")),
    *((getattr(ops, name), [A, B[:1]]) for name in ("add", "greater")),
    (ops.pow, [POSITIVE, B]),
    (lambda x: ops.clamp(x, -0.5, 0.25), [A]),
    (lambda x: ops.scale(x, -0.75), [A]),
    (lambda x: ops.cast(x, "float32"), [A]),
    (lambda x: ops.cast(x, "bool"), [A]),
    (lambda x, y: ops.where(ops.greater(x, 0), x, y), [A, B]),
    (lambda x: ops.argsort(x, 0, descending=True), [np.round(A)]),
    (lambda x: ops.cumsum(x, 0, reverse=True), [A]),
    (lambda x: ops.cumsum(x, 1), [A]),
    (lambda x: ops.take(x, IDS), [A]),
    (lambda x: ops.take_along_axis(x, IDS, 1), [A[:2]]),
    (lambda x: ops.scatter_add(x, IDS, 4), [IMAGE[:, :3]]),
    (ops.matmul, [SQUARE, SQUARE]),
    (ops.linear, [IMAGE, rng.normal(size=(5, 6)), rng.normal(size=5)]),
    (ops.cholesky, [SPD]),
    (lambda x: ops.qr(x)[0], [SQUARE]),
    (ops.solve, [SPD, SQUARE]),
    (ops.fft, [PAIRS]),
    (ops.ifft, [PAIRS]),
    (ops.rfft, [A]),
    (lambda x: ops.irfft(x, 7), [PAIRS]),
    (lambda *a: ops.batch_norm(*a, axis=1, epsilon=0.25), [IMAGE, *CHANNELS]),
    (lambda *a: ops.batch_norm(*a, axis=-1), [A, *CHANNELS]),
    (lambda *a: ops.conv2d(*a, **ODD, groups=2), [IMAGE, WEIGHT, rng.normal(size=6)]),
    (lambda *a: ops.conv2d(*a, groups=2), [IMAGE[0], WEIGHT, rng.normal(size=6)]),
    (lambda x: ops.max_pool2d(x, (3, 2), **ODD), [IMAGE[None]]),
    (lambda x: ops.max_pool2d(x, 2), [IMAGE[0, 0]]),
    (lambda x: ops.avg_pool2d(x, (2, 3), 1, (1, 2, 0, 1)), [IMAGE]),
    (lambda x: ops.avg_pool2d(x, (2, 3), 2, (1, 2, 0, 1), count_include_pad=False), [IMAGE[0, 0]]),
    (lambda x: ops.windows(x, (3, 2), **ODD), [IMAGE]),
    (lambda x: ops.fold(ops.windows(x, (3, 2), **ODD), (7, 6), (3, 2), **ODD), [IMAGE[0]]),
    (lambda x: ops.sum(x, 1), [A]),
    (lambda x: ops.sum(x, (0, 1), keepdims=True), [A]),
    (lambda x: ops.max(x, 1), [A]),
    (lambda x: ops.max(ops.sum(x, ()), ()), [A]),
    (lambda x, y: ops.concat([x, y], 1), [A, B]),
    (lambda x: ops.pad(x, (1, 0, 0, 2), -1.5), [A]),
    (lambda x: x[1:, ::2], [A]),
    (lambda x: ops.reshape(ops.transpose(x, (0, 2, 1, 3)), -1), [IMAGE]),
]


def test_every_op_has_a_rule_or_a_reason():
    assert set(EXPORT) | set(NO_RULE) == set(OPS)
    assert not set(EXPORT) & set(NO_RULE)
    assert all(NO_RULE.values())


@pytest.mark.parametrize("number", range(len(CASES)))
def test_values(number):
    function, arguments = CASES[number]
    traced = trace(lambda *a: function(*a), *arguments)
    module = to_torch(traced.graph, batch=False)
    with torch.no_grad():
        found = module(*(torch.from_numpy(np.array(a)) for a in arguments)).numpy()
    expected = run(traced.graph, arguments)[0]
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-12)


def test_the_cases_use_every_op():
    used = {node.op for function, a in CASES for node in trace(lambda *b, f=function: f(*b), *a).graph.nodes}
    assert set(EXPORT) <= used


def test_a_trained_module_comes_back():
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.BatchNorm1d(4), nn.Linear(4, 2))
    params, state = model.init(np.random.default_rng(0)), nn.init_state(model)
    graph = nn.export_graph(model, params, (3,), state=state)
    module = to_torch(graph)
    assert sorted(name for name, _ in module.named_parameters()) == [
        *("0.bias", "0.weight", "2.bias", "2.weight", "3.bias", "3.weight"),
    ]
    assert sorted(name for name, _ in module.named_buffers()) == ["2.running_mean", "2.running_var"]
    optimizer = torch.optim.SGD(module.parameters(), 0.1)
    module(torch.rand(5, 3)).square().sum().backward()
    optimizer.step()
    again = from_torch(module, np.zeros(3, np.float32))
    found = {parameter.name: parameter.data for parameter in again.parameters}
    np.testing.assert_array_equal(found["0.weight"], module.state_dict()["0.weight"].numpy())
    assert not np.array_equal(found["0.weight"], params["0"]["weight"])


def test_names_that_modules_cannot_have():
    """`a` beside `a.b`, a name of Module itself, and an empty part."""
    values = {"a": 1, "a.b": 2, "forward": 3, "x..y": 4}
    nodes, last = [], "x"
    for i, name in enumerate(values):
        nodes.append(Node(f"sum{i}", "add", (last, name), (1,), "float32"))
        last = f"sum{i}"
    parameters = tuple(Parameter(name, np.full(1, value, np.float32)) for name, value in values.items())
    graph = Graph((Input("x", (1,), "float32"),), parameters, tuple(nodes), (last,))
    module = to_torch(graph)
    assert cross_check(graph, module).difference == 0
    assert len(module.state_dict()) == 4


def test_wrong_inputs():
    module = to_torch(trace(lambda x: ops.relu(x), np.zeros(3, np.float32)).graph)
    with pytest.raises(TorchError, match=r"expected 1 inputs \(x\), found 2"):
        module(torch.zeros(1, 3), torch.zeros(1, 3))
    with pytest.raises(TorchError, match=r"input 'x': expected \[3\] an example, found \[4\]"):
        module(torch.zeros(1, 4))


def test_an_op_without_counterpart():
    graph = trace(lambda key: ops.random_uniform(key, (2,)), ops.key(0)).graph
    with pytest.raises(TorchError, match="op 'random_uniform' has no counterpart in PyTorch: the random numbers"):
        to_torch(graph)


def test_what_is_not_a_graph_is_refused():
    class Trained:
        graph = None

    with pytest.raises(TorchError, match=r"to_torch: expected a Graph, found Trained; give its \.graph"):
        to_torch(Trained())
    with pytest.raises(TorchError, match=r"found Linear; nn\.export_graph"):
        to_torch(nn.Linear(2, 3))
