"""Networks whose rows come in batches: units that settle over the first rows, options that would be ignored."""

import pickle

import numpy as np
import pytest
import scipy.sparse as sp

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.fit.column_moments import ColumnMoments
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import Need
from mle_regression.solvers.registry import NETWORK_SOLVERS

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning"),
]


def data_of(X, y, weights=None):
    return TrainingData(X, y[:, None], weights, True, 0.0)


@pytest.mark.parametrize("scale", [1.0, 1e300, 1e-300])
@pytest.mark.parametrize("weighted", [False, True])
def test_moments_of_parts_are_those_of_the_whole(rng, scale, weighted):
    X, y = scale * (3 + rng.standard_normal((30, 4))), rng.standard_normal(30)
    X[:, 3] = scale
    w = rng.integers(0, 3, 30).astype(float) if weighted else None
    whole = ColumnMoments.of(data_of(X, y, w))
    parts = [
        ColumnMoments.of(data_of(X[k], y[k], None if w is None else w[k]))
        for k in (slice(0, 1), slice(1, 4), slice(4, 30))
        if w is None or w[k].any()
    ]
    found = sum(parts[1:], start=parts[0])
    np.testing.assert_allclose(found.center, whole.center, rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(found.spread, whole.spread, rtol=1e-12)
    assert (found.total, found.rows) == (whole.total, whole.rows)
    assert found.spread[3] == 0


FIRST = {
    "one row": lambda X, y: (X[:1], y[:1]),
    "two rows alike": lambda X, y: (X[:2].mean(axis=0) + 1e-9 * X[:2], y[:2]),
    "zeros": lambda X, y: (np.zeros((5, X.shape[1])), np.zeros(5)),
    "far away": lambda X, y: (X[:3] + 1e4, y[:3]),
}


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("home", [np.asarray, sp.csr_array])
def test_a_useless_first_batch_is_forgotten(first, home):
    r = np.random.default_rng(0)
    X = 1000 + 50 * r.standard_normal((2000, 3))
    y = 1e4 + 300 * np.tanh((X[:, 0] - 1000) / 50) + 100 * (X[:, 1] - 1000) / 50
    model = MLPGradientRegressor((20,), alpha=1e-4, solver="adam", learning_rate=0.01, random_state=0)
    model.partial_fit(*FIRST[first](X, y))
    for _ in range(10):
        for lo in range(0, 2000, 200):
            model.partial_fit(home(X[lo : lo + 200]), y[lo : lo + 200])
    # Ten passes of Adam; the far rows count among the thousand by which units are measured.
    assert model.score(X, y) > (0.9 if first != "far away" else 0.5)


def test_units_settle_and_then_stay(rng):
    X, y = rng.standard_normal((600, 2)), rng.standard_normal(600)
    model = MLPGradientRegressor((3,), alpha=1e-4, solver="adam", random_state=0)
    model.partial_fit(X, y).partial_fit(5 * X, y)
    spread = model._fit.of_x.spread
    np.testing.assert_allclose(spread, np.concatenate([X, 5 * X]).std(axis=0), rtol=1e-12)
    again = pickle.loads(pickle.dumps(model)).partial_fit(100 * X, y)
    np.testing.assert_array_equal(again._fit.of_x.spread, spread)


def test_units_of_a_fit_stay(rng):
    X, y = rng.standard_normal((60, 2)), rng.standard_normal(60)
    model = MLPGradientRegressor((3,), alpha=1e-4, solver="adam", max_iter=3, random_state=0).fit(X, y)
    before = model._fit.of_x.spread
    np.testing.assert_array_equal(model.partial_fit(100 * X, y)._fit.of_x.spread, before)


@pytest.mark.parametrize("solver", sorted(NETWORK_SOLVERS))
def test_batch_size_is_for_solvers_that_draw_batches(rng, solver):
    X, y = rng.standard_normal((60, 2)), rng.standard_normal(60)
    model = MLPGradientRegressor((3,), alpha=1e-4, solver=solver, batch_size=20, max_iter=3, random_state=0)
    if NETWORK_SOLVERS[solver].needs is Need.BATCHES:
        model.fit(X, y)
    else:
        with pytest.raises(ValueError, match=r"batch_size=20 has no effect.*'adam'"):
            model.fit(X, y)


@pytest.mark.parametrize("solver", ["auto", "normal", "qr", "svd", "lsmr", "gd", "lbfgs", "newton"])
def test_batch_size_of_linear_solvers(rng, solver):
    X, y = rng.standard_normal((60, 2)), rng.standard_normal(60)
    with pytest.raises(ValueError, match=r"batch_size=20 has no effect"):
        MLELinearRegressor(solver=solver, batch_size=20).fit(X, y)


def test_batch_size_under_evidence(rng):
    X, y = rng.standard_normal((60, 2)), rng.standard_normal(60)
    with pytest.raises(ValueError, match="batch_size=20 has no effect"):
        MLPGradientRegressor((3,), alpha="evidence", batch_size=20).fit(X, y)


@pytest.mark.parametrize("change", [{"hidden_layer_sizes": (4,)}, {"activation": "softplus"}])
def test_another_network_does_not_go_on(rng, change):
    X, y = rng.standard_normal((60, 2)), rng.standard_normal(60)
    model = MLPGradientRegressor((3,), alpha=1e-4, warm_start=True, max_iter=3, random_state=0).fit(X, y)
    with pytest.warns(UserWarning, match="warm_start begins anew: the earlier network has layers"):
        model.set_params(**change).fit(X, y)
    model = MLPGradientRegressor((3,), alpha=1e-4, solver="adam", random_state=0).partial_fit(X, y)
    with pytest.raises(ValueError, match="anew"):
        model.set_params(**change).partial_fit(X, y)
