"""How the kernel says no, and the limits past which it does."""

MAX_JSON_BYTES = 64 << 20
MAX_PARAMETER_BYTES = 4 << 30
MAX_BODY_BYTES = 1 << 30
MAX_HEADER_BYTES = 64 << 20
MAX_INTEGER_DIGITS = 20
MAX_RATIONAL_DIGITS = 400
MAX_SCALE_BITS = 4_096
MAX_WITNESS_BITS = 1 << 16
MAX_PROGRAM_ENTRIES = 1 << 21
MAX_PROGRAM_PAIRS = 1 << 23
MAX_NODES = 100_000
MAX_LEVELS = 1 << 16
MAX_ELEMENTS = 1 << 28
MAX_RANK = 16
MAX_GOALS = 10_000
MAX_TREE_NODES = 20_000_001
MAX_TREE_DEPTH = 1_000
FREE_STEPS = 4_096  # steps and nodes of trees that a certificate of any size may have
STEPS_PER_BYTE = 4  # more of them for each byte of its file
NODE_STEPS = 8  # values that the steps of a node of a tree may bound, for each value of the program


class Malformed(Exception):
    """A file is not in its format: it says nothing, so there is nothing to accept or reject."""


class Rejected(Exception):
    """A well-formed certificate does not prove its claim. `step` names where, the message says why."""

    def __init__(self, step: str, reason: str) -> None:
        super().__init__(f"{step}: {reason}")
        self.step = step
        self.reason = reason
