"""Parameters of our layers and of PyTorch's go both ways."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed: pip install 'tlverify[torch]'")
torch.set_num_threads(1)

from tlverify.core import nn, pytree  # noqa: E402
from tlverify.interop.torch import TorchError, from_state_dict, to_state_dict  # noqa: E402

T = torch.nn
OURS = nn.Sequential(nn.Conv2d(1, 3, 3), nn.BatchNorm2d(3), nn.ReLU(), nn.Flatten(-3), nn.Linear(12, 2))


def theirs():
    return T.Sequential(T.Conv2d(1, 3, 3), T.BatchNorm2d(3), T.ReLU(), T.Flatten(), T.Linear(12, 2))


def test_from_a_module_and_back():
    module = theirs()
    with torch.no_grad():
        module(torch.rand(5, 1, 4, 4))
    params, state = from_state_dict(OURS, module)
    x = np.random.default_rng(0).random((2, 1, 4, 4)).astype(np.float32)
    with torch.no_grad():
        expected = module.eval()(torch.from_numpy(x)).numpy()
    np.testing.assert_allclose(nn.apply(OURS, params, state, x)[0], expected, rtol=1e-4, atol=1e-6)
    other = theirs()
    other.load_state_dict(to_state_dict(params, state))
    for name, tensor in module.state_dict().items():
        if "tracked" not in name:
            assert torch.equal(tensor, other.state_dict()[name]), name


def test_parameters_without_state():
    model = nn.LSTM(3, 4, 2)
    params = model.init(np.random.default_rng(0))
    module = T.LSTM(3, 4, 2, batch_first=True)
    module.load_state_dict(to_state_dict(params))
    again, state = from_state_dict(model, module.state_dict())
    assert state == {}
    pytree.map(np.testing.assert_array_equal, params, again)


def test_the_copy_is_not_the_original():
    params = nn.Linear(2, 2).init(np.random.default_rng(0))
    tensors = to_state_dict(params)
    tensors["weight"] += 1
    assert not np.array_equal(tensors["weight"].numpy(), params["weight"])


@pytest.mark.parametrize(
    ("model", "source", "reason"),
    [
        (nn.Linear(2, 3), T.Linear(2, 4), r"'bias': expected shape \[3\], found \[4\]"),
        (nn.Linear(2, 3), T.Linear(2, 3, bias=False), "'bias' is missing; found weight"),
        (nn.Linear(2, 3, bias=False), T.Linear(2, 3), "'bias' is not a parameter of Linear"),
        (nn.Linear(2, 3), T.Linear(2, 3).bfloat16(), "bias: expected float32, float64, int64, bool, found bfloat16"),
        (nn.Linear(2, 3), 7, r"expected a torch.nn.Module or its state_dict\(\), found int"),
    ],
)
def test_refused(model, source, reason):
    with pytest.raises(TorchError, match=reason):
        from_state_dict(model, source)
