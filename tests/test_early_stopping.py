"""Rows held out: what their likelihood is, when it ends a fit, and what the fit then says of itself."""

import warnings

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.diagnostics.likelihood import profile_log_likelihood
from mle_regression.noise.gaussian import GAUSSIAN
from mle_regression.solvers.registry import NETWORK_SOLVERS


def normal_log_density(residual, variance):
    return -0.5 * (np.log(2 * np.pi * variance) + residual**2 / variance)


@pytest.mark.parametrize("outputs", [1, 4])
@pytest.mark.parametrize("weight_type", [None, "precision", "frequency"])
def test_likelihood_of_held_out_rows_is_at_their_own_variance(rng, outputs, weight_type):
    residual, w = rng.standard_normal((3, outputs)), np.array([0.5, 2.0, 3.0])
    weights = None if weight_type is None else w
    found = profile_log_likelihood(residual, weights, frequency=weight_type == "frequency", noise=GAUSSIAN)
    w = np.ones(3) if weights is None else w
    n = w.sum() if weight_type == "frequency" else 3
    variance = (w[:, None] * residual**2).sum(axis=0) / n
    if weight_type == "frequency":
        expected = (w[:, None] * normal_log_density(residual, variance)).sum() / n
    else:
        expected = normal_log_density(residual, variance / w[:, None]).sum() / n
    assert found == pytest.approx(expected, rel=1e-12)
    # No other variance makes the rows likelier.
    for factor in (0.9, 1.1):
        other = normal_log_density(residual, factor * variance / (1 if weights is None else w[:, None]))
        if weight_type != "frequency":
            assert other.sum() / n < found


def test_held_out_rows_that_are_met_or_out_of_reach():
    assert np.isfinite(profile_log_likelihood(np.zeros((2, 3)), None, frequency=False, noise=GAUSSIAN))
    assert profile_log_likelihood(np.array([[np.inf]]), None, frequency=False, noise=GAUSSIAN) == -np.inf
    assert profile_log_likelihood(np.array([[1e200]]), None, frequency=False, noise=GAUSSIAN) == -np.inf


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weight_type", ["precision", "frequency"])
def test_validation_curve_is_the_likelihood_of_those_rows(rng, outputs, weight_type):
    X = rng.uniform(-2, 2, (80, 2))
    y = np.sin(X @ rng.standard_normal((2, outputs))) * 10 ** np.arange(outputs) + 0.1 * rng.standard_normal(
        (80, outputs)
    )
    w, w_new = rng.integers(0, 4, 60).astype(float), rng.integers(1, 4, 20).astype(float)
    model = MLPGradientRegressor((6,), alpha=1e-4, weight_type=weight_type, max_iter=200, random_state=0)
    model.fit(X[:60], y[:60], w, X_val=X[60:], y_val=y[60:], sample_weight_val=w_new)
    residual = y[60:] - model.predict(X[60:]).reshape(20, -1)
    expected = profile_log_likelihood(residual, w_new, frequency=weight_type == "frequency", noise=GAUSSIAN)
    assert max(model.validation_curve_) == pytest.approx(expected, rel=1e-8)


@pytest.mark.parametrize("seed", range(3))
def test_a_network_that_meets_its_rows_is_judged_by_others(seed):
    r = np.random.default_rng(0)
    X = r.normal(size=(2200, 20))
    y = np.tanh(X[:, :3].sum(1)) + 0.01 * r.normal(size=2200)
    model = MLPGradientRegressor(alpha=1e-4, random_state=seed).fit(X[:200], y[:200])
    assert model.score(X[200:], y[200:]) > 0.99


@pytest.mark.filterwarnings("ignore:.*has not converged:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("seed", [1, 2, 4])
@pytest.mark.parametrize(
    "problem",
    [
        lambda x: np.sin(x[:, :1]),
        lambda x: np.cos(x[:, :1]) + 0.05 * np.random.default_rng(1).standard_normal((len(x), 1)),
        lambda x: np.hstack([np.sin(x), np.cos(0.7 * x)]),
    ],
    ids=["sine", "noisy cosine", "two outputs"],
)
def test_a_slow_start_is_not_the_end(problem, seed):
    x = np.arange(0, 60, 0.1)[:, None]
    y = problem(x)
    assert MLPGradientRegressor(alpha=1e-4, random_state=seed).fit(x, y).score(x, y) > 0.98


@pytest.mark.parametrize("hidden", [(50,), (100, 100)])
@pytest.mark.parametrize("n", [40, 70, 99])
def test_few_rows_are_held_out_where_parameters_are_more(n, hidden):
    r = np.random.default_rng(n)
    X = r.normal(size=(n + 1000, 3))
    y = X @ [1.0, 2, 3] + r.normal(size=n + 1000)
    model = MLPGradientRegressor(hidden, alpha=1e-4, random_state=0).fit(X[:n], y[:n])
    assert len(model.validation_curve_) > 1
    assert model.score(X[n:], y[n:]) > 0.6
    few = MLPGradientRegressor((7,), alpha=1e-4, random_state=0).fit(X[:n], y[:n])
    straight = MLPGradientRegressor(hidden, alpha=1e-4, activation="identity", random_state=0).fit(X[:n], y[:n])
    assert not few.validation_curve_
    assert not straight.validation_curve_
    np.testing.assert_allclose(
        straight.predict(X), MLELinearRegressor().fit(X[:n], y[:n]).predict(X), rtol=1e-3, atol=1e-3
    )


def test_pure_noise_ends_soon(rng):
    X, y = rng.standard_normal((400, 10)), rng.standard_normal(400)
    model = MLPGradientRegressor(alpha=1e-4, random_state=0).fit(X, y)
    assert model.n_iter_ < 130
    assert model.score(X, y) < 0.7


def test_weights_of_any_size_judge_alike(rng):
    X = rng.uniform(-2, 2, (120, 1))
    y = np.sin(2 * X[:, 0]) + 0.1 * rng.standard_normal(120)
    w = rng.uniform(0.5, 2, 120)
    small, large = (MLPGradientRegressor((8,), alpha=0.0, random_state=0).fit(X, y, c * w) for c in (1.0, 2.0**20))
    np.testing.assert_allclose(small.predict(X), large.predict(X), rtol=1e-6, atol=1e-8)
    assert small.n_iter_ == large.n_iter_


@pytest.mark.parametrize("solver", sorted(NETWORK_SOLVERS))
def test_iterations_used_up_while_held_out_rows_gain_are_told(rng, solver):
    X = rng.uniform(-2, 2, (300, 2))
    y = np.sin(2 * X[:, 0]) * X[:, 1]
    with pytest.warns(ConvergenceWarning, match="raise max_iter"):
        model = MLPGradientRegressor(alpha=1e-4, solver=solver, max_iter=3, random_state=0).fit(X, y)
    assert not model.converged_


def test_a_fit_that_held_out_rows_have_ended_is_silent(rng):
    X = rng.standard_normal((150, 3))
    y = X[:, 0] + rng.standard_normal(150)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPGradientRegressor(alpha=1e-4, random_state=0).fit(X, y)
    assert model.n_iter_ < 500
