"""scikit-learn's tests of its LinearRegression, on ours."""

import pytest
from peers.borrowed import borrow
from peers.substitutes import LinearRegression

pytest.importorskip("sklearn", minversion="1.9", reason="written against the tests of scikit-learn 1.9")

SUBSTITUTES = {"LinearRegression": LinearRegression}
globals().update(borrow("sklearn.linear_model.tests.test_base", "sklearn.linear_model", SUBSTITUTES))
