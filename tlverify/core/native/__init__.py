"""Graphs as machine code (extra `native`: llvmlite).

`rewrite` breaks composite ops into few kinds, `schedule` gathers elementwise work into loops over buffers, `emit`
writes a loop as LLVM IR, and `program` compiles it all and runs it. Matrix products go to NumPy's BLAS.
"""
