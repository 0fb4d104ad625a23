"""How far new rows lie from a network's mean: rows held out, rows left out in turn, and whether intervals cover."""

import numpy as np
import pytest
from scipy.stats import t as student_t

from mle_regression import MLPGradientRegressor
from mle_regression.diagnostics.left_out_rows import leave_one_out
from mle_regression.fit.predictive_noise import (
    COUNTED,
    HELD_OUT,
    LEFT_OUT,
    TOO_LOW,
    of_held_out,
    of_training,
)
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.noise.gaussian import GAUSSIAN
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units
from mle_regression.warnings import InferenceWarning, NoiseFreeWarning

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


def linear_objective(X, Y, weights, alpha):
    network = Network((X.shape[1], Y.shape[1]), find_activation("tanh"))
    units = [Units(np.zeros(k), np.ones(k)) for k in (X.shape[1], Y.shape[1])]
    rows = StandardRows(as_rows(X, Y, weights), *units, np.dtype(float))
    return NetworkObjective(network, rows, alpha, np.zeros(network.n_parameters))


def ridge(X, Y, weights, alpha):
    Z = np.column_stack([X, np.ones(len(X))])
    penalty = np.diag([alpha] * X.shape[1] + [0.0])
    return np.linalg.solve(Z.T @ (weights[:, None] * Z) + penalty, Z.T @ (weights[:, None] * Y))


@pytest.mark.parametrize("shape", [(12, 3), (6, 8)], ids=["more rows", "more parameters"])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("weight_type", [None, "precision", "frequency"])
def test_leaving_out_each_row_is_fitting_without_it(rng, shape, outputs, weight_type):
    X, Y = rng.standard_normal(shape), rng.standard_normal((shape[0], outputs))
    given = None if weight_type is None else rng.integers(1, 4, len(X)).astype(float)
    w = np.ones(len(X)) if given is None else given
    objective = linear_objective(X, Y, given, alpha=0.3)
    anywhere = rng.standard_normal(objective.network.n_parameters)
    found = leave_one_out(objective, anywhere, w.sum() if weight_type == "frequency" else None)
    expected = np.empty_like(Y)
    for i in range(len(X)):
        without = w.copy()
        without[i] = w[i] - 1 if weight_type == "frequency" else 0
        expected[i] = np.append(X[i], 1) @ ridge(X, Y, without, 0.3) - Y[i]
    np.testing.assert_allclose(found.residuals / np.sqrt(w / w.sum())[:, None], expected, rtol=1e-4, atol=1e-5)
    Z = np.sqrt(w)[:, None] * np.column_stack([X, np.ones(len(X))])
    effective = np.trace(np.linalg.solve(Z.T @ Z + np.diag([0.3] * X.shape[1] + [0.0]), Z.T @ Z))
    assert found.taken_up == pytest.approx(effective / len(X), rel=1e-5)


def test_rows_held_out_say_their_mean_square(rng):
    e, w = rng.standard_normal((5, 2)), np.array([1.0, 2, 3, 1, 2])
    plain = of_held_out(e, None, frequency=False, chosen=False, noise=GAUSSIAN)
    np.testing.assert_allclose(plain.variance, (e**2).mean(axis=0), rtol=1e-14)
    assert plain.dof == 5
    often = of_held_out(e, w, frequency=True, chosen=False, noise=GAUSSIAN)
    repeated = of_held_out(np.repeat(e, w.astype(int), axis=0), None, frequency=True, chosen=False, noise=GAUSSIAN)
    np.testing.assert_allclose(often.variance, repeated.variance, rtol=1e-13)
    assert often.dof == repeated.dof == 9
    chosen = of_held_out(e, None, frequency=False, chosen=True, noise=GAUSSIAN)
    np.testing.assert_allclose(chosen.variance, plain.variance * 6 / 4, rtol=1e-14)
    assert chosen.dof == 4


def test_parameters_are_counted_where_rows_are_many(rng):
    X, Y = rng.standard_normal((200, 3)), rng.standard_normal((200, 1))
    objective = linear_objective(X, Y, None, alpha=0.0)
    theta = ridge(X, Y, np.ones(200), 0.0).ravel()
    cross = objective.evaluate(theta).cross
    found = of_training(objective, theta, cross, 200.0, 200.0, frequency=False, budget=0.0)
    residual = Y[:, 0] - np.column_stack([X, np.ones(200)]) @ theta
    assert found.variance == pytest.approx(residual @ residual / 196, rel=1e-12)
    assert (found.dof, found.source) == (196, COUNTED)


def test_leaving_rows_out_is_not_paid_beyond_the_budget(rng):
    X, Y = rng.standard_normal((20, 12)), rng.standard_normal((20, 1))
    objective = linear_objective(X, Y, None, alpha=0.1)
    theta = ridge(X, Y, np.ones(20), 0.1).ravel()
    cross = objective.evaluate(theta).cross
    found = of_training(objective, theta, cross, 20.0, 20.0, frequency=False, budget=0.0)
    assert (found.dof, found.source) == (7, COUNTED)
    assert of_training(objective, theta, cross, 20.0, 20.0, frequency=False, budget=1e9).source == LEFT_OUT


PROBLEMS = {
    "linear": lambda r, n: (r.normal(size=(n, 3)), lambda X: X @ [1.0, 2, 3], 1.0),
    "sine": lambda r, n: (r.uniform(-3, 3, (n, 1)), lambda X: np.sin(2 * X[:, 0]), 0.1),
    "tanh": lambda r, n: (r.normal(size=(n, 10)), lambda X: np.tanh(X[:, :3].sum(1)), 0.1),
    "noise": lambda r, n: (r.normal(size=(n, 4)), lambda X: 0 * X[:, 0], 1.0),
}


@pytest.mark.parametrize("n", [20, 50, 99, 100, 200])
@pytest.mark.parametrize("problem", PROBLEMS)
def test_intervals_of_default_fits_cover(problem, n):
    covered = []
    for seed in range(3):
        r = np.random.default_rng(100 * n + seed)
        X, mean, sd = PROBLEMS[problem](r, n + 500)
        y = mean(X) + sd * r.normal(size=len(X))
        model = MLPGradientRegressor(alpha=1e-4, random_state=seed, max_iter=100).fit(X[:n], y[:n])
        lower, upper = model.predict_interval(X[n:], 0.95)
        covered.append(np.mean((lower <= y[n:]) & (y[n:] <= upper)))
    assert np.mean(covered) > 0.8


def test_interval_and_density_are_of_the_noise_of_new_rows(rng):
    X = rng.normal(size=(99, 10))
    y = X[:, 0] + 0.1 * rng.normal(size=99)
    model = MLPGradientRegressor(alpha=1e-4, random_state=0, early_stopping=False, max_iter=60).fit(X, y)
    _, deviation = model.predict(X, return_std=True)
    assert (deviation > 10 * np.sqrt(model.noise_variance_)).all()
    lower, upper = model.predict_interval(X, 0.9)
    np.testing.assert_allclose((upper - lower) / deviation, 2 * student_t.ppf(0.95, 99))
    assert LEFT_OUT in str(model.summary())
    # The likelihood is that of the fit, at its own variance.
    assert model.log_likelihood(X, y) == pytest.approx(model.log_likelihood_, rel=1e-9)
    new = rng.normal(size=(500, 10))
    outcome = new[:, 0] + 0.1 * rng.normal(size=500)
    assert model.log_predictive_density(new, outcome) > model.log_likelihood(new, outcome) + 1000


@pytest.mark.parametrize("n", [250, 360, 400, 1000])
def test_noise_that_parameters_hide_is_told_as_unknown(n):
    r = np.random.default_rng(n)
    X = r.normal(size=(n + 500, 5))
    y = np.tanh(X[:, :3].sum(1)) + 0.1 * r.normal(size=n + 500)
    model = MLPGradientRegressor(alpha=1e-4, early_stopping=False, max_iter=300, random_state=0).fit(X[:n], y[:n])
    with pytest.warns(InferenceWarning, match=f"351 parameters were fitted to {n} observations"):
        model.predict(X, return_std=True)
    model.predict(X)
    assert TOO_LOW in str(model.summary())


@pytest.mark.parametrize(
    "options", [{}, {"early_stopping": False, "activation": "identity"}, {"curvature": "full", "alpha": 1.0}]
)
def test_noise_that_is_known_is_told_without_a_word(rng, options):
    X = rng.normal(size=(120, 3))
    y = X[:, 0] + rng.normal(size=120)
    size = {"early_stopping": False} | options if options else {}
    MLPGradientRegressor((30,), random_state=0, **size).fit(X, y).predict_interval(X)


def test_of_one_row_no_noise_is_known():
    with pytest.warns(NoiseFreeWarning, match="No residual degrees of freedom") as caught:
        model = MLPGradientRegressor((3,), alpha=1e-4, random_state=0).partial_fit([[1.0, 2.0, 3.0]], [4.0])
    assert "outputs" not in str(caught[0].message)
    with pytest.warns(InferenceWarning, match="not known"):
        assert np.isnan(model.predict([[1.0, 2.0, 3.0]], return_std=True)[1]).all()


def test_few_rows_held_out_are_not_nearer_than_those_of_the_training(rng):
    X, y = rng.normal(size=(52, 2)), rng.normal(size=52)
    model = MLPGradientRegressor((3,), alpha=1e-4, max_iter=20, random_state=0)
    near = model.fit(X[:50], y[:50]).predict(X[50:])
    model.fit(X[:50], y[:50], X_val=X[50:], y_val=near)
    assert model.predict(X, return_std=True)[1][0] >= np.sqrt(model.noise_variance_) * (1 - 1e-12)


def test_rows_given_to_watch_are_the_rows_asked(rng):
    X, y = rng.normal(size=(80, 2)), rng.normal(size=80)
    model = MLPGradientRegressor((3,), alpha=1e-4, early_stopping=False, max_iter=20, random_state=0)
    model.fit(X[:60], y[:60], X_val=X[60:], y_val=y[60:])
    _, deviation = model.predict(X, return_std=True)
    np.testing.assert_allclose(deviation, np.sqrt(np.mean((y[60:] - model.predict(X[60:])) ** 2)))
    assert HELD_OUT in str(model.summary())


def test_units_of_y_are_units_of_its_noise(rng):
    X, y = rng.normal(size=(60, 2)), rng.normal(size=60)
    small, large = (
        MLPGradientRegressor((3,), alpha=1e-4, max_iter=30, random_state=0).fit(X, c * y).predict(X, return_std=True)[1]
        for c in (1.0, 2.0**40)
    )
    np.testing.assert_allclose(2.0**40 * small, large, rtol=1e-6)


@pytest.mark.parametrize("factor", [2.0**665, 2.0**-665, 2.0**-990])
@pytest.mark.parametrize("options", [{}, {"n_init": 2, "ensemble": True}], ids=["one", "ensemble"])
def test_densities_and_deviations_at_extreme_sizes(rng, factor, options):
    X = rng.normal(size=(60, 2))
    y = np.tanh(X[:, 0]) + 0.1 * rng.normal(size=60)
    options = {"max_iter": 10, "random_state": 0} | options
    plain = MLPGradientRegressor((3,), **options).fit(X, y)
    scaled = MLPGradientRegressor((3,), **options).fit(X, factor * y)
    shift = len(y) * np.log(factor)
    for name in ("log_likelihood", "log_predictive_density"):
        expected = getattr(plain, name)(X, y) - shift
        assert getattr(scaled, name)(X, factor * y) == pytest.approx(expected, rel=1e-9)
    assert scaled.log_likelihood_ == pytest.approx(plain.log_likelihood_ - shift, rel=1e-9)
    _, deviation = scaled.predict(X, return_std=True)
    np.testing.assert_allclose(deviation / factor, plain.predict(X, return_std=True)[1], rtol=1e-6)
