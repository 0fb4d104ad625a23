"""Residuals and leverages of a diagnosis: plain products suffice, or digits would cancel and twice the precision is taken."""

import numpy as np
import pytest
from designs import conditioned

from mle_regression import MLELinearRegressor
from mle_regression.fitted import on_rows


def diagnosis(X, y, weights=None):
    return MLELinearRegressor().fit(X, y, weights).diagnose(X, y, weights)


def in_twice_the_precision(found):
    return found._values.whitener.accurate


def numbers(found):
    rows = found.rows()
    kinds = [found.coefficients(kind)["std_error"] for kind in ("HC0", "HC3")]
    clustered = found.coefficients({"cluster": np.arange(len(rows)) % 20})["std_error"]
    return [np.asarray(v, float) for v in (rows["residual"], rows["leverage"], rows["loo_residual"], *kinds, clustered)]


@pytest.mark.parametrize("condition", [1.0, 5.0, 10.0])
@pytest.mark.parametrize("noise", [0.5, 10.0])
@pytest.mark.parametrize("weighted", [False, True])
def test_plain_products_have_the_digits_up_to_the_bound(condition, noise, weighted, rng, monkeypatch):
    X = conditioned(400, 6, condition) * 20.0 + 0.3
    y = X.sum(axis=1) + noise * rng.standard_normal(400) + 3.0
    weights = rng.uniform(0.5, 2.0, 400) if weighted else None
    plain = diagnosis(X, y, weights)
    assert not in_twice_the_precision(plain)
    monkeypatch.setattr(on_rows, "_NEAR_CONDITION", 0.0)
    exact = diagnosis(X, y, weights)
    assert in_twice_the_precision(exact)
    for found, truth in zip(numbers(plain), numbers(exact), strict=True):
        np.testing.assert_allclose(found, truth, rtol=1e-12, atol=1e-13 * np.abs(truth).max())


@pytest.mark.parametrize("case", ["near dependency", "far mean", "close fit", "large leverage", "weight"])
def test_digits_that_would_cancel_are_kept(case, rng):
    X = rng.standard_normal((400, 4))
    noise = rng.standard_normal(400)
    weights = np.ones(400)
    if case == "near dependency":
        X[:, 3] = X[:, 2] + 1e-4 * X[:, 3]
    elif case == "far mean":
        X[:, 1] += 1e4
    elif case == "close fit":
        noise *= 1e-4
    elif case == "large leverage":
        X[7, 2] = 1e3
    else:
        weights[7] = 1e4
    assert in_twice_the_precision(diagnosis(X, X.sum(axis=1) + noise, weights))
