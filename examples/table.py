"""Regression on a CSV file with a category and missing values, and a proof that the prediction stays in bounds."""

import tempfile
from pathlib import Path

import numpy as np

from tlverify import data, nn, optim
from tlverify.certify import Inequality, box, certify
from tlverify.train import flags, metrics

options = flags.parse(__doc__, steps=600, batch_size=64, lr=0.01)


def write(path):
    """Prices of made-up flats, by a rule with noise: a category, three numbers, some of which are missing."""
    rng = np.random.default_rng(0)
    extra = {"centre": 120, "harbour": 60, "suburb": 0}
    rows = ["district,area,rooms,age,price"]
    for district in rng.choice(list(extra), 600):
        area, age = rng.uniform(30, 150), rng.uniform(0, 80)
        rooms = max(1, round(area / 28 + rng.normal(0, 0.6)))
        price = 40 + 2.1 * area + 8 * rooms - 0.8 * min(age, 50) + extra[district] + rng.normal(0, 12)
        shown = "NA" if rng.random() < 0.05 else f"{age:.0f}"
        rows.append(f"{district},{area:.1f},{rooms},{shown},{price:.1f}")
    path.write_text("\n".join(rows) + "\n", encoding="utf-8")


with tempfile.TemporaryDirectory() as folder:
    path = Path(folder) / "flats.csv"
    write(path)
    table = data.load_csv(path, kinds={"district": "category"}, missing="mean")
train, test = table.dataset("price").split(480, np.random.default_rng(0))
normalize, mean, spread = data.Normalize.fit(train), train.y.mean(), train.y.std()
train, test = (data.transform(normalize(part), y=lambda y: (y - mean) / spread) for part in (train, test))

model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 16), nn.ReLU(), nn.Linear(16, 1))
trained = options.trainer(model).train(train, **options.run, schedule=optim.cosine, title="flats")
print(trained.summary())
score = metrics.r2(trained.outputs(test.x), test.y)

# Columns are centre, harbour, suburb, area, rooms, age; an output of 0 is the mean price.
corners = np.float32([[0, 0, 1, 40, 1, 60], [0, 0, 1, 60, 2, 80]])
lower, upper = ((corners - normalize.mean) / normalize.deviation).tolist()
graph = trained.graph
claim = box(graph, {"x": (lower, upper)}, [[Inequality(((graph.outputs[0], 0, 1),), 0)]])
(result,) = certify(graph, [claim], timeout=20)
print(f"\nEstablished: r2 {score:.3f} on 120 new rows. The prediction is below the mean price for every flat in the")
print(f"suburb of 40 to 60 m2 with 1 to 2 rooms and 60 to 80 years: {result.verdict}, over the reals.")
print("Not established: anything about flats; the rule that made them has noise.")
