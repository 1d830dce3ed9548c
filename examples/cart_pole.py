"""PPO balances a pole on a cart."""

import numpy as np

from tlverify.train import flags, rl

without = ("dtype", "backend", "execution")
options = flags.parse(__doc__, without=without, steps=30, batch_size=128, lr=0.003)
world, model = rl.CartPole(), rl.ActorCritic(4, 2, 32)
settings = rl.PPO(batch_size=options.batch_size)
params, history = rl.train_ppo(
    world,
    model,
    settings,
    options.steps,
    options.optimizer,
    options.seed,
    lambda i, length: print(f"iteration {i:>2}: {length:5.1f} steps") if i % 5 == 0 else None,
)
for log in options.logs:
    for i, reward in enumerate(history):
        log.write(i + 1, {"reward": reward})

rng, lengths = np.random.default_rng(100), []
for _ in range(20):
    state, over, length = world.reset(rng), False, 0
    while not over and length < 500:
        state, _, over = world.step(state, int(np.asarray(model(params, state))[:-1].argmax()))
        length += 1
    lengths.append(length)
print(f"\nEstablished: {np.mean(lengths):.0f} of at most 500 steps in 20 new episodes.")
print("Not established: that it never falls.")
