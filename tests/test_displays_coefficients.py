"""Coefficients in pictures: estimates and intervals against statsmodels, and what is drawn of them."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from sklearn.compose import make_column_transformer
from sklearn.linear_model import Lasso, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.displays import CoefficientsDisplay

pytest.importorskip("matplotlib", reason="pictures need matplotlib, the extra 'plot'")
import matplotlib as mpl
import matplotlib.pyplot as plt
import scipy.sparse as sp
from drawn_displays import awkward_rows, faults
from matplotlib.collections import PathCollection


@pytest.fixture(autouse=True)
def agg():
    mpl.use("agg")
    yield
    plt.close("all")


@pytest.fixture
def rows(rng):
    X = pd.DataFrame(rng.standard_normal((60, 3)) * [1.0, 100.0, 0.01], columns=["a", "b", "c"])
    return X, X["a"] - 0.02 * X["b"] + rng.standard_normal(60)


def only(display):
    (model,) = display.models.values()
    return model


@pytest.mark.parametrize("weighted", [False, True])
def test_intervals_are_those_of_statsmodels(weighted, rows, rng):
    X, y = rows
    w = rng.uniform(0.5, 2.0, 60) if weighted else np.ones(60)
    peer = sm.WLS(y, sm.add_constant(X), weights=w).fit()
    model = MLELinearRegressor().fit(X, y, sample_weight=w)
    found = only(CoefficientsDisplay.from_estimator(model, confidence=0.9, intercept=True))
    assert found.names == ("intercept", "a", "b", "c")
    np.testing.assert_allclose(found.estimate, peer.params, rtol=1e-9)
    np.testing.assert_allclose(np.column_stack([found.lower, found.upper]), peer.conf_int(0.1), rtol=1e-9)
    robust = only(CoefficientsDisplay.from_estimator(model, X, y, sample_weight=w, standardized=False, cov="HC3"))
    with_hc3 = peer.get_robustcov_results("HC3").conf_int()[1:]
    np.testing.assert_allclose(np.column_stack([robust.lower, robust.upper]), with_hc3, rtol=1e-8)


@pytest.mark.parametrize("sparse", [False, True])
def test_standardized_coefficients_are_those_of_standardized_rows(sparse, rows, rng):
    X, y = rows
    w = rng.integers(0, 4, 60).astype(float)
    mean, unit = np.average(X, axis=0, weights=w), np.average(y, weights=w)
    z = (X - mean) / np.sqrt(np.average((X - mean) ** 2, axis=0, weights=w))
    t = (y - unit) / np.sqrt(np.average((y - unit) ** 2, weights=w))
    expected = MLELinearRegressor().fit(z, t, sample_weight=w).coefficients().loc[["a", "b", "c"]]
    x = sp.csr_array(X.to_numpy()) if sparse else X
    found = only(CoefficientsDisplay.from_estimator(MLELinearRegressor().fit(x, y, w), x, y, sample_weight=w))
    np.testing.assert_allclose(found.estimate, expected["estimate"], rtol=1e-9)
    np.testing.assert_allclose(found.lower, expected["lower"], rtol=1e-9)


def test_standardized_coefficients_do_not_depend_on_units_or_on_steps_that_change_them(rows):
    X, y = rows
    one = only(CoefficientsDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y))
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X, 7 * y)
    other = only(CoefficientsDisplay.from_estimator(pipe, X, 7 * y))
    assert one.names == other.names
    np.testing.assert_allclose(one.estimate, other.estimate, rtol=1e-9)


def test_several_models_are_matched_by_names(rows):
    X, y = rows
    models = {
        "all": MLELinearRegressor().fit(X, y),
        "two": MLELinearRegressor().fit(X[["c", "a"]], y),
        "lasso": Lasso(0.1).fit(X, y),
    }
    standardized = CoefficientsDisplay.from_estimators(models, X, y).models["two"]
    np.testing.assert_allclose(standardized.estimate, models["two"].coef_ * X[["c", "a"]].std(ddof=0) / y.std(ddof=0))
    shown = CoefficientsDisplay.from_estimators(models)
    assert shown.names == ["a", "b", "c"]
    points = [drawn.get_offsets() for drawn in shown.ax_.collections if isinstance(drawn, PathCollection)]
    np.testing.assert_allclose(points[1][:, 0], models["two"].coef_)
    np.testing.assert_allclose(points[1][:, 1], [2.0, 0.0])  # lines of c and a
    assert np.isnan(shown.models["lasso"].lower).all()
    assert [text.get_text() for text in shown.ax_.get_legend().get_texts()] == list(models)
    unnamed = CoefficientsDisplay.from_estimators([models["all"], models["two"], models["lasso"]])
    assert list(unnamed.models) == ["MLELinearRegressor 1", "MLELinearRegressor 2", "Lasso"]


def test_what_is_drawn_is_what_is_stored(rows):
    X, y = rows
    shown = CoefficientsDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y)
    model = only(shown)
    lines, points = shown.ax_.collections
    np.testing.assert_allclose(
        [line[:, 0] for line in lines.get_segments()], np.column_stack([model.lower, model.upper])
    )
    np.testing.assert_allclose(points.get_offsets(), np.column_stack([model.estimate, range(3)]))
    assert [label.get_text() for label in shown.ax_.get_yticklabels()] == ["a", "b", "c"]


def test_names_of_categories_come_from_the_pipeline(rows):
    X, y = rows
    X = pd.DataFrame({"city": np.where(X["a"] > 0, "Rome", "Oslo")})
    pipe = make_pipeline(OneHotEncoder(drop="first", sparse_output=True), MLELinearRegressor()).fit(X, y)
    assert CoefficientsDisplay.from_estimator(pipe, X, y).names == ["city_Rome"]


def test_names_are_drawn_without_the_step_that_made_them_where_that_is_enough(rows):
    X, y = rows
    X = X.assign(city=np.where(X["a"] > 0, "Rome", "Oslo"))
    steps = make_column_transformer((OneHotEncoder(drop="first"), ["city"]), (StandardScaler(), ["b", "c"]))
    shown = CoefficientsDisplay.from_estimator(make_pipeline(steps, MLELinearRegressor()).fit(X, y), X, y)
    assert shown.names == ["onehotencoder__city_Rome", "standardscaler__b", "standardscaler__c"]
    assert [label.get_text() for label in shown.ax_.get_yticklabels()] == ["city_Rome", "b", "c"]
    twice = make_column_transformer((StandardScaler(), ["b"]), ("passthrough", ["b"]))
    with pytest.warns(UserWarning, match="rank"):
        pipe = make_pipeline(twice, MLELinearRegressor()).fit(X, y)
    labels = [label.get_text() for label in CoefficientsDisplay.from_estimator(pipe, X, y).ax_.get_yticklabels()]
    assert labels == ["standardscaler__b", "passthrough__b"]


@pytest.mark.parametrize("exponent", [-1000, 1000])
def test_standardized_coefficients_of_extreme_units_are_those_of_others(exponent, rows):
    X, y = rows
    plain = only(CoefficientsDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y))
    unit = np.ldexp(1.0, exponent)
    found = only(CoefficientsDisplay.from_estimator(MLELinearRegressor().fit(X, y * unit), X, y * unit))
    np.testing.assert_allclose(found.estimate, plain.estimate, rtol=1e-10)
    x = sp.csr_array(X.to_numpy() * [unit, 1.0, 1.0])
    found = only(CoefficientsDisplay.from_estimator(MLELinearRegressor().fit(x, y), x, y))
    np.testing.assert_allclose(found.estimate, plain.estimate, rtol=1e-10)


@pytest.mark.parametrize("width", [4.0, 10.0])
def test_500_columns_fold_to_those_that_tell_most(width, rng):
    X, y = awkward_rows(rng, 700, 500)
    model = MLELinearRegressor().fit(X, y)
    shown = CoefficientsDisplay.from_estimator(model, X, y, width=width)
    size = np.abs(only(shown).estimate)
    assert len(shown.order) == 40
    assert size[shown.order].min() >= np.delete(size, shown.order).max()
    assert not faults(shown.figure_)
    raw = CoefficientsDisplay.from_estimator(model, standardized=False)
    assert set(raw.order) == set(np.argsort(-np.abs(model.coefficients()["t"].to_numpy()[1:]))[:40])
    _, ax = plt.subplots(figsize=(4, 3))
    drawn = CoefficientsDisplay.from_estimator(model, X, y, ax=ax).ax_
    assert len(drawn.get_yticks()) == 8  # as many as there is room for
    assert len(CoefficientsDisplay.from_estimator(model, most=3).ax_.get_yticks()) == 3


def test_a_coefficient_that_the_data_do_not_determine_has_no_interval(rows):
    X, y = rows
    with pytest.warns(UserWarning, match="rank"):
        model = MLELinearRegressor().fit(X.assign(twice=2 * X["a"]), y)
    found = only(CoefficientsDisplay.from_estimator(model))
    assert np.isnan(found.lower[[0, 3]]).all()
    assert np.isfinite(found.lower[[1, 2]]).all()


def test_models_without_coefficients_are_told_what_else_to_draw(rows):
    X, y = rows
    network = MLPGradientRegressor(hidden_layer_sizes=(3,), solver="lbfgs", max_iter=5, early_stopping=False)
    with pytest.warns(UserWarning):
        network.fit(X, y)
    with pytest.raises(TypeError, match="PartialResidualsDisplay"):
        CoefficientsDisplay.from_estimator(network, X, y)


def test_bad_choices_are_refused_in_words(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    with pytest.raises(ValueError, match="pass X and y"):
        CoefficientsDisplay.from_estimator(model, standardized=True)
    with pytest.raises(ValueError, match="at least one"):
        CoefficientsDisplay.from_estimators({})
    with pytest.raises(ValueError, match="most=0"):
        CoefficientsDisplay.from_estimator(model, most=0)
    with pytest.raises(ValueError, match="y does not vary"):
        CoefficientsDisplay.from_estimator(model, X, 0 * y)
    diverged = LinearRegression().fit(X, y)
    diverged.coef_ = np.full(3, np.nan)
    with pytest.raises(ValueError, match="has diverged"):
        CoefficientsDisplay.from_estimator(diverged)
