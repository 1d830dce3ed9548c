"""The checker alone: python -m tlverify.certify.kernel MODEL.graph.json CLAIM.claim.json CERTIFICATE.cert"""

import sys
from pathlib import Path

from tlverify.certify.kernel import Malformed, Rejected, check


def main(arguments: list[str]) -> int:
    """Print the verdict; exit code 0 verified, 10 falsified, 30 rejected, 2 malformed or missing."""
    if len(arguments) != 3:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    graph, claim, certificate = map(Path, arguments)
    parameters = graph.with_name(graph.name.removesuffix(".graph.json") + ".safetensors")
    try:
        accepted = check(*(path.read_bytes() for path in (graph, parameters, claim, certificate)))
    except (Malformed, OSError) as error:
        sys.stderr.write(f"malformed: {error}\n")
        return 2
    except Rejected as rejection:
        sys.stderr.write(f"rejected: {rejection}\n")
        return 30
    sys.stdout.write(f"{accepted.verdict}: {accepted.statement}\n")
    return 0 if accepted.verdict == "verified" else 10


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
