"""Environments, the parts of the two algorithms against their formulas, and that both learn."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tlverify.core import grad, nn, ops, pytree
from tlverify.graph import TlverifyError
from tlverify.train import optim, rl

rng = np.random.default_rng(61)


def test_cart_pole() -> None:
    world = rl.CartPole()
    state = world.reset(np.random.default_rng(0))
    assert state.shape == (4,)
    assert np.abs(state).max() <= 0.05
    # By hand, from rest and upright: push 10 / 1.1, bend = -push / (0.5 * (4 / 3 - 0.1 / 1.1)).
    after, reward, over = world.step(np.zeros(4, np.float32), 1)
    push = 10 / 1.1
    bend = -push / (0.5 * (4 / 3 - 0.1 / 1.1))
    np.testing.assert_allclose(after, [0, 0.02 * (push - 0.05 * bend / 1.1), 0, 0.02 * bend], rtol=1e-6)
    assert (reward, over) == (1.0, False)
    assert world.step(np.array([2.39, 5, 0, 0], np.float32), 1)[2]
    assert world.step(np.array([0, 0, math.radians(11.9), 5], np.float32), 1)[2]
    with pytest.raises(TlverifyError, match="CartPole: action: expected 0 or 1, found 2"):
        world.step(state, 2)


def test_grid_world() -> None:
    world = rl.GridWorld(3)
    start = np.eye(9, dtype=np.float32)[0]
    assert world.shortest(start) == 4
    places = []
    for action in (0, 1, 3, 2, 3, 1, 3):
        start, reward, over = world.step(start, action)
        places.append(int(start.argmax()))
    assert places == [0, 3, 4, 3, 4, 7, 8]
    assert (reward, over) == (1.0, True)
    with pytest.raises(TlverifyError, match="GridWorld: action: expected 0 to 3, found 4"):
        world.step(start, 4)
    assert {int(world.reset(rng).argmax()) for _ in range(200)} == set(range(8))


def test_advantages() -> None:
    rewards, values, over = np.array([1.0, 2.0, 3.0]), np.array([0.5, 1.0, 1.5]), np.array([False, True, False])
    found = rl.advantages(rewards, values, over, after=2.0, gamma=0.9, trace=0.5)
    third = 3 + 0.9 * 2 - 1.5
    second = 2 - 1.0
    first = 1 + 0.9 * 1.0 - 0.5 + 0.45 * second
    np.testing.assert_allclose(found, [first, second, third])


def test_the_surrogate_has_no_gradient_beyond_its_limits() -> None:
    model, settings = rl.ActorCritic(2, 2, 4), rl.PPO(value=0.0, entropy=0.0)
    params = model.init(np.random.default_rng(0))
    x, action = np.ones((1, 2), np.float32), np.array([0])
    log_p = float(ops.log_softmax(model(params, x)[0, :2])[0])
    gain, target = np.ones(1, np.float32), np.zeros(1, np.float32)

    def loss(params, old):
        return rl.ppo_loss(settings, model, params, x, action, np.float32([old]), gain, target)

    np.testing.assert_allclose(loss(params, log_p), -1.0, rtol=1e-5)
    np.testing.assert_allclose(loss(params, log_p - 1.0), -1.2, rtol=1e-5)
    inside, outside = (pytree.flatten(grad(lambda p, o=old: loss(p, o))(params))[0] for old in (log_p, log_p - 1.0))
    assert any(leaf.any() for leaf in inside)
    assert not any(leaf.any() for leaf in outside)


def test_the_aim_of_q_learning() -> None:
    model = nn.Linear(2, 2, bias=False)
    params, target = ({"weight": np.array(w)} for w in ([[1.0, 0.0], [0.0, 2.0]], [[3.0, 0.0], [0.0, 5.0]]))
    before, after = np.array([[1.0, 0.0]]), np.array([[1.0, 1.0]])
    for over, aim in ((0.0, 0.5 + 0.9 * 5.0), (1.0, 0.5)):
        batch = before, np.array([0]), np.array([0.5]), after, np.array([over])
        distance = abs(1.0 - aim)
        expected = 0.5 * distance**2 if distance < 1 else distance - 0.5
        np.testing.assert_allclose(rl.dqn_loss(model, params, target, 0.9, *batch), expected)
        by_target = grad(lambda t, batch=batch: rl.dqn_loss(model, params, t, 0.9, *batch))(target)
        assert not by_target["weight"].any()


def test_replay() -> None:
    memory = rl.Replay(3, 1)
    with pytest.raises(TlverifyError, match="expected a transition to sample, found none"):
        memory.sample(1, rng)
    for i in range(5):
        memory.add(np.float32([i]), i, float(i), np.float32([i + 1]), i == 4)
    assert len(memory) == 3
    before, action, reward, after, over = memory.sample(100, rng)
    assert set(action) == {2, 3, 4}
    np.testing.assert_array_equal(after, before + 1)
    np.testing.assert_array_equal(over, reward == 4)
    with pytest.raises(TlverifyError, match="Replay: expected a size of 1 or more"):
        rl.Replay(0, 1)


class Endless:
    """A world of one state in which every step is worth 1 and nothing is ever over."""

    actions, features = 2, 1

    def reset(self, rng):
        return np.ones(1, np.float32)

    def step(self, state, action):
        return state, 1.0, False


def test_an_episode_that_is_cut_off_counts_the_value_of_where_it_was() -> None:
    """With gamma 1/2 the state is worth 2 for ever; were the cut an end, it would be worth 1."""
    model, settings = rl.ActorCritic(1, 2, 8), rl.PPO(gamma=0.5, steps=32, batch_size=32, most=1)
    params, sums = rl.train_ppo(Endless(), model, settings, 60, optim.Adam(0.02))
    assert sums[-1] == 1.0
    np.testing.assert_allclose(np.asarray(model(params, np.ones(1, np.float32)))[-1], 2.0, atol=0.1)


def test_ppo_learns_the_grid() -> None:
    world = rl.GridWorld(3)
    settings = rl.PPO(steps=128, batch_size=64, most=50)
    _, history = rl.train_ppo(world, rl.ActorCritic(9, 4, 16), settings, 12, optim.Adam(0.02))
    assert np.mean(history[-3:]) > 0.8 > np.mean(history[:2])


def test_dqn_learns_the_grid() -> None:
    world = rl.GridWorld(3)
    model = nn.Linear(9, 4)
    params, sums = rl.train_dqn(world, model, rl.DQN(batch_size=32), 1500, optim.Adam(0.02))
    assert np.mean(sums[-20:]) > np.mean(sums[:20])
    for place in range(8):
        state, steps, shortest = np.eye(9, dtype=np.float32)[place], 0, world.shortest(np.eye(9)[place])
        over = False
        while not over and steps < 10:
            state, _, over = world.step(state, int(model(params, state).argmax()))
            steps += 1
        assert steps == shortest
