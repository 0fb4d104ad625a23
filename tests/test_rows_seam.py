"""A home of rows is one file and one line: whatever is asked of the rows of a fit is asked of it by pickled functions."""

from functools import partial

import numpy as np
import pytest
from pickled_rows import PickledColumns, pickled_rows, sech_density
from sklearn.exceptions import ConvergenceWarning

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.noise.location_scale import location_scale
from mle_regression.noise.registry import NOISES
from mle_regression.rows.registry import ROWS
from mle_regression.warnings import InferenceWarning

EDGES = [1, 40, 40, 41, 200, 333]  # a block of one row, an empty one, uneven ones


@pytest.fixture(params=["here", "elsewhere"])
def elsewhere(request):
    """Whether functions of blocks run in another process, or cross a pickle only."""
    return request.param == "elsewhere"


@pytest.fixture(autouse=True)
def registered(monkeypatch, elsewhere):
    """The line that registers the home."""
    line = (lambda x: isinstance(x, PickledColumns)), partial(pickled_rows, elsewhere=elsewhere)
    monkeypatch.setitem(ROWS, "pickled", line)


def problem(rng, outputs=1, weighted=False, n=400, p=5):
    X = rng.standard_normal((n, p)) * [1.0, 10.0, 0.1, 1.0, 3.0] + [0.0, 2.0, 5.0, 1.0, 0.0]
    y = X @ rng.standard_normal((p, outputs)) + rng.standard_normal((n, outputs)) + 3.0
    weights = rng.uniform(0.5, 2.0, n) if weighted else None
    if weights is not None:
        weights[::7] = 0.0
    return X, y[:, 0] if outputs == 1 else y, weights


def assert_same(fit, truth, rtol=1e-9):
    np.testing.assert_allclose(fit.coef_, truth.coef_, rtol=rtol)
    np.testing.assert_allclose(fit.intercept_, truth.intercept_, rtol=rtol)
    np.testing.assert_allclose(fit.standard_errors_, truth.standard_errors_, rtol=rtol)
    np.testing.assert_allclose(fit.log_likelihood_, truth.log_likelihood_, rtol=rtol)
    np.testing.assert_allclose(fit.noise_variance_, truth.noise_variance_, rtol=rtol)
    assert fit.verdict_ == truth.verdict_
    assert fit.solver_ == truth.solver_


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("refine", [False, True])
def test_fit_and_predictions(refine, outputs, weighted, rng):
    X, y, w = problem(rng, outputs, weighted)
    stored = PickledColumns.of(X, EDGES)
    truth, fit = (MLELinearRegressor(refine=refine).fit(rows, y, w) for rows in (X, stored))
    assert_same(fit, truth)
    new = PickledColumns.of(X[:30], [10, 11])
    for found, expected in zip(fit.predict(new, return_std=True), truth.predict(X[:30], return_std=True), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    for found, expected in zip(fit.predict_interval(new), truth.predict_interval(X[:30]), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)
    assert fit.score(stored, y, w) == pytest.approx(truth.score(X, y, w), rel=1e-9)
    assert fit.log_likelihood(stored, y, w) == pytest.approx(truth.log_likelihood(X, y, w), rel=1e-9)


@pytest.mark.parametrize("solver", ["normal", "qr", "svd", "lsmr", "gd", "lbfgs", "newton"])
@pytest.mark.parametrize("far", [False, True])
def test_each_solver(solver, far, rng):
    X, y, w = problem(rng, weighted=True)
    X[:, 2] += 1e6 * far
    stored = PickledColumns.of(X, EDGES)
    truth, fit = (MLELinearRegressor(solver=solver).fit(rows, y, w) for rows in (X, stored))
    assert_same(fit, truth, rtol=1e-6 if far else 1e-8)


@pytest.mark.parametrize("far", [False, True])
def test_batches(far, rng):
    X, y, w = problem(rng, weighted=True)
    X[:, 2] += 1e6 * far
    options = {"solver": "sgd", "random_state": 0, "tol": 1e-2, "batch_size": 20}
    stored = PickledColumns.of(X, EDGES)
    truth, fit = (MLELinearRegressor(**options).fit(rows, y, w) for rows in (X, stored))
    np.testing.assert_allclose(fit.coef_, truth.coef_, rtol=1e-6)


def test_penalty_chosen_by_evidence(rng):
    X, y, _ = problem(rng)
    truth, fit = (MLELinearRegressor(alpha="evidence").fit(rows, y) for rows in (X, PickledColumns.of(X, EDGES)))
    # The evidence is flat at its maximum: rounding moves it by the root of its own size.
    assert fit.alpha_ == pytest.approx(truth.alpha_, rel=1e-5)
    assert_same(fit, truth, rtol=1e-7)


def test_dependent_columns(rng):
    X, y, _ = problem(rng)
    X[:, 4] = X[:, 0] - 2.0 * X[:, 1]
    options = {"on_rank_deficiency": "min_norm"}
    truth, fit = (MLELinearRegressor(**options).fit(rows, y) for rows in (X, PickledColumns.of(X, EDGES)))
    assert fit.rank_ == truth.rank_ == 5
    np.testing.assert_allclose(fit.coef_, truth.coef_, rtol=1e-9)


@pytest.mark.parametrize("refine", [False, True])
def test_rows_given_in_parts(refine, rng):
    X, y, w = problem(rng, weighted=True)
    stored = PickledColumns.of(X, EDGES)
    truth, fit = (
        MLELinearRegressor(refine=refine).partial_fit(rows, y, w).partial_fit(rows, 2.0 * y, w) for rows in (X, stored)
    )
    assert_same(fit, truth)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("new", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
def test_values_of_rows(alpha, new, outputs, weighted, rng):
    X, y, w = problem(rng, outputs, weighted)
    stored = PickledColumns.of(X, EDGES)
    model = MLELinearRegressor(alpha=alpha).fit(X, y, w)
    y = y + 0.1 * new * rng.standard_normal(y.shape)
    expected, found = model.diagnose(X, y, w).rows(), model.diagnose(stored, y, w).rows()
    np.testing.assert_allclose(found.to_numpy(), expected.to_numpy(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
def test_robust_covariances(outputs, weighted, rng):
    X, y, w = problem(rng, outputs, weighted)
    model = MLELinearRegressor().fit(X, y, w)
    truth, found = model.diagnose(X, y, w), model.diagnose(PickledColumns.of(X, EDGES), y, w)
    groups = rng.integers(0, 40, len(y))
    kinds = ["HC0", "HC3", {"cluster": groups}, {"cluster": groups, "kind": "CR2"}, {"HAC": 3}, {"HAC": "auto"}]
    for kind in kinds:
        expected = truth.coefficients(cov=kind).drop(columns="p_value", errors="ignore")
        table = found.coefficients(cov=kind).drop(columns="p_value", errors="ignore")
        numbers = expected.select_dtypes("number").columns
        np.testing.assert_allclose(table[numbers].to_numpy(), expected[numbers].to_numpy(), rtol=1e-7)


def test_a_row_of_leverage_one(rng):
    X, y, _ = problem(rng)
    X[:, 4] = 0.0
    X[50, 4] = 1.0
    model = MLELinearRegressor().fit(X, y)
    truth, found = model.diagnose(X, y), model.diagnose(PickledColumns.of(X, EDGES), y)
    with pytest.warns(InferenceWarning, match="Row 50 has leverage one"):
        expected, table = truth.coefficients(cov="HC3"), found.coefficients(cov="HC3")
    np.testing.assert_allclose(table["std_error"], expected["std_error"], rtol=1e-7)
    assert np.isnan(table["std_error"].iloc[-1])


def test_changes_of_the_coefficients(rng):
    X, y, _ = problem(rng)
    model = MLELinearRegressor().fit(X, y)
    truth, found = model.diagnose(X, y), model.diagnose(PickledColumns.of(X, EDGES), y)
    np.testing.assert_allclose(found.dfbetas().to_numpy(), truth.dfbetas().to_numpy(), rtol=1e-7, atol=1e-10)


def test_what_is_not_finite_is_named(rng):
    X, y, _ = problem(rng)
    X[60, 3] = np.nan
    with pytest.raises(ValueError, match="column 3 of X"):
        MLELinearRegressor().fit(PickledColumns.of(X, EDGES), y)
    model = MLELinearRegressor().fit(np.nan_to_num(X), y)
    with pytest.raises(ValueError, match="column 3 of X"):
        model.predict(PickledColumns.of(X, EDGES))


def test_other_columns_are_refused(rng):
    X, y, _ = problem(rng)
    model = MLELinearRegressor().fit(X, y)
    with pytest.raises(ValueError, match="4 features"):
        model.predict(PickledColumns.of(X[:, :4], EDGES))


# -- networks ----------------------------------------------------------------------------------------------------------


def curved(rng, outputs, weighted, n=400):
    X, _, w = problem(rng, weighted=weighted, n=n)
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    y = np.tanh(Z @ rng.standard_normal((5, outputs))) + 0.1 * rng.standard_normal((n, outputs))
    return X, y[:, 0] if outputs == 1 else y, w


def assert_same_network(fit, truth, X, new, rtol):
    np.testing.assert_allclose(fit.predict(new), truth.predict(X), rtol=rtol, atol=rtol)
    np.testing.assert_allclose(fit.log_likelihood_, truth.log_likelihood_, rtol=rtol, atol=rtol)
    np.testing.assert_allclose(fit.loss_curve_[:5], truth.loss_curve_[:5], rtol=1e-8)
    assert fit.solver_ == truth.solver_


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("outputs", [1, 2])
@pytest.mark.parametrize("solver", ["lm", "lbfgs", "newton"])
def test_networks_by_sums_over_all_rows(solver, outputs, weighted, rng):
    X, y, w = curved(rng, outputs, weighted)
    stored = PickledColumns.of(X, EDGES)
    tol, rtol = (1e-5, 1e-3) if solver == "lbfgs" else (1e-8, 1e-6)  # how near to the minimum a solver ends
    options = {"solver": solver, "alpha": 1.0, "max_iter": 500, "tol": tol, "early_stopping": False, "random_state": 0}
    truth, fit = (MLPGradientRegressor((4,), **options).fit(rows, y, w) for rows in (X, stored))
    assert_same_network(fit, truth, X, stored, rtol)
    found, expected = fit.predict(stored, return_std=True)[1], truth.predict(X, return_std=True)[1]
    np.testing.assert_allclose(found, expected, rtol=1e-3)
    assert fit.score(stored, y, w) == pytest.approx(truth.score(X, y, w), rel=1e-4)


@pytest.mark.parametrize("weighted", [False, True])
def test_networks_by_batches(weighted, rng):
    X, y, w = curved(rng, 1, weighted)
    stored = PickledColumns.of(X, EDGES)
    options = {"solver": "adam", "alpha": 1.0, "batch_size": 20, "max_iter": 300, "early_stopping": False}
    with pytest.warns(ConvergenceWarning):
        truth, fit = (MLPGradientRegressor((4,), **options, random_state=0).fit(rows, y, w) for rows in (X, stored))
    # Batches are drawn in another order: the same minimum, to the noise of the last steps.
    assert fit.loss_curve_[-1] == pytest.approx(truth.loss_curve_[-1], rel=0.05)
    assert fit.score(stored, y, w) == pytest.approx(truth.score(X, y, w), abs=0.02)


def test_batches_of_all_rows_are_those_of_the_dense_home(rng):
    X, y, _ = curved(rng, 1, False)
    stored = PickledColumns.of(X, EDGES)
    options = {"solver": "adam", "batch_size": 400, "max_iter": 50, "early_stopping": False, "random_state": 0}
    with pytest.warns(ConvergenceWarning):
        truth, fit = (MLPGradientRegressor((4,), **options).fit(rows, y) for rows in (X, stored))
    assert_same_network(fit, truth, X, stored, 1e-8)


def test_rows_held_out_and_curvature(rng):
    X, y, w = curved(rng, 1, True)
    stored = PickledColumns.of(X, EDGES)
    options = {"solver": "lm", "alpha": 1.0, "early_stopping": True, "max_iter": 500, "random_state": 0}
    truth, fit = (MLPGradientRegressor((3,), **options).fit(rows, y, w) for rows in (X, stored))
    np.testing.assert_allclose(fit.validation_curve_, truth.validation_curve_, rtol=1e-6)
    options |= {"early_stopping": False, "curvature": "full"}
    truth, fit = (MLPGradientRegressor((3,), **options).fit(rows, y, w) for rows in (X, stored))
    assert fit.verdict_ == truth.verdict_
    new, few = PickledColumns.of(X[:20], [3]), X[:20]
    np.testing.assert_allclose(fit.predict(new, return_std=True)[1], truth.predict(few, return_std=True)[1], rtol=1e-4)


def test_a_network_given_rows_in_parts(rng):
    X, y, _ = curved(rng, 1, False)
    stored = PickledColumns.of(X, EDGES)
    options = {"solver": "adam", "batch_size": 400, "random_state": 0}
    truth, fit = (MLPGradientRegressor((4,), **options).partial_fit(rows, y) for rows in (X, stored))
    np.testing.assert_allclose(fit.predict(stored), truth.predict(X), rtol=1e-6)


def test_what_needs_the_rows_in_memory_says_so(rng):
    X, y, _ = problem(rng)
    stored = PickledColumns.of(X, EDGES)
    found = MLELinearRegressor().fit(stored, y).diagnose(stored, y)
    for ask in (found.tests, found.report):
        with pytest.raises(ValueError, match=r"array or a sparse matrix in memory.*rows\(\)"):
            ask()
    assert found.collinearity()
    assert found.curvature().verdict == "unique minimum"


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("new", [False, True])
def test_collinearity_and_curvature(new, alpha, rng):
    X, y, w = problem(rng, weighted=True)
    model = MLELinearRegressor(alpha=alpha).fit(X, y, w)
    X = X + 0.1 * new * rng.standard_normal(X.shape)
    truth, found = model.diagnose(X, y, w), model.diagnose(PickledColumns.of(X, EDGES), y, w)
    np.testing.assert_allclose(found.collinearity().vif, truth.collinearity().vif, rtol=1e-9)
    np.testing.assert_allclose(found.curvature().eigenvalues, truth.curvature().eigenvalues, rtol=1e-9)


# -- noise by its density ----------------------------------------------------------------------------------------------


SECH = location_scale("sech", "sech noise", sech_density)


@pytest.mark.parametrize("weight_type", [None, "precision", "frequency"])
@pytest.mark.parametrize("solver", ["lbfgs", "newton"])
def test_networks_under_noise_of_a_density(solver, weight_type, rng, monkeypatch):
    monkeypatch.setitem(NOISES, "sech", SECH)
    X, y, w = curved(rng, 2, weight_type is not None)
    stored = PickledColumns.of(X, EDGES)
    options = {"noise": "sech", "solver": solver, "alpha": 1.0, "max_iter": 500, "early_stopping": False}
    options |= {"weight_type": weight_type or "precision", "random_state": 0}
    truth, fit = (MLPGradientRegressor((3,), **options).fit(rows, y, w) for rows in (X, stored))
    assert_same_network(fit, truth, X, stored, 1e-3 if solver == "lbfgs" else 1e-6)
    assert fit.log_likelihood(stored, y, w) == pytest.approx(fit.log_likelihood(X, y, w), rel=1e-9)
    for found, expected in zip(fit.predict_interval(stored), fit.predict_interval(X), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


def test_batches_and_curvature_under_noise_of_a_density(rng, monkeypatch):
    monkeypatch.setitem(NOISES, "sech", SECH)
    X, y, _ = curved(rng, 1, False)
    stored = PickledColumns.of(X, EDGES)
    options = {"noise": "sech", "solver": "adam", "batch_size": 400, "max_iter": 50, "random_state": 0}
    with pytest.warns(ConvergenceWarning):
        truth, fit = (MLPGradientRegressor((3,), early_stopping=False, **options).fit(rows, y) for rows in (X, stored))
    assert_same_network(fit, truth, X, stored, 1e-8)


def test_noise_that_cannot_be_sent_to_the_rows_is_refused(rng, monkeypatch):
    monkeypatch.setitem(NOISES, "sech", location_scale("sech", "sech noise", lambda e: sech_density(e)))
    X, y, _ = problem(rng)
    stored = PickledColumns.of(X, EDGES)
    for model in (
        MLELinearRegressor(noise="sech"),
        MLPGradientRegressor((3,), alpha=1e-4, noise="sech", random_state=0),
    ):
        with pytest.raises(ValueError, match="log_density of noise='sech' cannot be pickled .* at the top of a module"):
            model.fit(stored, y)


@pytest.mark.parametrize("alpha", [0.0, 2.0])
@pytest.mark.parametrize("weight_type", [None, "precision", "frequency"])
@pytest.mark.parametrize("solver", ["auto", "lbfgs", "newton"])
def test_linear_models_under_noise_of_a_density(solver, weight_type, alpha, rng, monkeypatch):
    monkeypatch.setitem(NOISES, "sech", SECH)
    X, y, w = problem(rng, 2, weight_type is not None)
    stored = PickledColumns.of(X, EDGES)
    options = {"noise": "sech", "solver": solver, "alpha": alpha, "weight_type": weight_type or "precision"}
    truth, fit = (MLELinearRegressor(**options).fit(rows, y, w) for rows in (X, stored))
    assert_same(fit, truth, rtol=1e-6)
    assert fit.log_likelihood(stored, y, w) == pytest.approx(fit.log_likelihood(X, y, w), rel=1e-9)
    for found, expected in zip(fit.predict_interval(stored), fit.predict_interval(X), strict=True):
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_batches_of_a_linear_model_under_noise_of_a_density(rng, monkeypatch):
    monkeypatch.setitem(NOISES, "sech", SECH)
    X, y, _ = problem(rng)
    stored = PickledColumns.of(X, EDGES)
    options = {"noise": "sech", "solver": "adam", "batch_size": 400, "max_iter": 50, "random_state": 0}
    with pytest.warns(ConvergenceWarning):
        truth, fit = (MLELinearRegressor(**options).fit(rows, y) for rows in (X, stored))
    np.testing.assert_allclose(fit.coef_, truth.coef_, rtol=1e-8)
