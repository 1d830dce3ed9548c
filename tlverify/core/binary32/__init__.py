"""Executable IEEE 754 binary32: a scalar reference on integers, the same on arrays, and graphs run in a chosen order.

This is arithmetic to run and to compare with. It proves nothing: what claims about float32 promise is checked by the
kernel (certify/kernel/contract.py), whose tests compare it with this.
"""

from tlverify.core.binary32 import convert as convert
from tlverify.core.binary32 import scalar as scalar
from tlverify.core.binary32 import vector as vector
from tlverify.core.binary32.bound import affine_error as affine_error
from tlverify.core.binary32.evaluate import run_binary32 as run_binary32
from tlverify.core.binary32.format import NEAREST as NEAREST
from tlverify.core.binary32.format import ROUNDINGS as ROUNDINGS
from tlverify.core.binary32.format import Binary32Error as Binary32Error
from tlverify.core.binary32.format import Mode as Mode
from tlverify.core.binary32.format import Rounding as Rounding
from tlverify.core.binary32.sums import Execution as Execution
from tlverify.core.binary32.sums import Order as Order
