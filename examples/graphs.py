"""A look inside: functions become graphs of 52 ops; derivatives, files and digests of graphs."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np

import tlverify as tl
from tlverify import nn, ops
from tlverify.graph import ShapeError
from tlverify.graph.dot import to_dot
from tlverify.train import flags

flags.none(__doc__)
rng = np.random.default_rng(0)
model = nn.Sequential(nn.Linear(2, 4), nn.ReLU(), nn.Linear(4, 1))
params = model.init(rng)
x = rng.normal(size=2).astype(np.float32)

print("The graph of a model: inputs, parameters, nodes, outputs, every shape known.")
graph = nn.export_graph(model, params, (2,))
print(graph)
print(nn.summary(model, (2,)))

print("\nA file of JSON and one of parameters; their digest names the network.")
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "model.graph.json"
    tl.save_graph(graph, path)
    same = tl.digest(tl.load_graph(path)) == tl.digest(graph)
    print(f"{path.stat().st_size} bytes, digest {tl.digest(graph)[:16]}..., equal after reading: {same}")
changed = tl.digest(nn.export_graph(model, model.init(rng), (2,)))
print(f"other parameters, other digest: {changed[:16]}...")

print("\nA gradient is a graph as well, made from the first by a rule for each op.")
slope = tl.trace(tl.grad(lambda x: ops.sum(model(params, x))), x).graph
curve = tl.trace(tl.hessian(lambda x: ops.sum(ops.tanh(model(params, x)))), x).graph
for name, derived in (("model", graph), ("gradient", slope), ("Hessian of tanh(model)", curve)):
    counts = Counter(node.op for node in derived.nodes)
    print(f"{name:>22}: {len(derived.nodes):>3} nodes, {', '.join(f'{n} {op}' for op, n in counts.most_common(4))}")
agree = np.allclose(tl.run(slope, [x])[0], tl.grad(lambda x: ops.sum(model(params, x)))(x))

print("\nBroadcasts are nodes, constants are folded in, and what does not fit is refused where it is written.")
print(Counter(node.op for node in tl.trace(lambda a, b: a + b, np.ones((2, 3)), np.ones(3)).graph.nodes))
for wrong in (
    lambda: nn.Sequential(nn.Linear(2, 4), nn.Linear(3, 1)),
    lambda: tl.trace(lambda a, b: a @ b, np.ones((2, 3)), np.ones((2, 3))),
    lambda: tl.trace(lambda a: 1 if a[0] > 0 else 0, x),
):
    try:
        wrong()
    except (ShapeError, TypeError) as error:
        print("refused:", error)

print(f"\nGraphviz text has {len(to_dot(graph).splitlines())} lines: tlverify inspect model.graph.json --dot")
print(f"\nEstablished: the file gives the graph back ({same}), and the gradient's graph gives the gradient ({agree}).")
print("Not established: that the graph computes what you meant.")
