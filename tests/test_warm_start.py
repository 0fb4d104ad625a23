"""Many short fits that go on from one another end where one long fit does: solvers remember what they need."""

import pickle

import numpy as np
import pytest

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.solvers import LBFGS, GradientDescent

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def dependent(rng):
    """Columns of a condition that takes gradient descent some hundred steps."""
    X = rng.standard_normal((200, 8)) + 3 * rng.standard_normal((200, 1))
    X[:, 7] = X[:, 6] + 0.03 * rng.standard_normal(200)
    return X * [1, 10, 0.1, 1, 1, 1, 1, 1] + 2, X.sum(axis=1) + rng.standard_normal(200)


@pytest.fixture
def curve(rng):
    X = rng.uniform(-2, 2, (150, 3))
    return X, np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]


EXACT = [GradientDescent("none"), GradientDescent("nesterov"), GradientDescent("polyak"), "newton"]


@pytest.mark.parametrize("solver", EXACT, ids=str)
@pytest.mark.parametrize("outputs", [1, 2])
def test_linear_fits_of_one_iteration_are_those_of_one_fit(dependent, solver, outputs):
    X, y = dependent
    Y = y if outputs == 1 else np.c_[y, y[::-1]]
    one = MLELinearRegressor(solver=solver, max_iter=40).fit(X, Y)
    many = MLELinearRegressor(solver=solver, max_iter=1, warm_start=True)
    for _ in range(40):
        many.fit(X, Y)
    np.testing.assert_allclose(many.predict(X), one.predict(X), rtol=1e-7, atol=1e-7)
    assert many.loss_curve_[-1] == pytest.approx(one.loss_curve_[-1], rel=1e-8)


@pytest.mark.parametrize("solver", EXACT, ids=str)
def test_networks_fitted_one_iteration_at_a_time_are_those_of_one_fit(curve, solver):
    options = {"hidden_layer_sizes": (5,), "solver": solver, "early_stopping": False, "random_state": 0}
    one = MLPGradientRegressor(max_iter=60, **options).fit(*curve)
    many = MLPGradientRegressor(max_iter=1, warm_start=True, **options)
    for _ in range(60):
        many.fit(*curve)
    assert many.loss_ == pytest.approx(one.loss_, rel=1e-3)


@pytest.mark.parametrize("memory", [5, 20])
def test_lbfgs_keeps_its_pairs(dependent, curve, memory):
    X, y = dependent
    solver = LBFGS(memory=memory)
    best = MLELinearRegressor().fit(X, y).loss_curve_[-1]
    many = MLELinearRegressor(solver=solver, max_iter=1, warm_start=True)
    for _ in range(150):
        many.fit(X, y)
    assert many.converged_
    assert many.loss_curve_[-1] == pytest.approx(best, rel=1e-10)
    assert many._fit.memory["lbfgs_steps"].shape[0] <= memory
    options = {"hidden_layer_sizes": (5,), "solver": solver, "early_stopping": False, "random_state": 0}
    one = MLPGradientRegressor(max_iter=100, **options).fit(*curve)
    many = MLPGradientRegressor(max_iter=1, warm_start=True, **options)
    for _ in range(100):
        many.fit(*curve)
    # Steepest descent, which each fit begins with if it forgets, is at 0.2 then.
    assert many.loss_ < 1.5 * one.loss_ < 0.1


def test_memory_survives_storage_and_other_data(dependent):
    X, y = dependent
    for solver in ("gd", "lbfgs", "newton", "sgd"):
        model = MLELinearRegressor(solver=solver, max_iter=5, warm_start=True, random_state=0).fit(X, y)
        again = pickle.loads(pickle.dumps(model)).fit(X, y)
        np.testing.assert_array_equal(again.coef_, model.fit(X, y).coef_)
        model.set_params(max_iter=20_000 if solver != "sgd" else 50)
        model.fit(X[:150] * 2 + 1, 3 * y[:150])  # other rows: a worse start, and no worse an end
        if solver != "sgd":
            direct = MLELinearRegressor().fit(X[:150] * 2 + 1, 3 * y[:150])
            np.testing.assert_allclose(model.predict(X), direct.predict(X), rtol=1e-5, atol=1e-5)
        model.fit(X[:, :3], y)  # nothing to go on from
        assert model.coef_.shape == (3,)


def test_nothing_is_remembered_that_nobody_asked_for(dependent, curve):
    for solver in ("gd", "lbfgs", "newton"):
        assert MLELinearRegressor(solver=solver, max_iter=5).fit(*dependent)._fit.memory == {}
        net = MLPGradientRegressor((3,), alpha=1e-4, solver=solver, max_iter=5, early_stopping=False).fit(*curve)
        assert net._fit.memory == {}
