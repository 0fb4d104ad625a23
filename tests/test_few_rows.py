"""Penalised fits of fewer rows than columns, in the space of the rows: what the triangle of all columns gives, for less."""

import pickle
import tracemalloc

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from mle_regression import MLELinearRegressor
from mle_regression.linalg.spectral_information import SpectralInformation


@pytest.fixture
def design(rng):
    X = rng.standard_normal((40, 400)) * rng.uniform(0.1, 10, 400) + rng.standard_normal(400)
    return X, X[:, :5].sum(axis=1) + rng.standard_normal(40)


@pytest.mark.parametrize("alpha", [1e-6, 1e-2, 1.0, 1e4, 1e12])
@pytest.mark.parametrize(
    "options",
    [{}, {"fit_intercept": False}, {"outputs": 3}, {"weights": "precision"}, {"weights": "frequency"}, {"far": 1e7}],
    ids=str,
)
def test_rows_give_what_a_triangle_gives(design, options, alpha, rng):
    X, y = design
    options = dict(options)
    X = X + options.pop("far", 0.0)
    y = np.column_stack([y, 1e6 * rng.standard_normal(40) + 1, X[:, 7]]) if options.pop("outputs", 0) else y
    kind = options.pop("weights", None)
    weights = None if kind is None else rng.integers(0, 4, 40).astype(float)
    options = {"alpha": alpha, "weight_type": kind or "precision"} | options
    truth = MLELinearRegressor(solver="qr", refine=False, **options).fit(X, y, weights)
    found = MLELinearRegressor(**options).fit(X, y, weights)
    assert isinstance(found._fit.information, SpectralInformation)
    unit = np.abs(truth.coef_).max(axis=-1, keepdims=True)
    np.testing.assert_allclose(found.coef_ / unit, truth.coef_ / unit, rtol=1e-9, atol=1e-10)
    for name in ("log_likelihood_", "noise_variance_", "effective_dof_", "aic_", "residual_dof_", "rank_"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=1e-8, err_msg=name)
    assert found.verdict_ == truth.verdict_
    np.testing.assert_allclose(found.standard_errors_, truth.standard_errors_, rtol=1e-8)
    new = X[:7] + rng.standard_normal((7, 400))
    for mine, theirs in zip(found.predict(new, return_std=True), truth.predict(new, return_std=True), strict=True):
        np.testing.assert_allclose(mine, theirs, rtol=1e-8, atol=1e-9 * np.abs(y).max())
    assert found.gradient_norm_ < 1e-12


def test_what_needs_all_columns_is_made_when_it_is_asked_for(design, rng):
    X, y = design
    truth, found = (MLELinearRegressor(solver=s, alpha=1.0, refine=False).fit(X, y) for s in ("qr", "auto"))
    for model in (found, pickle.loads(pickle.dumps(found))):
        np.testing.assert_allclose(
            model.coefficient_covariance(), truth.coefficient_covariance(), rtol=1e-8, atol=1e-12
        )
        assert model.condition_number_ == pytest.approx(truth.condition_number_, rel=1e-8)
        assert str(model.summary()).split() == str(truth.summary()).replace("qr", "normal").split()


@pytest.mark.parametrize("change", ["nearly equal rows", "two nearly equal rows", "equal rows", "constant columns"])
def test_rows_that_depend_on_each_other(design, change, rng):
    X, y = design
    X = X.copy()
    if change == "constant columns":
        X[:, ::3] = 3.7
    elif change == "two nearly equal rows":
        X[39] = X[38] + 1e-7 * rng.standard_normal(400)
    else:
        X[20:] = X[:20] + (1e-6 * rng.standard_normal((20, 400)) if change == "nearly equal rows" else 0.0)
    truth, found = (MLELinearRegressor(solver=s, alpha=0.1, refine=False).fit(X, y) for s in ("qr", "auto"))
    assert isinstance(found._fit.information, SpectralInformation)
    np.testing.assert_allclose(found.coef_, truth.coef_, rtol=1e-7, atol=1e-9)
    assert found.log_likelihood_ == pytest.approx(truth.log_likelihood_, rel=1e-9)
    np.testing.assert_allclose(found.standard_errors_, truth.standard_errors_, rtol=1e-7)


@pytest.mark.parametrize("options", [{"alpha": 0.0}, {"alpha": 1e-30}, {"alpha": 1.0, "refine": True}], ids=str)
def test_the_triangle_is_kept_where_it_has_digits_of_its_own(options, rng):
    X, y = rng.standard_normal((10, 40)), rng.standard_normal(10)
    model = MLELinearRegressor(on_rank_deficiency="min_norm", **options)
    with pytest.warns(UserWarning) if options["alpha"] < 1e-20 else np.errstate():
        model.fit(X, y)
    assert not isinstance(model._fit.information, SpectralInformation)


def test_nothing_of_columns_by_columns_is_formed(rng):
    X, y = rng.standard_normal((50, 5000)), rng.standard_normal(50)
    tracemalloc.start()
    model = MLELinearRegressor(alpha=1.0).fit(X, y)
    model.predict(X, return_std=True)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 12 * X.nbytes < 5000**2 * 8 / 2
    np.testing.assert_allclose(model.coef_, Ridge(1.0).fit(X, y).coef_, rtol=1e-8, atol=1e-11)
