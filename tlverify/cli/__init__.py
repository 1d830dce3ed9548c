"""The `tlverify` command."""

from __future__ import annotations

import os
import sys

from tlverify.cli.output import INTERNAL, INTERRUPTED, MALFORMED, fail


def main() -> None:
    """Entry point. Exit codes: 0 verified, 10 falsified, 20 unknown, 30 certificate rejected, 2 usage or malformed
    input, 70 internal error, 130 interrupted."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads cost more than they give on products this small
    from tlverify.cli.app import app

    try:
        app()
    except KeyboardInterrupt:
        sys.exit(fail("interrupted; run the same command again to go on where it stopped", INTERRUPTED))
    except Exception as error:
        sys.exit(_failed(error))


def _failed(error: Exception) -> int:
    """Say what an error is; the exit code. What knows errors is loaded only now: `--help` needs no NumPy."""
    from tlverify.certify.kernel import Malformed, Rejected
    from tlverify.graph import TlverifyError

    if isinstance(error, (TlverifyError, Malformed, Rejected, OSError)):
        return fail(str(error), MALFORMED)
    if os.environ.get("TLVERIFY_DEBUG"):
        raise error
    return fail(f"internal error: {type(error).__name__}: {error} (TLVERIFY_DEBUG=1 shows where)", INTERNAL)
