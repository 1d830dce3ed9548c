"""What the allocator does with memory that is freed."""

from __future__ import annotations

import numpy as np

LARGEST = 31 << 20  # bytes; the C library does not learn from what is larger than 32 MB


def keep_freed() -> None:
    """Have the GNU C library keep what arrays have freed. It gives large blocks back to the system, which then clears
    every page again that the next array takes: half of the time of passes over some hundred kB. Once a large block has
    been freed, it takes smaller ones for usual, and keeps them. Elsewhere nothing changes."""
    np.empty(LARGEST, np.uint8)
