"""The step that sgd takes if the user does not say: stable at the start, halved where it turns out not to be."""

import numpy as np
import pytest
from sklearn.datasets import load_diabetes, load_digits, load_iris

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units
from mle_regression.solvers import StochasticGradient
from mle_regression.solvers.path import DivergenceError

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

DATA = {"iris": load_iris, "diabetes": load_diabetes, "digits": load_digits}


@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("activation", ["relu", "tanh"])
@pytest.mark.parametrize("hidden", [(100,), (400,), (60, 60)])
@pytest.mark.parametrize("seed", [0, 1])
def test_wide_networks_do_not_diverge(name, activation, hidden, seed):
    X, y = DATA[name](return_X_y=True)
    X, y = X[:600], y[:600]
    model = MLPGradientRegressor(
        hidden, alpha=1e-4, activation=activation, solver="sgd", max_iter=12, early_stopping=False, random_state=seed
    )
    model.fit(X, y)
    assert model.loss_ < min(0.9, model.loss_curve_[0])


@pytest.mark.parametrize("nesterov", [True, False])
def test_a_step_that_diverges_is_halved_and_remembered(monkeypatch, nesterov):
    X, y = load_diabetes(return_X_y=True)
    monkeypatch.setattr("mle_regression.solvers.stochastic.largest_curvature", lambda *_: 1e-3)
    solver = StochasticGradient(nesterov=nesterov)
    options = {"hidden_layer_sizes": (20,), "solver": solver, "early_stopping": False, "random_state": 0}
    model = MLPGradientRegressor(max_iter=30, **options).fit(X, y)
    assert model.loss_ < 0.7
    assert model.n_iter_ == 30
    step = float(model._fit.memory["sgd_step"])
    assert step < 1.0
    model.partial_fit(X, y)
    assert float(model._fit.memory["sgd_step"]) <= step


def test_steps_of_the_user_are_not_changed():
    X, y = load_iris(return_X_y=True)
    with pytest.raises(DivergenceError):
        MLPGradientRegressor(
            (100,), alpha=1e-4, activation="relu", solver="sgd", learning_rate=0.5, random_state=0
        ).fit(X, y)


def test_a_linear_model_recovers_too(rng, monkeypatch):
    X, y = rng.standard_normal((500, 3)), rng.standard_normal(500)
    monkeypatch.setattr(StochasticGradient, "_stable_step", lambda *_: 100.0)
    model = MLELinearRegressor(solver="sgd", max_iter=60, random_state=0).fit(X, y)
    np.testing.assert_allclose(model.coef_, MLELinearRegressor().fit(X, y).coef_, atol=0.02)
    with pytest.raises(DivergenceError):
        MLELinearRegressor(solver="sgd", learning_rate=100.0, random_state=0).fit(X, y)


@pytest.mark.parametrize("weighted", [True, False])
def test_fewer_rows_have_about_the_same_objective(rng, weighted):
    network = Network((4, 6, 1), find_activation("tanh"))
    weights = rng.uniform(0.5, 1, 4000) if weighted else None
    units = Units(np.zeros(4), np.ones(4)), Units(np.zeros(1), np.ones(1))
    rows = StandardRows(
        as_rows(rng.standard_normal((4000, 4)), rng.standard_normal((4000, 1)), weights), *units, np.dtype(float)
    )
    theta = network.initial(rng)
    whole = NetworkObjective(network, rows, 500.0, theta)
    part = whole.thinned(1000)
    assert part.n_rows == 1000
    assert whole.thinned(4000) is whole
    np.testing.assert_allclose(part.penalty, whole.penalty, rtol=1e-12)
    assert part.value_and_gradient(theta)[0] == pytest.approx(whole.value_and_gradient(theta)[0], rel=0.1)
