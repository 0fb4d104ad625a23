"""Networks that no row gets through, at the start or on the way: other starts, and a word where none helps."""

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLPGradientRegressor
from mle_regression.models.activations import ACTIVATIONS, find_activation
from mle_regression.models.network import Network
from mle_regression.objective.dead import is_constant, is_dead
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units
from mle_regression.solvers.registry import NETWORK_SOLVERS

X = np.linspace(-2, 2, 60)[:, None]
Y = 2 * X[:, 0] + 1


def objective_at(activation, bias):
    """Two hidden layers, of which the second has one bias for all units."""
    network = Network((1, 2, 2, 1), find_activation(activation))
    units = Units(np.zeros(1), np.ones(1))
    theta = network.initial(np.random.default_rng(0))
    network.layers(theta)[1][:, -1] = bias
    return NetworkObjective(
        network, StandardRows(as_rows(X, Y[:, None], None), units, units, np.dtype(float)), 0.0, theta
    )


@pytest.mark.parametrize("activation", sorted(ACTIVATIONS))
def test_a_network_is_dead_where_no_row_has_a_slope(activation):
    objective = objective_at(activation, -1e3)
    assert is_dead(objective, objective.start) == (activation not in ("identity", "leaky_relu"))
    if activation not in ("identity", "leaky_relu"):
        below = objective.network.layers(objective.value_and_gradient(objective.start)[1])[:2]
        assert max(np.abs(layer).max() for layer in below) < 1e-12
    objective = objective_at(activation, 0.5)
    network = objective.network
    network.layers(objective.start)[0][:, -1] = 1.0
    assert not is_dead(objective, objective.start)


def test_rows_may_end_at_different_layers():
    """The first unit lets the rows below zero through, and the next one those above."""
    network = Network((1, 1, 1, 1), find_activation("relu"))
    units = Units(np.zeros(1), np.ones(1))
    theta = np.array([-1.0, 0.0, -2.0, 0.01, 1.0, 0.0])
    objective = NetworkObjective(
        network, StandardRows(as_rows(X, Y[:, None], None), units, units, np.dtype(float)), 0.0, theta
    )
    assert is_dead(objective, theta)
    assert not objective.value_and_gradient(theta)[1][:2].any()
    theta[2] = 2.0
    assert not is_dead(objective, theta)


@pytest.mark.parametrize("n", [60, 3000])
def test_a_network_is_constant_where_no_prediction_differs_from_another(n):
    """Whichever row it is that differs, in a block of its own or not, and by as little as a millionth."""
    x, network = np.zeros((n, 1)), Network((1, 1), find_activation("tanh"))
    units = Units(np.zeros(1), np.ones(1))
    theta = np.array([1e-6, 0.5])
    for at in (0, n // 2, n - 1):
        x[:] = 0.0
        y = np.arange(n, dtype=float)[:, None]
        objective = NetworkObjective(
            network, StandardRows(as_rows(x, y, None), units, units, np.dtype(float)), 0.0, theta
        )
        assert is_constant(objective, theta)
        x[at] = 1.0
        objective = NetworkObjective(
            network, StandardRows(as_rows(x, y, None), units, units, np.dtype(float)), 0.0, theta
        )
        assert not is_constant(objective, theta)
        assert is_constant(objective, np.array([1e-8, 0.5]))
        flat = StandardRows(as_rows(x, np.ones((n, 1)), None), units, units, np.dtype(float))
        assert not is_constant(NetworkObjective(network, flat, 0.0, theta), theta)  # so is y


@pytest.mark.filterwarnings("ignore:.*has not converged:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore:.*finds no lower loss:sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")
@pytest.mark.parametrize("solver", ["auto", *sorted(NETWORK_SOLVERS)])
def test_no_fit_starts_dead(solver):
    for seed in range(12):
        model = MLPGradientRegressor(
            (2, 1), alpha=1e-4, activation="relu", solver=solver, max_iter=60, random_state=seed
        ).fit(X, Y)
        assert np.ptp(model.predict(X)) > 0


@pytest.mark.parametrize("method", ["fit", "partial_fit"])
def test_death_is_told_where_a_fit_goes_on_from_it(method):
    model = MLPGradientRegressor(
        (3,),
        alpha=1e-4,
        activation="relu",
        solver="adam",
        warm_start=True,
        max_iter=2,
        early_stopping=False,
        random_state=0,
    )
    with pytest.warns(ConvergenceWarning, match="not converged"):
        model.fit(X, np.sin(Y))
    Network((1, 3, 1), find_activation("relu")).layers(model._fit.theta)[0][:, -1] = -1e3
    with pytest.warns(ConvergenceWarning) as told:
        getattr(model, method)(X, np.sin(Y))
    assert any("network is dead" in str(one.message) for one in told)
    assert not model.converged_
    assert np.ptp(model.predict(X)) == 0


def test_death_on_the_way_begins_anew(monkeypatch):
    """Two starts lead to a constant."""
    starts = []
    initial = Network.initial

    def counted(network, rng):
        theta = initial(network, rng)
        starts.append(theta)
        return theta

    monkeypatch.setattr(Network, "initial", counted)
    constant = iter([True, True, False])
    monkeypatch.setattr("mle_regression.fit.network.is_constant", lambda *_: next(constant))
    MLPGradientRegressor((3,), alpha=1.0, random_state=0, early_stopping=False).fit(X, Y)
    assert len(starts) == 3


def test_a_penalty_that_leaves_nothing_is_no_death(recwarn):
    model = MLPGradientRegressor((3,), alpha=1e6, random_state=0).fit(X, Y)
    assert model.converged_
    np.testing.assert_allclose(model.predict(X), Y.mean(), atol=1e-3)
    assert not recwarn


def test_partial_fit_starts_alive():
    for seed in range(12):
        model = MLPGradientRegressor((2, 1), alpha=1e-4, activation="relu", random_state=seed)
        model.partial_fit(X, Y)
        assert np.ptp(model.predict(X)) > 0
