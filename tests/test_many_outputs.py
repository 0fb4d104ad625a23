"""Many outputs: each is fitted as by itself, and none costs more for the others that are there."""

import tracemalloc

import numpy as np
import pytest
from designs import conditioned, random

from mle_regression import MLELinearRegressor
from mle_regression.rows.base import row_totals
from mle_regression.rows.registry import as_rows
from mle_regression.solvers.base import LeastSquares
from mle_regression.solvers.passes import sum_exact

M = 40  # more than those whose residuals come out of the exact equation itself


def outputs(X, rng, m=M):
    """Outputs near to and far from the columns, in units of their own."""
    signal = X @ rng.standard_normal((X.shape[1], m)) / np.abs(X).max(axis=0).sum()
    noise = rng.standard_normal((len(X), m)) * np.logspace(-9, 0, m)
    return (signal + noise + np.linspace(0, 5, m)) * 2.0 ** np.r_[np.zeros(m - 2), 300, -300]


CASES = {
    "plain": {},
    "no intercept": {"fit_intercept": False},
    "penalised": {"alpha": 0.3},
    "nearly unpenalised": {"alpha": 1e-12},
    "qr": {"solver": "qr"},
    "svd": {"solver": "svd"},
}


@pytest.mark.parametrize("partial", [False, True], ids=["fit", "partial_fit"])
@pytest.mark.parametrize("weighted", [False, True], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("kappa", [None, 1e5, 1e12])
@pytest.mark.parametrize("case", CASES)
def test_as_each_by_itself(case, kappa, weighted, partial, rng):
    """Against refined fits of few outputs, which are tested against exact arithmetic."""
    X = random(60, 5) if kappa is None else conditioned(60, 5, kappa)
    Y, weights = outputs(X, rng), rng.uniform(0.1, 9, 60) if weighted else None
    model = MLELinearRegressor(refine=True, **CASES[case])
    model = model.partial_fit(X, Y, weights) if partial else model.fit(X, Y, weights)
    assert model.refined_
    picks = ([0, 7], [20, M - 3], [M - 2, 3], [M - 1, 0])
    for pick in picks:
        two = MLELinearRegressor(refine=True, **CASES[case]).fit(X, Y[:, pick], weights)
        np.testing.assert_allclose(model.coef_[pick], two.coef_, rtol=4e-16)
        if model.fit_intercept:
            np.testing.assert_allclose(model.intercept_[pick], two.intercept_, rtol=4e-16)
        np.testing.assert_allclose(model.standard_errors_[pick], two.standard_errors_, rtol=4e-15)
        spread = np.sqrt(np.diagonal(two.noise_covariance_))
        scaled = model.noise_covariance_[np.ix_(pick, pick)] / spread / spread[:, None]
        np.testing.assert_allclose(scaled, two.noise_covariance_ / spread / spread[:, None], rtol=0, atol=8e-15)


def test_dependent_columns_dropped(rng):
    """The columns that are kept, refined."""
    X = random(60, 4)
    X[:, 2] = X[:, 0] + X[:, 1]
    Y = outputs(X, rng)
    model = MLELinearRegressor(refine=True, on_rank_deficiency="drop").fit(X, Y)
    kept = MLELinearRegressor(refine=True).fit(X[:, [0, 1, 3]], Y)
    assert model.refined_
    np.testing.assert_allclose(model.coef_[:, [0, 1, 3]], kept.coef_, rtol=4e-16)
    np.testing.assert_array_equal(model.coef_[:, 2], 0.0)


def test_auto_refines_what_is_cheap(rng):
    """The outputs count, and the columns; `refined_` tells what was done."""
    for n, p, m, cheap in [(200, 5, 40, True), (250, 5, 240, False), (1000, 100, 1, True), (316, 200, 1, False)]:
        X, Y = rng.standard_normal((n, p)), rng.standard_normal((n, m))
        model = MLELinearRegressor().fit(X, Y)
        assert model.refined_ is cheap


@pytest.mark.parametrize("refine", [True, "auto"])
def test_memory_grows_as_that_of_the_plain_fit(refine, rng):
    """600 outputs: what all their cross-products in exact digits would take is 40 times as much."""
    X, Y = rng.standard_normal((700, 5)), rng.standard_normal((700, 600))
    MLELinearRegressor(refine=refine).fit(X, Y[:, :M])

    def peak_of(model):
        tracemalloc.start()
        try:
            model.fit(X, Y)
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    plain = peak_of(MLELinearRegressor(refine=False))
    assert peak_of(MLELinearRegressor(refine=refine)) < 4 * plain + 2e7


@pytest.mark.parametrize("of_outputs", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("centred", [False, True])
def test_exact_sums_are_those_of_the_columns_taken(centred, weighted, of_outputs, rng):
    X, Y = rng.integers(-99, 100, (30, 4)).astype(float), rng.integers(-99, 100, (30, 3)).astype(float)
    weights = rng.integers(1, 9, 30).astype(float) if weighted else None
    problem = LeastSquares(as_rows(X, Y, weights), row_totals(Y, weights), centred, 0.0, 1e-12, "warn", False)
    gram, exponent = sum_exact(problem, np.array([0, 3]), np.full(5, 7, dtype=np.int64), of_outputs=of_outputs)
    table = np.column_stack([*([np.ones(30)] if centred else []), X[:, [0, 3]], Y])
    expected = table.T @ (table if weights is None else weights[:, None] * table)  # of integers, without rounding
    found = gram.to_float()
    rows = table.shape[1] if of_outputs else 2 + centred
    assert found.shape == (rows, table.shape[1])
    np.testing.assert_array_equal(np.ldexp(found, exponent[:rows, None] + exponent), expected[:rows])
