"""Graphs on a GPU as kernels of our own in one CUDA graph (extra `gpu` or `gpu13`: CuPy).

The schedule is that of machine code (`core.native.planner`), with all large matrix products left to cuBLAS; `source`
writes a loop as CUDA C++, `program` puts kernels and products into memory and order, and `device` is what needs a GPU.
"""
