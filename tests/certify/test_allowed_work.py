"""A proof that compresses too well is stored as it is, so that the kernel allows its steps."""

import zlib

from tlverify.certify import certificate
from tlverify.certify.kernel.errors import FREE_STEPS, STEPS_PER_BYTE


def test_a_tree_that_compresses_well_is_stored():
    nodes = 200_001
    payload = bytes(-(-nodes // 8)) + bytes(nodes // 2)
    data = certificate.proof("0", [{"rule": "tree", "nodes": nodes}], payload)
    assert nodes + 1 <= FREE_STEPS + STEPS_PER_BYTE * len(data)
    assert zlib.decompress(data.partition(b"\n")[2]).endswith(payload)
    assert len(zlib.compress(payload, 9)) * STEPS_PER_BYTE < nodes - FREE_STEPS


def test_another_is_compressed():
    data = certificate.proof("0", [{"rule": "tree", "nodes": 4_001}], bytes(10_000))
    assert len(data) < 300
