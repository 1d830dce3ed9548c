"""A network trained in PyTorch is imported, certified, trained on here, and handed back. Needs PyTorch."""

import numpy as np
import torch

from tlverify import data, nn
from tlverify.certify import certify, robustness
from tlverify.interop.torch import cross_check, from_state_dict, from_torch, to_state_dict, to_torch
from tlverify.train import flags

EPSILON = "0.01"
options = flags.parse(__doc__, steps=300, batch_size=64, lr=0.003)
train, test = (data.tensor_dataset(part.x.reshape(-1, 64), part.y) for part in data.digits())

torch.manual_seed(options.seed)
module = torch.nn.Sequential(torch.nn.Linear(64, 32), torch.nn.ReLU(), torch.nn.Linear(32, 10))
optimizer = torch.optim.Adam(module.parameters(), lr=options.lr)
for x, y in data.loader(train, options.batch_size, rng=np.random.default_rng(options.seed)):
    optimizer.zero_grad()
    torch.nn.functional.cross_entropy(module(torch.tensor(x)), torch.tensor(y)).backward()
    optimizer.step()


def accuracy(module):
    return float((module(torch.tensor(test.x)).argmax(-1).numpy() == test.y).mean())


before = accuracy(module)
graph = from_torch(module, np.zeros(64, np.float32))
print(f"one pass in PyTorch: {before:.1%} of the test images; the imported graph differs by", end=" ")
print(f"{cross_check(graph, module).difference:.1e}")
verdicts = [result.verdict for result in certify(graph, robustness(graph, test.x[:10], test.y[:10], EPSILON))]
print(f"{verdicts.count('verified')} of 10 images proved at {EPSILON}")

model = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
params, _ = from_state_dict(model, module)
trained = options.trainer(model, "classification").train(train, **options.run, params=params, title="on from there")
print(trained.report)
module.load_state_dict(to_state_dict(trained.params, trained.state))
after, again = accuracy(module), cross_check(trained.graph, to_torch(trained.graph)).difference
stored = {name: tensor.numpy() for name, tensor in module.state_dict().items()}
parameters = {f"{layer}.{name}": value for layer, part in trained.params.items() for name, value in part.items()}
equal = all(np.array_equal(stored[name], value) for name, value in parameters.items())
verified = [result.verdict for result in trained.certify(test, EPSILON, index=range(10))].count("verified")
print(f"\nEstablished: {after:.1%} in PyTorch with the parameters that were trained here, equal to the bit: {equal}.")
print(f"A module made from the graph differs by {again:.1e}. {verified} of 10 images are proved at {EPSILON}.")
print("Not established: that PyTorch's kernels compute what they should.")
