"""What runs is float32: claims about every execution, in any order of sums, about image files, and in other norms."""

import numpy as np

from tlverify import data, models
from tlverify.certify import Inequality, box, certify, pixel_robustness, robustness
from tlverify.graph import GraphBuilder, Type
from tlverify.train import flags

options = flags.parse(__doc__, steps=600, batch_size=64, lr=0.005)
if options.dtype != "float32":
    raise SystemExit("executions.py: --dtype: expected float32, which its claims are about")

# y = 2^24 x0 + x1 - 2^24 x2: in float32 some orders lose x1 before the large terms cancel.
builder = GraphBuilder()
x = builder.input("x", Type((3,), "float32"))
weight, bias = np.array([[2.0**24, 1, -(2.0**24)]], np.float32), np.zeros(1, np.float32)
absorbing = builder.build(builder.node("linear", x, builder.parameter(weight), builder.parameter(bias), name="y"))
never = box(absorbing, {"x": ([1, 1, 1], [1, 1, 1])}, [[Inequality((("y", 0, -1),), 0)]])  # y <= 0
for semantics in ("real", "float32"):
    (result,) = certify(absorbing, [never.under(semantics)])
    print(f"y > 0 at (1, 1, 1), {semantics:8}  {result.verdict}")

train, test = (data.tensor_dataset(part.x.reshape(-1, 64), part.y) for part in data.digits())
trained = options.trainer(models.mlp((64, 32, 10)), "classification").train(train, **options.run, title="executions")
graph, images, labels = trained.graph, test.x[:10], test.y[:10]
counts = {}
for norm in ("linf", "l2", "l1"):
    claims = robustness(graph, images, labels, "0.05", semantics="float32", norm=norm)
    counts[norm] = sum(result.verdict == "verified" for result in certify(graph, claims, timeout=5))
    print(f"within 0.05 in {norm:4}, of 10 images proved in every execution: {counts[norm]}")

# The digits have 17 grey levels; a file holds them as integers, so there are finitely many images within a level.
pixels = np.rint(images * 16).astype(np.uint8)
files = pixel_robustness(graph, pixels, labels, levels=1, divisor=16)
proved = sum(result.verdict == "verified" for result in certify(graph, files, timeout=5))
print(f"\nEstablished: for {counts['linf']} of 10 images no float32 execution changes the class within 0.05 per pixel,")
print(f"for {proved} none does where each pixel of the file is one grey level off at most. Not established: what other")
print("arithmetic, such as bfloat16 or Winograd convolutions, would give; docs/float32.md says what is covered.")
