"""One penalty for each output: each output is fitted as by itself, and all of them share the likelihood."""

import copy
import io
import pickle
import time

import joblib
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from scipy.stats import multivariate_normal
from sklearn.base import clone
from sklearn.linear_model import Ridge

from mle_regression import MLELinearRegressor, RankDeficiencyWarning, compare_models
from mle_regression.fit.separate import pose, solve, whole_of
from mle_regression.noise.location_scale import location_scale
from mle_regression.noise.registry import NOISES

PENALTIES = [0.0, 3.0, 40.0]


def rows(n=80, p=5, m=3, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p)) * rng.uniform(0.5, 2.0, p) + 1.0
    y = x @ rng.standard_normal((p, m)) + rng.standard_normal((n, m)) @ rng.standard_normal((m, m))
    return x, y, rng.integers(0, 4, n).astype(float)


def close(found, expected, rtol=1e-9):
    scale = np.nan_to_num(np.abs(expected)).max(initial=0.0)
    np.testing.assert_allclose(found, expected, rtol=rtol, atol=1e-3 * rtol * scale)


def assert_each_as_alone(model, x, y, weights=None, rtol=1e-9):
    """What the fit says of each output is what a fit of that output alone says."""
    new = x[:7] if sp.issparse(x) else x[:7] + 0.1
    mean, std = model.predict(new, return_std=True)
    lower, upper = model.predict_interval(new, coverage=0.8)
    table = model.coefficients(confidence=0.9)
    for k in np.unique(np.linspace(0, y.shape[1] - 1, 5, dtype=int)):
        alpha = model.alpha[k]
        alone = clone(model).set_params(alpha=float(alpha)).fit(x, y[:, k], weights)
        close(model.coef_[k], alone.coef_, rtol)
        close(np.atleast_1d(model.intercept_)[k] if model.fit_intercept else 0.0, alone.intercept_, rtol)
        for name in ("standard_errors_", "noise_variance_", "residual_variance_", "effective_dof_", "residual_dof_"):
            close(getattr(model, name)[k], getattr(alone, name), rtol)
        close(model.r2_[k], alone.r2_, rtol)
        close(model.adjusted_r2_[k], alone.adjusted_r2_, rtol)
        close(model.hessian_eigenvalues_[k], alone.hessian_eigenvalues_, 10 * rtol)
        close(model.condition_number_[k], alone.condition_number_, 10 * rtol)
        close(np.c_[mean, std][:, [k, y.shape[1] + k]], np.c_[alone.predict(new, return_std=True)], rtol)
        close(np.c_[lower[:, k], upper[:, k]], np.c_[alone.predict_interval(new, coverage=0.8)], rtol)
        own = alone.coefficients(confidence=0.9)
        close(table.loc[k][list(own.columns)].to_numpy(), own.to_numpy(), rtol)


@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("weight_type", ["precision", "frequency", None])
@pytest.mark.parametrize("sparse", [True, False])
def test_each_output_is_fitted_as_alone(fit_intercept, weight_type, sparse):
    x, y, weights = rows()
    model = MLELinearRegressor(alpha=PENALTIES, fit_intercept=fit_intercept)
    model.set_params(weight_type=weight_type or "precision")
    weights = None if weight_type is None else weights
    design = sp.csr_array(np.where(x > 1.0, x, 0.0)) if sparse else x
    assert_each_as_alone(model.fit(design, y, weights), design, y, weights)


@pytest.mark.parametrize("solver", ["normal", "qr", "svd", "lsmr", "gd", "lbfgs", "newton"])
def test_every_solver(solver):
    x, y, weights = rows()
    model = MLELinearRegressor(alpha=PENALTIES, solver=solver, tol=1e-13).fit(x, y, weights)
    assert_each_as_alone(model, x, y, weights, rtol=1e-6)
    assert model.solver_ == ("normal" if solver == "normal" else solver)


@pytest.mark.parametrize("solver", ["sgd", "adam"])
def test_solvers_by_batches(solver):
    x, y, _ = rows()
    model = MLELinearRegressor(alpha=PENALTIES, solver=solver, random_state=0, tol=1e-4).fit(x, y)
    for k, alpha in enumerate(PENALTIES):
        alone = clone(model).set_params(alpha=alpha).fit(x, y[:, k])
        close(model.coef_[k], alone.coef_, 1e-6)


@pytest.mark.parametrize(("n", "p"), [(400, 30), (40, 60), (20, 90)])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("solver", ["auto", "qr", "svd", "normal"])
def test_many_penalties_from_one_reduction(n, p, fit_intercept, solver):
    x, y, weights = rows(n, p, 41)
    model = MLELinearRegressor(alpha=np.geomspace(1.0, 1e4, 41), fit_intercept=fit_intercept, solver=solver)
    model.set_params(refine=False, on_rank_deficiency="min_norm")
    with np.errstate(all="raise"):
        if n > p:
            model.fit(x, y, weights + 1)
        else:
            with pytest.warns(UserWarning, match="noise covariance of the 41 outputs is singular"):
                model.fit(x, y, weights + 1)
    assert model.solver_reason_.startswith("one reduction")
    assert_each_as_alone(model, x, y, weights + 1, rtol=1e-8)


def test_columns_of_unlike_lengths():
    x, y, _ = rows(400, 30, 41)
    x = x * np.geomspace(1e-12, 1e12, 30)
    model = MLELinearRegressor(alpha=np.geomspace(1e-18, 1e18, 41), refine=False).fit(x, y)
    assert model.solver_reason_.startswith("one reduction")
    assert_each_as_alone(model, x, y, rtol=1e-7)


@pytest.mark.parametrize("scale_of_x", [1e-140, 1e140])
def test_extreme_units(scale_of_x):
    x, y, _ = rows(400, 30, 41)
    penalties = np.geomspace(1e-1, 1e3, 41)
    near = MLELinearRegressor(alpha=penalties, refine=False).fit(x, y)
    far = MLELinearRegressor(alpha=penalties * scale_of_x**2, refine=False).fit(x * scale_of_x, y * 1e100)
    close(far.coef_ * scale_of_x / 1e100, near.coef_, 1e-10)
    close(far.standard_errors_ * scale_of_x / 1e100, near.standard_errors_, 1e-10)
    close(far.effective_dof_, near.effective_dof_, 1e-10)


@pytest.mark.parametrize("n", [60, 12])
def test_as_ridge(n):
    x, y, weights = rows(n, 15)
    for fit_intercept in (True, False):
        peer = Ridge(alpha=np.array([0.1, 3.0, 40.0]), fit_intercept=fit_intercept, solver="svd").fit(x, y, weights + 1)
        model = MLELinearRegressor(alpha=[0.1, 3.0, 40.0], fit_intercept=fit_intercept).fit(x, y, weights + 1)
        close(model.coef_, peer.coef_, 1e-9)
        close(model.predict(x), peer.predict(x), 1e-9)


@pytest.mark.parametrize("kind", [list, tuple, np.array, pd.Series, lambda a: np.array(a, dtype=np.float32)])
def test_what_penalties_may_come_in(kind):
    x, y, _ = rows()
    model = MLELinearRegressor(alpha=kind([1.0, 2.0, 4.0])).fit(x, y)
    close(model.coef_, Ridge(alpha=np.array([1.0, 2.0, 4.0]), solver="svd").fit(x, y).coef_)


def test_equal_penalties_are_one():
    x, y, _ = rows()
    one, each = MLELinearRegressor(alpha=2.0).fit(x, y), MLELinearRegressor(alpha=[2.0, 2.0, 2.0]).fit(x, y)
    np.testing.assert_array_equal(each.coef_, one.coef_)
    np.testing.assert_array_equal(each.standard_errors_, one.standard_errors_)
    assert each.log_likelihood_ == one.log_likelihood_
    assert each.effective_dof_ == one.effective_dof_
    single = MLELinearRegressor(alpha=[2.0]).fit(x, y[:, 0])
    assert single.coef_.shape == (5,)
    close(single.coef_, one.coef_[0])


@pytest.mark.parametrize(
    ("alpha", "said"),
    [
        (
            [1.0, 2.0],
            r"alpha=\[1. 2.\] has 2 penalties, and y has 3 outputs: give one number for all, or one for each output",
        ),
        ([1.0, -2.0, 3.0], r"alpha\[1\]=-2.0 must be a finite number"),
        ([1.0, np.nan, 3.0], r"alpha\[1\]=nan must be a finite number"),
        ([1.0, np.inf, 3.0], r"alpha\[1\]=inf"),
        ([1.0, "2", 3.0], "must be a number, zero or more, or one such for each output"),
        ([True, False, True], "must be a number, zero or more, or one such for each output"),
        ([], "must be a number, zero or more, or one such for each output"),
        (np.ones((3, 1)), r"of shape \(n_outputs,\)"),
        ("ridge", "alpha='ridge'"),
    ],
)
def test_bad_penalties(alpha, said):
    x, y, _ = rows()
    with pytest.raises(ValueError, match=said):
        MLELinearRegressor(alpha=alpha).fit(x, y)
    with pytest.raises(ValueError, match=said):
        MLELinearRegressor(alpha=alpha).partial_fit(x, y)


def test_one_output_takes_one_penalty():
    x, y, _ = rows()
    with pytest.raises(ValueError, match="has 2 penalties, and y has one output"):
        MLELinearRegressor(alpha=[1.0, 2.0]).fit(x, y[:, 0])


def test_the_likelihood_is_that_of_all_outputs():
    x, y, _ = rows()
    model = MLELinearRegressor(alpha=PENALTIES).fit(x, y)
    left = y - model.predict(x)
    covariance = left.T @ left / len(y)
    close(model.noise_covariance_, covariance)
    expected = multivariate_normal(np.zeros(3), covariance).logpdf(left).sum()
    close(model.log_likelihood_, expected)
    close(model.log_likelihood(x, y), expected)
    close(model.n_parameters_, model.effective_dof_.sum() + 6)
    close(model.aic_, -2 * expected + 2 * model.n_parameters_)


def test_effective_parameters():
    x, y, _ = rows()
    model = MLELinearRegressor(alpha=PENALTIES).fit(x, y)
    squares = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    close(model.effective_dof_, [1.0 + (squares / (squares + alpha)).sum() for alpha in PENALTIES])


@pytest.mark.parametrize("refine", ["auto", False])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_partial_fit_and_merge(refine, fit_intercept):
    x, y, weights = rows(200)
    model = MLELinearRegressor(alpha=PENALTIES, refine=refine, fit_intercept=fit_intercept)
    whole = clone(model).fit(x, y, weights)
    parts = clone(model).partial_fit(x[:50], y[:50], weights[:50]).partial_fit(x[50:], y[50:], weights[50:])
    other = clone(model).partial_fit(x[50:], y[50:], weights[50:])
    merged = clone(model).partial_fit(x[:50], y[:50], weights[:50]).merge(other)
    on = clone(model).fit(x[:50], y[:50], weights[:50]).partial_fit(x[50:], y[50:], weights[50:])
    for found in (parts, merged, on):
        close(found.coef_, whole.coef_, 1e-10)
        close(found.standard_errors_, whole.standard_errors_, 1e-9)
        close(found.noise_covariance_, whole.noise_covariance_, 1e-9)
        close(found.log_likelihood_, whole.log_likelihood_, 1e-9)
    changed = clone(model).partial_fit(x[:50], y[:50], weights[:50]).set_params(alpha=[5.0, 1.0, 0.0])
    changed.partial_fit(x[50:], y[50:], weights[50:])
    close(changed.coef_, clone(model).set_params(alpha=[5.0, 1.0, 0.0]).fit(x, y, weights).coef_, 1e-9)


def test_partial_fit_by_batches():
    x, y, _ = rows(200)
    model = MLELinearRegressor(alpha=PENALTIES, solver="sgd", random_state=0).partial_fit(x, y).partial_fit(x, y)
    for k, alpha in enumerate(PENALTIES):
        alone = clone(model).set_params(alpha=alpha).partial_fit(x, y[:, k]).partial_fit(x, y[:, k])
        close(model.coef_[k], alone.coef_, 1e-9)


def test_no_merging_of_other_penalties():
    x, y, _ = rows()
    one, other = (MLELinearRegressor(alpha=alpha).partial_fit(x, y) for alpha in (PENALTIES, [1.0, 2.0, 3.0]))
    with pytest.raises(ValueError, match="alpha is"):
        one.merge(other)


@pytest.mark.parametrize("solver", ["auto", "lbfgs"])
def test_other_noise(monkeypatch, solver):
    logistic = location_scale("logistic", "logistic noise", lambda e: -np.abs(e) - 2.0 * np.log1p(np.exp(-np.abs(e))))
    monkeypatch.setitem(NOISES, "logistic", logistic)
    x, y, weights = rows()
    model = MLELinearRegressor(alpha=PENALTIES, noise="logistic", solver=solver).fit(x, y, weights)
    total = 0.0
    for k, alpha in enumerate(PENALTIES):
        alone = clone(model).set_params(alpha=alpha).fit(x, y[:, k], weights)
        close(model.coef_[k], alone.coef_, 1e-8)
        close(model.standard_errors_[k], alone.standard_errors_, 1e-8)
        close(np.c_[model.predict_interval(x)][:, [k, 3 + k]], np.c_[alone.predict_interval(x)], 1e-8)
        total += alone.log_likelihood_
    close(model.log_likelihood_, total)


def test_dependent_columns_of_the_output_without_penalty():
    x, y, _ = rows()
    x = np.c_[x, x[:, 0] + x[:, 1]]
    with pytest.warns(RankDeficiencyWarning, match="x5"):
        model = MLELinearRegressor(alpha=PENALTIES).fit(x, y)
    assert (model.rank_, model.verdict_) == (6, "flat minimum")
    assert np.isnan(model.standard_errors_[0]).any()
    assert np.isfinite(model.standard_errors_[1:]).all()
    with pytest.raises(np.linalg.LinAlgError, match="x5"):
        MLELinearRegressor(alpha=PENALTIES, on_rank_deficiency="raise").fit(x, y)


def test_an_output_that_does_not_vary():
    x, y, _ = rows()
    y[:, 1] = 2.8
    with pytest.warns(UserWarning, match=r"y\[:, 1\] does not vary"):
        model = MLELinearRegressor(alpha=PENALTIES).fit(x, y)
    np.testing.assert_array_equal(model.coef_[1], 0.0)
    assert model.intercept_[1] == 2.8


def test_a_solver_that_has_not_arrived():
    x, y, _ = rows()
    with pytest.warns(UserWarning, match="has not converged in 1 iterations"):
        model = MLELinearRegressor(alpha=PENALTIES, solver="gd", max_iter=1).fit(x, y)
    assert not model.converged_
    assert model.verdict_ == "not stationary"
    later = model.set_params(warm_start=True, max_iter=5000, alpha=[1.0, 3.0, 40.0]).fit(x, y)
    close(later.coef_, Ridge(alpha=np.array([1.0, 3.0, 40.0])).fit(x, y).coef_, 1e-5)
    assert np.diff(later.loss_curve_).max() <= 1e-9


def test_diagnosis():
    x, y, weights = rows()
    x = pd.DataFrame(x, columns=list("abcde"), index=np.arange(80) + 100)
    y = pd.DataFrame(y, columns=["u", "v", "w"], index=x.index)
    model = MLELinearRegressor(alpha=PENALTIES).fit(x, y, weights + 1)
    seen = model.diagnose(x, y, weights + 1)
    assert seen.data == "the rows of the fit"
    for k, (name, alpha) in enumerate(zip(y, PENALTIES, strict=True)):
        alone = MLELinearRegressor(alpha=alpha).fit(x, y[name], weights + 1).diagnose(x, y[name], weights + 1)
        close(seen.rows().loc[name], alone.rows(), 1e-8)
        close(seen.dfbetas().loc[name], alone.dfbetas(), 1e-8)
        close(seen.press[k], alone.press)
        close(seen.predicted_r2[k], alone.predicted_r2)
        close(seen.covariance("HC3").loc[name], alone.covariance("HC3"), 1e-8)
        own = alone.coefficients("HC3")
        close(seen.coefficients("HC3").loc[name][list(own.columns)], own, 1e-8)
        close(seen.curvature()[name].eigenvalues, alone.curvature().eigenvalues, 1e-8)
        left, right = seen.tests().loc[name], alone.tests()
        close(left["statistic"].dropna(), right["statistic"].dropna(), 1e-7)
    close(seen.collinearity().vif.to_numpy(dtype=float), alone.collinearity().vif.to_numpy(dtype=float), 1e-8)
    assert "alpha=0, 3, 40" in str(seen)
    assert model.diagnose(x[:50], y[:50]).data == "new rows"
    with pytest.raises(ValueError, match="no null distribution"):
        seen.test_linear("a = 0")


def test_reports():
    x, y, _ = rows()
    model = MLELinearRegressor(alpha=PENALTIES).fit(x, y)
    said = model.summary().to_text(100)
    for word in ("alpha=0, 3, 40", "effective parameters", "condition numbers", "unique minimum"):
        assert word in said
    close(model.fisher_information().loc[1], MLELinearRegressor(alpha=3.0).fit(x, y[:, 1]).fisher_information())
    close(
        model.coefficient_covariance().loc[2],
        MLELinearRegressor(alpha=40.0).fit(x, y[:, 2]).coefficient_covariance(),
    )
    for refused in (model.f_test, lambda: model.test_linear("x0 = 0")):
        with pytest.raises(ValueError, match="no null distribution"):
            refused()
    assert np.isfinite(compare_models({"each": model}, x, y)["log_likelihood"]).all()


@pytest.mark.parametrize("penalties", [PENALTIES, np.geomspace(1e-2, 1e4, 41)])
def test_storage(penalties):
    x, y, _ = rows(400, 30, len(penalties))
    model = MLELinearRegressor(alpha=penalties, refine=False).fit(x, y)
    mean, std = model.predict(x, return_std=True)
    stored = io.BytesIO()
    joblib.dump(model, stored)
    size = stored.tell()
    stored.seek(0)
    for found in (pickle.loads(pickle.dumps(model)), joblib.load(stored), copy.deepcopy(model)):
        np.testing.assert_array_equal(found.predict(x, return_std=True), (mean, std))
        assert found.summary().to_text(100) == model.summary().to_text(100)
    # The directions are kept once, and not with each output.
    assert size < 400_000


def test_two_hundred_penalties_cost_no_two_hundred_fits():
    x, y, _ = rows(20_000, 40, 200)
    penalties = np.geomspace(1e-2, 1e4, 200)

    def seconds(alpha):
        begun = time.process_time()
        MLELinearRegressor(alpha=alpha).fit(x, y)
        return time.process_time() - begun

    assert min(seconds(penalties) for _ in range(3)) < 10 * min(seconds(1.0) for _ in range(3))


def test_a_problem_is_parted_by_penalty():
    from mle_regression.estimator.linear_options import linear_options
    from mle_regression.validation import checks

    x, y, _ = rows(80, 5, 4)
    model = MLELinearRegressor(alpha=[3.0, 1.0, 3.0, 1.0])
    options = linear_options(model)
    problem = pose(checks.training_data(model, x, y, None), options, options.alpha)
    assert [part.squares.alpha for part in problem.parts] == [1.0, 3.0]
    assert [which.tolist() for which in problem.places] == [[1, 3], [0, 2]]
    assert whole_of(problem).squares.rows.shape == (80, 5, 4)
    solution = solve(problem, options, np.random.default_rng)
    assert solution.whole.coef.shape == (5, 4)


def test_callbacks_and_verbose(capsys):
    x, y, _ = rows()
    MLELinearRegressor(alpha=PENALTIES, solver="gd", verbose=True).fit(x, y)
    assert capsys.readouterr().out.count("gd      1:") == 3
