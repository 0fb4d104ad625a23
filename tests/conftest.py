import numpy as np
import pytest

from mle_regression.solvers.registry import SOLVERS


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture(params=sorted(SOLVERS))
def solver(request):
    return request.param
