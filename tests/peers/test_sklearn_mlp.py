"""scikit-learn's tests of its MLPRegressor, on ours."""

import pytest
from peers.borrowed import borrow
from peers.substitutes import MLPRegressor

pytest.importorskip("sklearn", minversion="1.9", reason="written against the tests of scikit-learn 1.9")

SUBSTITUTES = {"MLPRegressor": MLPRegressor}
globals().update(borrow("sklearn.neural_network.tests.test_mlp", "sklearn.neural_network", SUBSTITUTES))
