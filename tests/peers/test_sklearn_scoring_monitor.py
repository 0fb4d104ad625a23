"""scikit-learn's tests of its ScoringMonitor, with ours as the estimator that is scored."""

import pytest
from peers.borrowed import borrow
from peers.substitutes import MaxIterEstimator

pytest.importorskip("sklearn", minversion="1.9", reason="written against the tests of scikit-learn 1.9")

SUBSTITUTES = {"MaxIterEstimator": MaxIterEstimator}
globals().update(borrow("sklearn.callback.tests.test_scoring_monitor", "sklearn.callback.tests._utils", SUBSTITUTES))
