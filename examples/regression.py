"""The five blocks of a training file: a 2-8-1 network fits a function of ReLUs, and a bound on it is proved."""

from tlverify import data, nn
from tlverify.certify import Inequality, box, certify
from tlverify.train import Probe, flags

# constants
options = flags.parse(__doc__, steps=300, batch_size=25, lr=0.03)

# model
model = nn.Sequential(nn.Linear(2, 8), nn.ReLU(), nn.Linear(8, 1))

# trainer
trainer = options.trainer(model)

# data
grid = data.regression_grid_2to1()

# train and report
trained = trainer.train(grid, **options.run, probes=[Probe("corner", [1, 1], [1.8])], title="2-8-1")
print(trained.summary())

graph = trained.graph
claim = box(graph, {"x": ([-1, -1], [1, 1])}, [[Inequality(((graph.outputs[0], 0, 1),), 3)]])
(result,) = certify(graph, [claim])
print(f"\nEstablished: the output is below 3 for every x in [-1, 1]^2: {result.verdict}, of the exported graph over")
print("the reals. Not established: that it is near the target between the 25 points.")
