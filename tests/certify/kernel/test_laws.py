import pytest

from ..examples import FAMILIES
from .laws import LAWS, OPS, false_claims_are_rejected, load, op_is_right, proofs_are_sound


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law(law):
    law(load())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("op", OPS)
def test_op(op, family):
    op_is_right(load(), op, family)


def test_every_op_of_the_kernel_is_tested():
    assert set(load().rules.RULES) == set(OPS)


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_soak(family):
    proofs_are_sound(load(), [family], range(1000, 1500), 32)
    false_claims_are_rejected(load(), [family], range(1000, 1250))
