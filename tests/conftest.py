import numpy as np
import pytest
from hypothesis import HealthCheck, settings

from mle_regression.solvers.registry import SOLVERS

# the ordinary run looks at the same examples each time; --hypothesis-profile=long looks further
settings.register_profile(
    "ordinary", max_examples=40, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck)
)
settings.register_profile(
    "long", max_examples=3_000, deadline=None, suppress_health_check=list(HealthCheck), print_blob=True
)
settings.load_profile("ordinary")


@pytest.fixture
def rng():
    return np.random.default_rng(20240607)


@pytest.fixture(params=sorted(name for name, kind in SOLVERS.items() if hasattr(kind, "solve")))
def solver(request):
    return request.param


@pytest.fixture(params=sorted(name for name, kind in SOLVERS.items() if not hasattr(kind, "solve")))
def iterative(request):
    return request.param
