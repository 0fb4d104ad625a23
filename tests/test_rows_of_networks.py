"""Influence of rows on a network: a linear model's where the network is one, and that of refits where they are close by."""

import numpy as np
import pandas as pd
import pytest

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.warnings import InferenceWarning


@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("weight_type", [None, "precision", "frequency"])
def test_a_linear_network_has_the_rows_of_the_linear_model(rng, outputs, weight_type):
    X = pd.DataFrame(rng.normal(size=(30, 3)), index=[f"row {i}" for i in range(30)])
    y = X.to_numpy() @ rng.normal(size=(3, outputs)) + rng.normal(size=(30, outputs))
    y = y[:, 0] if outputs == 1 else y
    w = None if weight_type is None else rng.integers(1, 4, 30).astype(float)
    options = {} if weight_type is None else {"weight_type": weight_type}
    net = MLPGradientRegressor((), alpha=0.0, tol=1e-12, early_stopping=False, **options).fit(X, y, w)
    found = net.diagnose(X, y, w).rows()
    truth = MLELinearRegressor(**options).fit(X, y, w).diagnose(X, y, w).rows()
    for name in ("fitted", "residual", "leverage", "loo_residual"):
        np.testing.assert_allclose(found[name], truth[name], rtol=1e-6, atol=1e-8, err_msg=name)
    if outputs == 1:
        np.testing.assert_allclose(found["cooks_distance"], truth["cooks_distance"], rtol=1e-6)
        assert found.index.equals(truth.index)
    else:
        assert found.index.nlevels == 2


def test_left_out_residuals_are_those_of_refits_close_by():
    rng = np.random.default_rng(4)
    X = rng.uniform(-2, 2, (60, 1))
    y = np.tanh(1.5 * X[:, 0]) + 0.1 * rng.normal(size=60)
    options = {"alpha": 0.3, "tol": 1e-10, "early_stopping": False, "random_state": 0}
    net = MLPGradientRegressor((3,), **options).fit(X, y)
    found = net.diagnose(X, y).rows()["loo_residual"].to_numpy()
    again = []
    for i in range(60):
        inside = np.arange(60) != i
        w = inside.astype(float)
        refit = MLPGradientRegressor((3,), **options | {"warm_start": True}).fit(X, y)
        refit.fit(X, y, w)
        again.append(y[i] - refit.predict(X[[i]])[0])
    assert np.mean(found**2) == pytest.approx(np.mean(np.square(again)), rel=0.02)


def test_rows_without_weight_have_none(rng):
    X, w = rng.normal(size=(40, 2)), np.r_[np.zeros(3), np.ones(37)]
    y = X[:, 0] + rng.normal(size=40)
    net = MLPGradientRegressor((2,), alpha=1.0, early_stopping=False, random_state=0).fit(X, y, w)
    assert list(net.diagnose(X, y, w).rows().index) == list(range(3, 40))


def test_a_network_that_has_learnt_its_rows_says_so(rng):
    X = rng.normal(size=(30, 2))
    y = rng.normal(size=30)
    net = MLPGradientRegressor((8,), alpha=1e-3, early_stopping=False, max_iter=200, random_state=0).fit(X, y)
    with pytest.warns(InferenceWarning, match="take up"):
        net.diagnose(X, y).rows()
