"""The `tlverify` command."""

from __future__ import annotations

import os
import sys

from tlverify.cli.output import INTERNAL, INTERRUPTED, MALFORMED, fail


def main() -> None:
    """Entry point. Exit codes: 0 verified, 10 falsified, 20 unknown, 30 certificate rejected, 2 usage or malformed
    input, 70 internal error, 130 interrupted."""
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # threads cost more than they give on products this small
    from tlverify.certify.kernel import Malformed, Rejected
    from tlverify.cli.app import app
    from tlverify.graph import TlverifyError

    try:
        app()
    except (TlverifyError, Malformed, Rejected) as error:
        sys.exit(fail(str(error), MALFORMED))
    except KeyboardInterrupt:
        sys.exit(fail("interrupted; run the same command again to go on where it stopped", INTERRUPTED))
    except OSError as error:
        sys.exit(fail(str(error), MALFORMED))
    except Exception as error:
        if os.environ.get("TLVERIFY_DEBUG"):
            raise
        sys.exit(fail(f"internal error: {type(error).__name__}: {error} (TLVERIFY_DEBUG=1 shows where)", INTERNAL))
