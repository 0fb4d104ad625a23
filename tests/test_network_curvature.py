"""Where a network's training ended: eigenvalues, verdicts, uncertainty, penalties by evidence, against exact formulas."""

import pickle
import warnings

import numpy as np
import pandas as pd
import pytest
import sklearn
from scipy.stats import multivariate_normal, norm
from scipy.stats import t as student
from sklearn.datasets import load_diabetes
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLELinearRegressor, MLPGradientRegressor, NoiseFreeWarning
from mle_regression.diagnostics import laplace_approximation as laplace
from mle_regression.diagnostics.stationary import escape_direction
from mle_regression.estimator.callbacks import SharpnessMonitor
from mle_regression.fit.penalty.evidence import GROUPINGS, _Climb, parameter_groups
from mle_regression.fitted.network_on_rows import NetworkOnRows
from mle_regression.linalg.lanczos import Density, extreme_eigenpairs, spectral_density, trace
from mle_regression.models.activations import find_activation
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.reports.network.diagnosis import NetworkDiagnosis
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardRows, Units
from mle_regression.solvers import LevenbergMarquardt, NewtonCG
from mle_regression.solvers.gradient_descent import stable_curvature
from mle_regression.solvers.path import Control

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")


@pytest.fixture
def diabetes():
    return load_diabetes(return_X_y=True, scaled=False)


def pose(X, y, hidden, activation="tanh", alpha=0.0, theta=None, rng=None, outputs=1):
    network = Network((X.shape[1], *hidden, outputs), find_activation(activation))
    rows = StandardRows(
        as_rows(X, y.reshape(len(y), -1), None),
        Units(np.zeros(X.shape[1]), np.ones(X.shape[1])),
        Units(np.zeros(outputs), np.ones(outputs)),
        np.dtype(np.float64),
    )
    return NetworkObjective(network, rows, alpha, network.initial(rng) if theta is None else theta)


def controls(rng, **options):
    defaults = {"learning_rate": "auto", "batch_size": None, "max_iter": 500, "tol": 1e-9, "rng": rng}
    return Control(**defaults | options)


def diagnosed(objective, theta=None):
    if theta is not None:
        objective.start = theta
    d = objective.network.sizes[0]
    return NetworkDiagnosis(NetworkOnRows(objective, float(objective.rows.y.var())), [f"x{j}" for j in range(d)], ["y"])


# -- eigenvalues from products ---------------------------------------------------------------------------------------


def test_extreme_eigenpairs_are_as_near_as_they_say(rng):
    basis, _ = np.linalg.qr(rng.standard_normal((300, 300)))
    values = np.sort(np.concatenate([-np.logspace(-6, 0, 20), np.zeros(30), np.logspace(-8, 3, 250)]))
    matrix = (basis * values) @ basis.T
    found = extreme_eigenpairs(lambda v: matrix @ v, 300, 3, 4, rng)
    np.testing.assert_allclose(found.values[:3], values[:3], atol=2e-5)
    np.testing.assert_allclose(found.values[3:], values[-4:], rtol=1e-8)
    for value, bound in zip(found.values, found.bounds, strict=True):
        assert np.abs(values - value).min() <= bound
    residual = np.linalg.norm(matrix @ found.vectors - found.vectors * found.values, axis=0)
    assert (residual <= found.bounds * 1.01).all()


@pytest.mark.parametrize("diagonal", [np.ones(40), np.zeros(40), np.r_[np.ones(39), -1.0], np.array([2.0])])
def test_extreme_eigenpairs_of_few_distinct_values(rng, diagonal):
    found = extreme_eigenpairs(lambda v: diagonal * v, len(diagonal), 1, 1, rng)
    assert found.values[0] == pytest.approx(diagonal.min(), abs=1e-12)
    assert found.values[-1] == pytest.approx(diagonal.max(), abs=1e-12)


@pytest.mark.parametrize(("low", "high"), [(2, 2), (3, 3), (5, 1), (0, 2), (1, 0), (9, 9)])
def test_more_eigenpairs_than_there_are(rng, low, high):
    diagonal = np.array([-1.0, 2.0, 5.0])
    found = extreme_eigenpairs(lambda v: diagonal * v, 3, low, high, rng)
    exact = np.unique(np.r_[diagonal[:low], diagonal[len(diagonal) - min(high, 3) :]])
    np.testing.assert_allclose(found.values, exact, atol=1e-12)
    assert found.vectors.shape == (3, len(exact))


def test_density_on_a_grid_is_the_mean_over_probes():
    nodes, weights = np.array([[0.0, 1.0], [2.0, 3.0]]), np.array([[0.25, 0.75], [0.5, 0.5]])
    density, grid = Density(nodes, weights, 10), np.linspace(-3.0, 6.0, 901)
    found = density.at(grid, 0.3)
    exact = 0.5 * sum(w * norm.pdf(grid, node, 0.3) for node, w in zip(nodes.ravel(), weights.ravel(), strict=True))
    np.testing.assert_allclose(found, exact, rtol=1e-12)
    assert found.sum() * 0.01 == pytest.approx(1.0, abs=1e-9)


def test_trace_and_log_determinant_by_products(rng):
    diagonal = np.logspace(-2, 2, 2000)
    value, error = trace(lambda v: diagonal * v, 2000, rng)
    assert abs(value - diagonal.sum()) < 5 * error + 1e-9 * diagonal.sum()
    basis = rng.standard_normal((2000, 3))
    low = basis @ basis.T / 2000
    value, error = spectral_density(lambda v: diagonal * v + low @ v, 2000, rng).trace_of(np.log)
    exact = np.linalg.slogdet(np.diag(diagonal) + low)[1]
    assert abs(value - exact) < 5 * error
    assert error < 0.02 * 2000


def test_eigenvalues_are_those_of_complex_step_differences(diabetes):
    X, y = diabetes
    model = MLPGradientRegressor((4,), alpha=1.0, early_stopping=False, curvature="full", random_state=0).fit(X, y)
    Z, t = (X - X.mean(axis=0)) / X.std(axis=0), (y - y.mean()) / y.std()
    n, size = len(y), len(model._fit.theta)

    def gradient(theta):
        first, last = theta[:44].reshape(4, 11), theta[44:]
        a = np.tanh(Z @ first[:, :-1].T + first[:, -1])
        r = a @ last[:-1] + last[-1] - t
        below = (r[:, None] * last[:-1]) * (1 - a**2)
        of_first = np.column_stack([below.T @ Z + first[:, :-1], below.sum(axis=0)])
        of_last = np.r_[a.T @ r + last[:-1], r.sum()]
        return 2.0 / n * np.r_[of_first.ravel(), of_last]

    hessian = np.empty((size, size))
    for j in range(size):
        step = np.zeros(size, dtype=complex)
        step[j] = 1e-30j
        hessian[:, j] = gradient(model._fit.theta + step).imag / 1e-30
    np.testing.assert_allclose(model.hessian_eigenvalues_, np.linalg.eigvalsh(hessian), rtol=1e-7)
    assert model.verdict_ == "minimum"
    assert model.condition_number_ == pytest.approx(np.linalg.cond(hessian), rel=1e-6)


def test_extremes_agree_with_the_matrix(diabetes):
    X, y = diabetes
    model = MLPGradientRegressor((30,), alpha=1.0, early_stopping=False, random_state=0, max_iter=30).fit(X, y)
    diagnosis = model.diagnose(X, y)
    full, ends = diagnosis.curvature(spectrum="full"), diagnosis.curvature(k=3, spectrum="extremes")
    assert full.complete
    assert not ends.complete
    np.testing.assert_allclose(ends.eigenvalues[-3:], full.eigenvalues[-3:], rtol=1e-7)
    assert (np.abs(ends.eigenvalues[:3] - full.eigenvalues[:3]) <= 1e-6 * full.eigenvalues[-1]).all()
    assert diagnosis.sharpness() == pytest.approx(full.eigenvalues[-1], rel=1e-4)
    assert diagnosis.trace()[0] == pytest.approx(full.eigenvalues.sum(), rel=1e-9)
    whole = full.gauss_newton_eigenvalues.sum() + full.rest_eigenvalues.sum()
    bare = diagnosis.curvature(penalised=False)
    assert whole == pytest.approx(bare.eigenvalues.sum(), rel=1e-9)


# -- verdicts --------------------------------------------------------------------------------------------------------


@pytest.fixture
def smooth_problem(rng):
    X = rng.standard_normal((300, 2))
    return X, np.tanh(1.5 * X[:, 0] - X[:, 1]) + 0.5 * X[:, 1] + 0.3 * rng.standard_normal(300)


@pytest.mark.parametrize("spectrum", ["full", "extremes"])
def test_a_network_of_zeros_is_at_a_saddle_that_newton_leaves(smooth_problem, rng, spectrum):
    X, y = smooth_problem
    y = y - y.mean()
    objective = pose(X, y, (4,), theta=np.zeros(17), alpha=1.0)
    report = diagnosed(objective).curvature(spectrum=spectrum)
    assert report.verdict == "saddle point"
    assert report.escape.gain > 0
    theta = report.escape.direction * report.escape.step
    assert objective.value_and_gradient(theta)[0] == pytest.approx(report.escape.loss)
    path = NewtonCG().minimise(objective, controls(rng))
    assert path.losses[-1] < 0.7 * path.losses[0]
    assert diagnosed(objective, path.theta).curvature().verdict in ("minimum", "flat minimum")


def test_splitting_a_unit_leaves_a_flat_direction_or_a_saddle(smooth_problem, rng):
    """Fukumizu and Amari (2000): a minimum of a smaller network, embedded by copying a unit, is stationary in the larger."""
    X, y = smooth_problem
    small = pose(X, y, (1,), rng=rng)
    theta = LevenbergMarquardt().minimise(small, controls(rng, tol=1e-13)).theta
    assert diagnosed(small, theta).curvature().verdict == "minimum"
    first, last = (layer.copy() for layer in small.network.layers(theta))
    for share in (0.5, 2.0):
        last_of_two = np.column_stack([share * last[:, :1], (1 - share) * last[:, :1], last[:, 1:]])
        both = np.concatenate([np.vstack([first, first]).ravel(), last_of_two.ravel()])
        report = diagnosed(pose(X, y, (2,), theta=both)).curvature()
        assert np.abs(report.eigenvalues).min() <= 1e-9 * report.eigenvalues[-1]
        assert report.verdict in ("flat minimum", "saddle point")
        if report.verdict == "flat minimum":
            assert {unit.kind for unit in report.flat_units} == {"duplicated"}
        else:
            assert report.escape.gain > 0


def test_relu_has_flat_rescalings_and_dead_units(rng):
    X = rng.uniform(0, 1, (200, 2))
    y = np.maximum(X @ [1.0, 2.0] - 0.7, 0) + 0.05 * rng.standard_normal(200)
    first = np.array([[1.0, 2.0, -0.7], [-1.0, -1.0, -0.5]])  # the second unit is never on
    theta = np.r_[first.ravel(), 1.0, 0.3, 0.01]
    objective = pose(X, y, (2,), "relu", theta=theta)
    theta = LevenbergMarquardt().minimise(objective, controls(rng, tol=1e-13)).theta
    report = diagnosed(objective, theta).curvature()
    assert report.verdict == "flat minimum"
    assert report.inertia == (0, 5, 4)  # one rescaling, and the dead unit's three weights in and one out
    assert {(unit.unit, unit.kind) for unit in report.flat_units} == {(0, "rescaling"), (1, "dead")}
    assert "kinks" in str(report)


def test_an_unfinished_fit_is_not_stationary(diabetes):
    X, y = diabetes
    model = MLPGradientRegressor((5,), alpha=1e-4, solver="adam", max_iter=5, curvature="extremes", random_state=0).fit(
        X, y
    )
    assert model.verdict_ == "not stationary"
    with pytest.raises(ValueError, match="not at an optimum"):
        model.predict(X, return_std=True)


def test_without_curvature_an_error_tells_how(diabetes):
    X, y = diabetes
    model = MLPGradientRegressor((3,), alpha=1e-4, max_iter=5, random_state=0).fit(X, y)
    for name in ("hessian_eigenvalues_", "condition_number_", "verdict_"):
        with pytest.raises(AttributeError, match="curvature='full'"):
            getattr(model, name)
    with pytest.raises(ValueError, match="curvature='full'"):
        model.predict_interval(X, kind="mean")
    with pytest.raises(ValueError, match="features"):
        model.diagnose(X[:, :3], y)
    with pytest.raises(ValueError, match="gd and sgd"):
        model.diagnose(X, y).edge_of_stability()
    wide = MLPGradientRegressor((1000, 30), alpha=1e-4, max_iter=1, solver="adam", random_state=0).fit(X, y)
    with pytest.raises(ValueError, match="GB.*spectrum='extremes'"):
        wide.diagnose(X, y).curvature(spectrum="full")


@pytest.mark.skipif(
    tuple(map(int, sklearn.__version__.split(".")[:2])) < (1, 9), reason="scikit-learn has callbacks from 1.9 on"
)
@pytest.mark.parametrize("solver", ["gd", "sgd"])
def test_sharpness_along_training_and_the_edge_of_stability(smooth_problem, solver):
    X, y = smooth_problem
    monitor = SharpnessMonitor(every=5)
    model = MLPGradientRegressor(
        (4,), alpha=1e-4, solver=solver, learning_rate=0.05, early_stopping=False, max_iter=20, random_state=0
    )
    model.set_callbacks(monitor).fit(X, y)
    assert monitor.iterations == [5, 10, 15, 20]
    sharpness, edge = model.diagnose(X, y).edge_of_stability()
    assert monitor.sharpness[-1] == pytest.approx(sharpness, rel=1e-3)
    assert sharpness == pytest.approx(model.diagnose(X, y).curvature().eigenvalues[-1], rel=1e-3)
    if solver == "gd":
        assert edge == pytest.approx(2 * 1.9 / 2.8 / 0.05)


def test_plain_descent_cannot_stay_where_it_is_too_sharp(smooth_problem, rng):
    """Steps 2/η below the sharpness of a minimum are thrown out of it: the edge says which."""
    X, y = smooth_problem
    objective = pose(X, y, (3,), alpha=1.0, rng=rng)
    theta = LevenbergMarquardt().minimise(objective, controls(rng, tol=1e-12)).theta
    sharpness = diagnosed(objective, theta).sharpness()
    for factor, stays in ((0.9, True), (1.1, False)):
        step = factor * 2.0 / sharpness
        assert stable_curvature("none", 0.0, step) == pytest.approx(sharpness / factor)
        here = theta + 1e-9 * rng.standard_normal(len(theta))
        for _ in range(60):
            here = here - step * objective.value_and_gradient(here)[1]
        assert (np.linalg.norm(here - theta) < 1e-8) == stays


def test_way_down_looks_to_both_sides():
    class Saddle:
        def value_and_gradient(self, theta):
            return float(theta[0] ** 4 - theta[0] ** 2 + 0.1 * theta[0]), np.zeros(1)

    found = escape_direction(Saddle(), np.zeros(1), np.ones(1))
    assert found.direction[0] == -1.0
    assert found.gain == pytest.approx(0.32, abs=0.05)


# -- uncertainty and evidence ----------------------------------------------------------------------------------------


def test_a_network_without_hidden_layers_has_the_exact_posterior(rng):
    X = rng.standard_normal((60, 3)) * [1.0, 5.0, 0.1] + 2.0
    y = X @ [1.0, 0.2, -3.0] + rng.standard_normal(60)
    model = MLPGradientRegressor((), alpha=4.0, early_stopping=False, curvature="full", random_state=0).fit(X, y)
    assert model.verdict_ == "minimum"
    Z = np.column_stack([(X - X.mean(axis=0)) / X.std(axis=0), np.ones(60)])
    A = Z.T @ Z + np.diag([4.0, 4.0, 4.0, 0.0])
    theta = np.linalg.solve(A, Z.T @ y)
    gamma = np.trace(np.linalg.solve(A, Z.T @ Z))
    s2 = ((y - Z @ theta) ** 2).sum() / (60 - gamma)
    variance = s2 * np.einsum("ij,ij->i", Z, np.linalg.solve(A, Z.T).T)
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, Z @ theta, rtol=1e-9)
    np.testing.assert_allclose(std, np.sqrt(s2 + variance), rtol=1e-9)
    lower, upper = model.predict_interval(X, kind="mean")
    np.testing.assert_allclose(upper - lower, 2 * student.ppf(0.975, 60 - gamma) * np.sqrt(variance), rtol=1e-9)


def test_evidence_of_a_linear_model_is_exact_and_at_its_maximum(rng):
    X = rng.standard_normal((80, 6))
    y = X @ [1.0, 0.5, 0.0, 0.0, -0.3, 0.1] + 1.5 * rng.standard_normal(80)
    model = MLPGradientRegressor((), alpha="evidence", alpha_per="all", random_state=0, max_iter=2000).fit(X, y)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    # The intercept's flat prior leaves 79 contrasts of y; its density of one gives the factor between the two.
    contrasts = np.linalg.svd(np.eye(80) - 1 / 80)[0][:, :79].T

    def log_evidence(alpha, noise):
        covariance = noise * (np.eye(79) + contrasts @ Z @ Z.T @ contrasts.T / alpha)
        return multivariate_normal.logpdf(contrasts @ y, np.zeros(79), covariance) - 0.5 * np.log(80)

    (alpha,) = model.alpha_.values()
    A = Z.T @ Z + alpha * np.eye(6)
    theta = np.linalg.solve(A, Z.T @ (y - y.mean()))
    gamma = 1 + np.trace(np.linalg.solve(A, Z.T @ Z))
    noise = ((y - y.mean() - Z @ theta) ** 2).sum() / (80 - gamma)
    assert model.effective_parameters_ == pytest.approx(gamma, rel=1e-9)
    exact = log_evidence(alpha, noise)
    assert model.log_marginal_likelihood_ == pytest.approx(exact, rel=1e-9)
    best = max(log_evidence(a, s) for a in alpha * np.logspace(-1, 1, 21) for s in noise * np.linspace(0.7, 1.4, 15))
    assert log_evidence(alpha, noise) >= best - 1e-2


def test_evidence_on_real_data(diabetes):
    X, y = diabetes
    model = MLPGradientRegressor((10,), alpha="evidence", random_state=0, n_init=2).fit(X, y)
    assert list(model.alpha_) == ["layer 1", "layer 2"]
    assert 5 < model.effective_parameters_ < 40
    mean, std = model.predict(X, return_std=True)
    assert (std >= np.sqrt(model.noise_variance_)).all()
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), mean)
    far = X[:1] + 20 * X.std(axis=0)
    assert model.predict(far, return_std=True)[1][0] > std[0]


def test_error_bars_widen_between_and_beyond_the_data():
    rng = np.random.default_rng(0)
    x = np.concatenate([rng.uniform(-4, -1, 60), rng.uniform(1, 4, 60)])
    y = np.sin(1.5 * x) + 0.1 * rng.standard_normal(120)
    net = MLPGradientRegressor((12,), alpha="evidence", random_state=0).fit(x[:, None], y)
    assert net.noise_variance_**0.5 == pytest.approx(0.1, abs=0.03)
    _, std = net.predict([[-2.0], [2.0], [0.0], [6.0]], return_std=True)
    assert std[2] > 1.2 * std[:2].max()
    assert std[3] > 3 * std[2]


def test_evidence_of_rows_counted_twice_is_that_of_rows_repeated(rng):
    X = rng.standard_normal((50, 2))
    y = np.sin(X[:, 0]) + 0.2 * rng.standard_normal(50)
    counts = rng.integers(1, 4, 50)
    one = MLPGradientRegressor((), alpha="evidence", weight_type="frequency", random_state=0).fit(X, y, counts)
    two = MLPGradientRegressor((), alpha="evidence", random_state=0).fit(np.repeat(X, counts, 0), np.repeat(y, counts))
    assert one.log_marginal_likelihood_ == pytest.approx(two.log_marginal_likelihood_, rel=1e-6)
    assert one.alpha_["layer 1"] == pytest.approx(two.alpha_["layer 1"], rel=1e-3)
    np.testing.assert_allclose(one.predict(X, return_std=True)[1], two.predict(X, return_std=True)[1], rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"solver": "adam"}, "solver='lm'"),
        ({"early_stopping": True}, "early_stopping"),
        ({"evidence": "unit"}, "evidence"),
        ({"curvature": "some"}, "curvature"),
    ],
)
def test_options_that_do_not_go_together(diabetes, options, message):
    with pytest.raises(ValueError, match=message):
        MLPGradientRegressor((3,), alpha="evidence", **options).fit(*diabetes) if "curvature" not in options else (
            MLPGradientRegressor((3,), **options).fit(*diabetes)
        )


def test_evidence_where_little_is_to_be_learnt(rng):
    X, y = rng.standard_normal((80, 4)), rng.standard_normal(80)
    model = MLPGradientRegressor((5,), alpha="evidence", random_state=0)
    assert model.fit(X, y).effective_parameters_ < 10
    with pytest.warns(NoiseFreeWarning):
        model.fit(X, np.ones(80))
    np.testing.assert_allclose(model.predict(X, return_std=True), [np.ones(80), np.zeros(80)], atol=1e-6)
    smooth = np.sin(X[:, 0]) + 0.1 * y
    model.fit(X[:60], smooth[:60], X_val=X[60:], y_val=smooth[60:])
    assert np.isfinite(model.validation_curve_).all()
    assert not hasattr(model, "partial_fit")  # penalties are chosen from all rows together


def test_an_ensemble_is_the_mixture_of_its_networks(diabetes):
    X, y = diabetes
    options = {"alpha": "evidence", "random_state": 3, "n_init": 3}
    one = MLPGradientRegressor((4,), **options).fit(X, y)
    model = MLPGradientRegressor((4,), ensemble=True, **options).fit(X, y)
    members = model._fit.members
    assert 2 <= len(members) <= 3
    np.testing.assert_array_equal(members[0].theta, one._fit.theta)
    np.testing.assert_array_equal(model.coefs_[0], one.coefs_[0])
    assert model.log_likelihood(X, y) == pytest.approx(model.log_likelihood_, rel=1e-9)
    assert model.noise_variance_ == pytest.approx(np.mean((y - model.predict(X)) ** 2), rel=1e-9)
    unit = model._fit.of_y.spread
    parts = [(mean, variance * unit**2) for mean, variance in (net.moments(X, 1.0) for net in members)]
    mean, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(mean, np.mean([part[0][:, 0] for part in parts], axis=0))
    second = np.mean([part[1][:, 0] + part[0][:, 0] ** 2 for part in parts], axis=0)
    np.testing.assert_allclose(std**2, second - mean**2, rtol=1e-8)
    each = [norm.pdf(y, part[0][:, 0], np.sqrt(part[1][:, 0])) for part in parts]
    np.testing.assert_allclose(model.log_predictive_density(X, y, pointwise=True), np.log(np.mean(each, axis=0)))
    assert one.log_predictive_density(X, y) == pytest.approx(norm.logpdf(y, *one.predict(X, return_std=True)).sum())
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(X), mean)
    with pytest.raises(ValueError, match="n_init"):
        MLPGradientRegressor((4,), alpha=1e-4, ensemble=True).fit(X, y)


@pytest.mark.parametrize("seed", [0, 1])
def test_evidence_ends_at_an_optimum_and_near_the_truth(seed):
    rng = np.random.default_rng(seed)
    X = rng.uniform(-2, 2, (260, 3))
    mean = np.sin(2 * X[:, 0]) + X[:, 1] * X[:, 2]
    y = mean + 0.3 * rng.standard_normal(260)
    train, new = slice(0, 130), slice(130, 260)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLPGradientRegressor((12,), alpha="evidence", random_state=seed).fit(X[train], y[train])
    default = MLPGradientRegressor((12,), alpha=1e-4, random_state=seed).fit(X[train], y[train])
    assert model.converged_
    assert model._fit.posterior.distance < 0.03
    error = np.std(model.predict(X[new]) - mean[new])
    assert error < min(0.2, np.std(default.predict(X[new]) - mean[new]))  # the noise is 0.3
    s = (model.noise_variance_ * 130 / (130 - model.effective_parameters_)) ** 0.5
    assert 0.2 < s < 0.4
    # Penalties four times as strong or as weak, trained to their own optima from there, have less evidence.
    assert _evidence_near(model, X[train], y[train], 1.0) == pytest.approx(model.log_marginal_likelihood_, abs=1e-3)
    for factor in (4.0, 0.25):
        assert _evidence_near(model, X[train], y[train], factor) < model.log_marginal_likelihood_ + 0.5


def _evidence_near(model, X, y, factor):
    """Log evidence at the optimum under penalties ``factor`` times those of a fit, in the units of y."""
    fitted = model._fit
    objective = fitted.objective(X, y[:, None])
    objective = NetworkObjective(objective.network, objective.rows, factor * np.asarray(objective.alpha), fitted.theta)
    control = Control("auto", None, 2000, 1e-9, np.random.default_rng(0))
    theta = LevenbergMarquardt(second_order=True).minimise(objective, control).theta
    here = objective.evaluate(theta)
    loss, squares, n = here.value, float(np.trace(here.cross)), len(y)
    curvature = laplace.inverted(objective.gauss_newton(theta), objective.penalty)
    noise = n * loss / (n - 1)  # that makes the evidence largest; the bias of the output has no penalty
    density = laplace.log_marginal_likelihood(curvature, objective.penalty, theta, squares, noise, n, 1, 0.0)
    return density - (n - 1) * np.log(y.std())


def test_what_the_data_do_not_determine_has_no_deviation(rng):
    x = rng.standard_normal(60)
    X, y = np.column_stack([x, x]), x + rng.standard_normal(60)
    net = MLPGradientRegressor((), alpha=0.0, curvature="full", random_state=0).fit(X, y)
    linear = MLELinearRegressor(on_rank_deficiency="min_norm").fit(X, y)
    new = [[1.0, 1.0], [5.0, -5.0]]
    np.testing.assert_allclose(net.predict(new, return_std=True)[1], linear.predict(new, return_std=True)[1], rtol=1e-8)
    assert np.isnan(net.predict(new, return_std=True)[1]).tolist() == [False, True]


def test_outputs_have_each_its_own_uncertainty(rng):
    X = rng.standard_normal((60, 2))
    noise = rng.standard_normal((60, 2)) @ [[1.0, 0.005], [0.0, 0.01]]
    Y = np.column_stack([X @ [1.0, 1.0], X @ [1.0, -1.0]]) + noise
    net = MLPGradientRegressor((), alpha=0.0, early_stopping=False, curvature="full", tol=1e-10, random_state=0).fit(
        X, Y
    )
    linear = MLELinearRegressor().fit(X, Y)
    for kind in ("mean", "observation"):
        found, exact = net.predict_interval(X, kind=kind), linear.predict_interval(X, kind=kind)
        np.testing.assert_allclose(found[1] - found[0], exact[1] - exact[0], rtol=1e-6)
    # Of a network, against Jacobians one by one.
    net = MLPGradientRegressor((3,), alpha=0.5, early_stopping=False, curvature="full", random_state=0, solver="lm")
    net.fit(X, Y)
    fitted = net._fit
    objective = fitted.objective(X, Y)
    jacobian = objective.output_jacobian(fitted.theta, slice(0, 60))
    penalty = 60 * objective.penalty
    inverse = np.linalg.inv(np.einsum("nmp,nmq->pq", jacobian, jacobian) + np.diag(penalty))
    cross = objective.evaluate(fitted.theta).cross
    gamma = (1.0 - penalty * np.diag(inverse)).sum()
    covariance = 60 * cross / (60 - gamma / 2)
    middle = np.einsum("nmp,mk,nkq->pq", jacobian, covariance, jacobian) + np.trace(covariance) / 2 * np.diag(penalty)
    variance = np.einsum("nmp,pq,nmq->nm", jacobian, inverse @ middle @ inverse, jacobian) * fitted.of_y.spread**2
    np.testing.assert_allclose(fitted.variance(X), variance, rtol=1e-7)


def test_evidence_climbs_where_the_loss_has_kinks(rng):
    X = rng.standard_normal((50, 3))
    y = X[:, 0] + 0.1 * rng.standard_normal(50)
    for dtype in ("float64", "float32"):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = MLPGradientRegressor((10,), activation="relu", alpha="evidence", dtype=dtype, random_state=0)
            model.fit(X, y)
        assert set(model.alpha_.values()) != {1.0}  # those it begins with
        assert np.std(y - model.predict(X)) < 0.15


def test_features_may_be_called_like_layers(rng):
    X = pd.DataFrame(rng.standard_normal((60, 3)), columns=["a", "layer 2", "biases of layer 1"])
    model = MLPGradientRegressor((2,), alpha="evidence", alpha_per="input", random_state=0).fit(X, np.sin(2 * X["a"]))
    assert len(model.alpha_) == 5


def test_constant_y_is_at_its_minimum(rng):
    X = rng.standard_normal((60, 2))
    model = MLPGradientRegressor((3,), alpha=1e-2, early_stopping=False, curvature="full", random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseFreeWarning)
        model.fit(X, np.full(60, 3.7))
    assert model.verdict_ != "not stationary"


@pytest.mark.parametrize("hidden", [(), (4,), (3, 2)])
@pytest.mark.parametrize("grouping", GROUPINGS)
def test_slope_of_the_evidence_is_that_of_optima_under_other_penalties(grouping, hidden):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((60, 2))
    Y = np.column_stack([np.sin(X[:, 0]) + X[:, 1], X[:, 0] * X[:, 1]]) + 0.3 * rng.standard_normal((60, 2))
    network = Network((2, *hidden, 2), find_activation("tanh"))
    units = [Units(Z.mean(axis=0), Z.std(axis=0)) for Z in (X, Y)]
    rows = StandardRows(as_rows(X, Y, None), *units, np.dtype(float))
    objective = NetworkObjective(network, rows, 0.0, network.initial(rng))

    def train(posed, steps, tol):
        return LevenbergMarquardt(second_order=True).minimise(posed, Control("auto", None, 500, 1e-12, rng))

    groups = parameter_groups(network, grouping, ["a", "b"])
    climb = _Climb(objective, train, groups, 100_000, 60.0, 0.0)
    levels = 10.0 ** rng.uniform(-1.0, 0.0, len(groups[1])) / 60.0
    place = climb._optimum(levels, objective.start, None)
    slope = climb._slope(place)
    for k, (gradient, move) in enumerate(zip(slope.gradient, slope.moves, strict=True)):
        factor = np.exp(1e-4 * (np.arange(len(levels)) == k))
        above, below = (climb._optimum(levels * f, place.theta, None) for f in (factor, 1.0 / factor))
        assert gradient == pytest.approx((above.density - below.density) / 2e-4, rel=1e-3, abs=1e-4)
        np.testing.assert_allclose(move, (above.theta - below.theta) / 2e-4, rtol=1e-3, atol=1e-5)


# -- the linear model's evidence -------------------------------------------------------------------------------------


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_linear_evidence_is_the_density_of_the_data_at_its_maximum(rng, fit_intercept):
    X = rng.standard_normal((40, 5)) * [1.0, 2.0, 0.5, 1.0, 3.0] + fit_intercept
    y = X @ [0.5, 0.0, 0.3, -0.2, 0.0] + rng.standard_normal(40) + 3.0 * fit_intercept
    model = MLELinearRegressor(alpha="evidence", fit_intercept=fit_intercept).fit(X, y)
    reference = MLELinearRegressor(alpha=model.alpha_, fit_intercept=fit_intercept).fit(X, y)
    np.testing.assert_array_equal(model.coef_, reference.coef_)
    left = np.linalg.svd(np.eye(40) - fit_intercept / 40)[0][:, : 40 - fit_intercept].T
    t, Z = left @ y, left @ X
    size = len(t)

    def log_evidence(alpha, noise):
        covariance = noise * (np.eye(size) + Z @ Z.T / alpha)
        return multivariate_normal.logpdf(t, np.zeros(size), covariance) - 0.5 * fit_intercept * np.log(40)

    noise = t @ np.linalg.solve(np.eye(size) + Z @ Z.T / model.alpha_, t) / size
    assert model.log_marginal_likelihood_ == pytest.approx(log_evidence(model.alpha_, noise), rel=1e-9)
    for alpha in model.alpha_ * np.array([0.5, 0.99, 1.01, 2.0]):
        at_best = t @ np.linalg.solve(np.eye(size) + Z @ Z.T / alpha, t) / size
        assert log_evidence(alpha, at_best) < model.log_marginal_likelihood_
    # MacKay's fixed point: ‖β‖² = γ σ²/α.
    gamma = model.effective_dof_ - fit_intercept
    assert model.coef_ @ model.coef_ == pytest.approx(gamma * noise / model.alpha_, rel=1e-5)


def test_linear_evidence_and_the_network_without_hidden_layers_agree(rng):
    X = rng.standard_normal((100, 4))
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    y = X @ [1.0, 0.4, 0.0, 0.0] + rng.standard_normal(100)
    y = (y - y.mean()) / y.std()
    linear = MLELinearRegressor(alpha="evidence").fit(X, y)
    network = MLPGradientRegressor((), alpha="evidence", alpha_per="all", random_state=0, max_iter=5000).fit(X, y)
    assert network.log_marginal_likelihood_ == pytest.approx(linear.log_marginal_likelihood_, rel=1e-7)
    np.testing.assert_allclose(network.predict(X), linear.predict(X), atol=1e-3)
    scaled = MLPGradientRegressor((), alpha="evidence", alpha_per="all", random_state=0).fit(X, 1e3 * y + 5.0)
    linear.fit(X, 1e3 * y + 5.0)
    assert scaled.log_marginal_likelihood_ == pytest.approx(linear.log_marginal_likelihood_, rel=1e-7)


def test_linear_evidence_in_extreme_units_and_without_columns(rng):
    X = rng.standard_normal((40, 3))
    y = X @ [1.0, 0.5, 0.0] + rng.standard_normal(40)
    usual = MLELinearRegressor(alpha="evidence").fit(X, y)
    for factor in (1e-120, 1e120):
        model = MLELinearRegressor(alpha="evidence").fit(factor * X, y)
        np.testing.assert_allclose(model.predict(factor * X), usual.predict(X), rtol=1e-7)
        assert model.log_marginal_likelihood_ == pytest.approx(usual.log_marginal_likelihood_, rel=1e-9)
    with pytest.raises(ValueError, match="other units"):
        MLELinearRegressor(alpha="evidence").fit(1e200 * X, y)
    with pytest.warns(ConvergenceWarning, match="No column"):
        alone = MLELinearRegressor(alpha="evidence", on_rank_deficiency="min_norm").fit(np.ones((40, 2)), y)
    squares = ((y - y.mean()) ** 2).sum()
    assert alone.log_marginal_likelihood_ == pytest.approx(
        -0.5 * 39 * (1 + np.log(2 * np.pi * squares / 39)) - 0.5 * np.log(40), rel=1e-10
    )


@pytest.mark.parametrize("weight_type", ["precision", "frequency"])
def test_linear_evidence_and_weights(rng, weight_type):
    X = rng.standard_normal((60, 3))
    Y = np.column_stack([X @ [1.0, 0.0, 0.3], X @ [0.0, 2.0, 0.1]]) + rng.standard_normal((60, 2))
    w = rng.integers(1, 4, 60).astype(float)
    model = MLELinearRegressor(alpha="evidence", weight_type=weight_type).fit(X, Y, w)
    if weight_type == "frequency":
        repeated = w.astype(int)
        other = MLELinearRegressor(alpha="evidence").fit(np.repeat(X, repeated, 0), np.repeat(Y, repeated, 0))
        assert other.alpha_ == pytest.approx(model.alpha_, rel=1e-6)
    else:
        other = MLELinearRegressor(alpha="evidence", weight_type=weight_type).fit(X, Y, 1e-200 * w)
        assert other.alpha_ == pytest.approx(1e-200 * model.alpha_, rel=1e-6)
    assert other.log_marginal_likelihood_ == pytest.approx(model.log_marginal_likelihood_, rel=1e-9)


def test_linear_evidence_of_hard_data(rng):
    X = rng.standard_normal((20, 50))  # more columns than rows
    y = X[:, 0] + 0.1 * rng.standard_normal(20)
    model = MLELinearRegressor(alpha="evidence").fit(X, y)
    assert np.isfinite(model.alpha_)
    assert model.alpha_ > 0
    no_effect, signs = np.tile([1.0, 1.0, -1.0, -1.0], 25)[:, None], np.tile([1.0, -1.0, -1.0, 1.0], 25)
    with pytest.warns(sklearn.exceptions.ConvergenceWarning, match="no effect"):
        MLELinearRegressor(alpha="evidence").fit(no_effect, signs)
    with pytest.raises(ValueError, match="alpha"):
        MLELinearRegressor(alpha="auto").fit(X, y)
    for solver in ("gd", "svd"):
        same = MLELinearRegressor(alpha="evidence", solver=solver).fit(X[:, :5], y)
        assert same.alpha_ == MLELinearRegressor(alpha="evidence").fit(X[:, :5], y).alpha_
