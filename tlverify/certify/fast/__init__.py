"""The kernel's arithmetic on NumPy or CuPy, bit for bit."""
