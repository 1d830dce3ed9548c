"""What floats do: one network in float32, float64 and exact fractions, and a proof about the exact one."""

from fractions import Fraction

import numpy as np

from tlverify import data, models, ops
from tlverify.certify import Inequality, box, certify
from tlverify.core import pytree
from tlverify.train import TrainingError, flags

options = flags.parse(__doc__, steps=200, batch_size=64, lr=0.005)
print("0.1 in float32           ", Fraction(float(np.float32(0.1))), "and not 1/10")
a, b, c = np.float32([1e8, -1e8, 1e-3])
print("(a + b) + c, a + (b + c) ", (a + b) + c, a + (b + c))
print("log(sum(exp(x))) at 1000 ", ops.logsumexp(np.float32([1000, 1000])), "and no infinity")

train, test = (data.tensor_dataset(part.x.reshape(-1, 64), part.y) for part in data.digits())
model = models.mlp((64, 16, 10))
trained = options.trainer(model, "classification").train(train, **options.run, title="floats")
x = test.x[0]
wide = pytree.map(np.float64, trained.params)
single, double = model(trained.params, x), model(wide, x.astype(np.float64))


def exact(x):
    """The same network over the rationals; every float is one."""
    values = [Fraction(float(v)) for v in x]
    for name in ("0", "2"):
        weight, bias = (trained.params[name][part].tolist() for part in ("weight", "bias"))
        values = [
            sum((Fraction(w) * v for w, v in zip(row, values, strict=True)), Fraction(b))
            for row, b in zip(weight, bias, strict=True)
        ]
        if name == "0":
            values = [max(v, Fraction(0)) for v in values]
    return values


true = exact(x)
errors = [max(abs(Fraction(float(v)) - t) for v, t in zip(found, true, strict=True)) for found in (single, double)]
print("a logit, exactly         ", f"{float(true[0]):.17g}, over 2^{true[0].denominator.bit_length() - 1}")
print("greatest error           ", *(f"{float(error):.1e}" for error in errors), "in float32, float64")

# The kernel computes in exact integers: a box of one point is the exact value of the network there.
graph, limit = trained.graph, Fraction(float(single[0])) + Fraction(1, 10**4)
point = [Fraction(float(v)) for v in x]
claim = box(graph, {"x": (point, point)}, [[Inequality(((graph.outputs[0], 0, Fraction(1)),), limit)]])
(result,) = certify(graph, [claim])

try:
    options.trainer(model, "classification", lambda y, t: ops.mean(ops.log(ops.sub(y, y)))).train(train, steps=1)
except TrainingError as error:
    print("a logarithm of 0         ", error)
print(f"\nEstablished: at this image float32 errs by {float(errors[0]):.0e}; that the first logit is, over the reals,")
print(f"less than 0.0001 above its float32 value: {result.verdict}. Not established: a bound on the error elsewhere.")
