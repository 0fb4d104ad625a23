"""Iterative solvers: they reach the direct solution, at the rate of theory, or say why not."""

import re
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from designs import conditioned
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from watching import Watcher, needs_callbacks

from mle_regression import MLELinearRegressor
from mle_regression.solvers import LBFGS, Adam, GradientDescent, NewtonCG, StochasticGradient
from mle_regression.solvers.base import Need
from mle_regression.solvers.gradient_descent import constants, stable_bound
from mle_regression.solvers.path import Control, DivergenceError
from mle_regression.solvers.registry import SOLVERS

FULL_BATCH = sorted(
    name for name, kind in SOLVERS.items() if hasattr(kind, "minimise") and kind.needs is not Need.BATCHES
)
BATCHES = sorted(name for name, kind in SOLVERS.items() if kind.needs is Need.BATCHES)


@pytest.fixture(params=FULL_BATCH)
def full_batch(request):
    return request.param


def designs():
    rng = np.random.default_rng(1)
    X, y = load_diabetes(return_X_y=True, scaled=False)
    yield "diabetes, raw", X, y
    X = rng.standard_normal((300, 6)) * 10.0 ** np.array([-8, -3, 0, 2, 5, 9]) + 10.0 ** np.array([-7, 0, 0, 3, 0, 9])
    yield "units and means", X, X @ (1 / np.abs(X).max(axis=0)) + rng.standard_normal(300)
    X = conditioned(200, 5, 100.0)
    yield "condition 100", X, X.sum(axis=1) + 0.1 * rng.standard_normal(200)
    yield "one column", X[:, :1], X[:, 0] + rng.standard_normal(200)


DESIGNS = {name: (X, y) for name, X, y in designs()}


@pytest.mark.parametrize("name", sorted(DESIGNS))
@pytest.mark.parametrize(
    "options", [{}, {"alpha": 0.5}, {"fit_intercept": False}, {"weighted": True}, {"outputs": 3}], ids=lambda o: str(o)
)
def test_full_batch_solvers_reach_the_direct_solution(full_batch, name, options):
    X, y = DESIGNS[name]
    rng = np.random.default_rng(0)
    options = dict(options)
    weights = rng.uniform(0, 3, len(y)) if options.pop("weighted", False) else None
    if options.pop("outputs", None):
        y = np.column_stack([y, 1e5 * rng.standard_normal(len(y)), rng.standard_normal(len(y)) + 7])
    direct = MLELinearRegressor(**options).fit(X, y, weights)
    found = MLELinearRegressor(solver=full_batch, max_iter=20_000, **options).fit(X, y, weights)
    assert found.converged_
    size = np.abs(direct.coef_ * np.ptp(X, axis=0)).max() / np.ptp(X, axis=0)
    np.testing.assert_allclose(found.coef_ / size, direct.coef_ / size, rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(found.standard_errors_, direct.standard_errors_, rtol=1e-6)
    assert found.log_likelihood_ == pytest.approx(direct.log_likelihood_, rel=1e-9)
    assert found.verdict_ == "unique minimum"
    assert found.solver_ == full_batch
    assert found.loss_curve_[-1] == pytest.approx(direct.loss_curve_[-1], rel=1e-8)
    assert len(found.loss_curve_) == found.n_iter_ + 1
    assert found.loss_curve_[0] > found.loss_curve_[-1]


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("centre", [1e6, 1e9, 1e12])
@pytest.mark.parametrize("weighted", [False, True])
def test_a_mean_far_beyond_the_spread_costs_no_digits(full_batch, centre, alpha, weighted, rng):
    # Multiples of 1/64, which the shift leaves exact.
    moving = np.round(rng.standard_normal((200, 4)) * 64) / 64
    X = moving + [0, 0, centre, 0]
    y = np.round((moving.sum(axis=1) + rng.standard_normal(200)) * 64) / 64
    weights = rng.uniform(0.5, 2, 200) if weighted else None
    truth = MLELinearRegressor(alpha=alpha).fit(moving, y, weights)
    found = MLELinearRegressor(solver=full_batch, alpha=alpha).fit(X, y + centre, weights)
    assert found.converged_
    # Half of the digits, which tol leaves; with gradient steps an estimate of how many it does.
    np.testing.assert_allclose(found.coef_, truth.coef_, rtol=2e-6)
    assert found.noise_variance_ == pytest.approx(truth.noise_variance_, rel=1e-6)


@pytest.mark.parametrize("alpha", [1e-20, 1e-16, 1e-12, 1e-8, 1e-2])
@pytest.mark.parametrize("shape", [(30, 60), (50, 100), (20, 21)])
def test_converged_means_near_where_a_penalty_alone_determines_the_minimum(full_batch, shape, alpha, rng):
    X, y = rng.standard_normal(shape), rng.standard_normal(shape[0])
    X0, y0 = X - X.mean(axis=0), y - y.mean()
    u, values, vt = np.linalg.svd(X0, full_matrices=False)
    truth = vt[:-1].T @ (values[:-1] / (values[:-1] ** 2 + alpha) * (u.T @ y0)[:-1])
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = MLELinearRegressor(solver=full_batch, alpha=alpha).fit(X, y)
    assert any(issubclass(w.category, ConvergenceWarning) for w in caught) == (not model.converged_)
    if model.converged_:
        assert np.linalg.norm(model.coef_ - truth) < 1e-4 * np.linalg.norm(truth)
    assert model.verdict_ == ("unique minimum" if model.converged_ else "not stationary")


@pytest.mark.parametrize("shape", [(5, 6, 2), (20, 20, 1), (20, 19, 1), (3, 40, 1)])
@pytest.mark.parametrize("intercept", [True, False])
def test_a_fit_through_every_row_is_exact_there(full_batch, shape, intercept, rng):
    n, p, m = shape
    if n > p + intercept:
        return
    X, y = rng.random((n, p)), rng.random((n, m))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = MLELinearRegressor(solver=full_batch, fit_intercept=intercept, max_iter=100_000, tol=1e-6).fit(X, y)
        again = model.log_likelihood(X, y)
        direct = MLELinearRegressor(fit_intercept=intercept).fit(X, y)
    assert model.log_likelihood_ == (np.inf if model.converged_ else pytest.approx(again))
    assert again == model.log_likelihood_ or not model.converged_
    if model.converged_:
        np.testing.assert_allclose(model.coef_, direct.coef_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("value", [1e10, 1e100, 1e160, 1e300])
def test_a_constant_column_of_any_size_beside_a_penalty(full_batch, value, rng):
    X = rng.standard_normal((200, 3))
    y = X @ [1, 2, 3] + rng.standard_normal(200)
    truth = MLELinearRegressor(alpha=1.0).fit(X, y)
    found = MLELinearRegressor(solver=full_batch, alpha=1.0, on_rank_deficiency="min_norm")
    found.fit(np.column_stack([X, np.full(200, value)]), y)
    assert found.converged_
    np.testing.assert_allclose(found.coef_[:3], truth.coef_, rtol=1e-6)
    assert found.coef_[3] == 0


@pytest.mark.parametrize("solver", BATCHES)
@pytest.mark.parametrize("value", [1e12, 1e160, 1e300])
def test_batches_of_a_constant_column_of_any_size(solver, value, rng):
    X = rng.standard_normal((200, 3))
    y = X @ [1, 2, 3] + rng.standard_normal(200)
    model = MLELinearRegressor(solver=solver, alpha=1.0, random_state=0, tol=1e-2, on_rank_deficiency="min_norm")
    model.fit(np.column_stack([X, np.full(200, value)]), y)
    np.testing.assert_allclose(model.coef_[:3], MLELinearRegressor(alpha=1.0).fit(X, y).coef_, rtol=0.05)
    assert model.coef_[3] == 0


@pytest.mark.parametrize("how", ["min_norm", "drop"])
def test_dependent_columns(full_batch, rng, how):
    if (full_batch, how) == ("lsmr", "drop"):
        with pytest.raises(ValueError, match="cannot drop"):
            MLELinearRegressor(solver="lsmr", on_rank_deficiency="drop").fit(np.ones((9, 2)), np.arange(9.0))
        return
    X = rng.standard_normal((60, 3))
    X = np.column_stack([X, X[:, 0] - 2 * X[:, 1] + 1, np.ones(60)])
    y = X @ [1, 2, 3, 4, 5] + rng.standard_normal(60)
    direct = MLELinearRegressor(on_rank_deficiency=how).fit(X, y)
    found = MLELinearRegressor(solver=full_batch, on_rank_deficiency=how, max_iter=5000).fit(X, y)
    np.testing.assert_allclose(found.coef_, direct.coef_, rtol=1e-5, atol=1e-6)
    assert found.rank_ == direct.rank_
    np.testing.assert_array_equal(np.isnan(found.standard_errors_), np.isnan(direct.standard_errors_))


@pytest.mark.parametrize("acceleration", ["none", "nesterov", "polyak"])
@pytest.mark.parametrize("kappa", [3.0, 10.0, 30.0])
def test_observed_rate_is_that_of_theory(acceleration, kappa, rng):
    X = conditioned(400, 4, kappa)
    y = X @ rng.standard_normal(4) + 0.01 * rng.standard_normal(400)
    solver = GradientDescent(acceleration=acceleration)
    model = MLELinearRegressor(solver=solver, fit_intercept=False, max_iter=20_000, tol=1e-10).fit(X, y)
    found = model.diagnose(X, y).curvature()
    # Half of the digits that an iteration gains: 5 % of the logarithm, and of the rate.
    assert found.observed_rate == pytest.approx(found.predicted_rate, rel=0.05)
    assert np.log(found.observed_rate) == pytest.approx(np.log(found.predicted_rate), rel=0.1)
    if acceleration == "none":
        columns = X / np.linalg.norm(X, axis=0)
        values = np.linalg.eigvalsh(columns.T @ columns)
        assert found.predicted_rate == pytest.approx((values[-1] - values[0]) / (values[-1] + values[0]), rel=1e-9)
        assert np.log(found.observed_rate) == pytest.approx(np.log(found.predicted_rate), rel=0.05)
    assert f"foretold {found.predicted_rate:.5f}" in str(found)


def test_a_step_beyond_the_bound_is_refused(rng):
    X, y = rng.standard_normal((50, 3)), rng.standard_normal(50)
    columns = X - X.mean(axis=0)
    columns = columns / np.linalg.norm(columns, axis=0)
    highest = 2 * np.linalg.eigvalsh(columns.T @ columns)[-1]
    bound = 2 / highest
    with pytest.raises(ValueError, match=re.escape(f"stable below {bound:.6g}")):
        MLELinearRegressor(solver=GradientDescent("none"), learning_rate=1.0001 * bound).fit(X, y)
    model = MLELinearRegressor(solver=GradientDescent("none"), learning_rate=0.99 * bound, max_iter=5000).fit(X, y)
    assert model.converged_
    for acceleration in ("nesterov", "polyak"):
        _, momentum, _ = constants(acceleration, 0.1, highest)
        limit = stable_bound(acceleration, momentum, highest)
        assert limit <= bound * (1 + 1e-12)


@pytest.mark.parametrize("solver", [StochasticGradient(), Adam()])
def test_divergence_is_caught_and_the_earlier_fit_survives(solver, rng):
    X, y = rng.standard_normal((500, 3)), rng.standard_normal(500)
    model = MLELinearRegressor().fit(X, y)
    before = model.coef_
    model.set_params(solver=solver, learning_rate=1e200, random_state=0)
    with pytest.raises(DivergenceError, match="last finite loss was"):
        model.fit(X, y)
    np.testing.assert_array_equal(model.coef_, before)


@pytest.mark.parametrize("name", BATCHES)
def test_batches_get_near_and_say_how_far(name, rng):
    X = rng.standard_normal((2000, 3)) * [1, 1e4, 1e-3] + [0, 1e5, 0]
    y = X @ [1, 1e-4, 1e3] + 0.1 * rng.standard_normal(2000)
    direct = MLELinearRegressor().fit(X, y)
    with pytest.warns(ConvergenceWarning, match="not converged in 30 iterations; it needs"):
        found = MLELinearRegressor(solver=name, max_iter=30, random_state=0).fit(X, y)
    np.testing.assert_allclose(found.coef_, direct.coef_, rtol=0.05)
    assert (found.verdict_, found.converged_, found.n_iter_) == ("not stationary", False, 30)
    assert "not converged" in str(found.summary())
    with pytest.warns(ConvergenceWarning):
        again = MLELinearRegressor(solver=name, max_iter=30, random_state=0).fit(X, y)
    np.testing.assert_array_equal(found.coef_, again.coef_)


@pytest.mark.parametrize("weighted", [False, True])
def test_batch_gradients_add_up_to_the_gradient(rng, weighted):
    from mle_regression.linalg.frame import Frame
    from mle_regression.linalg.qr import block_factor
    from mle_regression.linalg.triangle import triangle_of_factor
    from mle_regression.objective.linear import linear_objective
    from mle_regression.rows.base import rows_of
    from mle_regression.rows.registry import as_rows

    X, y = rng.standard_normal((60, 3)) * [1, 1e5, 1e-4] + [3, 0, 1], rng.standard_normal((60, 2))
    w = rng.uniform(0.5, 2, 60) if weighted else None
    frame = Frame(np.zeros(5, dtype=int), np.zeros(5))
    total = 60.0 if w is None else w.sum()
    triangle = triangle_of_factor(block_factor(X, y, w, frame, True), frame, 3, total, True, 0.7)
    objective = linear_objective(triangle, frame, as_rows(X, y, w), 0.7)
    theta = rng.standard_normal(6)
    _, gradient = objective.value_and_gradient(theta)
    np.testing.assert_allclose(objective.batch_gradient(theta, rows_of(X, y, w, slice(None)))[1], gradient, rtol=1e-9)
    parts = [
        (objective.batch_gradient(theta, rows_of(X, y, w, slice(b, None, 4)))[1], 1.0 if w is None else w[b::4].sum())
        for b in range(4)
    ]
    shares = np.array([15.0 if w is None else weight for _, weight in parts]) / total
    np.testing.assert_allclose(sum(s * g for s, (g, _) in zip(shares, parts, strict=True)), gradient, rtol=1e-9)
    step = 1e-6
    differences = [
        (objective.value_and_gradient(theta + step * e)[0] - objective.value_and_gradient(theta - step * e)[0])
        / (2 * step)
        for e in np.eye(6)
    ]
    np.testing.assert_allclose(gradient, differences, rtol=1e-6, atol=1e-7)
    v = rng.standard_normal(6)
    change = objective.value_and_gradient(theta + v)[1] - gradient
    np.testing.assert_allclose(objective.hessian_products(theta)(v), change, rtol=1e-9)


@pytest.mark.parametrize("density", [0.001, 0.005, 0.05])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("as_dense", [False, True])
def test_automatic_steps_of_sgd_bear_columns_of_few_and_large_entries(density, weighted, as_dense, rng):
    X = sp.random(4000, 40, density, random_state=3, format="csr")
    y = X @ rng.standard_normal(40) + 0.1 * rng.standard_normal(4000)
    weights = rng.uniform(0, 3, 4000) ** 2 if weighted else None
    direct = MLELinearRegressor().fit(X, y, weights)
    model = MLELinearRegressor(solver="sgd", random_state=0, max_iter=100, tol=1e-4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X.toarray() if as_dense else X, y, weights)
    assert model.loss_curve_[-1] == pytest.approx(direct.loss_curve_[-1], rel=1e-3)


def test_warning_tells_how_many_more(rng):
    X = conditioned(200, 4, 30.0)
    y = X.sum(axis=1) + 0.1 * rng.standard_normal(200)
    model = MLELinearRegressor(solver="gd", max_iter=60)
    with pytest.warns(ConvergenceWarning) as caught:
        model.fit(X, y)
    more = int(re.search(r"about (\d+) more", str(caught[0].message)).group(1))
    needed = MLELinearRegressor(solver="gd", max_iter=10_000).fit(X, y).n_iter_
    assert 60 + more == pytest.approx(needed, rel=0.2)
    assert caught[0].filename == __file__


def test_warm_start(full_batch, rng):
    X, y = rng.standard_normal((80, 4)) * [1, 10, 1e-3, 1], rng.standard_normal(80)
    model = MLELinearRegressor(solver=full_batch, warm_start=True).fit(X, y)
    cold = model.n_iter_
    assert model.fit(X, y).n_iter_ <= 1 < cold
    model.fit(X[:, :2], y)
    assert model.coef_.shape == (2,)


def test_bad_options(rng):
    X, y = rng.standard_normal((20, 2)), rng.standard_normal(20)
    for options, message in (
        ({"learning_rate": 0.0}, "learning_rate=0.0 must be a finite number above zero"),
        ({"learning_rate": -1}, "above zero"),
        ({"learning_rate": "fast"}, "above zero"),
        ({"tol": -1e-3}, "tol=-0.001"),
        ({"max_iter": 0}, "max_iter=0"),
        ({"max_iter": 1.5}, "max_iter=1.5"),
        ({"batch_size": 0}, "batch_size=0"),
        ({"solver": "sdg"}, "'sgd'"),
        ({"solver": GradientDescent("fast")}, "acceleration='fast'"),
        ({"solver": StochasticGradient(schedule="up")}, "schedule='up'"),
        ({"solver": "lbfgs", "learning_rate": 0.1}, "line search"),
        ({"solver": "newton", "learning_rate": 0.1}, "its own steps"),
    ):
        with pytest.raises(ValueError, match=re.escape(message)):
            MLELinearRegressor(**options).fit(X, y)
    with pytest.warns(ConvergenceWarning), pytest.warns(UserWarning, match="batch_size=50 is more than the 20 rows"):
        MLELinearRegressor(solver="sgd", batch_size=50, max_iter=3).fit(X, y)
    assert not hasattr(MLELinearRegressor(solver="lsmr"), "partial_fit")


@pytest.mark.parametrize("name", BATCHES)
def test_stochastic_continuation(name, rng):
    X = rng.standard_normal((3000, 3)) * [1, 1e3, 1e-2] + [0, 5e3, 0]
    y = X @ [1, 1e-3, 100] + 0.1 * rng.standard_normal(3000)
    model = MLELinearRegressor(solver=name, random_state=0, learning_rate=0.01)
    direct = MLELinearRegressor().fit(X, y)
    errors = []
    for _ in range(5):
        for part in np.array_split(np.arange(3000), 10):
            model.partial_fit(X[part], y[part])
            errors.append(np.abs(model.coef_ / direct.coef_ - 1).max())
    assert errors[-1] < 0.05 < errors[0]
    assert not model.converged_
    assert model.predict(X).shape == (3000,)


def test_partial_fit(full_batch, rng):
    if full_batch == "lsmr":
        pytest.skip("lsmr needs the rows")
    X, y = rng.standard_normal((60, 3)) * [1, 1e3, 1e-2] + [0, 5, 1], rng.standard_normal(60)
    parts = MLELinearRegressor(solver=full_batch).partial_fit(X[:20], y[:20]).partial_fit(X[20:], y[20:])
    direct = MLELinearRegressor().fit(X, y)
    np.testing.assert_allclose(parts.coef_, direct.coef_, rtol=1e-6)
    assert parts.solver_ == full_batch
    np.testing.assert_allclose(parts.standard_errors_, direct.standard_errors_, rtol=1e-9)


def test_lsmr_on_sparse_and_wide_columns(rng):
    X = sp.random(400, 30, density=0.2, random_state=1, format="csr")
    y = X @ rng.standard_normal(30) + 0.1 * rng.standard_normal(400)
    for options in ({}, {"alpha": 1.0}, {"fit_intercept": False}):
        found = MLELinearRegressor(solver="lsmr", **options).fit(X, y, rng.uniform(1, 2, 400))
        assert found.converged_
        assert found.n_iter_ < 60
    wide = sp.random(40, 200, density=0.1, random_state=2, format="csr")
    y = rng.standard_normal(40)
    direct = MLELinearRegressor(alpha=0.1).fit(wide, y)
    found = MLELinearRegressor(solver="lsmr", alpha=0.1).fit(wide, y)
    np.testing.assert_allclose(found.coef_, direct.coef_, rtol=1e-5, atol=1e-8)


def test_solver_options_can_be_searched(rng):
    X, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    solver = GradientDescent()
    assert solver.get_params() == {"acceleration": "nesterov"}
    grid = {"solver": [GradientDescent("none"), LBFGS(memory=3), NewtonCG(radius=0.5), "qr"]}
    search = GridSearchCV(MLELinearRegressor(), grid, cv=3).fit(X, y)
    scores = search.cv_results_["mean_test_score"]
    np.testing.assert_allclose(scores, scores[-1], rtol=1e-6)


def test_verbose(capsys, rng):
    X, y = rng.standard_normal((50, 3)), rng.standard_normal(50)
    MLELinearRegressor(solver="gd", verbose=True).fit(X, y)
    lines = capsys.readouterr().out.splitlines()
    assert lines
    assert re.match(r"gd +1: loss [\d.]+, gradient", lines[0])


class Saddle:
    """f(x, y) = (x² − 1)² / 4 + y²/2, whose gradient is zero at the saddle (0, 0)."""

    start = np.zeros(2)
    spectrum = None

    def value_and_gradient(self, theta):
        x, y = theta
        return (x**2 - 1) ** 2 / 4 + y**2 / 2, np.array([x * (x**2 - 1), y])

    def hessian_products(self, theta):
        return lambda v: np.array([(3 * theta[0] ** 2 - 1) * v[0], v[1]])


def test_newton_leaves_a_saddle():
    class Near(Saddle):
        start = np.array([1e-9, 0.3])

    for objective in (Saddle(), Near()):
        control = Control("auto", None, 100, 1e-10, np.random.default_rng(0))
        path = NewtonCG().minimise(objective, control)
        if objective.start.any():
            assert abs(path.theta[0]) == pytest.approx(1, abs=1e-8)
            assert path.losses[-1] < 1e-12


@needs_callbacks
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_callbacks_follow_and_stop(iterative, rng):
    X, y = rng.standard_normal((200, 4)) * [1, 10, 100, 1e-3] + 5, rng.standard_normal(200)
    watcher = Watcher()
    model = MLELinearRegressor(solver=iterative, max_iter=8, random_state=0).set_callbacks(watcher).fit(X, y)
    assert watcher.iterations == model.n_iter_
    assert watcher.ended
    assert watcher.torn_down
    np.testing.assert_allclose(watcher.seen[-1].coef_, model.coef_, rtol=1e-9)
    stopper = Watcher(stop_at=2)
    with pytest.warns(ConvergenceWarning, match="a callback asked to stop"):
        model = MLELinearRegressor(solver=iterative, random_state=0).set_callbacks(stopper).fit(X, y)
    assert (model.n_iter_, model.converged_, model.verdict_) == (2, False, "not stationary")


@needs_callbacks
def test_interrupted_fits_are_usable_and_marked(iterative, rng):
    X, y = rng.standard_normal((200, 4)) * [1, 10, 100, 1e-3] + 5, rng.standard_normal(200)
    watcher = Watcher(interrupt_at=2)
    with pytest.warns(ConvergenceWarning, match="interrupted"):
        model = MLELinearRegressor(solver=iterative, random_state=0).set_callbacks(watcher).fit(X, y)
    assert not model.converged_
    assert np.isfinite(model.predict(X)).all()
    assert watcher.torn_down


@needs_callbacks
def test_callbacks_of_scikit_learn(rng, capsys):
    from sklearn.callback import ScoringMonitor

    X, y = rng.standard_normal((90, 3)), rng.standard_normal(90)
    monitor = ScoringMonitor(scoring="r2")
    model = MLELinearRegressor(solver="gd").set_callbacks(monitor).fit(X, y)
    assert model.converged_
    direct = MLELinearRegressor().set_callbacks(ScoringMonitor(scoring="r2")).fit(X, y)
    assert direct.converged_
    search = GridSearchCV(MLELinearRegressor(), {"solver": ["gd", "lbfgs", "qr"]}, cv=2)
    search.set_callbacks(ScoringMonitor(scoring="r2")).fit(X, y)
    assert search.best_score_ > -1


@needs_callbacks
def test_a_failed_fit_tears_callbacks_down(rng):
    X, y = rng.standard_normal((30, 3)), rng.standard_normal(30)
    X[3, 1] = np.nan
    watcher = Watcher()
    with pytest.raises(ValueError, match="NaN"):
        MLELinearRegressor(solver="gd").set_callbacks(watcher).fit(X, y)
    assert watcher.torn_down
