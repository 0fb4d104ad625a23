"""Outputs that do not vary: slope exactly zero, the value itself as intercept, R² NaN."""

import numpy as np
import pytest

from mle_regression import MLELinearRegressor
from mle_regression.linalg.frame import choose_frame
from mle_regression.rows.base import joined, row_totals

pytestmark = pytest.mark.filterwarnings(
    "ignore::mle_regression.warnings.RankDeficiencyWarning",
    "ignore::mle_regression.warnings.NoiseFreeWarning",
    "ignore::sklearn.exceptions.ConvergenceWarning",
)
VALUES = [2.8, 0.1, 1 / 3, -7.3e10, 0.0, 2.0, 1e-200, 1.1e300, 1e-310]
DESIGNS = {
    "three rows": np.array([[0.0], [0.96], [2.18]]),
    "plain": np.random.default_rng(1).standard_normal((30, 3)),
    "fewer rows than columns": np.random.default_rng(2).standard_normal((5, 8)),
    "dependent": np.random.default_rng(3).standard_normal((20, 2)) @ np.array([[1.0, 0, 1], [0, 1, 1]]),
}


def check(model, X, value):
    np.testing.assert_array_equal(model.coef_, 0.0)
    assert model.intercept_ == value
    assert np.isnan(model.r2_)
    assert model.noise_variance_ == 0.0
    np.testing.assert_array_equal(model.predict(X), value)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("options", [{}, {"refine": False}, {"alpha": 1.0}, {"on_rank_deficiency": "drop"}], ids=str)
@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize("name", DESIGNS)
def test_any_value(name, value, options, weighted, solver, rng):
    X = DESIGNS[name]
    weights = rng.uniform(0.1, 3, len(X)) if weighted else None
    check(MLELinearRegressor(solver=solver, **options).fit(X, np.full(len(X), value), weights), X, value)


@pytest.mark.parametrize("value", [2.8, 0.1])
@pytest.mark.parametrize("name", DESIGNS)
def test_any_way_down(name, value, iterative):
    X = DESIGNS[name]
    check(MLELinearRegressor(solver=iterative, max_iter=20).fit(X, np.full(len(X), value)), X, value)


@pytest.mark.parametrize("refine", [False, "auto", True])
@pytest.mark.parametrize("sizes", [[30], [1, 29], [1] * 30, [7, 0, 23]])
def test_batches(sizes, refine):
    X, y = DESIGNS["plain"], np.full(30, 2.8)
    model = MLELinearRegressor(refine=refine)
    parts = np.split(np.arange(30), np.cumsum(sizes)[:-1])
    for part in parts:
        if len(part):
            model.partial_fit(X[part], y[part])
    check(model, X, 2.8)
    check(MLELinearRegressor(refine=refine).fit(X, y).partial_fit(X, y), X, 2.8)
    halves = [MLELinearRegressor(refine=refine).partial_fit(X[h], y[h]) for h in (slice(9), slice(9, 30))]
    check(halves[0].merge(halves[1]), X, 2.8)
    # The first other value ends it.
    varied = model.partial_fit(X[:1], [3.0])
    assert np.isfinite(varied.r2_)
    assert varied.noise_variance_ > 0


def test_beside_others_and_behind_weights(rng):
    """Each output for itself; rows of weight zero do not count."""
    X = rng.standard_normal((30, 3))
    Y = np.c_[np.full(30, 2.8), rng.standard_normal(30), np.full(30, 0.1)]
    Y[4], weights = 9.0, np.ones(30)
    weights[4] = 0.0
    for model in (MLELinearRegressor().fit(X, Y, weights), MLELinearRegressor().partial_fit(X, Y, weights)):
        alone = MLELinearRegressor().fit(X, Y[:, 1], weights)
        np.testing.assert_array_equal(model.coef_[[0, 2]], 0.0)
        np.testing.assert_array_equal(model.intercept_[[0, 2]], [2.8, 0.1])
        np.testing.assert_array_equal(np.isnan(model.r2_), [True, False, True])
        np.testing.assert_allclose(model.coef_[1], alone.coef_, rtol=1e-14)
        np.testing.assert_allclose(model.noise_variance_, [0.0, alone.noise_variance_, 0.0], rtol=1e-14)


def test_without_an_intercept(rng):
    """Only zeros are explained by nothing; another constant is a mean like any other."""
    X = rng.standard_normal((30, 3))
    zeros = MLELinearRegressor(fit_intercept=False).fit(X, np.zeros(30))
    np.testing.assert_array_equal(zeros.coef_, 0.0)
    assert np.isnan(zeros.r2_)
    ones = MLELinearRegressor(fit_intercept=False).fit(X, np.ones(30))
    np.testing.assert_allclose(ones.coef_, np.linalg.lstsq(X, np.ones(30), rcond=None)[0], rtol=1e-12)
    assert 0 < ones.r2_ < 1


def test_penalty_by_evidence(rng):
    X = rng.standard_normal((30, 3))
    check(MLELinearRegressor(alpha="evidence").fit(X, np.full(30, 2.8)), X, 2.8)


def test_level_of_rows_together():
    one, two = row_totals(np.array([[1.0, 2.0], [1.0, 3.0]]), None), row_totals(np.array([[1.0, 2.0]]), None)
    none = row_totals(np.zeros((1, 2)), np.zeros(1))
    np.testing.assert_array_equal(one.level, [1.0, np.nan])
    np.testing.assert_array_equal(joined(one, two).level, [1.0, np.nan])
    np.testing.assert_array_equal(joined(none, two).level, [1.0, 2.0])
    np.testing.assert_array_equal(joined(two, none).level, [1.0, 2.0])
    assert choose_frame(np.full((7, 1), 0.1), True).shift[0] == 0.1
