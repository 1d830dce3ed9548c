"""How the functions of the walk are compiled."""

import numba

# A function is compiled for each literal number that it is given, so those are given as np.int64. Arrays are given one
# by one: with named tuples of them numba took 28 s to compile the walk, not 14.
jit = numba.njit(cache=True, fastmath={"contract"}, error_model="numpy", nogil=True)
# For long sums, which become those of vectors only in an order of the compiler's choice.
jit_sums = numba.njit(cache=True, fastmath={"contract", "reassoc"}, error_model="numpy", nogil=True)
