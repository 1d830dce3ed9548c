"""Modules become graphs with the same outputs and the same bits of parameters, or are refused by name."""

import re

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tlverify[torch]'")

from torch import nn  # noqa: E402

from tlverify.certify import certify, robustness  # noqa: E402
from tlverify.core import run  # noqa: E402
from tlverify.interop.torch import TorchError, cross_check, from_torch, to_torch  # noqa: E402

from .modules import CASES, Attention, Call, floats, statistics  # noqa: E402


@pytest.mark.parametrize("name", CASES)
def test_there_and_back(name):
    """The import compares outputs by itself; the export of the result is compared too, for several examples at once."""
    torch.manual_seed(0)
    module, example = CASES[name]
    graph = from_torch(statistics(module), example, seed=1)
    again = to_torch(graph)
    assert cross_check(graph, again, 4, seed=2).difference < 1e-5
    rng = np.random.default_rng(3)
    many = rng.integers(0, 3, (3, *example.shape)) if example.dtype == np.int64 else rng.random((3, *example.shape))
    many = torch.from_numpy(many.astype(example.dtype))
    with torch.no_grad():
        expected, found = (torch.utils._pytree.tree_leaves(m(many)) for m in (module.eval(), again))
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_parameters_keep_their_names_and_bits():
    module, example = CASES["residual"]
    graph = from_torch(module, example)
    found = {parameter.name: parameter.data for parameter in graph.parameters}
    for name, tensor in module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert found[name].tobytes() == tensor.numpy().tobytes(), name


def test_an_import_is_certified():
    torch.manual_seed(0)
    module = nn.Sequential(nn.Flatten(), nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 2))
    graph = from_torch(module, floats(1, 4, 4))
    x = np.random.default_rng(0).random((1, 1, 4, 4)).astype(np.float32)
    label = int(run(graph, [x[0]])[0].argmax())
    (result,) = certify(graph, robustness(graph, x, [label], "0.001"))
    assert result.verdict == "verified"


def test_a_division_by_a_number_is_exact_for_the_kernel():
    graph = from_torch(Call(lambda x: torch.relu(x / 255)), floats(2))
    assert [node.op for node in graph.nodes if node.op not in ("reshape", "relu")] == ["batch_norm"]
    np.testing.assert_allclose(run(graph, [np.array([51, 255], np.float32)])[0], [0.2, 1], rtol=1e-6)


def test_without_a_batch_axis():
    graph = from_torch(nn.LSTM(3, 4, 2), floats(5, 3), batch=False)
    assert graph.inputs[0].shape == (5, 3)
    assert [graph.types[name].shape for name in graph.outputs] == [(5, 4), (2, 4), (2, 4)]
    assert graph.outputs == ("y_0", "y_1", "y_2")


def test_two_inputs_and_a_parameter_called_y():
    class Both(nn.Module):
        def __init__(self):
            super().__init__()
            self.y = nn.Parameter(torch.ones(2))

        def forward(self, a, b):
            return a * self.y + b

    graph = from_torch(Both(), floats(2), floats(2))
    assert [value.name for value in graph.inputs] == ["a", "b"]
    assert graph.outputs == ("y_",)


def test_the_mode_of_the_module_is_restored():
    module = nn.Sequential(nn.Linear(2, 2), nn.Dropout())
    module[0].eval()
    from_torch(module, floats(2))
    assert [part.training for part in module.modules()] == [True, False, True]


def branches(x):
    return x if x.sum() > 0 else -x


class Counts(nn.Module):
    def __init__(self):
        super().__init__()
        self.register_buffer("count", torch.zeros(1))

    def forward(self, x):
        self.count += 1
        return x + self.count


@pytest.mark.parametrize(
    ("module", "example", "reason"),
    [
        (Call(torch.atan2), floats(2), "torch.export cannot take this module: TypeError"),
        (Call(torch.special.i0), floats(2), r"node 'i0' (aten.i0.default): this function is not supported; supported:"),
        (Call(branches), floats(2), "a module must not branch on the values of its input"),
        (Counts(), floats(1), "the module changes 'count' in evaluation"),
        (nn.Linear(2, 2).half(), np.zeros(2, np.float16), "example 0: expected float32, float64, int64, bool, found"),
        (nn.Linear(2, 2).half(), floats(2), "weight: expected float32, float64, int64, bool, found float16"),
        (Call(lambda x: x.mean()), floats(2), "output 0: expected a first axis of size 1, found []; use batch=False"),
        (Call(lambda x: x + float("inf")), floats(2), "a constant: holds a NaN or an infinity"),
        (Call(lambda x: x.masked_fill(x > 0, -torch.inf)), floats(2), "an output holds -inf"),
        (Call(lambda x: x.masked_fill(x > 0, -torch.inf) * 2), floats(2), "its input holds -inf, which only a softmax"),
        (Call(lambda x: torch.nn.functional.pad(x, (1, 1), "reflect")), floats(2, 4), "(aten."),
        (Call(lambda x: x / 0), floats(2), "expected a divisor that is finite and not 0, found 0.0"),
        (Call(lambda x: x[:, torch.tensor([True, False])]), floats(2), "is not supported"),
        (nn.Upsample(scale_factor=1.3), floats(1, 4, 4), "expected a whole number of places, found 4 times 1.3"),
        (nn.MaxPool2d(2, ceil_mode=True), floats(1, 5, 5), "ceil_mode: the last window would not fit"),
        (nn.AdaptiveMaxPool2d(3), floats(1, 4, 4), "expected divisors of [4, 4], found [3, 3]"),
        (lambda x: x, floats(2), "expected a torch.nn.Module, found function"),
    ],
)
def test_refused(module, example, reason):
    with pytest.raises(TorchError, match=re.escape(reason)):
        from_torch(module, example)


def test_no_example():
    with pytest.raises(TorchError, match="expected one example for each input"):
        from_torch(nn.Linear(2, 2))


def test_a_difference_is_found():
    module = nn.Linear(2, 2)
    graph = from_torch(module, floats(2))
    with torch.no_grad():
        module.weight[0, 0] += 1
    with pytest.raises(TorchError, match="the graph and the module differ by"):
        cross_check(graph, module)
    with pytest.raises(TorchError, match=r"output 'y': \[2\] in the graph, \[3\] in the module"):
        cross_check(graph, nn.Linear(2, 3))


def test_a_row_that_sees_nothing_is_found_by_the_comparison():
    """PyTorch gives NaN there, the graph 0."""
    with pytest.raises(TorchError, match="differ by inf"):
        from_torch(Call(lambda x: x.masked_fill(x > -9, -torch.inf).softmax(-1)), floats(3))


def test_export_keeps_attention_whole():
    graph = from_torch(Attention(False), floats(5, 8))
    assert {"linear", "matmul"} <= {node.op for node in graph.nodes}
