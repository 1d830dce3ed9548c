"""The largest memory that checking a tree takes, and the processor seconds, by arithmetic.

    PYTHONPATH=. OPENBLAS_NUM_THREADS=1 python benchmarks/checker_memory.py --leaves 1000000 --arithmetic fast

The first network of `checker.py` and such a tree: every leaf has its own multipliers and slopes. The certificate is
written by one process and checked by another, whose peak is Linux's VmHWM.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from benchmarks.checker import proof, statement_of
from tlverify.certify import kernel
from tlverify.certify.fast import fast
from tlverify.graph import to_bytes

FILES = ("graph", "parameters", "claim", "certificate")


def write(folder: Path, leaves: int) -> None:
    """The four files of a tree of this many leaves."""
    graph, statement = statement_of("5-50x6-5")
    certificate = proof(graph, statement, leaves, np.random.default_rng(1))[0]
    for name, data in zip(FILES, (*to_bytes(graph), statement.data, certificate), strict=True):
        (folder / name).write_bytes(data)


def peak() -> int:
    """The largest resident memory of this process so far, in kB."""
    (line,) = [line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1])


def check(folder: Path, arithmetic: str) -> None:
    """Check the files of the folder and print what it took."""
    files = [(folder / name).read_bytes() for name in FILES]
    before = peak()
    begin = time.process_time()
    program = kernel.read_program(files[0], files[1], kernel.contract_of(files[2]))
    accepted = kernel.check_with(program, files[2], files[3], fast() if arithmetic == "fast" else kernel.EXACT)
    seconds = time.process_time() - begin
    print(
        f"{arithmetic}: {accepted.verdict}, peak {peak() / 1024:.0f} MB ({before / 1024:.0f} MB before), "
        f"{seconds:.0f} s, certificate {len(files[3]) / 1e6:.1f} MB"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--leaves", type=int, default=1_000_000)
    parser.add_argument("--arithmetic", choices=("exact", "fast"), default="fast")
    parser.add_argument("--folder", type=Path, help="check the files in this folder, and nothing else")
    arguments = parser.parse_args()
    if arguments.folder is not None:
        check(arguments.folder, arguments.arithmetic)
        return
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), arguments.leaves)
        own = [sys.executable, __file__, "--folder", folder, "--arithmetic", arguments.arithmetic]
        subprocess.run(own, check=True)


if __name__ == "__main__":
    main()
