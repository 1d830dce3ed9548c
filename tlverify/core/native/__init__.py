"""Graphs as machine code (extra `native`: llvmlite).

`rewrite` breaks composite ops into few kinds, `schedule` gathers elementwise work into loops over buffers, `emit`
writes a loop as LLVM IR, and `program` compiles it all and runs it. Convolutions and matrix
products are loops as well; the largest products go to NumPy's BLAS.
"""

import importlib.util


def installed() -> bool:
    """Whether machine code can be made here."""
    return importlib.util.find_spec("llvmlite") is not None
