"""Arrays, functions, graphs and derivatives, without any training."""

import numpy as np

import tlverify as tl
from tlverify import ops
from tlverify.train import flags


def energy(w, x):
    return ops.sum(ops.square(ops.tanh(w @ x)))


flags.none(__doc__)
rng = np.random.default_rng(0)
w, x = rng.normal(size=(3, 2)), rng.normal(size=2)

print("value               ", energy(w, x))
print("gradient by x       ", tl.grad(energy, argnums=1)(w, x))
print("Hessian by x        ", tl.hessian(energy, argnums=1)(w, x).tolist())
print("Hessian times vector", tl.hvp(lambda x: energy(w, x), [x], [np.ones(2)])[0])
print("for three x at once ", tl.vmap(energy, (None, 0))(w, rng.normal(size=(3, 2))))

graph = tl.trace(tl.grad(energy, argnums=1), w, x).graph
print(f"\nThe gradient is a graph of {len(graph.nodes)} nodes, and runs as one:")
print(graph)
print(tl.run(graph, [w, x])[0])
print("\nEstablished: nothing but these numbers. Not established: any bound on them. A graph of affine maps and ReLU")
print("can be certified; this one has tanh.")
