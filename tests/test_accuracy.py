"""Digits, counted against solutions in rational arithmetic."""

import warnings
from fractions import Fraction

import numpy as np
import pytest
import statsmodels.datasets.longley as longley
from designs import HARD, conditioned, random, responses
from exact import digits, exact_least_squares

from mle_regression import MLELinearRegressor, NoiseFreeWarning


def parameters(model):
    if not model.fit_intercept:
        return model.coef_, model.standard_errors_
    return (
        np.r_[model.intercept_, model.coef_],
        np.r_[model.intercept_standard_error_, model.standard_errors_],
    )


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("fit", ["close", "far"])
@pytest.mark.parametrize("name", HARD)
def test_every_solver_gives_fourteen_digits(name, fit, intercept, solver):
    X = HARD[name]
    y = responses(X)[fit]
    truth = exact_least_squares(X, y, intercept=intercept)
    model = MLELinearRegressor(solver=solver, fit_intercept=intercept).fit(X, y)
    params, errors = parameters(model)
    assert model.refined_
    assert model.rank_ == X.shape[1] + intercept
    assert digits(params, truth.params) >= 14
    assert digits(errors, truth.errors) >= 14
    assert digits(model.noise_variance_ * len(y), truth.rss) >= 14


@pytest.mark.parametrize("scale", [0.0, 1.0, 100.0, 10000.0])
def test_wampler_polynomials(scale, solver):
    """Wampler (1970): y = 1 + x + … + x⁵ with residuals orthogonal to the design; every coefficient is 1."""
    x = np.arange(21.0)
    X = x[:, None] ** np.arange(1, 6)
    residual = np.array([759, -2048, 2048, -2048, 2523, -2048, 2048, -2048, 1838, -2048, 2048])
    residual = np.r_[residual, residual[-2::-1]].astype(float)
    y = 1.0 + X.sum(axis=1) + scale * residual
    truth = exact_least_squares(X, y)
    if scale == 0:
        with pytest.warns(UserWarning, match="exact"):
            model = MLELinearRegressor(solver=solver).fit(X, y)
        assert model.noise_variance_ == 0
        np.testing.assert_array_equal(model.standard_errors_, 0)
    else:
        model = MLELinearRegressor(solver=solver).fit(X, y)
    params, errors = parameters(model)
    assert digits(params, np.ones(6)) >= 14
    assert digits(errors, truth.errors) >= 14


def test_longley(solver):
    data = longley.load_pandas()
    truth = exact_least_squares(data.exog.to_numpy(), data.endog.to_numpy())
    model = MLELinearRegressor(solver=solver).fit(data.exog, data.endog)
    params, errors = parameters(model)
    # NIST's certified values for the first two coefficients and the residual standard deviation
    np.testing.assert_allclose(params[:2], [-3482258.63459582, 15.0618722713733], rtol=1e-13)
    assert np.sqrt(model.noise_variance_ * 16 / 9) == pytest.approx(304.854073561965, rel=1e-13)
    assert digits(params, truth.params) >= 15
    assert digits(errors, truth.errors) >= 15


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 1e-3, 10.0])
@pytest.mark.parametrize("kappa", [10.0, 1e6, 1e11])
def test_weights_and_penalty_are_exact_too(kappa, alpha, weighted, intercept, solver, rng):
    X = conditioned(30, 4, kappa)
    y = X.sum(axis=1) + rng.standard_normal(30)
    weights = rng.random(30) ** 4 if weighted else None
    truth = exact_least_squares(X, y, weights, intercept=intercept, alpha=alpha)
    model = MLELinearRegressor(solver=solver, alpha=alpha, fit_intercept=intercept).fit(X, y, weights)
    params, _ = parameters(model)
    assert digits(params, truth.params) >= 14
    assert digits(model.noise_variance_ * 30, truth.rss) >= 13


@pytest.mark.parametrize("partial", [False, True], ids=["fit", "partial_fit"])
@pytest.mark.parametrize("alpha", [1e-14, 1e-12, 1e-8])
def test_what_a_small_penalty_leaves_of_a_perfect_fit(alpha, partial, rng):
    """The residual sum of squares is far below α‖β‖², and no difference of sums of that size."""
    X = rng.standard_normal((200, 3))
    y = X @ [1.0, 2.0, 3.0]
    truth = exact_least_squares(X, y, alpha=alpha)
    model = MLELinearRegressor(alpha=alpha)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseFreeWarning)
        model = model.partial_fit(X, y) if partial else model.fit(X, y)
        assert model.refined_
    assert digits(model.noise_variance_ * 200, truth.rss) >= 14


def test_several_outputs_are_each_as_exact():
    X = conditioned(40, 4, 1e9)
    Y = np.column_stack(list(responses(X).values()))
    model = MLELinearRegressor().fit(X, Y)
    for k, y in enumerate(Y.T):
        truth = exact_least_squares(X, y)
        assert digits(np.r_[model.intercept_[k], model.coef_[k]], truth.params) >= 14
        assert digits(model.standard_errors_[k], truth.errors[1:]) >= 14


def lapack_ratio(X, y, model):
    """‖Aᵀr‖₁ / (‖A‖₁ ‖r‖₁ max(n, p) eps) on equilibrated columns, r rounded once from its exact value (LAPACK's dqrt17)."""
    A = np.column_stack([np.ones(len(y)), X]) if model.fit_intercept else X
    params, _ = parameters(model)
    exact = [Fraction(t) - sum(Fraction(a) * Fraction(b) for a, b in zip(row, params, strict=True))
             for row, t in zip(A.tolist(), y.tolist(), strict=True)]  # fmt: skip
    r = np.array([float(v) for v in exact])
    A = np.ldexp(A, -np.frexp(np.abs(A).max(axis=0))[1])
    return np.abs(A.T @ r).sum() / (np.abs(A).sum(axis=0).max() * np.abs(r).sum() * max(A.shape) * np.finfo(float).eps)


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("name", HARD)
def test_lapack_residual_ratio(name, intercept, refine, solver):
    """Below 30, or as near to it as coefficients of that size, rounded to float64, can come."""
    X = HARD[name]
    y = responses(X)["far"]
    model = MLELinearRegressor(solver=solver, fit_intercept=intercept, refine=refine).fit(X, y)
    A = np.column_stack([np.ones(len(y)), X]) if intercept else X
    params, _ = parameters(model)
    residual = np.abs(y - A @ params).sum()
    reach = np.abs(A).sum(axis=0) @ np.abs(params)
    assert lapack_ratio(X, y, model) < 30 * max(1.0, reach / residual)


@pytest.mark.parametrize("kappa", [1.0, 1e2, 1e5])
def test_large_problems_keep_their_digits_without_refinement(kappa, solver, rng):
    """n·p beyond the automatic refinement: compared with the refined fit on request."""
    X = conditioned(5000, 30, kappa) + 3.0
    y = X @ rng.standard_normal(30) + 0.1 * rng.standard_normal(5000)
    plain, exact = (MLELinearRegressor(solver=solver, refine=refine).fit(X, y) for refine in (False, True))
    # A normal equation of ill-conditioned columns is solved in exact arithmetic or not at all: unrefined, QR takes over.
    assert (plain.refined_, exact.refined_) == (False, True)
    if solver == "normal":
        assert plain.solver_ == ("qr" if kappa == 1e5 else "normal")
    np.testing.assert_allclose(plain.coef_, exact.coef_, atol=1e-14 * kappa * np.abs(exact.coef_).max())
    np.testing.assert_allclose(plain.noise_variance_, exact.noise_variance_, rtol=1e-12)
    np.testing.assert_allclose(plain.standard_errors_, exact.standard_errors_, rtol=1e-9)


def test_units_change_nothing_but_the_units(solver):
    """Columns rescaled by powers of two: coefficients rescaled, to the last bit."""
    X = random(40, 5)
    y = responses(X)["far"]
    powers = np.array([0, 300, -300, 40, -7])
    model = MLELinearRegressor(solver=solver).fit(X, y)
    scaled = MLELinearRegressor(solver=solver).fit(np.ldexp(X, powers), np.ldexp(y, 20))
    np.testing.assert_array_equal(np.ldexp(scaled.coef_, powers - 20), model.coef_)
    np.testing.assert_allclose(np.ldexp(scaled.standard_errors_, powers - 20), model.standard_errors_, rtol=4e-16)
    assert scaled.log_likelihood_ == pytest.approx(model.log_likelihood_ - 40 * 20 * np.log(2), rel=1e-14)


@pytest.mark.parametrize("factor", [3.0, 1e-150, 7e140])
def test_any_rescaling_and_permutation_leaves_rank_and_coefficients(factor, solver):
    for name in ("kappa 1e7", "nearly duplicated", "Vandermonde"):
        X = HARD[name]
        y = responses(X)["far"]
        order = np.roll(np.arange(X.shape[1]), 2)
        model = MLELinearRegressor(solver=solver).fit(X, y)
        X2 = X[:, order] * np.where(np.arange(X.shape[1]) % 2, factor, 1.0)
        changed = MLELinearRegressor(solver=solver).fit(X2, y)
        truth = exact_least_squares(X2, y)
        assert changed.rank_ == model.rank_ == X.shape[1] + 1
        assert digits(changed.coef_, truth.params[1:]) >= 14


@pytest.mark.parametrize("kappa", [1e15, 1e16])
def test_columns_dependent_to_rounding_are_solved_as_they_are_if_told_so(kappa, solver):
    """By default such columns count as dependent; with ``rank_tol=0`` the float64 design is taken at its word."""
    X, y = conditioned(40, 5, kappa), np.random.default_rng(3).standard_normal(40)
    truth = exact_least_squares(X, y)
    model = MLELinearRegressor(solver=solver, rank_tol=0).fit(X, y)
    assert digits(model.coef_, truth.params[1:]) >= 14
    assert digits(model.standard_errors_, truth.errors[1:]) >= 14
