"""Networks fitted anew without each row: against a minimiser that knows nothing of them, and what is refused."""

import numpy as np
import pytest
from scipy.optimize import least_squares

from mle_regression import MLPGradientRegressor
from mle_regression.diagnostics.left_out_refits import refits_work, refitted_without_each
from mle_regression.diagnostics.left_out_rows import leave_one_out
from mle_regression.fitted.predictive_noise import CROSS_FITTED, LEFT_OUT
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.models.several import half_gradients
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.duplicates import groups_of_rows
from mle_regression.rows.standard import Units, standard_rows
from mle_regression.rows.training_data import TrainingData
from mle_regression.warnings import InferenceWarning

AMPLE = 1e12


def small_sets():
    """Yield a name, X, Y, hidden units and penalty: smooth, bent, noisy, of two outputs, with a row that weighs much."""
    rng = np.random.default_rng(2)
    X = rng.uniform(0, 1, (60, 4))
    yield "product", X, np.sin(np.pi * X[:, 0] * X[:, 1]) + X[:, 2] + 0.3 * rng.normal(size=60), (3,), 1.0
    rng = np.random.default_rng(6)
    X = np.linspace(-3, 3, 60)[:, None]
    yield "sine", X, np.sin(X[:, 0]) + 0.3 * rng.normal(size=60), (4,), 0.1
    rng = np.random.default_rng(3)
    X = rng.normal(size=(50, 5))
    yield "noise", X, X[:, 0] + 2.0 * rng.normal(size=50), (2,), 8.0
    rng = np.random.default_rng(4)
    X = rng.normal(size=(70, 2))
    Y = np.c_[X[:, 0] * X[:, 1], np.tanh(X[:, 0])] + 0.6 * rng.normal(size=(70, 2))
    yield "two outputs", X, Y, (3,), 1.0
    rng = np.random.default_rng(5)
    X = rng.uniform(-1, 1, (35, 3))
    X[0] = 3.0
    yield "far row", X, np.exp(0.7 * X[:, 0] + 0.5 * X[:, 1]) + 0.1 * rng.normal(size=35), (2,), 0.3


SETS = {name: rest for name, *rest in small_sets()}


def fitted(X, Y, hidden, alpha, w=None, **options):
    options = {"tol": 1e-10, "max_iter": 5000, "random_state": 0, "early_stopping": False} | options
    return MLPGradientRegressor(hidden, alpha=alpha, solver="lm", **options).fit(X, Y, w)


def objective_of(model, X, Y, w=None):
    fit = model._fit
    return fit.objective(X, Y.reshape(len(Y), -1), w), fit.theta


def minimum_without(objective, theta, kept):
    """Return the minimum nearest by, by SciPy's trust-region method, with parts of the rows' weights."""
    block = objective.rows.block(slice(0, objective.n_rows))
    weights = kept if block.weights is None else kept * block.weights
    penalty = np.sqrt(objective.penalty * objective.rows.total)
    network = objective.network

    def residuals(parameters):
        a = block.x
        layers = network.layers(parameters)
        for layer in layers[:-1]:
            a = np.vstack([np.tanh(layer @ a), np.ones(a.shape[1])])
        return np.concatenate([(np.sqrt(weights) * (layers[-1] @ a - block.y)).ravel(), penalty * parameters])

    def jacobian(parameters):
        of_outputs = objective.output_jacobian(parameters, slice(0, objective.n_rows)) * np.sqrt(weights)[:, None, None]
        return np.vstack([*of_outputs.swapaxes(0, 1), np.diag(penalty)])

    return least_squares(residuals, theta, jacobian, method="trf", xtol=1e-14, ftol=1e-14, gtol=1e-12).x


@pytest.mark.parametrize("name", SETS)
def test_predictions_are_those_of_fits_without_the_row(name):
    X, Y, hidden, alpha = SETS[name]
    model = fitted(X, Y, hidden, alpha)
    objective, theta = objective_of(model, X, Y)
    found = refitted_without_each(objective, theta, np.arange(len(X)), AMPLE)
    true = np.empty_like(found)
    for i in range(len(X)):
        kept = (np.arange(len(X)) != i).astype(float)
        true[i] = objective.outputs(minimum_without(objective, theta, kept))[i]
    y = (Y.reshape(len(Y), -1) - objective.rows.of_y.center) / objective.rows.of_y.spread
    scale = np.sqrt(np.mean((y - true) ** 2))
    assert np.mean((y - found) ** 2) == pytest.approx(np.mean((y - true) ** 2), rel=5e-3)
    assert np.median(np.abs(found - true)) < 1e-3 * scale


def test_the_linearised_network_may_be_far_off_where_a_row_weighs_much():
    """Why networks are fitted anew: Allen's formula has no curvature to see."""
    X, Y, hidden, alpha = SETS["far row"]
    model = fitted(X, Y, hidden, alpha)
    objective, theta = objective_of(model, X, Y)
    linear = leave_one_out(objective, theta).residuals
    again = refitted_without_each(objective, theta, np.arange(len(X)), AMPLE)
    y = (Y[:, None] - objective.rows.of_y.center) / objective.rows.of_y.spread
    ratio = np.mean(linear**2) * len(Y) / np.mean((y - again) ** 2)
    assert not 0.9 < ratio < 1.1
    rows = model.diagnose(X, Y).rows()
    np.testing.assert_allclose(rows["loo_residual"], (y - again)[:, 0] * objective.rows.of_y.spread, rtol=1e-8)


def test_weights_and_copies_of_a_row(rng):
    """A weight is that of a row; with frequency weights one copy is left out, as if the others stood below each other."""
    X, Y, hidden, _ = SETS["product"]
    alpha, w = 5.0, rng.integers(1, 4, len(X)).astype(float)
    model = fitted(X, Y, hidden, alpha, w, weight_type="frequency")
    loo = model.diagnose(X, Y, w).rows()["loo_residual"].to_numpy()
    repeated = fitted(np.repeat(X, w.astype(int), axis=0), np.repeat(Y, w.astype(int)), hidden, alpha, warm_start=True)
    repeated._fit = model._fit  # the same of several minima
    repeated.fit(np.repeat(X, w.astype(int), axis=0), np.repeat(Y, w.astype(int)))
    again = repeated.diagnose(np.repeat(X, w.astype(int), axis=0), np.repeat(Y, w.astype(int))).rows()
    first = np.r_[0, np.cumsum(w.astype(int))[:-1]]
    np.testing.assert_allclose(loo, again["loo_residual"].to_numpy()[first], rtol=0.02, atol=2e-3)

    precise = fitted(X, Y, hidden, alpha, w)
    objective, theta = objective_of(precise, X, Y, w)
    found = refitted_without_each(objective, theta, np.arange(len(X)), AMPLE)
    for i in (0, 11, 30):
        kept = (np.arange(len(X)) != i).astype(float)
        true = objective.outputs(minimum_without(objective, theta, kept))[i]
        assert found[i] == pytest.approx(true, abs=2e-3)


def test_rows_that_are_the_same_leave_together(rng):
    X, Y, hidden, alpha = SETS["sine"]
    X, Y = np.vstack([X, X[:10]]), np.r_[Y, Y[:10] + 0.1 * rng.normal(size=10)]
    objective, theta = objective_of(fitted(X, Y, hidden, alpha), X, Y)
    groups = groups_of_rows(X)
    found = refitted_without_each(objective, theta, groups, AMPLE)
    np.testing.assert_array_equal(found[:10], found[60:])
    for i in (0, 7):
        true = objective.outputs(minimum_without(objective, theta, (groups != groups[i]).astype(float)))[i]
        assert found[i] == pytest.approx(true, abs=2e-3)


@pytest.mark.parametrize("name", ["product", "noise", "two outputs"])
def test_the_score_of_a_small_network_is_that_of_each_row_left_out(name):
    X, Y, hidden, _ = SETS[name]
    model = MLPGradientRegressor(hidden, alpha="loo", random_state=0).fit(X, Y)
    assert model._fit.left_out.singly
    assert model.converged_
    np.testing.assert_allclose(np.mean(refitted_mean(model, X, Y) ** 2, axis=0), model.loo_score_, rtol=0.02)
    assert model._fit.predictive.source == LEFT_OUT
    assert "each row left out by itself" in str(model.summary())

    objective, theta = objective_of(model, X, Y)  # of the network with the lowest loss, by hand
    found = refitted_without_each(objective, theta, np.arange(len(X)), AMPLE)
    for i in range(0, len(X), 7):
        kept = (np.arange(len(X)) != i).astype(float)
        true = objective.outputs(minimum_without(objective, theta, kept))[i]
        np.testing.assert_allclose(found[i], true, atol=5e-3)


def refitted_mean(model, X, Y):
    """Return the residuals (n, m) of rows by the mean over networks fitted without them."""
    each = []
    for member in model._fit.networks:
        objective = member.objective(X, Y.reshape(len(Y), -1))
        each.append(refitted_without_each(objective, member.theta, np.arange(len(X)), AMPLE))
    return Y.reshape(len(Y), -1) - model._fit.of_y.original(np.mean(each, axis=0).T)


def test_what_has_learnt_its_rows_by_heart_is_not_trusted(rng):
    X = rng.normal(size=(40, 3))
    y = np.sin(2 * X[:, 0]) + 0.02 * rng.normal(size=40)
    model = MLPGradientRegressor((20,), alpha="loo", random_state=0).fit(X, y)
    assert not model._fit.left_out.singly
    assert model._fit.predictive.source == CROSS_FITTED
    assert "of the folds" in str(model.summary())
    overfit = MLPGradientRegressor((20,), alpha=1e-3, early_stopping=False, random_state=0).fit(X, y)
    with pytest.warns(InferenceWarning, match="take up"):
        overfit.diagnose(X, y).rows()


def test_no_minimum_and_no_room_are_refused(rng):
    X, Y, hidden, alpha = SETS["product"]
    objective, theta = objective_of(fitted(X, Y, hidden, alpha), X, Y)
    each = np.arange(len(X))
    assert refitted_without_each(objective, theta + 0.1 * rng.normal(size=len(theta)), each, AMPLE) is None
    assert refitted_without_each(objective, theta, each, 0.5 * refits_work(objective, len(each))) is None
    assert refitted_without_each(objective, theta, each, AMPLE) is not None


def test_some_rows_at_a_time_are_as_all_at_once(monkeypatch):
    X, Y, hidden, alpha = SETS["product"]
    objective, theta = objective_of(fitted(X, Y, hidden, alpha), X, Y)
    whole = refitted_without_each(objective, theta, np.arange(len(X)), AMPLE)
    monkeypatch.setattr("mle_regression.diagnostics.left_out_refits._HELD", 7 * len(X))
    np.testing.assert_allclose(refitted_without_each(objective, theta, np.arange(len(X)), AMPLE), whole, rtol=1e-9)


@pytest.mark.filterwarnings("ignore:Effective parameters")
def test_less_than_one_copy_of_a_row_leaves_as_a_whole(rng):
    X, Y, hidden, alpha = SETS["product"]
    w = rng.uniform(0.3, 1.0, len(X))
    model = fitted(X, Y, hidden, alpha, w, weight_type="frequency")
    objective, theta = objective_of(model, X, Y, w)
    y = (Y - objective.rows.of_y.center) / objective.rows.of_y.spread
    out = refitted_without_each(objective, theta, np.arange(len(X)), AMPLE)[:, 0]
    rows = model.diagnose(X, Y, w).rows()["loo_residual"].to_numpy()
    np.testing.assert_allclose(rows / objective.rows.of_y.spread, y - out, rtol=1e-8)


@pytest.mark.parametrize("sizes", [(3, 4, 1), (3, 5, 4, 2), (2, 1)])
@pytest.mark.parametrize("activation", ["tanh", "relu", "silu"])
def test_gradients_of_several_networks_are_those_of_each(rng, sizes, activation):
    network = Network(sizes, find_activation(activation))
    n, m = 12, sizes[-1]
    X, Y = rng.normal(size=(n, sizes[0])), rng.normal(size=(n, m))
    unit = Units(np.zeros(sizes[0]), np.ones(sizes[0])), Units(np.zeros(m), np.ones(m))
    thetas, weights = rng.normal(size=(5, network.n_parameters)), rng.uniform(0.1, 1.0, (5, n))
    found = half_gradients(network, thetas, np.vstack([X.T, np.ones(n)]), Y.T, weights)
    for theta, w, gradient in zip(thetas, weights, found, strict=True):
        rows = standard_rows(TrainingData(X, Y, w, False, 0.0), unit, "float64")
        each = NetworkObjective(network, rows, 0.0, theta).value_and_gradient(theta)[1]
        np.testing.assert_allclose(gradient, 0.5 * w.sum() * each, rtol=1e-10, atol=1e-12)
