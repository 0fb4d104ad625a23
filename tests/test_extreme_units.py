"""Columns, outputs and weights in units far from one: what changes with the units, and nothing else."""

import numpy as np
import pytest
from sklearn.metrics import r2_score

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.diagnostics.curvature import graded_singular_values

SCALES = [(1e-160, 1e160), (1e-200, 1.0), (1.0, 1e200), (1e-300, 1e300), (1e-150, 1e150)]


@pytest.mark.parametrize("scales", SCALES, ids=str)
@pytest.mark.parametrize("refine", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_curvature(scales, refine, intercept, rng):
    """Units this far apart decouple: each eigenvalue is that of its column, given the larger ones."""
    X, y = rng.standard_normal((30, 2)), rng.standard_normal(30)
    model = MLELinearRegressor(fit_intercept=intercept, refine=refine).fit(X * scales, y)
    assert model.condition_number_ == np.inf
    columns = np.c_[X, np.ones(30)] if intercept else X
    size = np.r_[scales, 1.0] if intercept else np.array(scales)
    order = np.argsort(size, kind="stable")
    if len(set(size)) == len(size):
        rest = np.abs(np.diagonal(np.linalg.qr(columns[:, order[::-1]], mode="r")))[::-1]
        with np.errstate(over="ignore", under="ignore"):
            truth = 2 / 30 * (rest * size[order]) ** 2
        np.testing.assert_allclose(model.hessian_eigenvalues_, truth, rtol=1e-9, atol=1e-322)
    text = str(model.summary())
    assert "inf iterations" in text
    assert "nan" not in text
    report = model.diagnose(X * scales, y).curvature()
    assert report.rate == 1.0
    assert report.condition_number == np.inf
    assert report.scaled_condition_number < 10.0


def test_one_step_is_one_iteration():
    """A single eigenvalue needs one."""
    x = np.arange(4.0)[:, None]
    text = str(MLELinearRegressor(fit_intercept=False).fit(x, x[:, 0] ** 2).summary())
    assert "1 iteration to 1e-6" in text


def test_singular_values_of_columns_in_groups(rng):
    """Against the values of each group by itself, in exact powers of two."""
    a, b = np.linalg.qr(rng.standard_normal((12, 6)))[0][:, :6].reshape(12, 2, 3).transpose(1, 0, 2)
    a, b = a @ rng.standard_normal((3, 3)), b @ rng.standard_normal((3, 3))
    together = graded_singular_values(np.hstack([a, np.ldexp(b, -900)]))
    apart = np.r_[np.linalg.svd(a, compute_uv=False), np.ldexp(np.linalg.svd(b, compute_uv=False), -900)]
    np.testing.assert_allclose(together, apart, rtol=1e-13)


POWERS = [-990, -530, -66, 66, 530, 990]


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize(
    "options", [{}, {"refine": False}, {"alpha": 1.0}, {"refine": False, "alpha": 1.0}, {"alpha": "evidence"}], ids=str
)
def test_outputs(options, power, rng):
    """All that a fit tells of y times a power of two, each report among them, is that of y in other units."""
    X = rng.standard_normal((60, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(60)
    plain, model = (MLELinearRegressor(**options).fit(X, target) for target in (y, np.ldexp(y, power)))
    np.testing.assert_allclose(np.ldexp(model.coef_, -power), plain.coef_, rtol=1e-12)
    np.testing.assert_allclose(np.ldexp(model.standard_errors_, -power), plain.standard_errors_, rtol=1e-12)
    shift = 60 * power * np.log(2.0)
    for value in (model.log_likelihood_, model.log_likelihood(X, np.ldexp(y, power))):
        assert value == pytest.approx(plain.log_likelihood_ - shift, abs=1e-8)
    assert model.r2_ == pytest.approx(plain.r2_, rel=1e-12)
    lower, upper = model.predict_interval(X)
    np.testing.assert_allclose(
        np.ldexp(upper - lower, -power), np.subtract(*plain.predict_interval(X)[::-1]), rtol=1e-10
    )
    assert str(model.summary())
    assert str(model.diagnose(X, np.ldexp(y, power)).report())


@pytest.mark.parametrize("power", POWERS)
@pytest.mark.parametrize("refine", [False, True])
def test_columns(refine, power, rng):
    X = rng.standard_normal((60, 3))
    y = X @ [1.0, 2.0, 3.0] + rng.standard_normal(60)
    plain = MLELinearRegressor(refine=refine).fit(X, y)
    model = MLELinearRegressor(refine=refine).fit(np.ldexp(X, power), y)
    np.testing.assert_allclose(np.ldexp(model.coef_, power), plain.coef_, rtol=1e-13)
    assert model.log_likelihood_ == pytest.approx(plain.log_likelihood_, rel=1e-12)
    assert str(model.summary())
    assert str(model.diagnose(np.ldexp(X, power), y).report())


@pytest.mark.parametrize("light_heavy", [(1e-230, 1e120), (1e-300, 1.0), (1.0, 1e300), (1e-150, 1e150)], ids=str)
@pytest.mark.parametrize("refine", [False, True])
def test_weights(light_heavy, refine, rng):
    """Rows that weigh next to nothing do not move the fit, and count all the same."""
    X, y = rng.standard_normal((60, 3)), rng.standard_normal(60)
    heavy = np.arange(60) % 2 == 1
    weights = rng.uniform(0.5, 2.0, 60) * np.where(heavy, light_heavy[1], light_heavy[0])
    model = MLELinearRegressor(refine=refine).fit(X, y, weights)
    alone = MLELinearRegressor(refine=refine).fit(X[heavy], y[heavy], weights[heavy])
    np.testing.assert_allclose(model.coef_, alone.coef_, rtol=1e-12)
    assert model.residual_dof_ == 56
    assert model.log_likelihood_ == pytest.approx(model.log_likelihood(X, y, weights), rel=1e-12)
    assert model.noise_variance_ == pytest.approx(alone.noise_variance_ / 2, rel=1e-12)
    assert str(model.diagnose(X, y, weights).report())


@pytest.mark.parametrize("refine", [False, "auto"])
@pytest.mark.parametrize("size", [5e-324, 1e-310, 1e-300, 1e-160, 1e-20])
def test_columns_that_are_nothing_beside_their_penalty(size, refine, solver, rng):
    """Their coefficient is x·e / α of the residuals without them, and the others' are those of the fit without."""
    X = rng.standard_normal((60, 3))
    y, column = X @ [1.0, 2.0, 3.0] + rng.standard_normal(60), size * rng.integers(-3, 4, 60)
    options = {"alpha": 1.0, "refine": refine, "solver": solver}
    without = MLELinearRegressor(**options).fit(X, y)
    for extra in (column, np.full(60, size)):
        model = MLELinearRegressor(**options).fit(np.c_[X, extra], y)
        np.testing.assert_allclose(model.coef_[:3], without.coef_, rtol=1e-11)
        reach = np.abs(extra) @ np.abs(y - without.predict(X))
        slope = (extra - extra.mean()) @ (y - without.predict(X))
        assert abs(model.coef_[3] - slope) <= 1e-9 * reach + 5e-324
        assert np.isfinite(model.standard_errors_).all()
        assert str(model.summary())


@pytest.mark.parametrize("factor", [2.0**1000, 2.0**600, 2.0**-600, 2.0**-1000])
@pytest.mark.parametrize(
    "model",
    [MLELinearRegressor(), MLPGradientRegressor((3,), alpha=1e-4, max_iter=10, random_state=0)],
    ids=["linear", "network"],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_score_at_extreme_sizes(rng, model, factor):
    X = rng.standard_normal((40, 2))
    Y = X + rng.standard_normal((40, 2))
    w = rng.uniform(1, 2, 40)
    fitted, outcome = model.fit(X, Y * [factor, 1.0], w), Y * [factor, 1.0]
    expected = r2_score(Y, fitted.predict(X) / [factor, 1.0], sample_weight=w)
    assert fitted.score(X, outcome, w) == pytest.approx(expected, rel=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_gradient_whose_squares_overflow(rng):
    X = rng.standard_normal((60, 3))
    y = X @ [1.0, 2, 3] + rng.standard_normal(60)
    model = MLPGradientRegressor((3,), alpha="evidence", standardize=False, random_state=0).fit(X, 1e140 * y)
    assert np.isfinite(model.gradient_norm_)
