"""Calibration in pictures: F(y) of each row against fits without it, and the shares that intervals hold."""

import numpy as np
import pandas as pd
import pytest
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel
from sklearn.linear_model import BayesianRidge, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.displays import CalibrationDisplay

pytest.importorskip("matplotlib", reason="pictures need matplotlib, the extra 'plot'")
import matplotlib as mpl
import matplotlib.pyplot as plt
from drawn_displays import faults


@pytest.fixture(autouse=True)
def agg():
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def rows(rng):
    X = pd.DataFrame(rng.standard_normal((60, 3)), columns=["a", "b", "c"])
    return X, X["a"] - 2 * X["b"] + rng.standard_normal(60)


@pytest.mark.parametrize("weighted", [False, True])
def test_rows_of_a_linear_fit_are_judged_by_fits_without_them(weighted, rows, rng):
    X, y = rows
    w = rng.uniform(0.3, 3.0, 60) if weighted else np.ones(60)
    shown = CalibrationDisplay.from_estimator(MLELinearRegressor().fit(X, y, w), X, y, sample_weight=w)
    assert shown.left_out
    for i in (0, 7, 31):
        others = np.arange(60) != i
        fit = MLELinearRegressor().fit(X[others], y[others], w[others])
        mean, deviation = fit.predict(X[i : i + 1], return_std=True, sample_weight=w[i : i + 1])
        expected = student_t.cdf((y[i] - mean[0]) / deviation[0], fit.residual_dof_)
        np.testing.assert_allclose(shown.pit[i], expected, rtol=1e-8)


def test_new_rows_are_judged_by_the_predicted_distribution(rows):
    X, y = rows
    half = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X[:40], y[:40])
    shown = CalibrationDisplay.from_estimator(half, X[40:], y[40:])
    assert not shown.left_out
    for coverage in (0.5, 0.9):
        low, high = half[-1].predict_interval(half[:-1].transform(X[40:]), coverage)
        held = np.mean((low <= y[40:]) & (y[40:] <= high))
        np.testing.assert_allclose(shown.coverage(coverage), held)
        np.testing.assert_allclose(np.interp(coverage, shown.nominal, shown.observed), held)


def test_a_penalised_fit_has_the_noise_of_all_rows(rows):
    X, y = rows
    model = MLELinearRegressor(alpha=1.0).fit(X, y)
    shown = CalibrationDisplay.from_estimator(model, X, y)
    ratio = model.diagnose(X, y).rows()["studentized_internal"]
    np.testing.assert_allclose(shown.pit, student_t.cdf(ratio, model.residual_dof_))


def test_a_network_is_judged_by_what_it_predicts(rng):
    t = rng.uniform(-2, 2, (80, 1))
    y = np.sin(t[:, 0]) + 0.2 * rng.standard_normal(80)
    network = MLPGradientRegressor((4,), solver="lm", alpha=0.1, early_stopping=False, random_state=0).fit(
        t[:60], y[:60]
    )
    shown = CalibrationDisplay.from_estimator(network, t[60:], y[60:])
    low, high = network.predict_interval(t[60:], 0.8)
    np.testing.assert_allclose(shown.coverage(0.8), np.mean((low <= y[60:]) & (y[60:] <= high)))


@pytest.mark.parametrize(
    "model",
    [BayesianRidge(), GaussianProcessRegressor(RBF() + WhiteKernel(), random_state=0)],
    ids=["ridge", "process"],
)
def test_other_regressors_that_tell_a_deviation_are_taken_as_normal(model, rows):
    X, y = rows
    mean, deviation = model.fit(X[:40], y[:40]).predict(X[40:], return_std=True)
    shown = CalibrationDisplay.from_estimator(model, X[40:], y[40:])
    np.testing.assert_allclose(shown.pit, norm.cdf((y[40:] - mean) / deviation))
    np.testing.assert_allclose(CalibrationDisplay.from_predictions(y[40:], mean, deviation).pit, shown.pit)


def test_predictions_may_have_students_t_and_one_deviation_for_all(rows):
    _, y = rows
    shown = CalibrationDisplay.from_predictions(y, np.zeros(60), 2.0, dof=5)
    np.testing.assert_allclose(shown.pit, student_t.cdf(y / 2, 5))


def test_rows_that_stand_for_several_count_as_often(rows):
    X, y = rows
    counts = np.arange(60) % 3.0
    model = MLELinearRegressor(weight_type="frequency").fit(X, y, sample_weight=counts)
    shown = CalibrationDisplay.from_estimator(model, X, y, sample_weight=counts)
    many = X.index.repeat(counts.astype(int))
    repeated = CalibrationDisplay.from_estimator(MLELinearRegressor().fit(X.loc[many], y[many]), X.loc[many], y[many])
    np.testing.assert_allclose(shown.density, repeated.density)
    np.testing.assert_allclose(shown.observed, repeated.observed)
    assert shown.density_limits == repeated.density_limits


def test_the_band_holds_all_bars_of_right_predictions_as_often_as_it_says():
    """At least as often: limits are whole numbers of rows, and bars fill at the cost of others."""
    rng = np.random.default_rng(3)
    shown = [CalibrationDisplay(pit=rng.random(200)) for _ in range(400)]
    inside = [low <= s.density.min() and s.density.max() <= high for s in shown for low, high in [s.density_limits]]
    assert 0.93 < np.mean(inside) <= 0.995


def test_intervals_that_are_too_narrow_make_a_u(rng):
    y = rng.standard_normal(2000)
    shown = CalibrationDisplay.from_predictions(y, np.zeros(2000), 0.5)
    assert shown.density[0] > 3 * shown.density_limits[1]
    np.testing.assert_allclose(shown.coverage(0.95), 2 * norm.cdf(norm.ppf(0.975) * 0.5) - 1, atol=0.03)
    assert shown.ax_[0].get_title().endswith("bars leave the band")


def test_what_is_drawn_is_what_is_stored(rows):
    X, y = rows
    shown = CalibrationDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y)
    histogram, curve = shown.ax_
    np.testing.assert_allclose([bar.get_height() for bar in histogram.patches], shown.density)
    np.testing.assert_allclose(curve.lines[-1].get_xydata(), np.column_stack([shown.nominal, shown.observed]))
    assert not faults(shown.figure_)
    for kind in ("histogram", "coverage"):
        assert not faults(shown.plot(kind=kind, width=4.0).figure_)


def test_what_has_no_distribution_is_refused_in_words(rows, rng):
    X, y = rows
    with pytest.raises(TypeError, match="LinearRegression predicts no standard deviation"):
        CalibrationDisplay.from_estimator(LinearRegression().fit(X, y), X, y)
    few = rng.standard_normal((4, 6))
    with pytest.warns(UserWarning):
        model = MLELinearRegressor().fit(few, rng.standard_normal(4))
    with pytest.raises(ValueError, match="no degrees of freedom are left"):
        CalibrationDisplay.from_estimator(model, few, model.predict(few))
    with pytest.warns(UserWarning, match="exact"):
        model = MLELinearRegressor().fit(X, X @ [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match="the fit is exact"):
        CalibrationDisplay.from_estimator(model, X, X @ [1.0, 2.0, 3.0])
