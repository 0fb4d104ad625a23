"""Likelihood, criteria, standard errors and intervals, against statsmodels and against definitions."""

import mpmath
import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from designs import conditioned
from exact import exact_least_squares
from scipy.stats import multivariate_normal
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor


def draw(rng, n=60, p=4, scale=1.0):
    X = rng.standard_normal((n, p)) * scale + 3.0
    return X, X @ rng.standard_normal(p) + rng.standard_normal(n) + 7.0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("refine", [False, True])
def test_against_statsmodels(refine, intercept, weighted, solver, rng):
    X, y = draw(rng)
    weights = rng.random(60) + 0.1 if weighted else np.ones(60)
    ours = MLELinearRegressor(solver=solver, fit_intercept=intercept, refine=refine)
    ours.fit(X, y, weights if weighted else None)
    theirs = sm.WLS(y, sm.add_constant(X) if intercept else X, weights=weights).fit()
    first = int(intercept)
    np.testing.assert_allclose(ours.coef_, theirs.params[first:], rtol=1e-10)
    np.testing.assert_allclose(ours.standard_errors_, theirs.bse[first:], rtol=1e-10)
    assert ours.log_likelihood_ == pytest.approx(theirs.llf, rel=1e-12)
    # statsmodels does not count the noise variance as a parameter.
    assert ours.aic_ == pytest.approx(theirs.aic + 2, rel=1e-12)
    assert ours.bic_ == pytest.approx(theirs.bic + np.log(60), rel=1e-12)
    table = ours.coefficients(confidence=0.9)
    np.testing.assert_allclose(table["t"], theirs.tvalues, rtol=1e-9)
    np.testing.assert_allclose(table["p_value"], theirs.pvalues, rtol=1e-7, atol=1e-300)
    np.testing.assert_allclose(table[["lower", "upper"]], theirs.conf_int(0.1), rtol=1e-9)
    new = rng.standard_normal((5, 4))
    frame = theirs.get_prediction(sm.add_constant(new, has_constant="add") if intercept else new).summary_frame(0.2)
    lower, upper = ours.predict_interval(new, coverage=0.8, kind="mean")
    np.testing.assert_allclose(lower, frame["mean_ci_lower"], rtol=1e-9)
    np.testing.assert_allclose(upper, frame["mean_ci_upper"], rtol=1e-9)
    lower, upper = ours.predict_interval(new, coverage=0.8)
    np.testing.assert_allclose(lower, frame["obs_ci_lower"], rtol=1e-9)
    mean, std = ours.predict(new, return_std=True)
    # 1.2970685… is the 0.9 quantile of Student's t with 55 (or 56) degrees of freedom
    quantile = (upper - mean) / std
    np.testing.assert_allclose(quantile, quantile[0])


def test_log_likelihood_of_the_training_rows_is_the_maximum(rng):
    X, y = draw(rng)
    for weights in (None, rng.random(60), np.r_[np.zeros(5), rng.random(55)]):
        for kind in ("precision", "frequency"):
            model = MLELinearRegressor(weight_type=kind).fit(X, y, weights)
            assert model.log_likelihood(X, y, weights) == pytest.approx(model.log_likelihood_, rel=1e-12)
            pointwise = model.log_likelihood(X, y, weights, pointwise=True)
            assert pointwise.shape == (60,)
            assert pointwise.sum() == pytest.approx(model.log_likelihood_, rel=1e-12)
            for change in (0.9, 1.1):
                assert _gaussian(model, X, y, weights, kind, model.noise_variance_ * change) < model.log_likelihood_


def _gaussian(model, X, y, weights, kind, variance):
    w = np.ones(len(y)) if weights is None else weights
    used = w > 0
    e, w = (y - model.predict(X))[used], w[used]
    if kind == "frequency":
        return float(np.sum(w * (-0.5 * np.log(2 * np.pi * variance) - 0.5 * e**2 / variance)))
    return float(np.sum(-0.5 * np.log(2 * np.pi * variance / w) - 0.5 * w * e**2 / variance))


def test_frequency_weights_are_repeated_rows(solver, rng):
    X, y = draw(rng)
    counts = rng.integers(0, 4, 60)
    weighted = MLELinearRegressor(solver=solver, weight_type="frequency").fit(X, y, counts)
    repeated = MLELinearRegressor(solver=solver).fit(np.repeat(X, counts, axis=0), np.repeat(y, counts))
    for name in ("coef_", "intercept_", "standard_errors_", "noise_variance_", "log_likelihood_", "aic_", "aicc_", "bic_",
                 "hessian_eigenvalues_", "condition_number_", "n_parameters_", "rank_", "loss_curve_"):  # fmt: skip
        np.testing.assert_allclose(getattr(weighted, name), getattr(repeated, name), rtol=1e-12, err_msg=name)
    np.testing.assert_allclose(weighted.predict_interval(X), repeated.predict_interval(X), rtol=1e-12)


@pytest.mark.parametrize("c", [1e-3, 7.0, 1e80, 1e-200])
def test_precision_weights_have_no_scale(c, solver, rng):
    X, y = draw(rng)
    weights = rng.random(60)
    one = MLELinearRegressor(solver=solver).fit(X, y, weights)
    other = MLELinearRegressor(solver=solver).fit(X, y, c * weights)
    for name in ("coef_", "standard_errors_", "log_likelihood_", "hessian_eigenvalues_", "condition_number_"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-11, err_msg=name)
    assert other.noise_variance_ == pytest.approx(c * one.noise_variance_, rel=1e-12)
    assert other.log_likelihood(X, y, c * weights) == pytest.approx(one.log_likelihood_, rel=1e-11)
    np.testing.assert_allclose(one.predict_interval(X, kind="mean"), other.predict_interval(X, kind="mean"), rtol=1e-11)


def test_rows_of_weight_zero_are_absent(solver, rng):
    X, y = draw(rng)
    weights = rng.random(60)
    weights[10:20] = 0
    spoiled = X.copy()
    spoiled[10:20] = np.nan
    y_spoiled = np.where(weights == 0, np.inf, y)
    used = weights > 0
    absent = MLELinearRegressor(solver=solver).fit(X[used], y[used], weights[used])
    zero = MLELinearRegressor(solver=solver).fit(spoiled, y_spoiled, weights)
    np.testing.assert_allclose(zero.coef_, absent.coef_, rtol=1e-14)
    assert zero.bic_ == pytest.approx(absent.bic_, rel=1e-14)


@pytest.mark.parametrize("weighted", [False, True])
def test_several_outputs_share_one_covariance(weighted, solver, rng):
    X, y = draw(rng)
    Y = np.column_stack([y, rng.standard_normal(60) - y / 2, rng.standard_normal(60)])
    weights = rng.random(60) if weighted else np.ones(60)
    model = MLELinearRegressor(solver=solver).fit(X, Y, weights if weighted else None)
    residuals = Y - model.predict(X)
    covariance = residuals.T @ (weights[:, None] * residuals) / 60
    np.testing.assert_allclose(model.noise_covariance_, covariance, rtol=1e-11, atol=1e-13)
    np.testing.assert_allclose(model.noise_variance_, np.diagonal(covariance), rtol=1e-11)
    truth = sum(
        multivariate_normal(np.zeros(3), covariance / w).logpdf(e) for w, e in zip(weights, residuals, strict=True)
    )
    assert model.log_likelihood_ == pytest.approx(truth, rel=1e-12)
    assert model.log_likelihood(X, Y, weights) == pytest.approx(truth, rel=1e-12)
    assert model.n_parameters_ == 3 * 5 + 6
    assert model.aic_ == pytest.approx(-2 * truth + 2 * 21)
    for k in range(3):
        single = MLELinearRegressor(solver=solver).fit(X, Y[:, k], weights if weighted else None)
        np.testing.assert_allclose(model.coef_[k], single.coef_, rtol=1e-12)
        np.testing.assert_allclose(model.standard_errors_[k], single.standard_errors_, rtol=1e-12)
        np.testing.assert_allclose(model.coefficients().loc[k], single.coefficients(), rtol=1e-9)
        for multi, one in zip(model.predict_interval(X), single.predict_interval(X), strict=True):
            np.testing.assert_allclose(multi[:, k], one, rtol=1e-11)


def test_one_column_of_y_keeps_its_shape(rng):
    X, y = draw(rng)
    model = MLELinearRegressor().fit(X, y[:, None])
    assert model.coef_.shape == (1, 4)
    assert model.intercept_.shape == (1,)
    assert model.predict(X).shape == model.predict(X, return_std=True)[1].shape == (60, 1)
    assert model.noise_covariance_.shape == (1, 1)
    assert not hasattr(model.fit(X, y), "noise_covariance_")


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("alpha", [1e-6, 1.0, 1e4])
@pytest.mark.parametrize("refine", [True, False])
def test_penalised_fit(refine, alpha, intercept, solver, rng):
    X, y = draw(rng)
    weights = rng.random(60)
    model = MLELinearRegressor(solver=solver, alpha=alpha, fit_intercept=intercept, refine=refine).fit(X, y, weights)
    ridge = Ridge(alpha=alpha, fit_intercept=intercept).fit(X, y, weights)
    np.testing.assert_allclose(model.coef_, ridge.coef_, rtol=1e-8)
    A = np.column_stack([np.ones(60), X]) if intercept else X
    gram = A.T @ (weights[:, None] * A)
    penalised = gram + alpha * np.diag(np.r_[np.zeros(int(intercept)), np.ones(4)])
    dof = np.trace(gram @ np.linalg.inv(penalised))
    assert model.effective_dof_ == pytest.approx(dof, rel=1e-9)
    e = y - model.predict(X)
    rss = np.sum(weights * e**2)
    assert model.noise_variance_ == pytest.approx(rss / 60, rel=1e-11)
    errors = np.sqrt(rss / (60 - dof) * np.diagonal(np.linalg.inv(penalised)))
    np.testing.assert_allclose(model.standard_errors_, errors[-4:], rtol=1e-8)
    np.testing.assert_allclose(model.hessian_eigenvalues_, np.linalg.eigvalsh(2 / weights.sum() * penalised), rtol=1e-9)
    assert model.loss_curve_[-1] == pytest.approx((rss + alpha * np.sum(model.coef_**2)) / weights.sum(), rel=1e-11)
    assert "p_value" not in model.coefficients()
    assert model.verdict_ == "unique minimum"


@pytest.mark.parametrize("alpha", [1e-300, 1e8, 1e16, 1e40])
def test_a_penalty_of_any_size(alpha, solver, rng):
    X, y = draw(rng)
    truth = exact_least_squares(X, y, alpha=alpha)
    for refine in (True, False):
        model = MLELinearRegressor(solver=solver, alpha=alpha, refine=refine).fit(X, y)
        np.testing.assert_allclose(model.coef_, truth.params[1:], rtol=1e-14 if refine else 1e-12)
        assert model.noise_variance_ == pytest.approx(truth.rss / 60, rel=1e-12)


def test_many_columns_and_a_penalty(solver, rng):
    X, y = rng.standard_normal((15, 40)), rng.standard_normal(15)
    model = MLELinearRegressor(solver=solver, alpha=2.0).fit(X, y)
    np.testing.assert_allclose(model.coef_, Ridge(alpha=2.0, solver="svd").fit(X, y).coef_, rtol=1e-9)
    assert model.rank_ == 41
    assert 1 < model.effective_dof_ < 15


@pytest.mark.parametrize("kappa", [10.0, 1e5, 1e7])
def test_curvature_against_many_digits(kappa, solver):
    X = conditioned(30, 4, kappa) * np.array([1e-6, 1.0, 1e3, 1e6]) + np.array([0.0, 5.0, -1e4, 1e6])
    y = np.random.default_rng(0).standard_normal(30)
    model = MLELinearRegressor(solver=solver).fit(X, y)
    with mpmath.workdps(60):
        A = mpmath.matrix(np.column_stack([np.ones(30), X]).tolist())
        truth = sorted(mpmath.eigsy(2 * A.T * A / 30, eigvals_only=True))
    np.testing.assert_allclose(model.hessian_eigenvalues_, [float(v) for v in truth], rtol=1e-7)
    assert model.condition_number_ == pytest.approx(float(truth[-1] / truth[0]), rel=1e-7)
    assert (np.diff(model.hessian_eigenvalues_) >= 0).all()


def test_aicc(rng):
    X, y = draw(rng)
    model = MLELinearRegressor().fit(X, y)
    assert model.n_parameters_ == 6
    assert model.aicc_ == pytest.approx(model.aic_ + 2 * 6 * 7 / (60 - 7))
    assert MLELinearRegressor().fit(X[:7], y[:7]).aicc_ == np.inf


def test_units_of_y_beyond_the_squares_of_float64(solver, rng):
    X, y = draw(rng)
    plain = MLELinearRegressor(solver=solver).fit(X, y)
    for power in (700, -700):
        model = MLELinearRegressor(solver=solver).fit(X, np.ldexp(y, power))
        np.testing.assert_array_equal(np.ldexp(model.coef_, -power), plain.coef_)
        assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_ - 60 * power * np.log(2), rel=1e-12)


def test_coefficient_table_reads_as_a_frame(rng):
    X, y = draw(rng)
    frame = pd.DataFrame(X, columns=["a", "b", "c", "d"])
    table = MLELinearRegressor().fit(frame, y).coefficients()
    assert list(table.index) == ["intercept", "a", "b", "c", "d"]
    assert list(table.columns) == ["estimate", "std_error", "t", "p_value", "lower", "upper"]
    assert list(MLELinearRegressor(fit_intercept=False).fit(frame, y).coefficients().index) == ["a", "b", "c", "d"]


# -- weights of new observations -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("intercept", [False, True])
def test_intervals_of_weighted_observations(intercept, rng):
    X, y = draw(rng)
    weights, new, w = rng.random(60) + 0.1, rng.standard_normal((8, 4)), rng.random(8) + 0.05
    ours = MLELinearRegressor(fit_intercept=intercept).fit(X, y, weights)
    theirs = sm.WLS(y, sm.add_constant(X) if intercept else X, weights=weights).fit()
    design = sm.add_constant(new, has_constant="add") if intercept else new
    frame = theirs.get_prediction(design, weights=w).summary_frame(0.1)
    lower, upper = ours.predict_interval(new, coverage=0.9, sample_weight=w)
    np.testing.assert_allclose(lower, frame["obs_ci_lower"], rtol=1e-9)
    np.testing.assert_allclose(upper, frame["obs_ci_upper"], rtol=1e-9)
    _, std = ours.predict(new, return_std=True, sample_weight=w)
    np.testing.assert_allclose((upper - lower) / std, (upper - lower)[0] / std[0])
    for of_mean, plain in zip(
        ours.predict_interval(new, kind="mean", sample_weight=w), ours.predict_interval(new, kind="mean"), strict=True
    ):
        np.testing.assert_array_equal(of_mean, plain)
    np.testing.assert_array_equal(ours.predict(new, sample_weight=w), ours.predict(new))
    # A number stands for all rows, and an observation of weight zero may be anywhere.
    np.testing.assert_array_equal(ours.predict_interval(new, sample_weight=1), ours.predict_interval(new))
    assert np.isposinf(ours.predict(new, return_std=True, sample_weight=np.zeros(8))[1]).all()


def test_half_width_of_noise_that_grows_with_x():
    """R: predict(lm(y ~ x, weights = 1/x^2), interval = "prediction", weights = 1/x^2) is nine times as wide at 9."""
    x = np.arange(1.0, 11.0)[:, None]
    y = 2.0 * x[:, 0] + x[:, 0] * np.array([0.1, -0.2, 0.3, -0.1, 0.2, -0.3, 0.1, 0.0, -0.2, 0.1])
    model = MLELinearRegressor().fit(x, y, x[:, 0] ** -2.0)
    _, mean_std = model.predict(x, return_std=True, sample_weight=1e300)
    _, std = model.predict(x, return_std=True, sample_weight=x[:, 0] ** -2.0)
    np.testing.assert_allclose(std**2 - mean_std**2, model.residual_variance_ * x[:, 0] ** 2, rtol=1e-9)


def test_frequencies_of_new_observations_leave_their_variance_alone(rng):
    X, y = draw(rng)
    model = MLELinearRegressor(weight_type="frequency").fit(X, y, rng.integers(1, 4, 60))
    weighted = model.predict(X, return_std=True, sample_weight=np.full(60, 3.0))
    np.testing.assert_array_equal(weighted, model.predict(X, return_std=True))


def test_weights_of_new_observations_in_several_outputs_and_extreme_weights(rng):
    X, y = draw(rng)
    Y, w = np.column_stack([y, 3.0 * rng.standard_normal(60)]), rng.random(60) + 0.1
    for unit in (1e-130, 1.0, 1e130):
        model = MLELinearRegressor().fit(X, Y, w * unit)
        _, std = model.predict(X, return_std=True, sample_weight=w * unit)
        for k in range(2):
            one = MLELinearRegressor().fit(X, Y[:, k], w)
            np.testing.assert_allclose(std[:, k], one.predict(X, return_std=True, sample_weight=w)[1], rtol=1e-9)


@pytest.mark.parametrize("bad", [[1.0, 2.0], -np.ones(60), np.full(60, np.nan)])
def test_weights_of_new_observations_are_checked(bad, rng):
    X, y = draw(rng)
    model = MLELinearRegressor().fit(X, y)
    for call in (
        lambda: model.predict(X, return_std=True, sample_weight=bad),
        lambda: model.predict(X, sample_weight=bad),
    ):
        with pytest.raises(ValueError, match="sample_weight"):
            call()


def test_pipelines_hand_weights_of_new_observations_on(rng):
    X, y = draw(rng)
    w = rng.random(60) + 0.1
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X, y)
    _, std = pipe.predict(X, return_std=True, sample_weight=w)
    np.testing.assert_allclose(std, MLELinearRegressor().fit(X, y).predict(X, return_std=True, sample_weight=w)[1])


def test_weights_of_new_observations_in_another_order_are_told(rng):
    X, y = draw(rng)
    model = MLELinearRegressor().fit(X, y)
    frame, weights = pd.DataFrame(X[:3], index=list("abc")), pd.Series([1.0, 2.0, 3.0], index=list("cba"))
    for call in (model.predict, model.predict_interval):
        with pytest.warns(UserWarning, match="sample_weight holds the labels of X's in another order"):
            call(frame, sample_weight=weights)
