"""Likelihood-ratio tests against models of the mean alone, of constant and dependent columns, and in the wrong order."""

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import chi2
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor, likelihood_ratio_test

# Motor Trend (1974), R's mtcars: miles per gallon and weight in 1,000 lb.
CARS = """
21 2.62, 21 2.875, 22.8 2.32, 21.4 3.215, 18.7 3.44, 18.1 3.46, 14.3 3.57, 24.4 3.19, 22.8 3.15, 19.2 3.44, 17.8 3.44,
16.4 4.07, 17.3 3.73, 15.2 3.78, 10.4 5.25, 10.4 5.424, 14.7 5.345, 32.4 2.2, 30.4 1.615, 33.9 1.835, 21.5 2.465,
15.5 3.52, 15.2 3.435, 13.3 3.84, 19.2 3.845, 27.3 1.935, 26 2.14, 30.4 1.513, 15.8 3.17, 19.7 2.77, 15 3.57, 21.4 2.78
"""
MPG, WEIGHT = np.array([pair.split() for pair in CARS.split(",")], dtype=float).T


def null(y, weights=None, value=1.0, **options):
    return MLELinearRegressor(fit_intercept=False, **options).fit(np.full((len(y), 1), value), y, weights)


@pytest.mark.parametrize("value", [1.0, -3.0, 1e-150])
def test_weight_of_cars(value):
    """R: anova(lm(mpg ~ 1), lm(mpg ~ wt), test = "LRT") on the likelihoods."""
    found = likelihood_ratio_test(null(MPG, value=value), MLELinearRegressor().fit(WEIGHT[:, None], MPG))
    assert found.df_num == 1
    assert found.statistic == pytest.approx(44.726, abs=5e-4)
    assert found.p_value == pytest.approx(2.27e-11, rel=5e-3)
    theirs, alone = (sm.OLS(MPG, A).fit().llf for A in (sm.add_constant(WEIGHT), np.ones(32)))
    assert found.statistic == pytest.approx(2 * (theirs - alone), rel=1e-10)


@pytest.mark.parametrize("kind", ["precision", "frequency"])
def test_weights_and_several_outputs(kind, rng):
    X, Y, w = rng.standard_normal((50, 3)), rng.standard_normal((50, 2)), rng.integers(1, 4, 50) * 1.0
    full = MLELinearRegressor(weight_type=kind).fit(X, Y, w)
    restricted = null(Y, w, weight_type=kind)
    found = likelihood_ratio_test(restricted, full)
    assert found.df_num == 6
    assert found.statistic == pytest.approx(2 * (full.log_likelihood_ - restricted.log_likelihood_), rel=1e-12)
    assert found.p_value == pytest.approx(chi2.sf(found.statistic, 6))
    with pytest.raises(ValueError, match="different rows"):
        likelihood_ratio_test(null(Y, weight_type=kind), full)


def test_a_constant_column_beside_others(rng):
    X, y = rng.standard_normal((40, 3)) + 5, rng.standard_normal(40)
    full = MLELinearRegressor().fit(X, y)
    # [2, x1] without an intercept is [1, x1] with one; both ways round.
    by_column = MLELinearRegressor(fit_intercept=False).fit(np.column_stack([np.full(40, 2.0), X[:, 1]]), y)
    by_intercept = MLELinearRegressor().fit(X[:, [1]], y)
    assert likelihood_ratio_test(by_column, full).statistic == pytest.approx(
        likelihood_ratio_test(by_intercept, full).statistic, rel=1e-9
    )
    full_by_column = MLELinearRegressor(fit_intercept=False).fit(np.column_stack([X, np.full(40, -2.0)]), y)
    for restricted in (by_column, by_intercept, null(y)):
        found = likelihood_ratio_test(restricted, full_by_column)
        assert found.statistic == pytest.approx(likelihood_ratio_test(restricted, full).statistic, rel=1e-9)
        assert found.df_num == 4 - restricted.rank_


def test_a_constant_column_with_an_intercept_and_columns_of_zeros(rng):
    X, y = rng.standard_normal((40, 2)), rng.standard_normal(40)
    full = MLELinearRegressor().fit(X, y)
    for how in ("min_norm", "drop"):
        for column in (np.ones(40), np.zeros(40)):
            restricted = MLELinearRegressor(on_rank_deficiency=how).fit(column[:, None], y)
            found = likelihood_ratio_test(restricted, full)
            assert found.df_num == 2
            assert found.statistic == pytest.approx(likelihood_ratio_test(null(y), full).statistic, rel=1e-9)


@pytest.mark.parametrize("how", ["min_norm", "drop"])
def test_dependent_columns_are_none_of_their_own(how, rng):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    full = MLELinearRegressor().fit(X, y)
    both = np.column_stack([X[:, :2], X[:, 0] + 2 * X[:, 1]])
    restricted = MLELinearRegressor(on_rank_deficiency=how).fit(both, y)
    expected = likelihood_ratio_test(MLELinearRegressor().fit(X[:, :2], y), full)
    found = likelihood_ratio_test(restricted, full)
    assert (found.df_num, found.statistic) == (1, pytest.approx(expected.statistic, rel=1e-8))
    wider = MLELinearRegressor(on_rank_deficiency=how).fit(np.column_stack([X, X.sum(axis=1)]), y)
    assert likelihood_ratio_test(MLELinearRegressor().fit(X[:, :2], y), wider).df_num == 1


def test_swapped_models_are_told(rng):
    X, y = rng.standard_normal((40, 3)), rng.standard_normal(40)
    full, part = MLELinearRegressor().fit(X, y), MLELinearRegressor().fit(X[:, :2], y)
    for small in (part, null(y), MLELinearRegressor(fit_intercept=False).fit(X, y)):
        with pytest.raises(ValueError, match="swapped: call .*the smaller model first"):
            likelihood_ratio_test(full, small)
    other = MLELinearRegressor().fit(rng.standard_normal((40, 1)), y)
    with pytest.raises(ValueError, match="not nested.*'x0'"):
        likelihood_ratio_test(other, full)
    with pytest.raises(ValueError, match="restricted one has an intercept"):
        likelihood_ratio_test(part, MLELinearRegressor(fit_intercept=False).fit(X, y))


def test_a_column_that_only_resembles_a_constant_is_none(rng):
    X, y = rng.standard_normal((40, 2)), rng.standard_normal(40)
    nearly = np.ones((40, 1)) + 1e-3 * rng.standard_normal((40, 1))
    with pytest.raises(ValueError, match="not nested"):
        likelihood_ratio_test(MLELinearRegressor(fit_intercept=False).fit(nearly, y), MLELinearRegressor().fit(X, y))


def test_no_columns_at_all_are_refused_with_the_null_model():
    with pytest.raises(ValueError, match=r"0 feature\(s\).*column of ones with fit_intercept=False"):
        MLELinearRegressor().fit(np.empty((32, 0)), MPG)


def test_searches_and_pipelines_are_unwrapped(rng):
    X, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    full, part = MLELinearRegressor().fit(X, y), MLELinearRegressor().fit(X[:, :2], y)
    expected = likelihood_ratio_test(part, full).statistic
    grid = {"solver": ["qr", "svd"]}
    search = GridSearchCV(MLELinearRegressor(), grid, cv=3).fit(X, y)
    inner = make_pipeline("passthrough", make_pipeline("passthrough", GridSearchCV(MLELinearRegressor(), grid, cv=3)))
    outer = GridSearchCV(make_pipeline(MLELinearRegressor()), {"mlelinearregressor__solver": ["qr", "svd"]}, cv=3)
    for model in (search, inner.fit(X, y), outer.fit(X, y)):
        assert likelihood_ratio_test(part, model).statistic == pytest.approx(expected, rel=1e-9)
    assert likelihood_ratio_test(outer.fit(X[:, :2], y), full).statistic == pytest.approx(expected, rel=1e-9)
    # A column in other units, about another zero, spans the same beside an intercept.
    scaled = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X, y)
    assert likelihood_ratio_test(part, scaled).statistic == pytest.approx(expected, rel=1e-9)
    without = MLELinearRegressor(fit_intercept=False).fit(StandardScaler().fit_transform(X), y)
    with pytest.raises(ValueError, match="not nested"):
        likelihood_ratio_test(MLELinearRegressor(fit_intercept=False).fit(X[:, :2], y), without)
