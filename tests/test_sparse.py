"""Sparse columns: dummies and large matrices, at the price of their nonzeros."""

import numpy as np
import pytest
import scipy.sparse as sp
from designs import conditioned

from mle_regression import MLELinearRegressor


def dummies(*levels, rows=None, drop=True, seed=0):
    """One-hot columns of factors with so many levels, each level in some row; without the first of each if ``drop``."""
    rng = np.random.default_rng(seed)
    n = rows or 20 * max(levels)
    columns = []
    for count in levels:
        codes = rng.permutation(np.r_[np.arange(count), rng.integers(0, count, n - count)])
        columns.append(sp.csr_array((np.ones(n), (np.arange(n), codes)), shape=(n, count))[:, int(drop) :])
    return sp.hstack(columns, format="csr")


def test_dummies_of_many_levels_are_means(rng):
    X, y = dummies(1200), rng.standard_normal(24_000)
    model = MLELinearRegressor().fit(X, y)
    counts = X.sum(axis=0)
    first = y[np.asarray(X.sum(axis=1)) == 0].mean()
    assert model.solver_ == "normal"
    assert model.intercept_ == pytest.approx(first, rel=1e-10)
    np.testing.assert_allclose(model.coef_, X.T @ y / counts - first, rtol=1e-9, atol=1e-12)
    s2 = np.sum((y - model.predict(X)) ** 2) / (24_000 - 1200)
    errors = np.sqrt(s2 * (1 / counts + 1 / (24_000 - counts.sum())))
    np.testing.assert_allclose(model.standard_errors_, errors, rtol=1e-10)


def test_normal_does_no_exact_work_unasked(rng):
    X = conditioned(200, 6, 1e6)
    y = X.sum(axis=1) + rng.standard_normal(200)
    truth = MLELinearRegressor(solver="normal", refine=True).fit(X, y)
    found = MLELinearRegressor(solver="normal", refine=False).fit(X, y)
    assert (truth.solver_, truth.refined_) == ("normal", True)
    assert (found.solver_, found.refined_) == ("qr", False)
    np.testing.assert_allclose(found.coef_, truth.coef_, rtol=1e-8)
