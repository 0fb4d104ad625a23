"""Effects of columns in pictures: component plus residual, partial dependence, and how sure they are."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from scipy.stats import t as student_t
from sklearn.ensemble import RandomForestRegressor
from sklearn.impute import SimpleImputer
from sklearn.inspection import partial_dependence
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.displays import PartialResidualsDisplay
from mle_regression.fitted.averaged_effects import effect_deviations

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
def test_components_of_a_linear_fit_are_those_of_statsmodels(weighted, rows, rng):
    X, y = rows
    w = rng.uniform(0.5, 2.0, 60) if weighted else np.ones(60)
    peer = sm.WLS(y, sm.add_constant(X), weights=w).fit()
    model = MLELinearRegressor().fit(X, y, sample_weight=w)
    shown = PartialResidualsDisplay.from_estimator(model, X, y, columns="b", sample_weight=w, coverage=0.9)
    (found,) = shown.components
    away = found.grid - np.average(X["b"], weights=w)
    half = student_t.ppf(0.95, peer.df_resid) * peer.bse["b"] * np.abs(away)
    np.testing.assert_allclose(found.effect, peer.params["b"] * away, rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(found.half_width, half, rtol=1e-8)
    # R's and statsmodels' component plus residual, centred
    expected = peer.params["b"] * (X["b"] - np.average(X["b"], weights=w)) + peer.resid
    np.testing.assert_allclose(found.partial_residual, expected, rtol=1e-8, atol=1e-9)


def test_steps_that_change_units_change_no_component(rows):
    X, y = rows
    (plain,) = PartialResidualsDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y, columns="a").components
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X, y)
    (scaled,) = PartialResidualsDisplay.from_estimator(pipe, X, y, columns="a").components
    for name in ("grid", "effect", "half_width", "partial_residual"):
        np.testing.assert_allclose(getattr(scaled, name), getattr(plain, name), rtol=1e-8, atol=1e-9)


@pytest.mark.parametrize("sparse", [False, True])
def test_the_effect_of_a_column_that_has_several_terms_is_that_of_all(sparse, rows):
    X, y = rows
    expand = PolynomialFeatures(2, include_bias=False)
    design = expand.fit_transform(X)
    peer = sm.OLS(y, sm.add_constant(design)).fit()
    given = sp.csr_array(X.to_numpy()) if sparse else X
    pipe = make_pipeline(PolynomialFeatures(2, include_bias=False), MLELinearRegressor()).fit(given, y)
    (found,) = PartialResidualsDisplay.from_estimator(pipe, given, y, columns=0).components
    moved = []
    for value in found.grid:
        changed = X.assign(a=value)
        moved.append(np.r_[0.0, expand.transform(changed).mean(axis=0) - design.mean(axis=0)])
    contrast = peer.t_test(np.array(moved))
    np.testing.assert_allclose(found.effect, contrast.effect, rtol=1e-8, atol=1e-10)
    half = student_t.ppf(0.975, peer.df_resid) * contrast.sd.ravel()
    np.testing.assert_allclose(found.half_width, half, rtol=1e-7)


def test_effects_of_any_regressor_are_scikit_learns_partial_dependence(rows):
    X, y = rows
    X = X.assign(a=np.arange(60) % 7)
    model = RandomForestRegressor(10, random_state=0).fit(X, y)
    (found,) = PartialResidualsDisplay.from_estimator(model, X, y, columns="a").components
    peer = partial_dependence(model, X.astype(float), ["a"], method="brute")
    np.testing.assert_allclose(found.grid, np.arange(7))
    np.testing.assert_allclose(found.effect, peer["average"][0] - model.predict(X).mean(), rtol=1e-9, atol=1e-12)
    assert np.isnan(found.half_width).all()
    (of_coef,) = PartialResidualsDisplay.from_estimator(LinearRegression().fit(X, y), X, y, columns="a").components
    np.testing.assert_allclose(np.diff(of_coef.effect), LinearRegression().fit(X, y).coef_[0])


@pytest.fixture(scope="module")
def curved():
    rng = np.random.default_rng(5)
    X = rng.uniform(-2, 2, (60, 2))
    return X, np.sin(X[:, 0]) + 0.5 * X[:, 1] + 0.2 * rng.standard_normal(60)


@pytest.fixture(scope="module")
def sure(curved):
    options = {"alpha": 0.05, "activation": "tanh", "solver": "lm", "curvature": "full", "early_stopping": False}
    return MLPGradientRegressor((3,), random_state=0, **options).fit(*curved)


def test_the_deviation_of_an_effect_follows_from_the_posterior_of_the_parameters(curved, sure):
    X, _ = curved
    fit, base, step = sure._fit, X[:10], 1e-5
    share = np.arange(1.0, 11.0) / 55.0
    changed = np.vstack([np.column_stack([np.full(10, value), base[:, 1]]) for value in (-1.0, 0.5)])

    def effects(theta):
        other = replace(fit, theta=theta)
        return share @ (other.own_mean(changed).reshape(2, 10) - other.own_mean(base).reshape(1, 10)).T

    size = len(fit.theta)
    gradient = np.array([effects(fit.theta + step * e) - effects(fit.theta - step * e) for e in np.eye(size)]) / (
        2 * step
    )
    covariance = fit.posterior.covariance.solve(np.eye(size))
    expected = np.sqrt(np.einsum("pk,pq,qk->k", gradient, covariance, gradient))
    found = effect_deviations(fit, changed, base, share)
    np.testing.assert_allclose(found[:, 0], expected, rtol=1e-6)


def test_a_network_of_no_hidden_layer_has_the_components_of_the_linear_model(rows):
    X, y = rows
    options = {"alpha": 0.0, "solver": "lm", "curvature": "full", "early_stopping": False, "random_state": 0}
    network = MLPGradientRegressor((), **options).fit(X, y)
    (found,) = PartialResidualsDisplay.from_estimator(network, X, y, columns="a").components
    (plain,) = PartialResidualsDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y, columns="a").components
    np.testing.assert_allclose(found.effect, plain.effect, rtol=1e-5, atol=1e-6)
    # of the noise variance a network's posterior counts no parameter for the intercept
    np.testing.assert_allclose(found.half_width, plain.half_width, rtol=0.02)


def test_several_networks_are_as_unsure_as_they_are_apart(curved):
    X, y = curved
    options = {"alpha": 1e-3, "activation": "tanh", "solver": "lm", "early_stopping": False}
    many = MLPGradientRegressor((8,), n_init=3, ensemble=True, random_state=0, **options).fit(X, y)
    (found,) = PartialResidualsDisplay.from_estimator(many, X, y, columns=0).components
    changed = [np.column_stack([np.full(60, value), X[:, 1]]) for value in found.grid]
    each = [[one.own_mean(x).mean() - one.own_mean(X).mean() for x in changed] for one in many._fit.networks]
    apart = np.std(each, axis=0)
    assert apart.max() > 1e-2
    dof = np.ravel(many._fit.likelihood.residual_dof)[0]
    np.testing.assert_allclose(found.effect, np.mean(each, axis=0), rtol=1e-8, atol=1e-10)
    np.testing.assert_allclose(found.half_width, student_t.ppf(0.975, dof) * apart, rtol=1e-6, atol=1e-10)


def test_a_network_whose_parameters_are_not_known_has_no_interval(curved):
    X, y = curved
    options = {"alpha": 0.05, "activation": "tanh", "solver": "lm", "early_stopping": False}
    shown = PartialResidualsDisplay.from_estimator(
        MLPGradientRegressor((3,), random_state=0, **options).fit(X, y), X, y
    )
    assert all(np.isnan(component.half_width).all() for component in shown.components)
    assert not faults(shown.figure_)


def test_columns_along_which_the_mean_changes_most_are_drawn(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    shown = PartialResidualsDisplay.from_estimator(model, X, y, most=2)
    assert [component.name for component in shown.components] == ["b", "a"]
    assert shown.ax_.shape == (2,)
    named = PartialResidualsDisplay.from_estimator(model, X, y, columns=["c", 0])
    assert [component.name for component in named.components] == ["c", "a"]


def test_what_is_drawn_is_what_is_stored(rows):
    X, y = rows
    X = X.assign(c=np.arange(60) % 3)
    shown = PartialResidualsDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y, columns=["b", "c"])
    for ax, component in zip(shown.ax_, shown.components, strict=True):
        lines = {line.get_label(): line for line in ax.lines}
        np.testing.assert_allclose(lines["effect"].get_xydata(), np.column_stack([component.grid, component.effect]))
        smooth = np.column_stack([component.smooth.x, component.smooth.y])
        np.testing.assert_allclose(lines["smoothed rows"].get_xydata(), smooth)
        points = [drawn for drawn in ax.collections if drawn.get_label() == "rows"]
        np.testing.assert_allclose(points[0].get_offsets(), np.column_stack([component.x, component.partial_residual]))
    assert len(shown.ax_[1].containers) == 1  # error bars at each of three values
    assert not faults(shown.figure_)


def test_a_bend_that_the_model_lacks_is_seen_in_the_smooth_curve(rng):
    x = rng.uniform(-2, 2, 300)
    y = x**2 + 0.1 * rng.standard_normal(300)
    model = MLELinearRegressor().fit(x[:, None], y)
    (found,) = PartialResidualsDisplay.from_estimator(model, x[:, None], y).components
    gap = found.smooth.y - np.interp(found.smooth.x, found.grid, found.effect)
    assert gap[0] > 1
    assert gap[-1] > 1
    assert gap[len(gap) // 2] < -0.5


def test_rows_without_weight_or_value_are_left_out(rows):
    X, y = rows
    w = np.ones(60)
    w[:10] = 0.0
    model = MLELinearRegressor().fit(X, y, sample_weight=w)
    (found,) = PartialResidualsDisplay.from_estimator(model, X, y, columns="a", sample_weight=w).components
    (others,) = PartialResidualsDisplay.from_estimator(model, X[10:], y[10:], columns="a").components
    np.testing.assert_allclose(found.effect, others.effect)
    assert len(found.x) == 50
    gaps = X.assign(a=X["a"].where(np.arange(60) % 5 > 0))
    pipe = make_pipeline(SimpleImputer(), MLELinearRegressor()).fit(gaps, y)
    (found,) = PartialResidualsDisplay.from_estimator(pipe, gaps, y, columns="a").components
    assert len(found.x) == 48


def test_an_exact_fit_and_one_of_more_columns_than_rows_are_drawn(rng):
    X = rng.standard_normal((20, 2))
    with pytest.warns(UserWarning, match="exact"):
        model = MLELinearRegressor().fit(X, X @ [1.0, 2.0])
    assert not faults(PartialResidualsDisplay.from_estimator(model, X, X @ [1.0, 2.0]).figure_)
    X = rng.standard_normal((4, 6))
    with pytest.warns(UserWarning):
        model = MLELinearRegressor().fit(X, rng.standard_normal(4))
    shown = PartialResidualsDisplay.from_estimator(model, X, model.predict(X))
    assert np.isnan(shown.components[0].half_width).all()


def test_bad_choices_are_refused_in_words(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    with pytest.raises(ValueError, match="column='z' is none of the columns"):
        PartialResidualsDisplay.from_estimator(model, X, y, columns="z")
    with pytest.raises(ValueError, match="no column to draw along"):
        PartialResidualsDisplay.from_estimator(model, X, y, columns=[])
    with pytest.raises(ValueError, match="most=0"):
        PartialResidualsDisplay.from_estimator(model, X, y, most=0)
    with pytest.raises(ValueError, match="NaN or infinite in 60 rows"):
        PartialResidualsDisplay.from_estimator(model, X, y * np.nan)
