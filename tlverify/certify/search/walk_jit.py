"""How the functions of the walk are compiled."""

import numba

# A function is compiled for each literal number that it is given, so those are given as np.int64. Arrays are given one
# by one: with named tuples of them numba took 28 s to compile the walk, not 14.
jit = numba.njit(cache=True, fastmath={"contract"}, error_model="numpy", nogil=True)
