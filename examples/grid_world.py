"""Deep Q-learning or PPO finds the way to a corner, from every cell: --method dqn, ppo."""

import numpy as np

from tlverify import models
from tlverify.train import flags, rl

without, choices = ("dtype", "backend", "execution"), {"method": ("dqn", "ppo")}
options = flags.parse(__doc__, choices=choices, without=without, steps=4000, batch_size=64, lr=0.003)
world = rl.GridWorld(5)
if options.chosen["method"] == "dqn":
    network = models.mlp((world.features, 32, world.actions))
    dqn = rl.DQN(batch_size=options.batch_size)
    params, sums = rl.train_dqn(world, network, dqn, options.steps, options.optimizer, options.seed)
else:
    # A step is one in the world for both methods; PPO takes 256 of them, and then trains on them.
    network = rl.ActorCritic(world.features, world.actions, 32)
    ppo = rl.PPO(steps=256, batch_size=options.batch_size, most=50)
    rounds = max(1, options.steps // ppo.steps)
    params, sums = rl.train_ppo(world, network, ppo, rounds, options.optimizer, options.seed)
for log in options.logs:
    for i, total in enumerate(sums):
        log.write(i + 1, {"reward": total})
if sums:
    part = max(1, len(sums) // 10)
    print(f"rewards   {np.mean(sums[:part]):.2f} -> {np.mean(sums[-part:]):.2f}")

best = 0
for place in range(world.features - 1):
    state = start = np.eye(world.features, dtype=np.float32)[place]
    steps, over = 0, False
    while not over and steps < 20:
        state, _, over = world.step(state, int(np.asarray(network(params, state))[: world.actions].argmax()))
        steps += 1
    best += over and steps == world.shortest(start)
print(f"\nEstablished, by trying all of them: the policy takes a shortest way from {best} of 24 cells.")
print("Not established: anything about another grid.")
