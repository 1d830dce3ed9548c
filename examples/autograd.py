"""Derivatives of functions: of any order, forward and backward, checked against differences."""

import numpy as np

import tlverify as tl
from tlverify import nn, ops
from tlverify.core import pytree
from tlverify.train import flags

flags.none(__doc__)
rng = np.random.default_rng(0)
model = nn.Sequential(nn.Linear(3, 8), nn.Tanh(), nn.Linear(8, 1))
params, x = model.init(rng), rng.normal(size=3).astype(np.float32)


def loss(params, x):
    return ops.sum(ops.square(model(params, x)))


value, (by_params, by_x) = tl.value_and_grad(loss, (0, 1))(params, x)
print("loss                     ", value)
print("its slope by x           ", by_x)
print("by the last bias         ", by_params["2"]["bias"])

double = pytree.map(np.float64, params), x.astype(np.float64)
step = 1e-6 * np.eye(3)
differences = np.array([(loss(double[0], double[1] + h) - loss(double[0], double[1] - h)) / 2e-6 for h in step])
exact = tl.grad(loss, 1)(*double)
error = np.abs(exact - differences).max()
print("central differences      ", differences)

_, pullback = tl.vjp(lambda x: model(double[0], x), double[1])
_, tangent = tl.jvp(lambda x: model(double[0], x), [double[1]], [np.ones(3)])
print("vjp, and the sum of it   ", pullback(np.ones(1))[0], pullback(np.ones(1))[0].sum())
print("jvp along (1, 1, 1)      ", tangent)
hessian = tl.hessian(loss, 1)(*double)
both = tl.jacfwd(tl.grad(loss, 1), 1)(*double), tl.jacrev(tl.grad(loss, 1), 1)(*double)
spread = max(np.abs(hessian - other).max() for other in both)
third = tl.jacfwd(tl.hessian(loss, 1), 1)(*double)
print("Hessian                  ", hessian.round(3).tolist())
print("third derivatives        ", third.shape, "symmetric:", np.allclose(third, third.transpose(2, 0, 1)))
each = tl.vmap(tl.grad(loss, 1), (None, 0))(params, rng.normal(size=(5, 3)).astype(np.float32))
print("a slope for each of five ", each.shape)

print(f"\nEstablished: gradient and differences agree to {error:.0e}, three ways to the Hessian to {spread:.0e}, here.")
print("Not established: that every op's derivative is right; the tests check each against differences and PyTorch.")
