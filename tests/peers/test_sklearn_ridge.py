"""scikit-learn's tests of its Ridge, on ours; where a test compares Ridge with LinearRegression, that remains theirs."""

import pytest
from peers.borrowed import borrow
from peers.substitutes import Ridge

pytest.importorskip("sklearn", minversion="1.9", reason="written against the tests of scikit-learn 1.9")

SUBSTITUTES = {"Ridge": Ridge}
globals().update(borrow("sklearn.linear_model.tests.test_ridge", "sklearn.linear_model", SUBSTITUTES))
