"""Real networks and properties: verdicts are those that competition tools agreed on, and each certificate is accepted
again by the stand-alone check. Instances that are quick; the slower ones are left to benchmarks/vnncomp.py."""

import os
from pathlib import Path

import pytest

from tlverify.bench.instances import read_instances
from tlverify.certify import kernel
from tlverify.certify.audit import AUTO, check_in, suited
from tlverify.certify.decide import decide
from tlverify.certify.property import to_claims
from tlverify.graph import to_bytes
from tlverify.interop import load_graph
from tlverify.interop.vnnlib import read_vnnlib

ROOT = Path(__file__).parents[2]
DATA = Path(os.environ.get("TLVERIFY_DATA", ROOT.parent / "shared" / "data"))
pytestmark = pytest.mark.skipif(not DATA.is_dir(), reason=f"{DATA} is not there; set TLVERIFY_DATA")

EXACT_BYTES = 405  # beyond, `exact` takes seconds on trees whose nodes bound neurons again
SOLVED = [
    ("acasxu/instances.csv", "ACASXU_run2a_1_1_batch_2000", "prop_1"),
    ("acasxu/instances.csv", "ACASXU_run2a_1_5_batch_2000", "prop_3"),
    ("acasxu/instances.csv", "ACASXU_run2a_2_2_batch_2000", "prop_2"),
    ("acasxu/instances.csv", "ACASXU_run2a_1_9_batch_2000", "prop_7"),  # too hard for most: a rare counterexample
    ("acasxu/instances.csv", "ACASXU_run2a_4_5_batch_2000", "prop_10"),
    ("mnist_fc/instances.csv", "mnist-net_256x2", "prop_0_0.03"),
    ("mnist_fc/instances.csv", "mnist-net_256x2", "prop_1_0.03"),
    ("mnist_fc/instances.csv", "mnist-net_256x4", "prop_0_0.03"),
    ("mnist_fc/instances.csv", "mnist-net_256x6", "prop_3_0.05"),  # phases split
    ("rl_benchmarks/instances.csv", "cartpole", "cartpole_case_unsafe_0"),
    ("rl_benchmarks/instances.csv", "cartpole", "cartpole_case_unsafe_29"),
    ("rl_benchmarks/instances.csv", "lunarlander", "lunarlander_case_safe_0"),
    ("rl_benchmarks/instances.csv", "dubinsrejoin", "dubinsrejoin_case_safe_0"),
]
CONVOLUTIONS = [
    ("oval21/instances.csv", "cifar_base_kw", "cifar_base_kw-img8095-eps0.010457516339869282", "verified"),
    ("oval21/instances.csv", "cifar_wide_kw", "cifar_wide_kw-img1909-eps0.0033986928104575162", "falsified"),
    ("oval21/instances.csv", "cifar_deep_kw", "cifar_deep_kw-img3062-eps0.007450980392156864", "verified"),
    ("verivital2021/verivital_instances.csv", "Convnet_avgpool", "prop_0_0.02", "verified"),
    ("verivital2021/verivital_instances.csv", "Convnet_avgpool", "prop_16_0.04", "falsified"),
]
"""With the verdict that this project found, where no one else's is known."""
ANY = [
    ("eran2021/eran_instances.csv", "mnist_relu_9_200", "mnist_spec_idx_8098_eps_0.01500"),
    ("oval21/instances.csv", "cifar_base_kw", "cifar_base_kw-img8194-eps0.018300653594771243"),
    ("verivital2021/verivital_instances.csv", "Convnet_maxpool", "prop_0_0.004"),
]
SECONDS = 2.0


def decided(table, network, prop, timeout=None):
    """The expected verdict, and the decision. Each certificate is accepted again, small ones by `exact` as well."""
    (instance,) = [i for i in read_instances(DATA / table) if (i.network.stem, i.prop.stem) == (network, prop)]
    graph = load_graph(instance.network)
    decision = decide(graph, to_claims(read_vnnlib(instance.prop), graph), timeout=timeout)
    structure, parameters = to_bytes(graph)
    for result in decision.results:
        if result.certificate is None:
            assert result.verdict == "unknown"
            continue
        program = kernel.read_program(structure, parameters)
        assert result.arithmetic == suited(program, result.certificate)
        found = check_in(AUTO, program, result.claim.data, result.certificate)
        assert (found.verdict, found.claim) == (result.verdict, result.claim.digest)
        if len(result.certificate) < EXACT_BYTES:
            again = kernel.check(structure, parameters, result.claim.data, result.certificate)
            assert (again.verdict, again.statement) == (found.verdict, found.statement)
    return instance.expected, decision


@pytest.mark.parametrize(("table", "network", "prop"), SOLVED, ids=[f"{network}-{prop}" for _, network, prop in SOLVED])
def test_solved(table, network, prop):
    expected, decision = decided(table, network, prop)
    assert decision.verdict == expected


@pytest.mark.parametrize(("table", "network", "prop", "verdict"), CONVOLUTIONS, ids=[row[2] for row in CONVOLUTIONS])
def test_convolutions_are_solved(table, network, prop, verdict):
    expected, decision = decided(table, network, prop)
    assert decision.verdict == verdict
    assert expected in (verdict, "")


@pytest.mark.parametrize(("table", "network", "prop"), ANY, ids=[f"{network}-{prop}" for _, network, prop in ANY])
def test_no_error_and_nothing_contradicted(table, network, prop):
    expected, decision = decided(table, network, prop, SECONDS)
    if decision.verdict == "unknown":
        assert decision.reason
        assert decision.remedy
    else:
        assert expected in (decision.verdict, "")
