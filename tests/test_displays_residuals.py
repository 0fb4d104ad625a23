"""Residuals in pictures: their numbers against R's formulae and statsmodels, and what is drawn of them."""

import numpy as np
import pandas as pd
import pytest
import statsmodels.api as sm
from scipy.stats import beta, norm
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from statsmodels.nonparametric.smoothers_lowess import lowess as lowess_of_statsmodels

from mle_regression import MLELinearRegressor, MLPGradientRegressor
from mle_regression.diagnostics.local_regression import lowess
from mle_regression.diagnostics.quantile_band import plotting_positions, quantile_band
from mle_regression.displays import ResidualsDisplay
from mle_regression.fitted.network_on_rows import NetworkOnRows

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
    X = pd.DataFrame(rng.standard_normal((40, 3)), columns=["a", "b", "c"], index=[f"row {i}" for i in range(40)])
    return X, X["a"] - 2 * X["b"] + rng.standard_normal(40)


@pytest.mark.parametrize("rounds", [0, 3])
@pytest.mark.parametrize("span", [0.3, 2 / 3])
def test_the_smoother_is_lowess(rounds, span, rng):
    x = rng.uniform(0, 10, 70)
    y = np.sin(x) + 0.2 * rng.standard_cauchy(70)
    curve = lowess(x, y, span=span, rounds=rounds)
    expected = lowess_of_statsmodels(y, x, frac=span, it=rounds, delta=0.0)
    np.testing.assert_allclose(curve.x, expected[:, 0])
    # statsmodels takes the weights within a thousandth of the reach for one, and those at its end for zero
    np.testing.assert_allclose(curve.y, expected[:, 1], atol=1e-5)


def test_the_smoother_of_many_rows_is_that_of_all(rng):
    x = rng.uniform(0, 10, 20_000)
    curve = lowess(x, np.sin(x) + 0.1 * rng.standard_normal(20_000), span=0.2)
    np.testing.assert_allclose(curve.y[10:-10], np.sin(curve.x[10:-10]), atol=0.1)


def test_where_few_places_are_there_is_no_curve():
    assert not len(lowess(np.arange(10.0) % 2, np.arange(10.0)).x)
    assert not len(lowess(np.arange(7.0), np.arange(7.0)).x)  # of so few rows a curve is the points themselves


def test_rows_of_dates_are_named_by_the_date(rows):
    X, y = rows
    X = X.set_index(pd.date_range("2024-01-01", periods=40))
    shown = ResidualsDisplay.from_estimator(
        MLELinearRegressor().fit(X, y.to_numpy()), X, y.to_numpy(), kind="residuals"
    )
    assert all(len(text.get_text()) == len("2024-01-01") for text in shown.ax_.texts)


def test_the_smoother_passes_through_the_medians_of_tied_places(rng):
    x = np.repeat([0.0, 1.0, 2.0, 3.0], 25)
    curve = lowess(x, x + rng.normal(0, 1e-3, 100), span=0.1)
    np.testing.assert_allclose(curve.y, [0.0, 1.0, 2.0, 3.0], atol=2e-3)


@pytest.mark.parametrize("n", [5, 60, 2000])
def test_the_band_holds_whole_samples_as_often_as_it_says(n):
    """Of 4,000 samples 95 % have a standard error of 0.35 %, and the level, found from 1,000, one of 0.7 %."""
    band = quantile_band(n)
    ranks = np.round(band.position * n + 0.5).astype(int) if n > 10 else np.arange(1, n + 1)
    samples = np.sort(np.random.default_rng(99).random((4000, n)), axis=1)[:, ranks - 1]
    inside = ((samples >= band.lower) & (samples <= band.upper)).all(axis=1).mean()
    assert abs(inside - 0.95) < 0.025


def test_each_order_statistic_leaves_the_band_equally_often():
    band = quantile_band(50)
    rank = np.arange(1, 51)
    below, above = beta.cdf(band.lower, rank, 51 - rank), beta.sf(band.upper, rank, 51 - rank)
    np.testing.assert_allclose(below, below[0], rtol=1e-8)
    np.testing.assert_allclose(above, below[0], rtol=1e-8)
    np.testing.assert_allclose(plotting_positions(5), (np.arange(1, 6) - 0.375) / 5.25)  # R's ppoints


@pytest.mark.parametrize("weighted", [False, True])
def test_numbers_are_those_of_statsmodels(weighted, rows, rng):
    X, y = rows
    w = rng.uniform(0.3, 3.0, 40) if weighted else np.ones(40)
    peer = sm.WLS(y, sm.add_constant(X), weights=w).fit()
    # statsmodels' influence of a weighted fit is that of the rows times the root of their weights
    influence = sm.OLS(np.sqrt(w) * y, sm.add_constant(X).mul(np.sqrt(w), axis=0)).fit().get_influence()
    model = MLELinearRegressor().fit(X, y, sample_weight=w)
    shown = ResidualsDisplay.from_estimator(model, X, y, sample_weight=w)
    np.testing.assert_allclose(shown.fitted, peer.fittedvalues, rtol=1e-10)
    np.testing.assert_allclose(shown.residual, peer.resid, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(shown.standardized, influence.resid_studentized_internal, rtol=1e-9)
    np.testing.assert_allclose(shown.leverage, influence.hat_matrix_diag, rtol=1e-9)
    np.testing.assert_allclose(shown.cooks_distance, influence.cooks_distance[0], rtol=1e-8)
    np.testing.assert_allclose(shown.n_parameters, 4.0)
    order = np.argsort(shown.standardized)
    np.testing.assert_allclose(shown.quantiles[order], norm.ppf((np.arange(1, 41) - 0.5) / 40))


def test_rows_without_weight_are_as_if_absent(rows):
    X, y = rows
    w = np.ones(40)
    w[[3, 17]] = 0.0
    model = MLELinearRegressor().fit(X, y, sample_weight=w)
    shown, others = (
        ResidualsDisplay.from_estimator(model, X, y, sample_weight=w),
        ResidualsDisplay.from_estimator(model, X[w > 0], y[w > 0]),
    )
    for name in ("fitted", "residual", "standardized", "leverage", "cooks_distance", "quantiles"):
        np.testing.assert_allclose(getattr(shown, name), getattr(others, name), rtol=1e-9)
    assert shown.labels.tolist() == others.labels.tolist()


def test_rows_that_stand_for_several_have_the_middle_of_their_ranks(rows):
    X, y = rows
    counts = np.arange(40) % 3 + 1.0
    model = MLELinearRegressor(weight_type="frequency").fit(X, y, sample_weight=counts)
    shown = ResidualsDisplay.from_estimator(model, X, y, sample_weight=counts, kind="qq")
    long_X, long_y = X.loc[X.index.repeat(counts.astype(int))], y.loc[y.index.repeat(counts.astype(int))]
    repeated = ResidualsDisplay.from_estimator(MLELinearRegressor().fit(long_X, long_y), long_X, long_y, kind="qq")
    ranks = pd.Series(norm.cdf(repeated.quantiles), index=repeated.labels).groupby(level=0).mean()
    np.testing.assert_allclose(norm.cdf(shown.quantiles), ranks[shown.labels], rtol=1e-9)
    np.testing.assert_allclose(shown.band.lower, repeated.band.lower)


def test_a_diagnosis_gives_the_same_numbers(rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    one = ResidualsDisplay.from_estimator(model, X, y)
    other = ResidualsDisplay.from_diagnosis(model.diagnose(X, y))
    for name in ("fitted", "residual", "standardized", "leverage", "cooks_distance", "quantiles"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-10, atol=1e-13)


@pytest.mark.parametrize("alpha", [0.1, [0.1, 2.0]], ids=["one penalty", "one an output"])
def test_a_diagnosis_of_several_outputs_gives_those_of_one(alpha, rows):
    X, y = rows
    Y = pd.DataFrame({"price": y, "rent": y**2})
    model = MLELinearRegressor(alpha=alpha).fit(X, Y)
    alone = MLELinearRegressor(alpha=np.ravel(alpha)[-1]).fit(X, Y["rent"])
    expected = ResidualsDisplay.from_estimator(alone, X, Y["rent"])
    for shown in (
        ResidualsDisplay.from_diagnosis(model.diagnose(X, Y), output="rent"),
        ResidualsDisplay.from_estimator(model, X, Y, output=1),
    ):
        assert shown.target == "rent"
        assert shown.labels.tolist() == X.index.tolist()
        for name in ("fitted", "standardized", "leverage", "cooks_distance"):
            np.testing.assert_allclose(getattr(shown, name), getattr(expected, name), rtol=1e-9, atol=1e-12)
    with pytest.raises(ValueError, match=r"choose one by output=.*'price', 'rent'"):
        ResidualsDisplay.from_diagnosis(model.diagnose(X, Y))


@pytest.mark.parametrize("kind", ["precision", "frequency"])
def test_a_weighted_network_is_standardized_as_the_linear_model_that_it_is(kind, rows):
    X, y = rows
    w = np.arange(40) % 4.0
    options = {"alpha": 0.0, "early_stopping": False, "solver": "lm", "random_state": 0, "weight_type": kind}
    network = MLPGradientRegressor((), **options).fit(X, y, sample_weight=w)
    linear = MLELinearRegressor(weight_type=kind).fit(X, y, sample_weight=w)
    expected = ResidualsDisplay.from_estimator(linear, X, y, sample_weight=w)
    told = {"sample_weight": w, "frequency": kind == "frequency"}
    for shown in (
        ResidualsDisplay.from_estimator(network, X, y, sample_weight=w),
        ResidualsDisplay.from_diagnosis(network.diagnose(X, y, w), **told),
    ):
        np.testing.assert_allclose(shown.leverage, expected.leverage, rtol=1e-4)
        np.testing.assert_allclose(shown.standardized, expected.standardized, rtol=1e-4, atol=1e-6)


def test_a_mean_of_several_networks_has_no_leverage(rows):
    X, y = rows
    options = {"alpha": 1e-3, "solver": "lm", "early_stopping": False, "random_state": 0}
    many = MLPGradientRegressor((3,), n_init=2, ensemble=True, **options).fit(X, y)
    shown = ResidualsDisplay.from_estimator(many, X, y)
    assert shown.leverage is None
    assert "mean of several" in shown.missing["leverage"]
    np.testing.assert_allclose(shown.fitted, many.predict(X))


def test_no_network_is_fitted_again_for_a_picture(rows, monkeypatch):
    X, y = rows
    network = MLPGradientRegressor((2,), alpha=1.0, solver="lm", early_stopping=False, random_state=0).fit(X, y)
    monkeypatch.setattr(NetworkOnRows, "_refitted", lambda *_: pytest.fail("fitted again"))
    shown = ResidualsDisplay.from_estimator(network, X, y)
    np.testing.assert_allclose(shown.leverage, network.diagnose(X, y).rows(refit=False)["leverage"])
    assert np.isfinite(shown.n_parameters)  # Cook's distance of a network has the form of a linear model's


def test_a_network_of_no_hidden_layer_has_the_numbers_of_the_linear_model(rows):
    X, y = rows
    options = {"hidden_layer_sizes": (), "alpha": 0.0, "early_stopping": False}
    network = MLPGradientRegressor(**options, solver="lm", random_state=0).fit(X, y)
    one = ResidualsDisplay.from_estimator(network, X, y)
    other = ResidualsDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y)
    for name in ("fitted", "standardized", "leverage", "cooks_distance"):
        np.testing.assert_allclose(getattr(one, name), getattr(other, name), rtol=1e-5, atol=1e-7)


def test_new_rows_have_the_leverage_of_the_fit_with_them(rows):
    X, y = rows
    half = MLELinearRegressor().fit(X[:30], y[:30])
    shown = ResidualsDisplay.from_estimator(half, X[30:], y[30:])
    with_it = MLELinearRegressor().fit(pd.concat([X[:30], X[30:31]]), pd.concat([y[:30], y[30:31]]))
    table = with_it.diagnose(pd.concat([X[:30], X[30:31]]), pd.concat([y[:30], y[30:31]])).rows()
    np.testing.assert_allclose(shown.leverage[0], table["leverage"].iloc[-1])
    np.testing.assert_allclose(shown.standardized[0], table["studentized_internal"].iloc[-1])


def test_predictions_of_any_regressor_will_do(rows):
    X, y = rows
    model = LinearRegression().fit(X, y)
    shown = ResidualsDisplay.from_estimator(model, X, y)
    residual = (y - model.predict(X)).to_numpy()
    np.testing.assert_allclose(shown.standardized, residual / np.sqrt(np.mean(residual**2)))
    assert [ax.get_title() for ax in shown.ax_][-1] == "Observed against fitted"
    np.testing.assert_allclose(ResidualsDisplay.from_predictions(y, model.predict(X)).residual, residual)
    with pytest.raises(ValueError, match="Leverage is known of fits of this package"):
        shown.plot(kind="leverage")


def test_the_most_extreme_rows_are_named_by_their_labels(rows):
    X, y = rows
    y = y.copy()
    y["row 7"] += 40.0
    X.loc["row 12"] = 30.0
    shown = ResidualsDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y, n_labels=2)
    named = [[text.get_text() for text in ax.texts] for ax in shown.ax_]
    assert all(len(names) == 2 for names in named)
    assert all("row 7" in names for names in named[:3])
    assert set(named[3]) == set(shown.labels[np.argsort(-shown.cooks_distance)[:2]])
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X, y)
    assert "row 7" in [text.get_text() for text in ResidualsDisplay.from_estimator(pipe, X, y, kind="qq").ax_.texts]


def test_what_is_drawn_is_what_is_stored(rows):
    X, y = rows
    shown = ResidualsDisplay.from_estimator(MLELinearRegressor().fit(X, y), X, y)
    drawn = [np.asarray(ax.collections[-1].get_offsets()) for ax in shown.ax_]
    np.testing.assert_allclose(drawn[0], np.column_stack([shown.fitted, shown.residual]))
    order = np.argsort(shown.quantiles)
    np.testing.assert_allclose(drawn[1], np.column_stack([shown.quantiles, shown.standardized])[order])
    np.testing.assert_allclose(drawn[2], np.column_stack([shown.fitted, np.sqrt(np.abs(shown.standardized))]))
    np.testing.assert_allclose(drawn[3], np.column_stack([shown.leverage, shown.standardized]))
    np.testing.assert_allclose(shown.ax_[0].lines[0].get_xydata(), np.column_stack([shown.trend.x, shown.trend.y]))


def test_a_line_of_equal_cooks_distance_runs_through_rows_that_have_it(rows):
    X, y = rows
    X.loc["row 12"] = 30.0
    shown = ResidualsDisplay.from_estimator(MLELinearRegressor().fit(X, y + 0.5 * X["c"] ** 2), X, y, kind="leverage")
    lines = [line for line in shown.ax_.lines if str(line.get_label()).startswith("Cook's distance 0.5")]
    h, t = lines[0].get_xdata(), lines[0].get_ydata()
    np.testing.assert_allclose(t**2 * h / ((1 - h) * shown.n_parameters), 0.5)


def test_100_000_rows_are_drawn_as_their_density(rng):
    X = rng.standard_normal((100_000, 5))
    y = X @ np.arange(5.0) + rng.standard_t(3, 100_000)
    model = MLELinearRegressor().fit(X, y)
    shown = ResidualsDisplay.from_estimator(model, X, y)
    counts = shown.ax_[0].collections[0].get_array()
    assert counts.sum() == 100_000
    assert not faults(shown.figure_)


def test_an_exact_fit_shows_that_residuals_are_rounding(rng):
    X = rng.standard_normal((20, 3))
    with pytest.warns(UserWarning, match="exact"):
        model = MLELinearRegressor().fit(X, X @ [1.0, 2.0, 3.0] + 4.0)
    shown = ResidualsDisplay.from_estimator(model, X, X @ [1.0, 2.0, 3.0] + 4.0)
    assert [ax.get_title() for ax in shown.ax_] == ["Exact fit: residuals are rounding", "Observed against fitted"]
    with pytest.raises(ValueError, match="The fit is exact"):
        shown.plot(kind="qq")


def test_rows_of_leverage_one_are_counted_where_they_cannot_be_drawn(rows):
    X, y = rows
    alone = X.assign(only=(X.index == "row 5").astype(float))
    shown = ResidualsDisplay.from_estimator(MLELinearRegressor().fit(alone, y), alone, y)
    assert np.isnan(shown.standardized[5])
    assert shown.ax_[3].get_xlabel() == "Leverage (1 of leverage 1 hidden)"
    assert len(shown.ax_[3].collections[0].get_offsets()) == 39


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda X, y: (X, y.where(y.index != "row 3")), r"y is NaN or infinite in 1 rows, the first of them row 3"),
        (lambda X, y: (X[:-1], y), "y has 40 rows"),
        (lambda X, y: (X.assign(a=X["a"].where(X.index != "row 3")), y), "NaN"),
    ],
    ids=["NaN in y", "too few rows", "NaN in X"],
)
def test_bad_rows_are_refused_in_words(change, message, rows):
    X, y = rows
    model = MLELinearRegressor().fit(X, y)
    with pytest.raises(ValueError, match=message):
        ResidualsDisplay.from_estimator(model, *change(X, y))


def test_predictions_without_end_are_refused(rows):
    class Diverged(LinearRegression):
        def predict(self, X):
            return np.full(len(X), np.inf)

    X, y = rows
    with pytest.raises(ValueError, match="the fit has diverged"):
        ResidualsDisplay.from_estimator(Diverged().fit(X, y), X, y)
