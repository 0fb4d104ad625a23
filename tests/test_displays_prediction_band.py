"""Predictions along a column in pictures: the mean, its interval, that of observations, and the rows."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import RandomForestRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, PolynomialFeatures, StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.displays import PredictionBandDisplay
from mle_regression.displays.columns import table_of

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
    X = pd.DataFrame(rng.standard_normal((61, 3)), columns=["a", "b", "c"])
    return X, X["a"] - 2 * X["b"] + rng.standard_normal(61)


def test_bands_are_those_of_statsmodels(rows):
    X, y = rows
    shown = PredictionBandDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y, column="a", coverage=0.9)
    at = pd.DataFrame({"a": shown.grid, "b": X["b"].median(), "c": X["c"].median()})
    peer = (
        sm.OLS(y, sm.add_constant(X))
        .fit()
        .get_prediction(sm.add_constant(at, has_constant="add"))
        .summary_frame(alpha=0.1)
    )
    np.testing.assert_allclose(shown.mean, peer["mean"], rtol=1e-9)
    np.testing.assert_allclose(shown.mean_interval, peer[["mean_ci_lower", "mean_ci_upper"]].T, rtol=1e-9)
    np.testing.assert_allclose(shown.observation_interval, peer[["obs_ci_lower", "obs_ci_upper"]].T, rtol=1e-9)
    assert shown.grid[[0, -1]].tolist() == [X["a"].min(), X["a"].max()]


def test_rows_keep_their_residuals_where_the_other_columns_are_in_their_middle(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    shown = PredictionBandDisplay.from_estimator(model, X, y, column="a")
    residual = shown.y - np.interp(shown.x, shown.grid, shown.mean)
    np.testing.assert_allclose(residual, y - model.predict(X), atol=1e-9)
    raw = PredictionBandDisplay.from_estimator(model, X, y, column="a", rows="observed")
    np.testing.assert_array_equal(raw.y, y)
    one = PredictionBandDisplay.from_estimator(MLELinearRegressor().fit(X[["a"]], y), X[["a"]], y)
    np.testing.assert_array_equal(one.y, y)
    assert not one.adjusted


def test_the_column_along_which_the_mean_changes_most_is_drawn(rows):
    X, y = rows
    assert PredictionBandDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y).column == "b"
    unit = X * [1.0, 1e-9, 1e9]  # which does not depend on units
    assert PredictionBandDisplay.from_estimator(MLELinearRegressor().fit(unit, y), unit, y).column == "b"


def test_rows_go_through_the_steps_of_a_pipeline(rows):
    X, y = rows
    squares = MLELinearRegressor().fit(np.column_stack([X["a"], X["a"] ** 2]), y)
    pipe = make_pipeline(PolynomialFeatures(2, include_bias=False), StandardScaler(), MLELinearRegressor())
    shown = PredictionBandDisplay.from_estimator(pipe.fit(X[["a"]], y), X[["a"]], y)
    expected = squares.predict_interval(np.column_stack([shown.grid, shown.grid**2]))
    np.testing.assert_allclose(shown.observation_interval, expected, rtol=1e-8)


def test_columns_of_categories_are_at_their_most_frequent_value(rows):
    X, y = rows
    X = X[["a"]].assign(city=["Oslo", "Rome", "Rome"] * 20 + ["Rome"], floor=np.arange(61) % 4)
    steps = ColumnTransformer([("c", OneHotEncoder(), ["city", "floor"])], remainder="passthrough")
    pipe = make_pipeline(steps, MLELinearRegressor(alpha=0.1)).fit(X, y)
    shown = PredictionBandDisplay.from_estimator(pipe, X, y, column="a")
    at = pd.DataFrame({"a": shown.grid, "city": "Rome", "floor": 1})
    np.testing.assert_allclose(shown.mean, pipe.predict(at), rtol=1e-12)
    # of a column of few values no others are asked for, which an encoder would not know
    assert PredictionBandDisplay.from_estimator(pipe, X, y, column="floor").grid.tolist() == [0, 1, 2, 3]
    with pytest.raises(ValueError, match="Column 'city' holds no numbers"):
        PredictionBandDisplay.from_estimator(pipe, X, y, column="city")


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, sp.csc_matrix, pl.DataFrame, pd.DataFrame])
def test_any_container_of_rows_gives_the_same_band(container, rng):
    X = np.round(rng.standard_normal((61, 3)), 1) * (rng.random((61, 3)) < 0.7)
    y = X @ [1.0, 2.0, 0.0] + rng.standard_normal(61)
    x = container(X)
    shown = PredictionBandDisplay.from_estimator(MLELinearRegressor().fit(x, y), x, y, column=1)
    plain = PredictionBandDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y, column=1)
    np.testing.assert_allclose(shown.mean, plain.mean, rtol=1e-9)
    np.testing.assert_allclose(shown.y, plain.y, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("container", [np.asarray, sp.csr_array, pd.DataFrame])
def test_a_column_is_changed_and_no_other(container, rng):
    X = rng.standard_normal((5, 3)) * (rng.random((5, 3)) < 0.6)
    changed = table_of(container(X)).with_each(1, np.array([7.0, -8.0]))
    dense = changed.toarray() if sp.issparse(changed) else np.asarray(changed)
    expected = np.vstack([X, X])
    expected[:, 1] = np.repeat([7.0, -8.0], 5)
    np.testing.assert_allclose(dense, expected)


def test_a_network_has_a_band_for_the_mean_where_its_parameters_are_known(rng):
    t = np.sort(rng.uniform(-2, 2, 60))[:, None]
    y = np.sin(2 * t[:, 0]) + 0.2 * rng.standard_normal(60)
    options = {"hidden_layer_sizes": (4,), "activation": "tanh", "solver": "lm", "random_state": 0}
    sure = MLPGradientRegressor(**options, alpha=0.01, curvature="full", early_stopping=False).fit(t, y)
    shown = PredictionBandDisplay.from_estimator(sure, t, y)
    np.testing.assert_allclose(shown.mean_interval, sure.predict_interval(shown.grid[:, None], kind="mean"))
    unsure = MLPGradientRegressor(**options, alpha=0.01, early_stopping=False).fit(t, y)
    shown = PredictionBandDisplay.from_estimator(unsure, t, y)
    assert shown.mean_interval is None
    assert "call fit with curvature=" in shown.missing["mean"]
    assert not faults(shown.figure_)


@pytest.mark.parametrize("wrapped", [False, True])
def test_any_regressor_has_a_mean_and_rows(wrapped, rows):
    X, y = rows
    model = RandomForestRegressor(5, random_state=0)
    if wrapped:
        model = TransformedTargetRegressor(MLELinearRegressor(), func=np.arctan, inverse_func=np.tan)
    shown = PredictionBandDisplay.from_estimator(model.fit(X, y), X, y, column="a")
    assert shown.observation_interval is None
    assert "has no predict_interval" in shown.missing["observation"]
    assert not faults(shown.figure_)


def test_what_is_drawn_is_what_is_stored(rows):
    X, y = rows
    shown = PredictionBandDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y)
    lines = {line.get_label(): line for line in shown.ax_.lines}
    np.testing.assert_allclose(lines["mean"].get_xydata(), np.column_stack([shown.grid, shown.mean]))
    lower = np.column_stack([shown.grid, shown.observation_interval[0]])
    np.testing.assert_allclose(lines["95 % of observations"].get_xydata(), lower)
    points = [drawn for drawn in shown.ax_.collections if drawn.get_label() == "rows, adjusted"]
    np.testing.assert_allclose(points[0].get_offsets(), np.column_stack([shown.x, shown.y]))


def test_rows_that_would_squeeze_the_others_are_counted_at_the_edge(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    y = y.copy()
    y[[3, 5]] = [1e6, -1e6]
    shown = PredictionBandDisplay.from_estimator(model, X, y)
    assert shown.ax_.get_ylim()[1] < 100
    assert "2 rows beyond" in [text.get_text() for text in shown.ax_.get_legend().get_texts()]
    assert np.ptp(shown.y) > 1e6


def test_rows_without_weight_or_value_are_not_drawn(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    w = np.ones(61)
    w[:10] = 0.0
    assert len(PredictionBandDisplay.from_estimator(model, X, y, sample_weight=w).x) == 51
    assert PredictionBandDisplay.from_estimator(model, X).x is None


def test_fits_without_noise_or_degrees_of_freedom_have_no_band(rng):
    X = rng.standard_normal((4, 6))
    with pytest.warns(UserWarning):
        model = MLELinearRegressor().fit(X, rng.standard_normal(4))
    shown = PredictionBandDisplay.from_estimator(model, X, model.predict(X))
    assert shown.observation_interval is None
    assert "no degrees of freedom" in shown.missing["observation"]
    X = rng.standard_normal((20, 2))
    with pytest.warns(UserWarning, match="exact"):
        model = MLELinearRegressor().fit(X, X @ [1.0, 2.0])
    assert not faults(PredictionBandDisplay.from_estimator(model, X, X @ [1.0, 2.0]).figure_)


def test_bad_choices_are_refused_in_words(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    with pytest.raises(ValueError, match="column='z' is none of the columns: 'a', 'b', 'c'"):
        PredictionBandDisplay.from_estimator(model, X, y, column="z")
    with pytest.raises(ValueError, match="coverage=2"):
        PredictionBandDisplay.from_estimator(model, X, y, coverage=2)
    with pytest.raises(ValueError, match="Column 'a' does not vary"):
        PredictionBandDisplay.from_estimator(model, X.assign(a=1.0), y, column="a")
    with pytest.raises(ValueError, match="No column of X holds numbers that vary"):
        PredictionBandDisplay.from_estimator(model, 0 * X, y)
