"""Rows in the coordinates in which a fit's cross-products are the identity, and what is read off there."""

import mpmath
import numpy as np
import pytest

from mle_regression import MLELinearRegressor
from mle_regression.diagnostics.covariance import (
    LeverageAndMean,
    Whitener,
    accurate_whitener,
    cross_products,
    effective_parameters,
    leverage,
    standard_errors,
    unscaled_covariance,
    whiten,
)
from mle_regression.diagnostics.curvature import hessian
from mle_regression.rows.registry import as_rows


def fit_of(rng, alpha, intercept, weighted, far=0.0, unit=1.0):
    X = (rng.standard_normal((30, 3)) + [far, 0.0, 0.5]) * [1.0, unit, 1.0 / unit]
    w = rng.uniform(0.5, 2.0, 30) if weighted else None
    information = (
        MLELinearRegressor(alpha=alpha, fit_intercept=intercept).fit(X, rng.standard_normal(30), w)._fit.information
    )
    A = np.column_stack([np.ones(30), X]) if intercept else X
    counted = np.ones(30) if w is None else w
    penalty = alpha * np.diag(np.r_[[0.0] * intercept, np.ones(3)])
    # in columns of about one size, so that dense formulas keep their digits
    size = np.r_[[1.0] * intercept, 1.0, unit, 1.0 / unit]
    return information, X, A, counted, A.T * counted @ A + penalty, size


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [True, False])
@pytest.mark.parametrize("far", [0.0, 3.0, 5.0, 100.0])
def test_whitened_rows_are_those_of_the_inverse(alpha, intercept, weighted, far, rng):
    information, X, A, w, gram, _ = fit_of(rng, alpha, intercept, weighted, far)
    inverse = np.linalg.inv(gram)
    q = whiten(information, X)
    np.testing.assert_allclose(q @ q.T, A @ inverse @ A.T, rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(leverage(information, X), np.einsum("ij,jk,ik->i", A, inverse, A), rtol=1e-7)
    effective = np.trace(inverse @ (A.T * w @ A))
    assert effective_parameters(information) == pytest.approx(effective, rel=1e-9)
    whitener = accurate_whitener(as_rows(X, np.zeros((30, 1)), w if weighted else None), information)
    q = whitener(X)
    np.testing.assert_allclose(whitener.root @ whitener.root.T, inverse * np.outer(*_units(information)), rtol=1e-6)
    if not alpha:
        np.testing.assert_allclose(q.T * w @ q, np.eye(len(gram)), atol=1e-14)


def _units(information):
    """Twice the factors by which parameters are multiplied in scaled columns."""
    by = 2.0 ** np.r_[[0] * information.centred, information.exponent]
    return by, by


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("dependent", [True, False])
def test_leverages_and_means_by_one_product(dependent, outputs, intercept, rng):
    X, Y = rng.standard_normal((30, 4)), rng.standard_normal((30, outputs))
    if dependent:
        X[:, 3] = X[:, 0] - X[:, 1]
    fit = MLELinearRegressor(fit_intercept=intercept, on_rank_deficiency="min_norm").fit(X, Y)._fit
    new = np.vstack([X, rng.standard_normal((5, 4))])
    found, mean = LeverageAndMean.of(Whitener(fit.information), fit.coef, fit.intercept)(new)
    np.testing.assert_allclose(found, leverage(fit.information, new), rtol=1e-12)
    assert np.isnan(found[30:]).all() == dependent
    np.testing.assert_allclose(mean, new @ fit.coef + fit.intercept, rtol=1e-12, atol=1e-13)


def test_columns_with_far_means_are_not_used_as_they_lie(rng):
    information = fit_of(rng, 0.0, True, False, far=100.0)[0]
    assert LeverageAndMean.of(Whitener(information), np.zeros((3, 1)), np.zeros(1)) is None


def test_rows_of_another_fit_are_not_set_right(rng):
    information, X, *_ = fit_of(rng, 0.0, True, False)
    plain = accurate_whitener(as_rows(X, np.zeros((30, 1)), None), information)
    assert plain.correction.size
    for other in (X + 1e-3, X[::2]):
        assert not accurate_whitener(as_rows(other, np.zeros((len(other), 1)), None), information).correction.size


@pytest.mark.parametrize("alpha", [0.0, 0.7])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("unit", [1e-3, 1.0, 1e3])
def test_matrices_are_in_the_units_of_the_columns(alpha, intercept, unit, rng):
    information, _, _, w, gram, size = fit_of(rng, alpha, intercept, True, unit=unit)
    by = np.outer(size, size)
    np.testing.assert_allclose(cross_products(information) / by, gram / by, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(hessian(information) / by, 2.0 / w.sum() * gram / by, rtol=1e-9, atol=1e-9)
    inverse = np.linalg.inv(gram / by)
    np.testing.assert_allclose(unscaled_covariance(information) * by, inverse, rtol=1e-7, atol=1e-9)
    errors = standard_errors(information, np.array([0.5, 2.0]), np.array([0, 3]))
    expected = np.sqrt(np.diagonal(inverse))[:, None] * [0.5, 16.0]
    np.testing.assert_allclose(errors * size[:, None], expected, rtol=1e-9)


@pytest.mark.parametrize("degree", [7, 10])
@pytest.mark.parametrize("far", [0.0, 1.0])
def test_the_root_of_ill_conditioned_columns_is_set_right(degree, far):
    """Powers of twelve numbers: the inverse of their cross-products in 60 digits."""
    X = np.vander(far + np.arange(12.0) / 8.0, degree + 1)[:, :-1]
    information = MLELinearRegressor(refine=False).fit(X, np.cos(np.arange(12.0)))._fit.information
    whitener = accurate_whitener(as_rows(X, np.zeros((12, 1)), None), information)
    with mpmath.workdps(60):
        A = mpmath.matrix(np.column_stack([np.ones(12), X]).tolist())
        inverse = np.array(((A.T * A) ** -1).tolist(), dtype=float)
    np.testing.assert_allclose(whitener.root @ whitener.root.T, inverse * np.outer(*_units(information)), rtol=1e-12)
