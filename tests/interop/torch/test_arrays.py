"""Arrays and tensors share memory, or are copied where they cannot."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tlverify[torch]'")

from tlverify.core import ops  # noqa: E402
from tlverify.graph import GraphError, Parameter  # noqa: E402
from tlverify.interop.torch import TorchError, to_numpy, to_tensor  # noqa: E402


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "bool"])
def test_both_ways_in_one_memory(dtype):
    array = np.ones((2, 3), dtype)
    tensor = to_tensor(array)
    assert str(tensor.dtype) == f"torch.{dtype}"
    array[0, 0] = 0
    assert tensor[0, 0] == 0
    back = to_numpy(tensor)
    assert np.shares_memory(array, back)


def test_numpy_reads_tensors_by_dlpack():
    tensor = torch.tensor([-1.0, 2.0])
    np.testing.assert_array_equal(ops.relu(np.from_dlpack(tensor)), [0, 2])


def test_what_is_read_only_is_copied():
    parameter = Parameter("w", np.ones(2, np.float32))
    tensor = to_tensor(parameter.data)
    tensor += 1
    np.testing.assert_array_equal(parameter.data, 1)


def test_big_endian_and_strided_arrays():
    array = np.arange(6, dtype=">f4").reshape(2, 3)[:, ::2]
    assert to_tensor(array).tolist() == [[0, 2], [3, 5]]


def test_a_tensor_with_a_gradient():
    assert to_numpy(torch.ones(2, requires_grad=True)).tolist() == [1, 1]


def test_refused():
    with pytest.raises(TorchError, match=r"a tensor torch.bfloat16\[2\] cannot be an array"):
        to_numpy(torch.ones(2, dtype=torch.bfloat16))
    with pytest.raises(TorchError, match=r"expected a torch.Tensor, found list"):
        to_numpy([1])
    with pytest.raises(TorchError, match="expected an array, found list"):
        to_tensor([1])


def test_a_tensor_in_a_traced_function_is_told_how_to_become_an_array():
    from tlverify.core import grad

    with pytest.raises(GraphError, match=r"np.from_dlpack\(tensor\)"):
        grad(lambda x: ops.sum(x))(torch.ones(2))
