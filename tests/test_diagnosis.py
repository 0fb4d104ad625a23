"""What holds for any diagnosis: exact values, equivalent data, many outputs, new rows, and inputs that have no answer."""

import re
from pathlib import Path

import mpmath
import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from designs import HARD, responses
from exact import digits
from scipy import stats
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from mle_regression import (
    InferenceWarning,
    MLELinearRegressor,
    NoiseFreeWarning,
    compare_models,
    likelihood_ratio_test,
)
from mle_regression.diagnostics.residual_tests.registry import DIAGNOSTICS
from mle_regression.reports.linear.hypotheses import parse_hypotheses

ROW_COLUMNS = (
    "fitted", "residual", "leverage", "standardized", "studentized_internal", "studentized_external", "cooks_distance",
    "dffits", "loo_residual",
)  # fmt: skip


@pytest.fixture
def data(rng):
    X = pd.DataFrame(rng.standard_normal((60, 3)), columns=["age", "bmi", "living area"])
    y = X @ [1.0, -2.0, 0.5] + 3 + rng.standard_normal(60) * (1 + X["age"].abs())
    return X, y


def same(one, other, **tolerance):
    pd.testing.assert_frame_equal(one, other, **({"rtol": 1e-9, "atol": 1e-12} | tolerance))


# -- to the last digit -----------------------------------------------------------------------------------------------


def exact_influence(X, y):
    """Residuals, leverages and HC0 errors in 120 digits."""
    with mpmath.workdps(120):
        A = mpmath.matrix([[1, *map(float, row)] for row in X])
        inverse = (A.T * A) ** -1
        residual = mpmath.matrix([float(v) for v in y]) - A * (inverse * (A.T * mpmath.matrix([float(v) for v in y])))
        hat = A * inverse
        n, k = A.rows, A.cols
        leverage = [mpmath.fsum(hat[i, j] * A[i, j] for j in range(k)) for i in range(n)]
        hc0 = [mpmath.sqrt(mpmath.fsum((hat[i, j] * residual[i]) ** 2 for i in range(n))) for j in range(k)]
        press = mpmath.fsum((residual[i] / (1 - leverage[i])) ** 2 for i in range(n))
        return tuple(np.array([float(v) for v in values]) for values in (residual, leverage, hc0)) + (float(press),)


KEPT = [name for name in HARD if not name.startswith(("Läuchli", "subnormal", "units"))]


@pytest.mark.parametrize("name", KEPT)
@pytest.mark.parametrize("kind", ["close", "far"])
def test_rows_and_robust_errors_have_all_digits(name, kind):
    """Where statsmodels has none: HC errors to 1e-1 at a condition of 1e10 (tests/test_inference.py has the easy ones)."""
    X = HARD[name]
    y = responses(X)[kind]
    residual, leverage, hc0, press = exact_influence(X, y)
    diagnosis = MLELinearRegressor(rank_tol=0.0).fit(X, y).diagnose(X, y)
    rows = diagnosis.rows()
    size = np.abs(residual).max()
    assert np.abs(rows["residual"] - residual).max() <= 1e-14 * size
    np.testing.assert_allclose(rows["leverage"], leverage, rtol=1e-13)
    assert digits(diagnosis.coefficients(cov="HC0")["std_error"], hc0) > 12.5
    if leverage.max() < 1 - 1e-4:
        assert diagnosis.press == pytest.approx(press, rel=1e-11)


# -- the same data in other clothes ----------------------------------------------------------------------------------


def test_frequency_weights_are_repeated_rows(data, rng):
    X, y = data
    counts = rng.integers(0, 4, len(y))
    repeated = np.repeat(np.arange(len(y)), counts)
    one = MLELinearRegressor(weight_type="frequency").fit(X, y, counts)
    many = MLELinearRegressor().fit(X.iloc[repeated], y.iloc[repeated])
    for name in ("r2_", "adjusted_r2_", "residual_variance_", "residual_dof_"):
        assert getattr(one, name) == pytest.approx(getattr(many, name), rel=1e-12)
    same(one.coefficients(), many.coefficients())
    same(one.fisher_information(), many.fisher_information())
    assert one.f_test().statistic == pytest.approx(many.f_test().statistic)
    first, second = one.diagnose(X, y, counts), many.diagnose(X.iloc[repeated], y.iloc[repeated])
    assert first.data == second.data == "the rows of the fit"
    for kind in ("HC0", "HC1", "HC2", "HC3"):
        same(first.coefficients(kind), second.coefficients(kind))
    groups = np.arange(len(y)) % 5
    same(first.coefficients({"cluster": groups}), second.coefficients({"cluster": groups[repeated]}))
    counted = counts > 0
    places = np.searchsorted(repeated, np.flatnonzero(counted))
    np.testing.assert_allclose(first.rows()[counted], second.rows().iloc[places], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(first.dfbetas()[counted], second.dfbetas().iloc[places], rtol=1e-9, atol=1e-12)
    assert first.press == pytest.approx(second.press)
    assert first.predicted_r2 == pytest.approx(second.predicted_r2)
    same(first.collinearity().vif, second.collinearity().vif)
    weighted = first.tests()
    assert weighted.loc["durbin_watson", "note"] == "rows that stand for several have no order"
    expanded = second.tests()
    for name in ("jarque_bera", "omnibus", "breusch_pagan", "white", "reset"):
        same(
            weighted.loc[[name], ["statistic", "df", "df_denom", "p_value"]],
            expanded.loc[[name], ["statistic", "df", "df_denom", "p_value"]],
        )
    assert weighted.loc[["durbin_watson", "ljung_box", "goldfeld_quandt"], "statistic"].isna().all()
    with pytest.raises(ValueError, match="no order in time"):
        first.coefficients({"HAC": 2})


def test_rows_of_weight_zero_are_as_if_absent(data):
    X, y = data
    weights = np.linspace(0.5, 2, len(y))
    weights[::7] = 0
    keep = weights > 0
    first = MLELinearRegressor().fit(X, y, weights).diagnose(X, y, weights)
    second = MLELinearRegressor().fit(X[keep], y[keep], weights[keep]).diagnose(X[keep], y[keep], weights[keep])
    assert first.data == second.data == "the rows of the fit"
    same(first.rows()[keep], second.rows())
    assert (first.rows().loc[~keep, ["leverage", "cooks_distance"]] == 0).all(axis=None)
    assert first.rows().loc[~keep, "studentized_external"].isna().all()
    for cov in ("HC0", "HC3", {"HAC": 3}):
        same(first.coefficients(cov), second.coefficients(cov))
    groups = np.arange(len(y)) % 4
    same(first.coefficients({"cluster": groups}), second.coefficients({"cluster": groups[keep]}))
    same(first.tests().drop(columns=["note"]), second.tests().drop(columns=["note"]))
    same(first.dfbetas()[keep], second.dfbetas())
    assert (first.press, first.predicted_r2) == pytest.approx((second.press, second.predicted_r2))


@pytest.mark.parametrize("weighted", [False, True])
def test_units_change_nothing(data, weighted):
    X, y = data
    weights = np.linspace(0.5, 2, len(y)) if weighted else None
    units, k = np.array([1e-8, 1e9, 3.0]), 1e6
    other_weights = None if weights is None else 1e80 * weights
    first = MLELinearRegressor().fit(X, y, weights).diagnose(X, y, weights)
    second = MLELinearRegressor().fit(X * units, k * y, other_weights).diagnose(X * units, k * y, other_weights)
    free = [name for name in ROW_COLUMNS if name not in ("fitted", "residual", "loo_residual")]
    same(first.rows()[free], second.rows()[free])
    same(
        k * first.rows()[["fitted", "residual", "loo_residual"]],
        second.rows()[["fitted", "residual", "loo_residual"]],
        atol=1e-8,
    )
    same(first.dfbetas(), second.dfbetas())
    scale = k / np.r_[1, units]
    for cov in ("HC3", {"HAC": 2}, {"cluster": np.arange(60) % 6}):
        np.testing.assert_allclose(
            second.coefficients(cov)["std_error"], scale * first.coefficients(cov)["std_error"], rtol=1e-9
        )
    same(first.tests().drop(columns="note"), second.tests().drop(columns="note"))
    same(first.collinearity().vif, second.collinearity().vif)


@pytest.mark.parametrize(
    "make", [np.asarray, sp.csr_array, sp.csc_matrix, pl.from_pandas, lambda X: np.asfortranarray(X)]
)
def test_containers_change_nothing(data, make):
    X, y = data
    groups = np.arange(60) % 6
    first = MLELinearRegressor().fit(X.to_numpy(), y).diagnose(X.to_numpy(), y)
    container = make(X) if make is pl.from_pandas else make(X.to_numpy())
    second = MLELinearRegressor().fit(container, y).diagnose(container, y)
    same(first.rows(), second.rows())
    np.testing.assert_allclose(first.dfbetas(), second.dfbetas(), rtol=1e-9, atol=1e-12)
    for cov in ("HC2", {"HAC": 2}, {"cluster": groups}):
        np.testing.assert_allclose(first.coefficients(cov), second.coefficients(cov), rtol=1e-9)
    same(first.tests(), second.tests())
    np.testing.assert_allclose(first.collinearity().vif, second.collinearity().vif, rtol=1e-9)


@pytest.mark.parametrize("n", [200, 400_000])
def test_blocks_and_threads_change_nothing(rng, n, monkeypatch):
    X = rng.standard_normal((n, 4)) + np.array([0, 5, 100, -1e4])
    y = X.sum(axis=1) + rng.standard_normal(n)
    diagnosis = MLELinearRegressor(refine=False).fit(X, y).diagnose(X, y)
    rows = diagnosis.rows()
    pick = rng.integers(0, n, 20)
    A = np.column_stack([np.ones(n), X - X.mean(axis=0)])
    leverage = np.einsum("ij,ij->i", A[pick] @ np.linalg.inv(A.T @ A), A[pick])
    np.testing.assert_allclose(rows["leverage"][pick], leverage, rtol=1e-8)
    assert rows["leverage"].sum() == pytest.approx(5, rel=1e-9)
    durbin_watson = diagnosis.tests().loc["durbin_watson", "statistic"]
    assert durbin_watson == pytest.approx(np.sum(np.diff(rows["residual"]) ** 2) / np.sum(rows["residual"] ** 2))


@pytest.mark.parametrize("alpha", [0.0, 2.0])
def test_every_output_is_as_if_alone(data, rng, alpha):
    X, y = data
    Y = np.column_stack([y, 1e-3 * rng.standard_normal(60), 1e6 * (y + rng.standard_normal(60))])
    model = MLELinearRegressor(alpha=alpha).fit(X, Y)
    together = model.diagnose(X, Y)
    assert together.data == "the rows of the fit"
    for k in range(3):
        alone = MLELinearRegressor(alpha=alpha).fit(X, Y[:, k])
        single = alone.diagnose(X, Y[:, k])
        for attribute in ("r2_", "adjusted_r2_", "residual_variance_"):
            assert getattr(model, attribute)[k] == pytest.approx(getattr(alone, attribute), rel=1e-9)
        same(together.rows().loc[k], single.rows(), check_names=False, atol=1e-8)
        same(together.dfbetas().loc[k], single.dfbetas(), check_names=False)
        for cov in ("nonrobust", "HC3", {"cluster": np.arange(60) % 7}, {"HAC": 1}):
            same(together.coefficients(cov).loc[k], single.coefficients(cov))
            same(together.covariance(cov).loc[k], single.covariance(cov))
        same(together.tests().loc[k], single.tests())
        same(model.coefficient_covariance().loc[k], alone.coefficient_covariance())
        same(model.fisher_information().loc[k], alone.fisher_information())
        assert together.press[k] == pytest.approx(single.press)
        assert together.predicted_r2[k] == pytest.approx(single.predicted_r2)
        if not alpha:
            assert model.f_test().statistic[k] == pytest.approx(alone.f_test().statistic)
            assert model.test_linear("age = bmi").p_value[k] == pytest.approx(alone.test_linear("age = bmi").p_value)
    assert "2  age" in str(together.report())


# -- penalties -------------------------------------------------------------------------------------------------------


def test_leaving_a_row_out_of_a_penalised_fit(data, rng):
    X, y = data
    diagnosis = MLELinearRegressor(alpha=5.0).fit(X, y).diagnose(X, y)
    rows = diagnosis.rows()
    for i in rng.integers(0, 60, 4):
        other = MLELinearRegressor(alpha=5.0).fit(X.drop(index=i), y.drop(index=i))
        assert rows["loo_residual"][i] == pytest.approx(y[i] - other.predict(X.loc[[i]])[0], rel=1e-9)
    assert diagnosis.press == pytest.approx(np.sum(rows["loo_residual"] ** 2))
    assert rows["leverage"].sum() == pytest.approx(diagnosis._fit.effective_dof)
    assert rows["studentized_external"].isna().all()
    assert list(diagnosis.coefficients()) == ["estimate", "posterior_sd", "lower", "upper"]
    assert list(diagnosis.coefficients("HC3")) == ["estimate", "std_error", "lower", "upper"]
    # Collinearity is that of the columns, whatever the penalty.
    same(diagnosis.collinearity().vif, MLELinearRegressor().fit(X, y).diagnose(X, y).collinearity().vif)


def test_penalised_r2_and_information(data):
    X, y = data
    model = MLELinearRegressor(alpha=5.0).fit(X, y)
    assert model.r2_ == pytest.approx(model.score(X, y), rel=1e-12)
    A = np.column_stack([np.ones(60), X])
    np.testing.assert_allclose(
        model.fisher_information().iloc[:-1, :-1], A.T @ A / model.noise_variance_, rtol=1e-9, atol=1e-9
    )
    for call in (
        model.f_test,
        lambda: model.test_linear("age = 0"),
        lambda: model.diagnose(X, y).test_linear("age = 0"),
    ):
        with pytest.raises(ValueError, match="penalised"):
            call()


# -- new rows --------------------------------------------------------------------------------------------------------


def test_new_rows_are_labelled_and_adding_each_is_what_it_says(data, rng):
    X, y = data
    old, new = slice(0, 40), slice(40, 60)
    model = MLELinearRegressor().fit(X[old], y[old])
    diagnosis = model.diagnose(X[new], y[new])
    assert diagnosis.data == "new rows"
    assert "new rows" in repr(diagnosis)
    assert "new rows" in str(diagnosis)
    rows, dfbetas = diagnosis.rows(), diagnosis.dfbetas()
    assert list(rows.index) == list(range(40, 60))
    np.testing.assert_allclose(rows["residual"], y[new] - model.predict(X[new]), rtol=1e-9)
    np.testing.assert_allclose(rows["loo_residual"], rows["residual"])
    for i in (40, 47, 59):
        both = MLELinearRegressor().fit(pd.concat([X[old], X.loc[[i]]]), pd.concat([y[old], y.loc[[i]]]))
        added = both.diagnose(pd.concat([X[old], X.loc[[i]]]), pd.concat([y[old], y.loc[[i]]]))
        expected = added.rows().loc[i]
        for name in ("studentized_internal", "studentized_external", "cooks_distance", "dffits", "standardized"):
            assert rows.loc[i, name] == pytest.approx(expected[name], rel=1e-8)
        np.testing.assert_allclose(dfbetas.loc[i], added.dfbetas().loc[i], rtol=1e-8)
    assert diagnosis.predicted_r2 == pytest.approx(model.score(X[new], y[new]))
    same(diagnosis.coefficients(), model.coefficients())
    with pytest.raises(ValueError, match="needs the rows that the model was fitted on"):
        diagnosis.coefficients("HC3")
    inside = MLELinearRegressor().fit(X[new], y[new])
    same(diagnosis.collinearity().vif, inside.diagnose(X[new], y[new]).collinearity().vif)
    np.testing.assert_allclose(diagnosis.curvature().eigenvalues, inside.hessian_eigenvalues_, rtol=1e-9)


def test_predictive_failure_is_chows_test(data):
    X, y = data
    model = MLELinearRegressor().fit(X[:40], y[:40])
    found = model.diagnose(X[40:], y[40:]).tests().loc["predictive_failure"]
    pooled = MLELinearRegressor().fit(X, y)
    rss = [m.noise_variance_ * n for m, n in ((model, 40), (pooled, 60))]
    statistic = (rss[1] - rss[0]) / 20 / (rss[0] / 36)
    assert found["statistic"] == pytest.approx(statistic, rel=1e-9)
    assert found["p_value"] == pytest.approx(stats.f.sf(statistic, 20, 36), rel=1e-9)
    assert "predictive_failure" not in model.diagnose(X[:40], y[:40]).tests().index


def test_other_rows_with_the_same_count_are_new(data, rng):
    X, y = data
    model = MLELinearRegressor().fit(X, y)
    assert model.diagnose(X, y + 1e-3).data == "new rows"
    assert model.diagnose(X + 1e-3, y).data == "new rows"
    assert model.diagnose(X, y, np.linspace(1, 2, 60)).data == "new rows"
    assert model.diagnose(X[::-1], y[::-1]).data == "the rows of the fit"


# -- collinearity ----------------------------------------------------------------------------------------------------


def test_belsley_on_longley_as_published():
    """Condition indices of Longley's data, columns of unit length with the intercept (Belsley, Kuh and Welsch, 1980)."""
    import statsmodels.api as sm

    X = sm.datasets.longley.load_pandas().exog
    y = sm.datasets.longley.load_pandas().endog
    found = MLELinearRegressor().fit(X, y).diagnose(X, y).collinearity()
    published = [1, 9, 12, 25, 230, 1048, 43275]
    np.testing.assert_allclose(np.round(found.condition_indices.index), published, atol=1)
    np.testing.assert_allclose(found.condition_indices.sum(axis=0), 1.0, rtol=1e-12)
    np.testing.assert_allclose(found.vif["vif"], [135.53, 1788.51, 33.62, 3.589, 399.15, 758.98], rtol=1e-4)
    assert any("YEAR" in text for text in found.dependencies)


def test_proportions_by_exact_arithmetic(rng):
    X = rng.integers(-9, 10, (15, 3)).astype(float)
    X[:, 2] = X[:, 0] + X[:, 1] + rng.integers(-1, 2, 15)
    y = rng.standard_normal(15)
    found = MLELinearRegressor().fit(X, y).diagnose(X, y).collinearity().condition_indices
    with mpmath.workdps(50):
        A = mpmath.matrix([[1, *row] for row in X.tolist()])
        for j in range(4):
            length = mpmath.sqrt(mpmath.fsum(A[i, j] ** 2 for i in range(15)))
            for i in range(15):
                A[i, j] /= length
        values, vectors = mpmath.eigsy(A.T * A)
        share = [[vectors[j, k] ** 2 / values[k] for j in range(4)] for k in range(4)]
        indices = [float(mpmath.sqrt(values[3] / values[k])) for k in range(4)]
        sums = [mpmath.fsum(share[k][j] for k in range(4)) for j in range(4)]
        proportions = [[float(share[k][j] / sums[j]) for j in range(4)] for k in range(4)]
    np.testing.assert_allclose(found.index, indices[::-1], rtol=1e-12)
    np.testing.assert_allclose(found, proportions[::-1], rtol=1e-9, atol=1e-14)


def test_near_dependencies_are_equations_between_named_columns(data, rng):
    X, y = data
    X = X.assign(total=2 * X["age"] - X["bmi"] + 5 + 1e-3 * rng.standard_normal(60))
    report = MLELinearRegressor().fit(X, y).diagnose(X, y).collinearity()
    assert len(report.dependencies) == 1
    left, right = report.dependencies[0].split(" ≈ ")
    assert left in ("total", "age", "bmi")
    assert sum(name in right for name in ("total", "age", "bmi")) == 2
    assert "living area" not in report.dependencies[0]
    assert report.vif["vif"].drop("living area").min() > 1e5
    assert report.vif.loc["living area", "vif"] < 2


# -- curvature -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 3.0])
def test_curvature(data, alpha):
    X, y = data
    model = MLELinearRegressor(alpha=alpha).fit(X * [1.0, 10.0, 0.1], y)
    found = model.diagnose(X * [1.0, 10.0, 0.1], y).curvature()
    A = np.column_stack([np.ones(60), X * [1.0, 10.0, 0.1]])
    H = 2 / 60 * (A.T @ A + alpha * np.diag([0, 1, 1, 1]))
    np.testing.assert_allclose(found.hessian, H, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(found.eigenvalues, np.linalg.eigvalsh(H), rtol=1e-10)
    V = found.eigenvectors.to_numpy()
    np.testing.assert_allclose(H @ V, V * found.eigenvalues, atol=1e-9 * found.eigenvalues[-1])
    assert list(found.hessian.index) == ["intercept", "age", "bmi", "living area"]
    assert found.stable_step == pytest.approx(2 / found.eigenvalues[-1])
    assert found.optimal_step == pytest.approx(2 / (found.eigenvalues[0] + found.eigenvalues[-1]))
    assert "bmi" in found.steepest
    # Gradient descent with the optimal step needs what is foretold, from the worst start.
    error = V[:, 0] / np.sqrt(2) + V[:, -1] / np.sqrt(2)
    steps = 0
    while np.linalg.norm(error) > 1e-6:
        error = error - found.optimal_step * H @ error
        steps += 1
    assert abs(steps - found.iterations) <= 1


# -- hypotheses ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "R", "q"),
    [
        ("bmi = 2*bp", [[0, 1, -2, 0]], [0]),
        ("bmi == 2*bp + 1", [[0, 1, -2, 0]], [1]),
        ("Gr Liv Area = 1 - bmi/4", [[0, 0.25, 0, 1]], [1]),
        ("intercept = bmi = bp", [[1, -1, 0, 0], [0, 1, -1, 0]], [0, 0]),
        ("-(bmi - 3)*2 = `Gr Liv Area`, bp = 0", [[0, -2, 0, -1], [0, 0, 1, 0]], [-6, 0]),
        ("bmi, bp - 2", [[0, 1, 0, 0], [0, 0, 1, 0]], [0, 2]),
        (["bmi = 0", "bp = .5e1"], [[0, 1, 0, 0], [0, 0, 1, 0]], [0, 5]),
    ],
)
def test_hypotheses_are_read(text, R, q):
    found = parse_hypotheses(text, ["intercept", "bmi", "bp", "Gr Liv Area"])
    np.testing.assert_array_equal(found[0], R)
    np.testing.assert_array_equal(found[1], q)


def test_names_that_begin_alike_or_look_like_code():
    names = ["intercept", "x1", "x10", "1st Flr SF", "lambda", "a,b=c"]
    R, _ = parse_hypotheses("x10 = 2*x1, 1st Flr SF = lambda, `a,b=c` = 0", names)
    np.testing.assert_array_equal(R, [[0, -2, 1, 0, 0, 0], [0, 0, 0, 1, -1, 0], [0, 0, 0, 0, 0, 1]])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bmo = 0", "did you mean 'bmi'"),
        ("= bmi", "no linear expression"),
        ("bmi*bp = 0", "not linear"),
        ("bmi/bp = 0", "not linear"),
        ("bmi**2 = 0", "not linear"),
        ("bmi + = 0", "no linear expression"),
        ("1 = 1", "without any parameter"),
        ("bmi = bmi", "cancel"),
        ("", "no hypothesis"),
        ("`bmi = 0", "not closed"),
        ("exec = 0", "names 'exec'"),
    ],
)
def test_hypotheses_that_are_none(text, message):
    with pytest.raises(ValueError, match=message):
        parse_hypotheses(text, ["intercept", "bmi", "bp"])


def test_matrix_hypotheses_are_checked(data):
    model = MLELinearRegressor().fit(*data)
    for R, q, message in (
        ([[1, 0]], None, "its columns must be the 4 parameters"),
        (np.zeros((1, 4)), None, "row of zeros"),
        (np.eye(4), [1, 2], "q has shape"),
        ([[np.nan, 0, 0, 1]], None, "finite"),
        ("age = 0", 3, "goes with a matrix"),
    ):
        with pytest.raises(ValueError, match=message):
            model.test_linear(R, q)
    with pytest.raises(ValueError, match="contradicts itself"):
        model.test_linear("age = 0, age = 1")
    repeated = model.test_linear("age = 0, age = 0, bmi = 0")
    assert repeated.df_num == 2
    assert repeated.statistic == pytest.approx(model.test_linear("age = bmi = 0").statistic)


def test_f_test_is_a_linear_hypothesis(data):
    model = MLELinearRegressor().fit(*data)
    every = model.test_linear("age = bmi = living area = 0")
    assert model.f_test().statistic == pytest.approx(every.statistic, rel=1e-12)
    t = model.coefficients().loc["bmi", "t"]
    assert model.test_linear("bmi = 0").statistic == pytest.approx(t**2, rel=1e-12)
    assert "F(3, 56)" in str(every)


# -- likelihood ratios -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
def test_likelihood_ratio(data, weighted):
    X, y = data
    weights = np.linspace(0.5, 2, 60) if weighted else None
    full = MLELinearRegressor().fit(X, y, weights)
    restricted = MLELinearRegressor().fit(X[["living area", "age"]], y, weights)
    found = likelihood_ratio_test(restricted, full)
    assert found.statistic == pytest.approx(2 * (full.log_likelihood_ - restricted.log_likelihood_))
    assert found.p_value == pytest.approx(stats.chi2.sf(found.statistic, 1))
    unnamed = MLELinearRegressor().fit(X.to_numpy()[:, [2, 0]], y, weights)
    assert likelihood_ratio_test(unnamed, full).statistic == pytest.approx(found.statistic)
    without = MLELinearRegressor(fit_intercept=False).fit(X, y, weights)
    assert likelihood_ratio_test(without, full).df_num == 1
    whole, part = (make_pipeline(StandardScaler(), MLELinearRegressor()) for _ in range(2))
    assert likelihood_ratio_test(part.fit(X[["bmi"]], y), whole.fit(X, y)).df_num == 2


def test_likelihood_ratio_wants_nested_models_on_the_same_rows(data, rng):
    X, y = data
    full = MLELinearRegressor().fit(X, y)
    cases = {
        "different rows": MLELinearRegressor().fit(X[1:], y[1:]),
        "y differ": MLELinearRegressor().fit(X[["age"]], y + rng.standard_normal(60)),
        "'other' of the restricted": MLELinearRegressor().fit(X[["age"]].rename(columns={"age": "other"}) ** 2, y),
        "penalised": MLELinearRegressor(alpha=1.0).fit(X[["age"]], y),
    }
    for message, restricted in cases.items():
        with pytest.raises(ValueError, match=message):
            likelihood_ratio_test(restricted, full)
    with pytest.raises(ValueError, match="full one has none"):
        likelihood_ratio_test(full, MLELinearRegressor(fit_intercept=False).fit(X, y))
    with pytest.raises(TypeError, match="StandardScaler"):
        likelihood_ratio_test(StandardScaler(), full)
    with pytest.warns(InferenceWarning, match="same rank"):
        assert np.isnan(likelihood_ratio_test(full, full).p_value)


def test_columns_of_equal_length_at_right_angles_are_told_apart(rng):
    """Cross-products alone cannot tell the columns of an orthogonal design from each other."""
    Q = np.linalg.qr(np.column_stack([np.ones(32), rng.standard_normal((32, 5))]))[0][:, 1:]
    y = rng.standard_normal(32)
    full = MLELinearRegressor().fit(Q[:, :3], y)
    assert likelihood_ratio_test(MLELinearRegressor().fit(Q[:, [2]], y), full).df_num == 2
    with pytest.raises(ValueError, match="not nested"):
        likelihood_ratio_test(MLELinearRegressor().fit(Q[:, [3]], y), full)


# -- where there is no answer ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["min_norm", "drop"])
def test_dependent_columns(data, how):
    X, y = data
    wide = X.assign(sum=X["age"] + X["bmi"])
    model = MLELinearRegressor(on_rank_deficiency=how).fit(wide, y)
    plain = MLELinearRegressor().fit(X, y)
    diagnosis = model.diagnose(wide, y)
    assert diagnosis.data == "the rows of the fit"
    for name in ROW_COLUMNS:
        np.testing.assert_allclose(diagnosis.rows()[name], plain.diagnose(X, y).rows()[name], rtol=1e-8, atol=1e-10)
    for cov in ("nonrobust", "HC3", {"HAC": 2}, {"cluster": np.arange(60) % 5}):
        ours, theirs = diagnosis.coefficients(cov), plain.diagnose(X, y).coefficients(cov)
        determined = ["intercept", "living area"] + ["age", "bmi"] * (how == "drop")
        same(ours.loc[determined], theirs.loc[determined], rtol=1e-8)
        assert ours.drop(index=determined)["std_error"].isna().all()
    assert model.r2_ == pytest.approx(plain.r2_)
    assert model.f_test().statistic == pytest.approx(plain.f_test().statistic)
    # What is determined can be tested, whatever its parts.
    for text, plain_text in (("age - bmi = 0", "age - bmi = 0"), ("age + sum = 1", "age = 1")):
        if how == "drop" or "sum" not in text:
            assert model.test_linear(text).statistic == pytest.approx(plain.test_linear(plain_text).statistic, rel=1e-8)
    with pytest.warns(InferenceWarning, match="do not determine"):
        assert np.isnan(model.test_linear("sum = 0").p_value)
    vif = diagnosis.collinearity().vif["vif"]
    assert np.isinf(vif["sum"])
    assert vif["living area"] < 2
    assert "sum ≈ age + bmi (R² 1)" in diagnosis.collinearity().dependencies
    same(diagnosis.tests().drop(columns="note"), plain.diagnose(X, y).tests().drop(columns="note"), rtol=1e-7)
    assert "sum = age + bmi" in str(model.summary())


def test_fewer_rows_than_columns(rng):
    X, y = rng.standard_normal((4, 6)), rng.standard_normal(4)
    with pytest.warns(NoiseFreeWarning):
        model = MLELinearRegressor(on_rank_deficiency="min_norm").fit(X, y)
    diagnosis = model.diagnose(X, y)
    assert model.coefficients()["std_error"].isna().all()
    with pytest.warns(InferenceWarning, match="is NaN"):
        assert np.isnan(model.f_test().p_value)
    with pytest.warns(InferenceWarning, match="leverage one"):
        assert diagnosis.coefficients("HC3")["std_error"].isna().all()
    np.testing.assert_allclose(diagnosis.rows()["leverage"], 1.0)
    assert diagnosis.rows()["loo_residual"].isna().all()
    tests = diagnosis.tests()
    assert tests["statistic"].isna().all()
    assert set(tests["note"]) == {"the fit is exact: there is no noise to test"}
    assert "flat minimum" in str(diagnosis)
    assert "No residual degrees of freedom" in str(model.summary())


def test_exact_fit(data):
    X, _ = data
    y = X @ [1.0, 2.0, 3.0]
    with pytest.warns(NoiseFreeWarning):
        model = MLELinearRegressor().fit(X, y)
    assert model.coefficients()[["t", "p_value"]].isna().all(axis=None)
    for call in (model.f_test, lambda: model.test_linear("age = 1")):
        with pytest.warns(InferenceWarning, match="exact"):
            call()
    assert "exact" in str(model.summary())


def test_a_row_of_its_own(data):
    X, y = data
    X = X.assign(last=np.r_[np.zeros(59), 1.0])
    diagnosis = MLELinearRegressor().fit(X, y).diagnose(X, y)
    rows = diagnosis.rows()
    assert rows.loc[59, "leverage"] == pytest.approx(1.0)
    assert rows.loc[59, ["loo_residual", "studentized_internal", "cooks_distance"]].isna().all()
    assert rows.loc[:58].notna().all(axis=None)
    with pytest.warns(InferenceWarning, match="leverage one"):
        assert np.isnan(diagnosis.press)
    with pytest.warns(InferenceWarning, match="Row 59 has leverage one"):
        diagnosis.coefficients("HC2")
    assert diagnosis.coefficients("HC1")["std_error"].notna().all()


def test_bad_covariances(data):
    diagnosis = MLELinearRegressor().fit(*data).diagnose(*data)
    for cov, message in (
        ("HC9", "is not one of"),
        ({"cluster": 1, "HAC": 2}, "is not one of"),
        (None, "is not one of"),
        ({"cluster": np.zeros(60)}, "one cluster"),
        ({"cluster": np.zeros(59)}, "one label for each"),
        ({"cluster": [None, *range(59)]}, "row 0 is missing"),
        ({"HAC": 60}, "from 0 to 59"),
        ({"HAC": -1}, "from 0 to 59"),
        ({"HAC": 1.5}, "from 0 to 59"),
    ):
        with pytest.raises(ValueError, match=message):
            diagnosis.coefficients(cov)


def test_bad_rows(data):
    X, y = data
    model = MLELinearRegressor().fit(X, y)
    with pytest.raises(ValueError, match="feature names"):
        model.diagnose(X.rename(columns={"age": "years"}), y)
    with pytest.raises(ValueError, match="NaN"):
        model.diagnose(X.assign(age=np.nan), y)
    with pytest.raises(ValueError, match="y has shape"):
        model.diagnose(X, y[:-1])
    with pytest.raises(ValueError, match="negative"):
        model.diagnose(X, y, -np.ones(60))
    with pytest.raises(ValueError, match="confidence"):
        model.summary(confidence=95)


def test_a_later_fit_leaves_a_diagnosis_alone(data):
    X, y = data
    model = MLELinearRegressor().fit(X, y)
    diagnosis = model.diagnose(X, y)
    before = str(diagnosis)
    model.fit(X[["age"]], 2 * y)
    assert str(diagnosis) == before


def test_fewer_clusters_than_restrictions(data):
    X, y = data
    diagnosis = MLELinearRegressor().fit(X, y).diagnose(X, y)
    with pytest.warns(InferenceWarning, match="lower rank than the hypothesis"):
        assert np.isnan(
            diagnosis.test_linear("age = bmi = living area = 0", cov={"cluster": np.arange(60) % 3}).p_value
        )
    assert np.isfinite(diagnosis.test_linear("age = bmi = 0", cov={"cluster": np.arange(60) % 3}).p_value)


def test_tests_of_the_noise_are_those_of_least_squares_on_the_rows(data):
    """Residuals of new rows, and of a penalised fit, hold errors of the coefficients that are not noise."""
    X, y = data
    plain = MLELinearRegressor().fit(X, y).diagnose(X, y).tests()
    for model in (MLELinearRegressor().fit(X[:9], y[:9]), MLELinearRegressor(alpha=50.0).fit(X, y)):
        found = model.diagnose(X, y).tests().drop(index="predictive_failure", errors="ignore")
        same(found, plain, rtol=1e-8)
    new = MLELinearRegressor(alpha=50.0).fit(X[:30], y[:30]).diagnose(X[30:], y[30:]).tests()
    assert np.isnan(new.loc["predictive_failure", "p_value"])
    assert "penalised" in new.loc["predictive_failure", "note"]


def test_new_rows_beyond_what_is_determined(data, rng):
    X, y = data
    model = MLELinearRegressor(on_rank_deficiency="min_norm").fit(X.assign(sum=X["age"] + X["bmi"]), y)
    diagnosis = model.diagnose(X.assign(sum=rng.standard_normal(60)), y)
    assert diagnosis.rows()["leverage"].isna().all()
    with pytest.warns(InferenceWarning, match="does not determine"):
        assert np.isnan(diagnosis.predicted_r2)
    failure = diagnosis.tests().loc["predictive_failure"]
    assert np.isnan(failure["p_value"])
    assert "does not determine" in failure["note"]


@pytest.mark.parametrize("how", ["min_norm", "drop"])
def test_absent_rows_that_break_a_dependency(data, how):
    X, y = data
    X = X.assign(sum=X["age"] + X["bmi"])
    X.loc[:19, "sum"] = 0.0
    weights = np.r_[np.zeros(20), np.ones(40)]
    diagnosis = MLELinearRegressor(on_rank_deficiency=how).fit(X, y, weights).diagnose(X, y, weights)
    assert diagnosis.data == "the rows of the fit"
    assert np.isfinite(diagnosis.coefficients("HC3").loc["living area", "std_error"])


def test_units_near_the_end_of_the_range(data):
    X, y = data
    tiny, plain = MLELinearRegressor().fit(1e-160 * X, y), MLELinearRegressor().fit(X, y)
    assert tiny.r2_ == pytest.approx(plain.r2_)
    assert tiny.f_test().statistic == pytest.approx(plain.f_test().statistic)
    part = MLELinearRegressor().fit(1e-160 * X[["bmi"]], y)
    assert likelihood_ratio_test(part, tiny).df_num == 2
    graded = X.to_numpy() * [1e-8, 1e-8, 1e8]
    vectors = MLELinearRegressor().fit(graded, y).diagnose(graded, y).curvature().eigenvectors.to_numpy()
    with mpmath.workdps(60):
        A = mpmath.matrix([[1, *map(float, row)] for row in graded])
        _, exact = mpmath.eigsy(A.T * A)
        exact = np.array([[float(exact[i, j]) for j in range(4)] for i in range(4)])
    np.testing.assert_allclose(np.abs(vectors[:, 0]), np.abs(exact[:, 0]), rtol=1e-8, atol=1e-20)


def test_equal_squares_have_no_variance_to_explain():
    X = np.array([[a, b] for a in (-1, 1) for b in (-1, 1)] * 16, float)
    y = X @ [1, 2] + np.repeat(np.tile([1.0, -1], 8), 4)
    tests = MLELinearRegressor().fit(X, y).diagnose(X, y).tests().loc[["breusch_pagan", "white"]]
    assert tests["p_value"].isna().all()
    assert tests["note"].str.contains("all equal").all()


def test_rainbow_counts_rows_that_stand_for_several(rng):
    X, y, counts = rng.standard_normal((40, 2)), rng.standard_normal(40), rng.integers(1, 5, 40)
    one = MLELinearRegressor(weight_type="frequency").fit(X, y, counts).diagnose(X, y, counts)
    many = np.repeat(np.arange(40), counts)
    found = one.tests().loc["rainbow"]
    expected = MLELinearRegressor().fit(X[many], y[many]).diagnose(X[many], y[many]).tests().loc["rainbow"]
    assert found["statistic"] == pytest.approx(expected["statistic"], rel=1e-9)


def test_an_exact_output_leaves_the_others_alone(data):
    X, y = data
    Y = np.column_stack([y, np.full(60, 7.0)])
    with pytest.warns(NoiseFreeWarning):
        model = MLELinearRegressor().fit(X, Y)
    same(model.coefficients().loc[0], MLELinearRegressor().fit(X, y).coefficients())
    assert model.coefficients().loc[1, "t"].isna().all()
    tests = model.diagnose(X, Y).tests()
    assert tests.loc[1, "note"].str.contains("exact").all()
    same(tests.loc[0], MLELinearRegressor().fit(X, y).diagnose(X, y).tests())


def test_labels_lead(data):
    X, y = data
    model = MLELinearRegressor().fit(X, y)
    R = pd.DataFrame([[1, 0, 0, 0]], columns=["bmi", "age", "living area", "intercept"])
    assert model.test_linear(R).hypothesis == "bmi = 0"
    groups = pd.Series(np.arange(60) % 5, index=X.index)
    diagnosis = model.diagnose(X, y)
    same(diagnosis.coefficients({"cluster": groups[::-1]}), diagnosis.coefficients({"cluster": groups}))
    with pytest.raises(ValueError, match="not that of X"):
        diagnosis.coefficients({"cluster": groups.set_axis(np.arange(60) + 1)})
    twice = X.set_axis([0] * 60, axis=0)
    assert len(str(model.diagnose(twice, y)).splitlines()) < 130


def test_one_new_row(data):
    X, y = data
    diagnosis = MLELinearRegressor().fit(X, y).diagnose(X[:1], y[:1] + 1)
    tests = diagnosis.tests()
    assert tests["p_value"].drop("predictive_failure").isna().all()
    assert 0 < tests.loc["predictive_failure", "p_value"] < 1
    assert "new rows" in str(diagnosis)


# -- reports ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [40, 72, 100, 160])
def test_reports_keep_to_the_width(data, width):
    X, y = data
    model = MLELinearRegressor().fit(X, y)
    for document in (model.summary(), model.diagnose(X, y).report()):
        lines = document.to_text(width).splitlines()
        assert max(map(len, lines)) <= max(width, 45)
        assert document.to_html().count("<table") == document.to_html().count("</table>") >= 1
        assert document.to_html().count("<dl") == document.to_html().count("</dl>") >= 2
    for part in (
        "R²",
        "log-likelihood",
        "living area",
        "unique minimum",
        "correct digits expected",
        "condition number",
    ):
        assert part in model.summary().to_text(width)


def test_summary_follows_the_terminal(data, monkeypatch):
    summary = MLELinearRegressor().fit(*data).summary()
    monkeypatch.setenv("COLUMNS", "50")
    narrow = str(summary)
    monkeypatch.setenv("COLUMNS", "110")
    assert len(narrow.splitlines()) > len(str(summary).splitlines())


def test_html_is_escaped(data):
    X, y = data
    model = MLELinearRegressor().fit(X.rename(columns={"age": "<script>"}), y)
    assert "<script>" not in model.summary()._repr_html_()
    assert "&lt;script&gt;" in model.summary()._repr_html_()


def test_names_come_through_a_pipeline(data):
    X, y = data
    pipe = make_pipeline(StandardScaler(), MLELinearRegressor()).set_output(transform="pandas").fit(X, y)
    assert list(pipe[-1].coefficients().index) == ["intercept", "age", "bmi", "living area"]
    assert "living area" in str(pipe[-1].summary())
    plain = make_pipeline(StandardScaler(), MLELinearRegressor()).fit(X, y)
    names = plain[:-1].get_feature_names_out()
    assert "living area" in str(plain[-1].summary(feature_names=names))
    assert list(plain[-1].coefficients(feature_names=names).index) == ["intercept", *names]
    with pytest.raises(ValueError, match="feature_names has 1"):
        plain[-1].summary(feature_names=["age"])


def test_expected_digits_are_kept():
    """What the summary foretells of a fit without refinement is near to, or below, what it has."""
    for name in ("kappa 1e4", "kappa 1e7", "kappa 1e10", "Vandermonde", "nearly duplicated"):
        X = HARD[name]
        y = responses(X)["close"]
        model = MLELinearRegressor(refine=False, rank_tol=0.0).fit(X, y)
        exact = MLELinearRegressor(refine=True, rank_tol=0.0).fit(X, y)
        error = np.abs(model.coef_ - exact.coef_).max() / np.abs(exact.coef_).max()
        found = re.search(r"correct digits expected\s+(\d+)", model.summary().to_text(150))
        assert float(found.group(1)) <= -np.log10(error + 1e-17) + 0.5, name


def test_every_diagnostic_is_documented():
    """A new line in DIAGNOSTICS needs a line in the table of docs/diagnostics.md; this says which is missing."""
    page = (Path(__file__).parents[1] / "docs" / "diagnostics.md").read_text(encoding="utf-8")
    for name, diagnostic in DIAGNOSTICS.items():
        row = f"| `{name}` | {diagnostic.asks} | {diagnostic.small_p} |"
        assert row in page, f"add to docs/diagnostics.md: {row}"


@pytest.mark.parametrize("name", sorted(DIAGNOSTICS))
def test_every_diagnostic_holds_its_level(name):
    """Under the null hypothesis p-values are uniform: each test rejects about one in twenty times at 5 %."""
    rng = np.random.default_rng(3)
    rejected, repeats = 0, 150
    for _ in range(repeats):
        X = rng.standard_normal((80, 2))
        y = X.sum(axis=1) + rng.standard_normal(80)
        model = MLELinearRegressor(refine=False).fit(X[:60], y[:60])
        rows = slice(60, 80) if DIAGNOSTICS[name].new_rows else slice(0, 60)
        rejected += model.diagnose(X[rows], y[rows]).tests().loc[name, "p_value"] < 0.05
    assert rejected <= 0.12 * repeats
    assert rejected >= 1


POWER = {
    "jarque_bera": lambda X, rng: X[:, 0] + rng.exponential(1, 200),
    "omnibus": lambda X, rng: X[:, 0] + rng.standard_t(2, 200),
    "breusch_pagan": lambda X, rng: X[:, 0] + np.exp(X[:, 0]) * rng.standard_normal(200),
    "white": lambda X, rng: X[:, 0] + (0.2 + X[:, 0] ** 2) * rng.standard_normal(200),
    "goldfeld_quandt": lambda X, rng: X[:, 0] + np.linspace(0.2, 3, 200) * rng.standard_normal(200),
    "durbin_watson": lambda X, rng: X[:, 0] + np.cumsum(rng.standard_normal(200)),
    "ljung_box": lambda X, rng: X[:, 0] + np.cumsum(rng.standard_normal(200)),
    "reset": lambda X, rng: X[:, 0] + X[:, 0] ** 2 + rng.standard_normal(200),
    "rainbow": lambda X, rng: X[:, 0] ** 3 + rng.standard_normal(200),
    "predictive_failure": lambda X, rng: X[:, 0] + np.r_[np.zeros(150), 4 * np.ones(50)] + rng.standard_normal(200),
}


@pytest.mark.parametrize("name", sorted(DIAGNOSTICS))
def test_every_diagnostic_finds_what_it_is_for(name, rng):
    X = rng.standard_normal((200, 2))
    y = POWER[name](X, rng)
    new = DIAGNOSTICS[name].new_rows
    model = MLELinearRegressor().fit(X[:150], y[:150]) if new else MLELinearRegressor().fit(X, y)
    diagnosis = model.diagnose(X[150:], y[150:]) if new else model.diagnose(X, y)
    assert diagnosis.tests().loc[name, "p_value"] < 1e-3


def test_on_real_data():
    X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
    model = MLELinearRegressor().fit(X, y)
    text = str(model.diagnose(X, y))
    for part in ("HC3", "breusch_pagan", "Cook", "PRESS", "s1 ≈", "steepest along", "stable step"):
        assert part in text
    table = compare_models({"model": model}, X, y, cv=None)
    assert table.loc["model", "r2"] == pytest.approx(model.r2_)
