"""A noise family is one record in one table: both estimators take everything from it."""

import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats
from scipy.optimize import minimize
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.estimator_checks import check_estimator

import mle_regression
from mle_regression import (
    MLELinearRegressor,
    MLPGradientRegressor,
    NoiseFreeWarning,
    RankDeficiencyWarning,
    compare_models,
    likelihood_ratio_test,
)
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.noise.gaussian import GAUSSIAN
from mle_regression.noise.location_scale import location_scale
from mle_regression.noise.registry import NOISES
from mle_regression.noise.scale import likeliest_scale
from mle_regression.objective.likelihood import likelihood_objective
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units
from mle_regression.solvers.registry import NETWORK_SOLVERS, SOLVERS


def logistic_density(e):
    return -np.abs(e) - 2.0 * np.log1p(np.exp(-np.abs(e)))


def gumbel_density(e):
    return -e - np.exp(-e)


# Each by its density alone: one symmetric, one not.
OF_DENSITY = {
    "logistic": location_scale("logistic", "logistic noise", logistic_density),
    "gumbel": location_scale("gumbel", "Gumbel noise", gumbel_density),
}
TRUTH = {"logistic": stats.logistic, "gumbel": stats.gumbel_r}
# Gaussian noise as one would write it who does not know that sums suffice.
PLAIN = location_scale("plain", "normal noise", lambda e: -0.5 * (e**2 + np.log(2.0 * np.pi)))


@pytest.fixture(autouse=True)
def families(monkeypatch):
    for name, family in OF_DENSITY.items():
        monkeypatch.setitem(NOISES, name, family)
    monkeypatch.setitem(NOISES, "plain", PLAIN)


def drawn(rng, family, n=150, outputs=1):
    X = rng.standard_normal((n, 3)) * [1.0, 10.0, 0.1] + [0.0, 5.0, 1.0]
    Y = X @ rng.standard_normal((3, outputs)) + 4.0 + 0.7 * TRUTH[family].rvs(size=(n, outputs), random_state=rng)
    return X, Y[:, 0] if outputs == 1 else Y


def by_scipy(minus_log_posterior, start):
    """Minimise by gradients first, and then without them to the last digits."""
    found = minimize(minus_log_posterior, start, method="BFGS", options={"gtol": 1e-9})
    options = {"xatol": 1e-11, "fatol": 1e-13, "maxiter": 40_000, "maxfev": 40_000, "adaptive": True}
    return minimize(minus_log_posterior, found.x, method="Nelder-Mead", options=options)


# -- the record ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OF_DENSITY)
def test_what_follows_from_a_density(name):
    family, truth = OF_DENSITY[name], TRUTH[name]
    e, p = np.linspace(-3.0, 30.0, 67), np.array([1e-6, 0.025, 0.5, 0.9, 1 - 1e-6])
    h = 1e-6
    np.testing.assert_allclose(family.log_density(e), truth.logpdf(e), rtol=1e-12)
    slope = np.tanh(e / 2) if name == "logistic" else 1.0 - np.exp(-e)
    bend = 0.5 / np.cosh(e / 2) ** 2 if name == "logistic" else np.exp(-e)
    np.testing.assert_allclose(family.score(e), slope, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(family.curvature(e), bend, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(family.cdf(e), truth.cdf(e), rtol=1e-11, atol=1e-14)
    np.testing.assert_allclose(family.quantile(p), truth.ppf(p), rtol=1e-9, atol=1e-10)
    np.testing.assert_allclose((family.cdf(e + h) - family.cdf(e - h)) / (2 * h), truth.pdf(e), atol=1e-8)
    assert family.mean == pytest.approx(truth.mean(), abs=1e-11)
    assert family.deviation == pytest.approx(truth.std(), rel=1e-10)
    assert family.information == pytest.approx(1 / 3 if name == "logistic" else 1.0, rel=1e-9)
    assert family.log_concave
    assert not family.sums_suffice
    draws = family.sample(np.random.default_rng(0), 2000)
    assert stats.kstest(draws, truth.cdf).pvalue > 1e-3


def test_heavy_tails_have_no_moments():
    cauchy = location_scale("cauchy", "Cauchy noise", stats.cauchy.logpdf)
    assert np.isnan(cauchy.mean)
    assert cauchy.deviation == np.inf
    assert cauchy.information == pytest.approx(0.5, rel=1e-9)
    assert not cauchy.log_concave
    assert cauchy.quantile(np.array(0.75)) == pytest.approx(1.0, rel=1e-10)


def test_a_density_that_does_not_integrate_to_one_is_refused():
    with pytest.raises(ValueError, match=r"'half' integrates to 0\.5.*normalising constant"):
        location_scale("half", "half", lambda e: logistic_density(e) - np.log(2.0))


@pytest.mark.parametrize(
    ("log_density", "given", "where"),
    [
        (lambda e: -np.log(np.pi * np.cosh(e)), {}, ("log density", 709.3, 710.5)),
        (
            lambda e: -np.log(np.pi * np.cosh(e)),
            {"score": np.tanh, "curvature": lambda e: 0 * e},
            ("log density", 709.3, 710.5),
        ),
        (
            lambda e: np.log(2 / np.pi) - np.logaddexp(e, -e),
            {"score": lambda e: np.sinh(e) / np.cosh(e)},
            ("slope", 710, 710.5),
        ),
        (lambda e: np.log(np.where(np.abs(e) < 1, 0.75 * (1 - e**2), 0.0)), {}, ("log density", 1.0, 1.0)),
        (lambda e: np.where(e > 0, -e, -np.inf), {}, ("slope", 0.0, 0.1)),
    ],
)
def test_a_density_that_overflows_is_refused_with_the_residual_where_it_does(log_density, given, where):
    what, least, most = where
    with pytest.raises(ValueError, match="np.logaddexp") as caught:
        location_scale("mine", "mine", log_density, **given)
    found = re.search(r"The ([a-z ]+) of noise family 'mine' .* standardised residual (\S+)\. ", str(caught.value))
    assert found[1] == what
    assert least <= float(found[2]) <= most


def test_gaussian_record_is_that_of_its_density():
    e = np.linspace(-6.0, 6.0, 25)
    for name in ("log_density", "score", "curvature", "cdf"):
        np.testing.assert_allclose(getattr(GAUSSIAN, name)(e), getattr(PLAIN, name)(e), rtol=1e-9, atol=1e-10)
    for name in ("mean", "deviation", "information"):
        assert getattr(GAUSSIAN, name) == pytest.approx(getattr(PLAIN, name), abs=1e-10)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e150])
def test_scale_of_residuals(rng, size):
    residuals = 3.0 * rng.logistic(size=80)
    found = likeliest_scale(OF_DENSITY["logistic"], size * residuals)
    assert found == pytest.approx(size * stats.logistic.fit(residuals, floc=0.0)[1], rel=1e-4)
    assert likeliest_scale(PLAIN, size * residuals) == pytest.approx(size * np.sqrt(np.mean(residuals**2)), rel=1e-10)


# -- the objective ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("frequency", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", [(3, 2), (3, 4, 1), (3, 4, 3, 2)])
@pytest.mark.parametrize("family", OF_DENSITY)
def test_derivatives_of_the_objective(rng, family, sizes, weighted, frequency):
    n, m = 40, sizes[-1]
    units = Units(np.zeros(3), np.ones(3)), Units(np.zeros(m), np.ones(m))
    weights = rng.integers(1, 5, n) / 4.0 if weighted else None
    rows = StandardRows(
        as_rows(rng.standard_normal((n, 3)), rng.standard_normal((n, m)), weights), *units, np.dtype("float64")
    )
    network = Network(sizes, find_activation("tanh"))
    objective = likelihood_objective(network, rows, 0.7, network.initial(rng), OF_DENSITY[family], frequency)
    phi = objective.start + 0.1 * rng.standard_normal(len(objective.start))
    unit, h = np.eye(len(phi)), 1e-5

    def difference(function):
        return np.array([(function(phi + h * e) - function(phi - h * e)) / (2.0 * h) for e in unit])

    value, gradient = objective.value_and_gradient(phi)
    np.testing.assert_allclose(gradient, difference(lambda p: objective.value_and_gradient(p)[0]), atol=2e-9)
    hessian, times = objective.hessian(phi), objective.hessian_products(phi)
    np.testing.assert_allclose(hessian, difference(lambda p: objective.value_and_gradient(p)[1]), atol=2e-8)
    np.testing.assert_allclose(np.column_stack([times(e) for e in unit]), hessian, atol=1e-13)
    # Batches that are all rows together have the whole as their mean.
    found = [objective.batch_gradient(phi, batch) for batch in objective.batches(rng, n)]
    assert len(found) == 1
    assert found[0][0] == pytest.approx(value, rel=1e-13)
    np.testing.assert_allclose(found[0][1], gradient, atol=1e-14)


# -- a linear model --------------------------------------------------------------------------------------------------

TOLERANCE = {"auto": 1e-6, "lbfgs": 1e-6, "newton": 1e-6, "gd": 1e-6, "adam": 2e-4}


def patient(solver):
    """Options with which a solver comes near enough to the optimum."""
    return {"batch_size": 150, "max_iter": 2000, "learning_rate": 5e-3} if solver == "adam" else {}


@pytest.mark.filterwarnings("ignore:solver='adam' has not converged")
@pytest.mark.parametrize("weight_type", [None, "precision", "frequency"])
@pytest.mark.parametrize("solver", TOLERANCE)
@pytest.mark.parametrize("family", OF_DENSITY)
def test_linear_optimum_is_that_of_the_density(rng, family, solver, weight_type):
    X, y = drawn(rng, family)
    weights = None if weight_type is None else rng.integers(0, 4, len(y)).astype(float)
    w = np.ones(len(y)) if weights is None else weights

    def minus_log_likelihood(p):
        s, gap = np.exp(p[-1]), y - p[0] - X @ p[1:-1]
        if weight_type == "precision":
            inside = w > 0
            of_row = TRUTH[family].logpdf(np.sqrt(w[inside]) * gap[inside] / s) - p[-1] + 0.5 * np.log(w[inside])
            return -of_row.sum()
        return -(w @ (TRUTH[family].logpdf(gap / s) - p[-1]))

    model = MLELinearRegressor(
        noise=family, solver=solver, weight_type=weight_type or "precision", random_state=0, **patient(solver)
    ).fit(X, y, weights)
    at = np.r_[model.intercept_, model.coef_, np.log(model._fit.likelihood.scale_of_y)]
    best = by_scipy(minus_log_likelihood, at + 0.05)
    tol = TOLERANCE[solver]
    np.testing.assert_allclose(at[:-1], best.x[:-1], rtol=100 * tol, atol=100 * tol)
    assert at[-1] == pytest.approx(best.x[-1], abs=10 * tol)
    assert model.log_likelihood_ == pytest.approx(-best.fun, abs=tol)
    assert model.log_likelihood_ == pytest.approx(-minus_log_likelihood(at), rel=1e-12)
    assert model.log_likelihood(X, y, weights) == pytest.approx(model.log_likelihood_, rel=1e-12)
    assert model.n_parameters_ == 5
    assert model.aic_ == pytest.approx(2 * 5 - 2 * model.log_likelihood_)
    n = np.count_nonzero(w) if weight_type != "frequency" else w.sum()
    assert model.loss_curve_[-1] == pytest.approx(-model.log_likelihood_ / n, abs=tol)
    if solver != "adam":
        assert model.verdict_ == "unique minimum"
        assert model.converged_


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_linear_optimum_under_a_penalty(rng, fit_intercept):
    X, y = drawn(rng, "logistic")
    alpha, first = 20.0, int(fit_intercept)

    def minus_log_posterior(p):
        s = np.exp(p[-1])
        coef = p[first:-1]
        gap = y - X @ coef - (p[0] if fit_intercept else 0.0)
        return -(logistic_density(gap / s) - p[-1]).sum() + alpha * coef @ coef / (2.0 * s**2)

    model = MLELinearRegressor(noise="logistic", alpha=alpha, fit_intercept=fit_intercept).fit(X, y)
    at = np.r_[[model.intercept_] * first, model.coef_, np.log(model._fit.likelihood.scale_of_y)]
    best = by_scipy(minus_log_posterior, at)
    np.testing.assert_allclose(at[:-1], best.x[:-1], rtol=1e-4, atol=1e-4)
    s = model._fit.likelihood.scale_of_y
    # The expected information under the prior.
    columns = np.column_stack([np.ones(len(y)), X])[:, 1 - first :]
    precision = columns.T @ columns / 3.0 + alpha * np.diag(np.arange(first + 3) >= first)
    errors = s * np.sqrt(np.diagonal(np.linalg.inv(precision)))[first:]
    np.testing.assert_allclose(model.standard_errors_, errors, rtol=1e-8)
    assert f"Gaussian prior (alpha={alpha:g})" in " ".join(str(model.summary()).split())


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_several_outputs_are_those_one_by_one(rng, solver):
    X, Y = drawn(rng, "gumbel", outputs=2)
    both = MLELinearRegressor(noise="gumbel", solver=solver).fit(X, Y)
    each = [MLELinearRegressor(noise="gumbel", solver=solver).fit(X, y) for y in Y.T]
    np.testing.assert_allclose(both.coef_, [one.coef_ for one in each], rtol=1e-6, atol=1e-6)
    assert both.log_likelihood_ == pytest.approx(sum(one.log_likelihood_ for one in each), abs=1e-8)
    assert both.n_parameters_ == 10
    np.testing.assert_allclose(
        both.noise_covariance_, np.diag([one.noise_variance_ for one in each]), rtol=1e-6, atol=1e-12
    )
    np.testing.assert_allclose(both.r2_, [one.r2_ for one in each], rtol=1e-8)
    for ours, theirs in zip(
        both.predict_interval(X[:5]), zip(*(m.predict_interval(X[:5]) for m in each), strict=True), strict=True
    ):
        np.testing.assert_allclose(ours, np.column_stack(theirs), rtol=1e-6)


def test_sparse_rows_are_those_of_a_dense_array(rng):
    X, y = drawn(rng, "logistic")
    X[np.abs(X) < 0.5] = 0.0
    dense, sparse = (MLELinearRegressor(noise="logistic").fit(x, y) for x in (X, sp.csr_array(X)))
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-8)


@pytest.mark.parametrize("units", [1e-100, 1e100])
def test_units_of_y_do_not_matter(rng, units):
    X, y = drawn(rng, "logistic")
    plain, other = (MLELinearRegressor(noise="logistic").fit(X, y * unit) for unit in (1.0, units))
    np.testing.assert_allclose(other.coef_ / units, plain.coef_, rtol=1e-7)
    assert other.log_likelihood_ == pytest.approx(plain.log_likelihood_ - len(y) * np.log(units), rel=1e-10)


def test_a_close_fit_is_told_to_have_arrived(rng):
    X = rng.standard_normal((50, 2))
    model = MLELinearRegressor(noise="logistic").fit(X, X @ [1.0, 2.0] + 1e-9 * rng.logistic(size=50))
    assert model.converged_
    assert model.verdict_ == "unique minimum"
    np.testing.assert_allclose(model.coef_, [1.0, 2.0], atol=1e-8)


@pytest.mark.parametrize("unit", [1e-100, 1e80])
@pytest.mark.parametrize("weight_type", ["precision", "frequency"])
def test_extreme_weights(rng, weight_type, unit):
    X, y = drawn(rng, "logistic")
    plain, other = (
        MLELinearRegressor(noise="logistic", weight_type=weight_type).fit(X, y, np.full(len(y), w)) for w in (1.0, unit)
    )
    np.testing.assert_allclose(other.coef_, plain.coef_, rtol=1e-8)
    if weight_type == "precision":
        assert other.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-10)
        assert other.noise_variance_ == pytest.approx(unit * plain.noise_variance_, rel=1e-10)
        np.testing.assert_allclose(other.standard_errors_, plain.standard_errors_, rtol=1e-10)
    else:
        assert other.log_likelihood_ == pytest.approx(unit * plain.log_likelihood_, rel=1e-10)
        assert other.noise_variance_ == pytest.approx(plain.noise_variance_, rel=1e-10)
        np.testing.assert_allclose(other.standard_errors_, plain.standard_errors_ / np.sqrt(unit), rtol=1e-10)


def test_noise_without_a_variance(rng, monkeypatch):
    monkeypatch.setitem(NOISES, "cauchy", location_scale("cauchy", "Cauchy noise", stats.cauchy.logpdf))
    X = rng.standard_normal((60, 2))
    y = X @ [1.0, 2.0] + rng.standard_cauchy(60)
    model = MLELinearRegressor(noise="cauchy").fit(X, y)
    s = model._fit.likelihood.scale_of_y[0]
    assert model.verdict_ == "minimum"
    assert model.noise_variance_ == np.inf
    mean, std = model.predict(X[:3], return_std=True)
    assert np.isinf(std).all()
    low, high = model.predict_interval(X[:3], coverage=0.5)
    assert (low < mean - s * stats.cauchy.ppf(0.75)).all()
    assert (high < mean + 2.0 * s * stats.cauchy.ppf(0.75)).all()
    at_mean = model.predict_interval(X[:3], kind="mean")
    assert np.isfinite(at_mean).all()
    assert model.log_likelihood_ == pytest.approx(stats.cauchy.logpdf(y, model.predict(X), s).sum())


def student(degrees, log_density):
    """Student's family of so many degrees of freedom, with the derivatives in closed form."""
    return location_scale(
        "heavy",
        "heavy tails",
        log_density,
        score=lambda e: (degrees + 1.0) * e / (degrees + e**2),
        curvature=lambda e: (degrees + 1.0) * (degrees - e**2) / (degrees + e**2) ** 2,
    )


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("far", [1e2, 1e6, 1e9])
@pytest.mark.parametrize("law", [stats.cauchy, stats.t(3)], ids=["cauchy", "t3"])
def test_rows_far_away_do_not_keep_heavy_tails_from_their_optimum(rng, monkeypatch, law, far, outputs, weighted):
    monkeypatch.setitem(NOISES, "heavy", student(1.0 if law is stats.cauchy else 3.0, law.logpdf))
    X, w = rng.standard_normal((200, 3)), rng.uniform(0.5, 2.0, 200) if weighted else np.ones(200)
    y = X @ [[1.0, 4.0], [2.0, 5.0], [3.0, 6.0]] + 0.1 * rng.standard_cauchy((200, 2))
    y[:5, 0] += far
    y = y if outputs == 2 else y[:, 0]
    model = MLELinearRegressor(noise="heavy").fit(X, y, w if weighted else None)
    assert model.converged_
    assert model.verdict_ == "minimum"
    degrees = 1.0 if law is stats.cauchy else 3.0
    scales = np.atleast_1d(model._fit.likelihood.scale_of_y)
    e = (y - model.predict(X)).reshape(200, -1) * np.sqrt(w)[:, None] / scales
    score = (degrees + 1.0) * e / (degrees + e**2)
    of_means = np.c_[np.ones(200), X].T @ (np.sqrt(w)[:, None] * score)
    np.testing.assert_allclose(of_means / 200, 0.0, atol=1e-6)
    np.testing.assert_allclose((e * score).mean(axis=0), 1.0, atol=1e-6)
    density = law.logpdf(e) - np.log(scales) + 0.5 * np.log(w)[:, None]
    assert model.log_likelihood_ == pytest.approx(density.sum(), rel=1e-10)
    assert model.n_iter_ == len(model.loss_curve_) - 1
    assert model.loss_curve_[-1] == pytest.approx(-model.log_likelihood_ / 200, rel=1e-9)


@pytest.mark.parametrize(("far", "weight_type"), [(1e3, None), (1e6, "precision"), (1e6, "frequency")])
def test_rows_far_away_do_not_keep_a_network_from_the_curve(rng, monkeypatch, far, weight_type):
    """What rows far away pull at the mean vanishes with their distance under Cauchy noise: the others decide."""
    monkeypatch.setitem(NOISES, "heavy", student(1.0, stats.cauchy.logpdf))
    X = rng.standard_normal((120, 2))
    curve = np.tanh(X @ [1.0, 2.0])
    y = curve + 0.05 * rng.standard_normal(120)
    weights = None if weight_type is None else rng.integers(1, 4, 120).astype(float)
    options = {"noise": "heavy", "alpha": 1e-3, "early_stopping": False, "random_state": 0}
    options |= {"weight_type": weight_type or "precision"}
    near = MLPGradientRegressor((3,), **options).fit(X, y, weights)
    y[:3] += far
    model = MLPGradientRegressor((3,), **options).fit(X, y, weights)
    errors = [np.sqrt(np.mean((fitted.predict(X) - curve) ** 2)) for fitted in (near, model)]
    assert errors[1] < max(1.5 * errors[0], 0.03)
    if weight_type == "frequency":
        repeated = np.repeat(np.arange(120), weights.astype(int))
        again = MLPGradientRegressor((3,), **options).fit(X[repeated], y[repeated])
        np.testing.assert_allclose(again._fit.of_y.spread, model._fit.of_y.spread, rtol=1e-14)
        np.testing.assert_allclose(again._fit.of_y.center, model._fit.of_y.center, rtol=1e-14)
    moved = MLPGradientRegressor((3,), **options).fit(X, 1e3 * y + 7.0, weights)
    np.testing.assert_allclose(moved._fit.of_y.spread, 1e3 * model._fit.of_y.spread, rtol=1e-12)
    np.testing.assert_allclose(moved.predict(X), 1e3 * model.predict(X) + 7.0, atol=5.0)  # of noise of 50


@pytest.mark.parametrize("solver", ["lbfgs", "newton"])
def test_iterations_in_other_units_are_told_and_counted_on(rng, monkeypatch, solver):
    monkeypatch.setitem(NOISES, "heavy", location_scale("heavy", "heavy tails", stats.cauchy.logpdf))
    X = rng.standard_normal((100, 2))
    y = X @ [1.0, 2.0] + 0.1 * rng.standard_normal(100)
    y[:3] += 1e6
    model = MLELinearRegressor(noise="heavy", solver=solver).fit(X, y)
    with pytest.warns(ConvergenceWarning, match="in 5 iterations"):
        short = MLELinearRegressor(noise="heavy", solver=solver, max_iter=5).fit(X, y)
    assert short.n_iter_ == 5
    np.testing.assert_allclose(short.loss_curve_, model.loss_curve_[:6], rtol=1e-12)
    again = MLELinearRegressor(noise="heavy", solver=solver, warm_start=True).fit(X, y).fit(X, y)
    assert again.n_iter_ <= 3
    np.testing.assert_allclose(again.coef_, model.coef_, rtol=1e-7)


def test_dependent_columns(rng):
    X, y = drawn(rng, "logistic")
    wide = np.column_stack([X, X[:, 0] + X[:, 2]])
    whole = MLELinearRegressor(noise="logistic").fit(X, y)
    with pytest.warns(RankDeficiencyWarning, match="x3"):
        least = MLELinearRegressor(noise="logistic").fit(wide, y)
    dropped = MLELinearRegressor(noise="logistic", on_rank_deficiency="drop").fit(wide, y)
    for model in (least, dropped):
        assert model.verdict_ == "flat minimum"
        assert model.log_likelihood_ == pytest.approx(whole.log_likelihood_, abs=1e-8)
        np.testing.assert_allclose(model.predict(wide), whole.predict(X), rtol=1e-6)
    np.testing.assert_allclose(dropped.coef_[:3], whole.coef_, rtol=1e-6)
    assert dropped.coef_[3] == 0.0
    assert least.coef_ @ [1.0, 0.0, 1.0, -1.0] == pytest.approx(0.0, abs=1e-9)


def test_gaussian_noise_by_its_density_is_least_squares(rng):
    X, y = drawn(rng, "logistic")
    ours, squares = MLELinearRegressor(noise="plain").fit(X, y), MLELinearRegressor().fit(X, y)
    np.testing.assert_allclose(ours.coef_, squares.coef_, rtol=1e-10)
    assert ours.log_likelihood_ == pytest.approx(squares.log_likelihood_, rel=1e-12)
    assert ours.noise_variance_ == pytest.approx(squares.noise_variance_, rel=1e-10)
    assert ours.r2_ == pytest.approx(squares.r2_, rel=1e-10)
    # Expected information has no degrees of freedom taken off.
    n, dof = len(y), squares.residual_dof_
    np.testing.assert_allclose(ours.standard_errors_, squares.standard_errors_ * np.sqrt(dof / n), rtol=1e-9)
    assert ours.residual_dof_ == np.inf


def test_an_exact_fit_has_no_noise_of_any_family(rng):
    X = rng.standard_normal((20, 2))
    with pytest.warns(NoiseFreeWarning):
        model = MLELinearRegressor(noise="logistic").fit(X, X @ [1.0, 2.0] + 1.0)
    np.testing.assert_allclose(model.coef_, [1.0, 2.0], rtol=1e-12)
    assert model.log_likelihood_ == np.inf


def test_warm_start_begins_at_the_optimum(rng):
    X, y = drawn(rng, "logistic")
    model = MLELinearRegressor(noise="logistic", solver="lbfgs", warm_start=True).fit(X, y)
    before = model.coef_.copy()
    assert model.fit(X, y).n_iter_ == 1
    np.testing.assert_allclose(model.coef_, before, rtol=1e-9)


@pytest.mark.parametrize(
    "model",
    [
        MLELinearRegressor(noise="gumbel", weight_type="frequency"),
        MLPGradientRegressor(
            (3,),
            noise="gumbel",
            weight_type="frequency",
            solver="newton",
            early_stopping=False,
            alpha=1.0,
            random_state=0,
        ),
    ],
)
def test_frequencies_are_repeated_rows(rng, model):
    X, y = drawn(rng, "gumbel")
    counts = rng.integers(0, 4, len(y))
    twice = np.repeat(np.arange(len(y)), counts)
    weighted = clone(model).set_params(tol=1e-9).fit(X, y, counts.astype(float))
    repeated = clone(model).set_params(tol=1e-9).fit(X[twice], y[twice])
    np.testing.assert_allclose(weighted.predict(X), repeated.predict(X), rtol=1e-6, atol=1e-7)
    for name in ("log_likelihood_", "noise_variance_", "bic_"):
        assert getattr(weighted, name) == pytest.approx(getattr(repeated, name), rel=1e-7)
    std = [one.predict(X[:5], return_std=True)[1] for one in (weighted, repeated)]
    np.testing.assert_allclose(*std, rtol=1e-6)


@pytest.mark.filterwarnings("ignore")  # of checks that fit few rows
@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_scikit_learn_s_checks(solver):
    results = check_estimator(MLELinearRegressor(noise="logistic", solver=solver), on_skip=None)
    found = {result["status"] for result in results}
    assert "passed" in found
    assert found <= {"passed", "skipped"}  # which checks there are to skip depends on the version


# -- what follows from the family ------------------------------------------------------------------------------------


@pytest.mark.parametrize("family", OF_DENSITY)
def test_intervals_and_deviations_are_the_family_s(rng, family):
    X, y = drawn(rng, family, n=4000)
    model, truth = MLELinearRegressor(noise=family).fit(X, y), TRUTH[family]
    mean, std = model.predict(X, return_std=True)
    s = model._fit.likelihood.scale_of_y[0]
    low, high = model.predict_interval(X, coverage=0.9)
    np.testing.assert_allclose(std, s * truth.std(), rtol=5e-3)
    # Of so many rows the mean is nearly sure, and takes little part.
    np.testing.assert_allclose(low, mean + s * truth.ppf(0.05), atol=0.01 * s)
    np.testing.assert_allclose(high, mean + s * truth.ppf(0.95), atol=0.01 * s)
    assert np.mean((low <= y) & (y <= high)) == pytest.approx(0.9, abs=0.02)
    np.testing.assert_allclose(
        model.log_likelihood(X, y, pointwise=True), truth.logpdf((y - mean) / s) - np.log(s), rtol=1e-10
    )
    half = (model.predict_interval(X[:3], kind="mean")[1] - mean[:3]) / stats.norm.ppf(0.975)
    columns = np.column_stack([np.ones(len(y)), X])
    information = OF_DENSITY[family].information * columns.T @ columns / s**2
    rows = columns[:3] @ np.linalg.inv(information)
    np.testing.assert_allclose(half, np.sqrt(np.einsum("ij,ij->i", rows, columns[:3])), rtol=1e-8)


def test_reports_name_the_family(rng):
    X, y = drawn(rng, "gumbel")
    linear = MLELinearRegressor(noise="gumbel").fit(X, y)
    network = MLPGradientRegressor((2,), alpha=1e-4, noise="gumbel", random_state=0).fit(X, y)
    for model in (linear, network):
        assert "Gumbel noise" in str(model.summary()).splitlines()[0]
        assert "Gaussian noise" not in str(model.summary())
    assert "newton" in str(linear.summary())
    assert linear.solver_reason_ == "noise='gumbel' is not fitted by least squares"
    assert not linear.coefficients().isna().any().any()
    table = compare_models({"gumbel": linear, "gaussian": MLELinearRegressor()}, X, y, cv=None)
    assert table.loc["gumbel", "log_likelihood"] == pytest.approx(linear.log_likelihood_)


def test_wald_test_of_all_slopes(rng):
    X, y = drawn(rng, "logistic")
    model = MLELinearRegressor(noise="logistic").fit(X, y)
    whole, by_name = model.f_test(), model.test_linear("x0 = x1 = x2 = 0")
    assert whole.statistic == pytest.approx(by_name.statistic)
    covariance = model.coefficient_covariance().to_numpy()[1:, 1:]
    squares = model.coef_ @ np.linalg.solve(covariance, model.coef_)
    assert whole.statistic == pytest.approx(squares / 3)
    assert whole.p_value == pytest.approx(stats.chi2.sf(squares, 3))


# -- networks --------------------------------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore:adam has not converged")
@pytest.mark.parametrize("weight_type", [None, "precision", "frequency"])
@pytest.mark.parametrize("solver", ["lbfgs", "newton", "adam"])
def test_network_optimum_is_that_of_the_density(rng, solver, weight_type):
    X = rng.standard_normal((120, 2))
    y = np.sin(2.0 * X[:, 0]) + X[:, 1] + 0.3 * rng.logistic(size=120)
    weights = None if weight_type is None else rng.integers(1, 4, 120).astype(float)
    w, alpha = np.ones(120) if weights is None else weights, 2.0
    root = np.sqrt(w) if weight_type == "precision" else np.ones(120)

    def unpacked(p):
        return p[:6].reshape(2, 3), p[6:9], p[9:12], p[12], p[13]

    def minus_log_posterior(p):
        first, bias, last, constant, log_scale = unpacked(p)
        s, mean = np.exp(log_scale), np.tanh(X @ first + bias) @ last + constant
        density = logistic_density(root * (y - mean) / s) - log_scale + np.log(root)
        squares = np.sum(first**2) + np.sum(last**2)
        counts = w if weight_type == "frequency" else np.ones(120)
        return -(counts @ density) + alpha * squares / (2.0 * s**2)

    batches = {"batch_size": 120, "learning_rate": 0.01, "max_iter": 6000} if solver == "adam" else {"max_iter": 3000}
    model = MLPGradientRegressor(
        (3,),
        noise="logistic",
        solver=solver,
        alpha=alpha,
        standardize=False,
        early_stopping=False,
        n_iter_no_change=np.inf,
        weight_type=weight_type or "precision",
        tol=1e-8,
        random_state=1,
        **batches,
    ).fit(X, y, weights)
    at = np.r_[
        model.coefs_[0].ravel(),
        model.intercepts_[0],
        model.coefs_[1].ravel(),
        model.intercepts_[1],
        np.log(model._fit.likelihood.scale_of_y),
    ]
    # The penalty moves the scale a little from that which makes the rows likeliest.
    at[-1] = minimize(lambda v: minus_log_posterior(np.r_[at[:-1], v]), at[-1:], options={"gtol": 1e-10}).x[0]
    best = minimize(minus_log_posterior, at, method="BFGS", options={"gtol": 1e-8})
    tol = 1e-3 if solver == "adam" else 1e-6
    assert minus_log_posterior(at) == pytest.approx(best.fun, abs=tol)
    np.testing.assert_allclose(at, best.x, atol=300 * tol)
    density = logistic_density(root * (y - model.predict(X)) / (s := model._fit.likelihood.scale_of_y[0]))
    density = (density - np.log(s) + np.log(root)) * (w if weight_type == "frequency" else 1.0)
    assert model.log_likelihood_ == pytest.approx(density.sum(), rel=1e-10)
    np.testing.assert_allclose(model.log_likelihood(X, y, weights, pointwise=True), density, rtol=1e-8, atol=1e-10)
    assert model.n_parameters_ == 14


def test_network_without_hidden_layers_is_the_linear_model(rng):
    X, y = drawn(rng, "gumbel")
    network = MLPGradientRegressor(
        (), alpha=1e-4, noise="gumbel", solver="newton", early_stopping=False, tol=1e-9, random_state=0
    ).fit(X, y)
    linear = MLELinearRegressor(noise="gumbel").fit(X, y)
    np.testing.assert_allclose(network.coefs_[0].ravel(), linear.coef_, rtol=1e-5)
    assert network.log_likelihood_ == pytest.approx(linear.log_likelihood_, abs=1e-8)


def test_held_out_rows_are_judged_by_the_family(rng):
    X, y = drawn(rng, "gumbel", n=300)
    model = MLPGradientRegressor((3,), alpha=1e-4, noise="gumbel", random_state=0).fit(
        X[:200], y[:200], X_val=X[200:], y_val=y[200:]
    )
    gap = y[200:] - model.predict(X[200:])
    s = likeliest_scale(OF_DENSITY["gumbel"], gap)
    assert max(model.validation_curve_) == pytest.approx(np.mean(stats.gumbel_r.logpdf(gap, scale=s)), rel=1e-8)
    mean, std = model.predict(X[:4], return_std=True)
    low, high = model.predict_interval(X[:4])
    noise = model._fit.noise_scale[0]
    np.testing.assert_allclose(std, noise * stats.gumbel_r.std(), rtol=1e-9)
    np.testing.assert_allclose(low, mean + noise * stats.gumbel_r.ppf(0.025), rtol=1e-8)
    np.testing.assert_allclose(high, mean + noise * stats.gumbel_r.ppf(0.975), rtol=1e-8)
    density = stats.gumbel_r.logpdf(y[:9], model.predict(X[:9]), noise)
    np.testing.assert_allclose(model.log_predictive_density(X[:9], y[:9], pointwise=True), density, rtol=1e-8)


def test_gaussian_network_by_its_density_is_that_of_squares(rng):
    X, y = drawn(rng, "logistic")
    options = {"solver": "newton", "alpha": 1.0, "early_stopping": False, "tol": 1e-10, "random_state": 0}
    squares = MLPGradientRegressor((2,), **options).fit(X, y)
    ours = MLPGradientRegressor((2,), noise="plain", **options | {"warm_start": True})
    ours._fit = squares._fit  # to begin in the same valley
    ours.fit(X, y)
    np.testing.assert_allclose(ours.predict(X), squares.predict(X), rtol=1e-6)
    assert ours.log_likelihood_ == pytest.approx(squares.log_likelihood_, abs=1e-6)


def test_a_network_goes_on_with_batches(rng):
    X, y = drawn(rng, "logistic")
    model = MLPGradientRegressor((3,), alpha=1e-4, noise="logistic", random_state=0).partial_fit(X, y)
    first = model.log_likelihood_
    for _ in range(20):
        model.partial_fit(X, y)
    assert model.log_likelihood_ > first
    averaged = MLPGradientRegressor((3,), alpha=1e-4, noise="logistic", n_init=2, ensemble=True, random_state=0).fit(
        X, y
    )
    assert np.isfinite(averaged.predict(X[:3], return_std=True)[1]).all()


# -- capabilities and refusals ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("solver", SOLVERS)
def test_linear_solvers_say_whom_they_serve(rng, solver):
    X, y = drawn(rng, "logistic", n=60)
    if solver in ("auto", "gd", "sgd", "adam", "adamw", "lbfgs", "newton"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            assert np.isfinite(MLELinearRegressor(solver=solver, noise="logistic", max_iter=2).fit(X, y).coef_).all()
        return
    with pytest.raises(ValueError, match=r"does not serve noise='logistic'.*'auto', 'gd', 'sgd', .*'newton'\."):
        MLELinearRegressor(solver=solver, noise="logistic").fit(X, y)


def test_network_solvers_say_whom_they_serve(rng):
    X, y = drawn(rng, "logistic", n=60)
    with pytest.raises(ValueError, match=r"'lm' does not serve noise='logistic'.*'auto', 'lbfgs', 'newton', 'gd'"):
        MLPGradientRegressor(alpha=1e-4, solver="lm", noise="logistic").fit(X, y)
    assert [name for name, kind in NETWORK_SOLVERS.items() if not kind.serves.includes(PLAIN)] == ["lm"]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MLELinearRegressor(alpha="evidence"), "alpha='evidence' is defined for noise='gaussian' only"),
        (lambda: MLELinearRegressor(refine=True), "leave refine='auto'"),
        (lambda: MLPGradientRegressor(alpha="evidence"), "alpha='evidence' is defined for noise='gaussian' only"),
        (
            lambda: MLPGradientRegressor(alpha=1e-4, curvature="full"),
            "curvature='full' is defined for noise='gaussian'",
        ),
    ],
)
def test_options_of_least_squares_are_refused(rng, make, message):
    X, y = drawn(rng, "logistic", n=60)
    with pytest.raises(ValueError, match=message):
        make().set_params(noise="logistic").fit(X, y)


def test_sums_do_not_suffice(rng):
    X, y = drawn(rng, "logistic", n=60)
    assert not hasattr(MLELinearRegressor(noise="logistic"), "partial_fit")
    with pytest.raises(AttributeError) as refused:
        MLELinearRegressor(noise="logistic").partial_fit(X, y)
    assert "do not determine a fit under noise='logistic': call fit" in str(refused.value.__cause__)
    with pytest.raises(ValueError, match="noise='none such' is not a noise family"):
        MLELinearRegressor(noise="none such").partial_fit(X, y)
    summed = MLELinearRegressor().partial_fit(X, y).set_params(noise="logistic")
    with pytest.raises(ValueError, match="do not determine"):
        summed.coef_  # noqa: B018
    fitted = MLELinearRegressor(noise="logistic").fit(X, y).set_params(noise="gaussian")
    with pytest.raises(ValueError, match="do not determine"):
        fitted.partial_fit(X, y)
    assert fitted.noise == "gaussian"
    assert np.isfinite(fitted.coef_).all()


def test_diagnosis_tells_what_holds(rng):
    X, y = drawn(rng, "logistic", n=60)
    model = MLELinearRegressor(noise="logistic").fit(X, y)
    found = model.diagnose(X, y)
    assert found.data == "the rows of the fit"
    np.testing.assert_allclose(found.coefficients()["std_error"], model.coefficients()["std_error"])
    assert (found.collinearity().vif["vif"] >= 1.0).all()
    for ask in (found.rows, found.tests, found.dfbetas, found.report, lambda: found.press):
        with pytest.raises(ValueError, match=r"defined for least squares, and this fit is under logistic noise"):
            ask()
    with pytest.raises(ValueError, match="Robust covariances are defined for least squares"):
        found.coefficients(cov="HC3")
    with pytest.raises(ValueError, match="coefficient_covariance"):
        model.fisher_information()
    network = MLPGradientRegressor((2,), alpha=1e-4, noise="logistic", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="curvature of a network is defined for noise='gaussian'"):
        network.diagnose(X, y)
    with pytest.raises(ValueError, match="not defined under logistic noise yet"):
        network.predict_interval(X, kind="mean")


def test_likelihood_ratio_of_different_families_is_refused(rng):
    X, y = drawn(rng, "logistic", n=60)
    ours, theirs = MLELinearRegressor(noise="logistic").fit(X, y), MLELinearRegressor().fit(X, y)
    with pytest.raises(ValueError, match=r"different noise, logistic noise and Gaussian noise.*not χ².*AIC"):
        likelihood_ratio_test(ours, theirs)
    with pytest.raises(ValueError, match="does not hold under logistic noise"):
        likelihood_ratio_test(MLELinearRegressor(noise="logistic").fit(X[:, :2], y), ours)


def test_a_stored_fit_names_its_family(rng, monkeypatch):
    X, y = drawn(rng, "gumbel", n=60)
    models = [
        MLELinearRegressor(noise="gumbel"),
        MLPGradientRegressor((2,), alpha=1e-4, noise="gumbel", random_state=0),
    ]
    for model in models:
        model.fit(X, y)
        stored = pickle.dumps(model)
        again = pickle.loads(stored)
        assert again.log_likelihood(X, y) == model.log_likelihood(X, y)
        with monkeypatch.context() as without:
            without.delitem(NOISES, "gumbel")
            gone = pickle.loads(stored)
            np.testing.assert_array_equal(gone.predict(X), model.predict(X))
            assert gone.log_likelihood_ == model.log_likelihood_
            for ask in (lambda gone=gone: gone.log_likelihood(X, y), lambda gone=gone: gone.predict_interval(X)):
                with pytest.raises(ValueError, match="noise='gumbel' is not a noise family"):
                    ask()


def test_a_fit_stored_before_there_were_other_families_loads(rng):
    X, y = drawn(rng, "logistic")
    model = MLELinearRegressor().fit(X, y)
    state = model.__getstate__()
    del state["_fit"]["total_squares"]
    again = MLELinearRegressor()
    again.__setstate__(state)
    assert again.r2_ == model.r2_
    assert str(again.summary()) == str(model.summary())


# The likelihood of regressors that have none of their own.
MAY_NAME = {"compare.py"}


def test_no_room_but_noise_decides_by_the_name_of_a_family():
    house = Path(mle_regression.__file__).parent
    naming = set()
    for file in house.rglob("*.py"):
        place = file.relative_to(house).as_posix()
        text = re.sub(r'noise: str = "gaussian"', "", file.read_text())  # the estimators' default
        if not place.startswith("noise/") and re.search(
            r"""["']gaussian["']\s*[,)\]:]|[!=]= ["']gaussian|GAUSSIAN""", text
        ):
            naming.add(place)
    assert naming == MAY_NAME
