import numpy as np
import pytest

from mle_regression.solvers.registry import SOLVERS


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture(params=sorted(name for name, kind in SOLVERS.items() if hasattr(kind, "solve")))
def solver(request):
    return request.param


@pytest.fixture(params=sorted(name for name, kind in SOLVERS.items() if not hasattr(kind, "solve")))
def iterative(request):
    return request.param
