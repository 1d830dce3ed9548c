"""PyTorch in and out: modules, parameters and arrays.

An import keeps every stored number, bit for bit, and says with the ops of the graph what the functions of ATen mean
over the reals. What cannot be said is refused by name.
"""

from tlverify.interop.torch.arrays import to_numpy as to_numpy
from tlverify.interop.torch.arrays import to_tensor as to_tensor
from tlverify.interop.torch.check import CrossCheck as CrossCheck
from tlverify.interop.torch.check import cross_check as cross_check
from tlverify.interop.torch.errors import TorchError as TorchError
from tlverify.interop.torch.exporter import to_torch as to_torch
from tlverify.interop.torch.importer import from_torch as from_torch
from tlverify.interop.torch.parameters import from_state_dict as from_state_dict
from tlverify.interop.torch.parameters import to_state_dict as to_state_dict
