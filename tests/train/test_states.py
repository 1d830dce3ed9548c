"""States of a training as values: copied, pickled, changed, held, and read by several threads."""

from __future__ import annotations

import copy
import gc
import pickle
import signal
import sys
import threading
import time
import weakref
from dataclasses import replace

import numpy as np
import pytest

from tlverify.core import nn, ops, pytree
from tlverify.graph import TlverifyError
from tlverify.train import optim
from tlverify.train.packed import PackedState
from tlverify.train.state import TrainState
from tlverify.train.trainer import Trainer

RNG = np.random.default_rng(0)
DENSE = nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))
X, Y = RNG.normal(size=(8, 6)).astype(np.float32), RNG.integers(0, 3, 8)
EXECUTIONS = ("eager", "compiled", "native")


ADAM = optim.Adam(0.01)


def begun(execution, optimizer=ADAM):
    """A stepper, and a state after a step."""
    stepper = Trainer(DENSE, optimizer=optimizer, execution=execution).stepper(100)
    return stepper, stepper(stepper.init(np.random.default_rng(0)), (X, Y))[0]


def equal(one, other):
    for a, b in zip(pytree.flatten(one)[0], pytree.flatten(other)[0], strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda state: pickle.loads(pickle.dumps(state))])
def test_copies_are_usual_states(execution, way):
    stepper, state = begun(execution)
    other = way(state)
    assert type(other) is TrainState
    equal(other, state)
    (one, told), (two, same) = stepper(other, (X, Y)), stepper(state, (X, Y))
    assert told == same
    equal(one, two)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_what_is_put_into_a_tree_counts(execution):
    stepper, state = begun(execution)
    state.params["0"]["weight"] = np.zeros((16, 6), np.float32)
    _, replaced = stepper(state, (X, Y))
    stepper, state = begun(execution)
    state.params["0"]["weight"][...] = 0
    _, written = stepper(state, (X, Y))
    _, usual = stepper(begun(execution)[1], (X, Y))
    assert replaced == written != usual
    several = stepper.scan(state, (X[None], Y[None]))
    state.params["0"]["weight"] = np.ones((16, 6), np.float32)
    assert stepper.scan(state, (X[None], Y[None]))[1] != several[1]


@pytest.mark.parametrize("execution", ["compiled", "native"])
def test_several_threads_take_steps_and_hold_what_they_saw(execution):
    stepper, first = begun(execution, optim.SGD(0.1, momentum=0.9))
    state, expected = first, []
    for _ in range(8):
        state, metrics = stepper(state, (X, Y))
        expected.append((metrics.loss, copy.deepcopy(state.params)))
    wrong = []

    def work(number):
        rng = np.random.default_rng(number)
        for _ in range(150):
            state, held = first, []
            for i in range(8):
                state, metrics = stepper(state, (X, Y))
                if metrics.loss != expected[i][0]:
                    wrong.append(f"loss {i}")
                if rng.random() < 0.5:
                    held.append((state.params, expected[i][1]))
            for params, right in held:
                for a, b in zip(pytree.flatten(params)[0], pytree.flatten(right)[0], strict=True):
                    if not np.array_equal(a, b):
                        wrong.append("parameters")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert not wrong


def test_memory_that_was_seen_is_never_used_again():
    _, state = begun("native")
    layout, memory = state.layout, state.memory
    params = state.params
    del state
    layout.latest = [memory]  # as a thread that was looking for memory meanwhile may leave it
    kept = copy.deepcopy(params)
    del memory
    layout.memory().array[...] = 0
    equal(params, kept)


@pytest.mark.skipif(not hasattr(signal, "SIGALRM"), reason="no timer that interrupts")
@pytest.mark.parametrize("execution", EXECUTIONS)
def test_ctrl_c_leaves_a_stepper_as_it_was(execution):
    stepper, first = begun(execution)
    batch, many = (X, Y), (np.stack([X] * 40), np.stack([Y] * 40))

    def all_of_it():
        return stepper(first, batch)[1], stepper(first, batch, batch)[1], stepper.scan(first, many)[1].tolist()

    def for_long(seconds):
        end = time.monotonic() + 10
        signal.setitimer(signal.ITIMER_REAL, seconds)
        while time.monotonic() < end:
            all_of_it()

    expected, rng = all_of_it(), np.random.default_rng(0)
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        for _ in range(60):
            with pytest.raises(KeyboardInterrupt):
                for_long(rng.uniform(1e-5, 3e-3))
            assert all_of_it() == expected
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def test_a_lock_is_not_kept_by_ctrl_c():
    stepper, state = begun("native")
    program = stepper._latest[1]

    class Interrupted:
        """A lock that is taken at the very moment of Ctrl-C."""

        held = False

        def acquire(self):
            self.held = True
            raise KeyboardInterrupt

        def __enter__(self):
            self.held = True

        def __exit__(self, *_):
            self.held = False

    program._lock = lock = Interrupted()
    stepper(state, (X, Y))
    assert not lock.held


def test_views_of_few_states_are_kept():
    stepper, state = begun("compiled")
    held = []
    for _ in range(30):
        state, _ = stepper(state, (X, Y))
        held.append(weakref.ref(state.params["0"]["weight"].base))
    gc.collect()
    assert sum(one() is not None for one in held) <= 6


class Small:
    """Parameters without elements, with one, and single numbers."""

    def init(self, rng):
        shapes = {"a": (0, 3), "b": (6, 3), "c": (3,), "d": (2, 0), "e": (1,), "f": (), "g": (0,)}
        return {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}

    def __call__(self, params, x):
        scaled = ops.tanh(x @ params["b"]) * params["e"] * params["f"]
        return scaled + params["c"] + ops.sum(params["a"], 0)


@pytest.mark.parametrize(
    "optimizer", [optim.SGD(0.1), optim.Adam(0.01), optim.Clipped(optim.AdamW(0.01), optim.ClipNorm(0.1))], ids=str
)
def test_parameters_of_no_and_of_one_element(optimizer):
    results = {}
    for execution in EXECUTIONS:
        stepper = Trainer(Small(), optimizer=optimizer, execution=execution).stepper(100)
        state = stepper.init(np.random.default_rng(0))
        for _ in range(4):
            state, metrics = stepper(state, (X, Y))
        results[execution] = state, metrics.loss
    (eager, loss), (compiled, same), (native, near) = results.values()
    assert loss == same
    equal(eager, compiled)
    np.testing.assert_allclose(near, loss, 1e-5)
    for a, b in zip(pytree.flatten(native)[0], pytree.flatten(eager)[0], strict=True):
        np.testing.assert_allclose(a, b, 1e-4, 1e-6)


class Started(optim.SGD):
    """Momentum that begins with the first gradient, as a bool of its state says."""

    def init(self, params):
        return {"velocity": pytree.map(np.zeros_like, params), "started": False}

    def update(self, grads, state, params, lr=None):
        velocity = grads
        if state["started"]:
            velocity = pytree.map(lambda v, g: 0.9 * v + g, state["velocity"], grads)
        return pytree.map(lambda p, v: p - lr * v, params, velocity), {"velocity": velocity, "started": True}


class Toggled(Started):
    """A bool that counts as a number."""

    def update(self, grads, state, params, lr=None):
        factor = 1.0 + state["started"]
        return pytree.map(lambda p, g: p - lr * factor * g, params, grads), {**state, "started": True}


@pytest.mark.parametrize(("optimizer", "executions"), [(Started, ("compiled",)), (Toggled, ("compiled", "native"))])
def test_a_bool_of_an_optimizer_is_that_of_the_state(optimizer, executions):
    def losses(execution):
        stepper = Trainer(DENSE, optimizer=optimizer(0.1), execution=execution).stepper(100)
        state, told = stepper.init(np.random.default_rng(0)), []
        for _ in range(5):
            state, metrics = stepper(state, (X, Y))
            told.append(metrics.loss)
        assert state.optimizer["started"] is True
        return told

    for execution in executions:
        np.testing.assert_allclose(losses(execution), losses("eager"), 1e-6)


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_the_order_of_bytes_does_not_matter(execution):
    stepper, state = begun(execution)
    expected = stepper(state, (X, Y))[1]
    other = X.astype(">f4"), Y.astype(">i8")
    assert stepper(state, other)[1] == stepper(state, other)[1] == expected
    assert stepper.scan(state, tuple(part[None] for part in other))[1] == [expected.loss]


@pytest.mark.parametrize("execution", EXECUTIONS)
def test_a_wrong_batch_is_refused_and_the_next_one_is_taken(execution):
    stepper = Trainer(DENSE, execution=execution).stepper(100)
    state = stepper.init(np.random.default_rng(0))
    with pytest.raises(TlverifyError, match=r"^Sequential: layer 0 Linear\(6, 16\) expects 6 features"):
        stepper(state, (X[:, :5], Y))
    state, _ = stepper(state, (X, Y))
    assert stepper.how == execution
    assert isinstance(state, PackedState) == (execution != "eager")


@pytest.mark.parametrize("execution", EXECUTIONS)
@pytest.mark.parametrize(
    ("action", "reason"),
    [
        (lambda step, state: step(state), r"step: expected a batch \(x, y\), found none"),
        (lambda step, state: step(state, X), r"step: expected a pair \(x, y\) of arrays, found ndarray"),
        (lambda step, state: step(state, (X,)), r"step: expected a pair \(x, y\) of arrays, found ndarray"),
        (lambda step, state: step(state, (X.tolist(), Y)), r"step: expected a pair .*, found list, ndarray"),
        (lambda step, state: step(state.params, (X, Y)), r"step: state: expected a TrainState, .*, found dict"),
        (lambda step, state: step.scan(state, (X.tolist(), Y)), r"scan: expected a pair .*, found list, ndarray"),
        (lambda step, state: step.scan(state, (np.float32(1), Y)), r"one number of steps, found a number, 8"),
    ],
)
def test_what_is_no_state_or_batch(execution, action, reason):
    with pytest.raises(TlverifyError, match=reason):
        action(*begun(execution))


def test_a_state_on_another_device_is_refused():
    stepper, state = begun("native")
    state.__dict__["layout"] = replace(state.layout, store=object())
    with pytest.raises(TlverifyError, match=r"step: the state lies on another device; begin with its parameters"):
        stepper(state, (X, Y))
