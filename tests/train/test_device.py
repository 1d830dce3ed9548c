"""Training on a stand-in for CuPy: arrays of its own kind, which refuse to meet NumPy's."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from tlverify.core import jvp, nn, ops, pytree
from tlverify.train import data, losses, optim
from tlverify.train.callbacks import Callbacks
from tlverify.train.trainer import Trainer

RNG = np.random.default_rng(0)


class DeviceArray(np.ndarray):
    """NumPy's array under another name; an operation that takes one of NumPy's arrays beside it fails, as on a GPU."""

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        if any(type(item) is np.ndarray and item.ndim for item in (*inputs, *(out or ()))):
            raise TypeError(f"{ufunc.__name__}: NumPy and device arrays are mixed")
        if out is not None:
            kwargs["out"] = _on_host(out)
        found = getattr(ufunc, method)(*_on_host(inputs), **kwargs)
        return _on_device(found) if out is None else out[0]

    def __array_function__(self, function, types, args, kwargs):
        if np.ndarray in types:
            raise TypeError(f"{function.__name__}: NumPy and device arrays are mixed")
        return _on_device(function(*_on_host(args), **_on_host(kwargs)))

    def get(self):
        return self.view(np.ndarray)


def jvp_of_cholesky(x):
    return jvp(lambda x: ops.cholesky(x @ ops.transpose(x)), [x], [x])[1]


def _on_host(value):
    if isinstance(value, DeviceArray):
        return value.view(np.ndarray)
    if isinstance(value, dict):
        return {name: _on_host(item) for name, item in value.items()}
    return type(value)(map(_on_host, value)) if isinstance(value, list | tuple) else value


def _on_device(value):
    if isinstance(value, list | tuple):
        return [_on_device(item) for item in value]
    return np.asarray(value).view(DeviceArray) if isinstance(value, np.ndarray | np.generic) else value


class FakeCuPy(types.ModuleType):
    """The functions of NumPy, whose results are device arrays."""

    ndarray = DeviceArray

    def __getattr__(self, name):
        found = getattr(np, name)
        if isinstance(found, type) or not callable(found):
            return found

        def call(*args, **kwargs):
            return _on_device(found(*_on_host(args), **_on_host(kwargs)))

        return call


DENSE = nn.Sequential(nn.Linear(16, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.2), nn.Linear(8, 2))
IMAGES = nn.Sequential(
    nn.Reshape((1, 4, 4)), nn.Conv2d(1, 2, 3), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(-3), nn.Linear(2, 2)
)
SEQUENCE = nn.Sequential(nn.Reshape((4, 4)), nn.LSTM(4, 3), nn.Select(-2, -1), nn.Linear(3, 2))


CASES = [
    pytest.param(DENSE, {"optimizer": optim.Clipped(optim.Adam(0.03), optim.ClipNorm(1.0))}, id="dense"),
    pytest.param(DENSE, {"execution": "eager"}, id="eager"),
    pytest.param(IMAGES, {"optimizer": optim.SGD(0.1, momentum=0.9)}, id="images"),
    pytest.param(IMAGES, {"loss": losses.IntervalCrossEntropy(0.01)}, id="intervals"),
    pytest.param(SEQUENCE, {"optimizer": optim.AdamW(0.01)}, id="sequence"),
]


@pytest.mark.parametrize(("model", "settings"), CASES)
def test_training_takes_its_arrays_from_the_namespace(model, settings, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", FakeCuPy("cupy"))
    x = RNG.uniform(size=(32, 16)).astype(np.float32)
    points = data.tensor_dataset(x, (x[:, 0] > 0.5).astype(int))
    kinds = set()
    watch = Callbacks(step=lambda state, metrics: kinds.update(map(type, pytree.flatten(state.params)[0])))
    host = Trainer(model, **settings).train(points, steps=3, batch_size=8)
    device = Trainer(model, **settings, backend="cupy").train(points, steps=3, batch_size=8, callbacks=watch)
    assert kinds == {DeviceArray}
    for a, b in zip(pytree.flatten(host.params)[0], pytree.flatten(device.params)[0], strict=True):
        assert type(b) is np.ndarray
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("fn", [ops.tril, ops.triu, ops.inv, jvp_of_cholesky, lambda x: ops.qr(x)[1]])
def test_constants_that_an_op_needs_are_on_the_device(fn, monkeypatch):
    monkeypatch.setitem(sys.modules, "cupy", FakeCuPy("cupy"))
    x = 4 * np.eye(3) + RNG.uniform(size=(3, 3))
    found = fn(x.view(DeviceArray))
    assert type(found) is DeviceArray
    np.testing.assert_array_equal(found.get(), fn(x))


def test_the_stand_in_refuses_arrays_of_numpy():
    for mix in (np.add, lambda a, b: np.concatenate([a, b])):
        with pytest.raises(TypeError, match="NumPy and device arrays are mixed"):
            mix(np.ones(2).view(DeviceArray), np.ones(2))
