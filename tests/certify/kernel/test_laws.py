import pytest

from ..examples import FAMILIES
from . import laws_balls, laws_float32
from .laws import LAWS, OPS, false_claims_are_rejected, load, margins_are_proved, op_is_right

EVERY = {**LAWS, **laws_float32.LAWS, **laws_balls.LAWS}


@pytest.mark.parametrize("law", [*EVERY.values()], ids=EVERY)
def test_law(law):
    law(load())


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("op", OPS)
def test_op(op, family):
    op_is_right(load(), op, family)


def test_every_op_of_the_kernel_is_tested():
    assert load().rules.RULES.keys() == OPS.keys()


@pytest.mark.slow
@pytest.mark.parametrize("family", FAMILIES)
def test_soak(family):
    false_claims_are_rejected(load(), [family], range(1000, 1250))
    margins_are_proved(load(), [family], range(1000, 1150))
