import pytest

from .laws import LAWS, load


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)
def test_law(law):
    law(load())
