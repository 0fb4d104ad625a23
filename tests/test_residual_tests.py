"""Tests of the residuals at the edges of what they can say, and under weights."""

import warnings

import numpy as np
import pytest
import statsmodels.api as sm
from scipy.stats import norm, normaltest
from statsmodels.stats import diagnostic, stattools

from mle_regression import MLELinearRegressor
from mle_regression.diagnostics.residual_tests import durbin_watson

pytestmark = pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")


def table(X, y, weights=None, new=None, **options):
    """The table of tests of a fit on (X, y), on its own rows or on ``new`` ones."""
    model = MLELinearRegressor(**options).fit(X, y, weights)
    return model.diagnose(*(new or (X, y, weights))).tests()


@pytest.mark.filterwarnings("ignore::mle_regression.InferenceWarning")
def test_durbin_watson_needs_one_row_more_than_coefficients(rng):
    X, y = rng.standard_normal((6, 3)), rng.standard_normal(6)
    for n in (5, 6):
        row = table(X[:n], y[:n]).loc["durbin_watson"]
        fit = sm.OLS(y[:n], sm.add_constant(X[:n])).fit()
        assert row["statistic"] == pytest.approx(stattools.durbin_watson(fit.resid), rel=1e-9)
    row = table(X[:4], y[:4], alpha=1.0).loc["durbin_watson"]
    assert np.isnan(row["statistic"])
    assert "no more rows than coefficients" in row["note"]


def durbin_watson_moments(X):
    """Mean and variance of the statistic, by the matrices that the formula is written in."""
    n = len(X)
    basis = np.linalg.qr(np.column_stack([np.ones(n), X]))[0]
    inside = np.eye(n) - basis @ basis.T
    steps = np.diff(np.eye(n), axis=0)
    ma = inside @ steps.T @ steps
    dof = n - basis.shape[1]
    mean = np.trace(ma) / dof
    return mean, 2.0 * (np.trace(ma @ ma) - dof * mean**2) / (dof * (dof + 2.0))


@pytest.mark.parametrize("block", [1 << 18, 24])
def test_durbin_watson_has_its_exact_mean_and_variance(block, rng, monkeypatch):
    monkeypatch.setattr(durbin_watson, "_BLOCK", block)
    X, y = rng.standard_normal((41, 3)), np.cumsum(rng.standard_normal(41))
    row = table(X, y).loc["durbin_watson"]
    mean, variance = durbin_watson_moments(X)
    assert row["p_value"] == pytest.approx(2 * norm.sf(abs(row["statistic"] - mean) / np.sqrt(variance)), rel=1e-9)


@pytest.mark.parametrize("weight_type", ["frequency", "precision"])
def test_predictive_failure_under_weights(weight_type, rng):
    """Frequencies are repeated rows; a row of precision w is one of unit precision, times √w, in every column."""
    X, new = rng.standard_normal((30, 2)), rng.standard_normal((8, 2))
    y, y_new = X @ [1.0, -2.0] + rng.standard_normal(30), new @ [1.0, -1.0] + 3.0 * rng.standard_normal(8)
    w, w_new = rng.integers(1, 4, 30).astype(float), rng.integers(1, 4, 8).astype(float)
    row = table(X, y, w, (new, y_new, w_new), weight_type=weight_type).loc["predictive_failure"]
    design, design_new = np.column_stack([np.ones(30), X]), np.column_stack([np.ones(8), new])
    if weight_type == "frequency":
        design, y = np.repeat(design, w.astype(int), axis=0), np.repeat(y, w.astype(int))
        design_new, y_new = np.repeat(design_new, w_new.astype(int), axis=0), np.repeat(y_new, w_new.astype(int))
    else:
        design, y = design * np.sqrt(w)[:, None], y * np.sqrt(w)
        design_new, y_new = design_new * np.sqrt(w_new)[:, None], y_new * np.sqrt(w_new)
    every, y_every = np.vstack([design, design_new]), np.concatenate([y, y_new])
    before, after = (np.linalg.lstsq(a, b, rcond=None)[1][0] for a, b in ((design, y), (every, y_every)))
    dof = len(y) - 3
    statistic = (after - before) / len(y_new) / (before / dof)
    assert row["statistic"] == pytest.approx(statistic, rel=1e-9)
    assert row["df"] == len(y_new)
    assert row["df_denom"] == dof


@pytest.mark.parametrize("n", [8, 9, 12, 40, 500])
def test_omnibus_is_scipys(n, rng):
    X, y = rng.standard_normal((n, 2)), rng.standard_exponential(n)
    row = table(X, y).loc["omnibus"]
    residuals = sm.OLS(y, sm.add_constant(X)).fit().resid
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # SciPy warns of few rows
        expected = normaltest(residuals)
    assert row["statistic"] == pytest.approx(expected.statistic, rel=1e-8)
    assert row["p_value"] == pytest.approx(expected.pvalue, rel=1e-8)


def test_omnibus_of_what_it_cannot_judge(rng):
    X = rng.standard_normal((7, 1))
    assert "fewer than 8 rows" in table(X, rng.standard_normal(7)).loc["omnibus", "note"]
    weights = np.full(9, 1.5)
    note = table(rng.standard_normal((9, 1)), rng.standard_normal(9), weights, weight_type="frequency").loc[
        "omnibus", "note"
    ]
    assert "no integers" in note


@pytest.mark.parametrize("fit_intercept", [True, False])
def test_reset_is_the_f_test_of_two_powers(fit_intercept, rng):
    X = rng.standard_normal((40, 2)) + 1.0
    y = np.exp(0.5 * X[:, 0]) + X[:, 1] + 0.1 * rng.standard_normal(40)
    row = table(X, y, fit_intercept=fit_intercept).loc["reset"]
    fit = sm.OLS(y, sm.add_constant(X) if fit_intercept else X).fit()
    expected = diagnostic.linear_reset(fit, power=3, use_f=True)
    assert row["statistic"] == pytest.approx(float(np.squeeze(expected.fvalue)), rel=1e-8)
    assert row["p_value"] == pytest.approx(float(expected.pvalue), rel=1e-8)
    assert row["df"] == 2
    assert row["df_denom"] == 40 - 2 - fit_intercept - 2


def test_reset_of_what_it_cannot_judge(rng):
    dummy = np.repeat([0.0, 1.0], 5)[:, None]
    note = table(dummy, rng.standard_normal(10)).loc["reset", "note"]
    assert "add no columns" in note
    few = table(rng.standard_normal((6, 3)), rng.standard_normal(6)).loc["reset", "note"]
    assert "too few rows" in few


@pytest.mark.filterwarnings("ignore::mle_regression.InferenceWarning")
@pytest.mark.parametrize("n", [4, 5, 30])
def test_breusch_pagan_of_few_rows(n, rng):
    X, y = rng.standard_normal((n, 2)), rng.standard_normal(n)
    row = table(X, y).loc["breusch_pagan"]
    design = sm.add_constant(X)
    statistic, p_value, *_ = diagnostic.het_breuschpagan(sm.OLS(y, design).fit().resid, design)
    assert row["statistic"] == pytest.approx(statistic, rel=1e-7)
    assert row["p_value"] == pytest.approx(p_value, rel=1e-7)


@pytest.mark.filterwarnings("ignore::mle_regression.InferenceWarning")
@pytest.mark.parametrize(("n", "lags"), [(5, 1), (9, 1), (10, 2), (49, 9), (50, 10), (80, 10)])
def test_ljung_box_looks_at_a_fifth_of_the_rows_and_ten_at_most(n, lags, rng):
    X, y = rng.standard_normal((n, 1)), rng.standard_normal(n)
    row = table(X, y).loc["ljung_box"]
    expected = diagnostic.acorr_ljungbox(sm.OLS(y, sm.add_constant(X)).fit().resid, lags=[lags]).iloc[0]
    assert row["df"] == lags
    assert row["statistic"] == pytest.approx(expected["lb_stat"], rel=1e-8)
    assert row["p_value"] == pytest.approx(expected["lb_pvalue"], rel=1e-8)
    assert "fewer than five rows" in table(X[:4], y[:4]).loc["ljung_box", "note"]


@pytest.mark.filterwarnings("ignore::mle_regression.InferenceWarning")
@pytest.mark.parametrize("n", [6, 7, 30, 31])
def test_goldfeld_quandt_compares_the_halves(n, rng):
    X, y = rng.standard_normal((n, 1)), rng.standard_normal(n)
    row = table(X, y).loc["goldfeld_quandt"]
    first, second = (sm.OLS(y[pick], sm.add_constant(X[pick])).fit() for pick in (slice(n // 2), slice(n // 2, n)))
    assert row["statistic"] == pytest.approx(second.mse_resid / first.mse_resid, rel=1e-8)
    assert (row["df"], row["df_denom"]) == (second.df_resid, first.df_resid)
    assert np.isnan(table(X[:5], y[:5]).loc["goldfeld_quandt", "statistic"])


@pytest.mark.parametrize("half", [slice(0, 20), slice(20, 40)])
def test_goldfeld_quandt_of_a_half_without_residuals_is_undefined(half, rng):
    X, y = rng.standard_normal((40, 1)), rng.standard_normal(40)
    X[half], y[half] = 0.0, 0.0
    row = MLELinearRegressor(fit_intercept=False).fit(X, y).diagnose(X, y).tests().loc["goldfeld_quandt"]
    assert np.isnan(row["statistic"])
    assert "half of the rows have no residuals" in " ".join(map(str, row))


def test_white_is_that_of_statsmodels_in_any_units(rng):
    X, y = rng.standard_normal((40, 3)) + [5.0, 0.0, -1.0], rng.standard_normal(40)
    row = table(X * [1e100, 1e-100, 1.0], y).loc["white"]
    design = sm.add_constant(X)
    statistic, p_value, *_ = diagnostic.het_white(sm.OLS(y, design).fit().resid, design)
    assert row["statistic"] == pytest.approx(statistic, rel=1e-7)
    assert row["p_value"] == pytest.approx(p_value, rel=1e-7)
    assert row["df"] == 9
