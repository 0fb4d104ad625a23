"""Sandwich covariances where rows, groups or lags make them hard: against refits, statsmodels and brute force."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import statsmodels.api as sm
from scipy.stats import t as student_t

from mle_regression import InferenceWarning, MLELinearRegressor
from mle_regression.diagnostics.covariance import Whitener
from mle_regression.diagnostics.robust import Sandwich, meat_roots, row_factors, score_products
from mle_regression.rows.registry import as_rows


def same(ours, theirs, rtol=1e-10, **kwargs):
    np.testing.assert_allclose(np.asarray(ours, float), np.asarray(theirs, float), rtol=rtol, **kwargs)


def diagnosis(X, y, weights=None, **options):
    return MLELinearRegressor(**options).fit(X, y, weights).diagnose(X, y, weights)


@pytest.mark.parametrize("intercept", [True, False])
@pytest.mark.parametrize("far", [0.0, 20.0])
@pytest.mark.parametrize("unit", [1.0, 1e100])
@pytest.mark.parametrize("close", [1.0, 1e-6])
def test_products_of_scores_are_those_of_whitened_rows(close, unit, far, intercept, rng):
    """Whether sums are whitened or rows: columns in any units, far from zero, or nearly dependent."""
    X = (rng.standard_normal((40, 3)) + far) * [unit, 1.0, 1.0]
    X[:, 2] = X[:, 1] + close * X[:, 2]
    factors = rng.standard_normal((40, 2))
    whitener = Whitener(MLELinearRegressor(fit_intercept=intercept).fit(X, factors)._fit.information)
    for meat, column in zip(score_products(as_rows(X, factors, None), whitener), factors.T, strict=True):
        z = whitener(X) * column[:, None]
        same(meat, z.T @ z, rtol=1e-9, atol=1e-12)


# -- rows of leverage one ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kind", ["HC2", "HC3"])
def test_a_row_with_a_coefficient_of_its_own(kind, weighted, rng):
    X, y = np.column_stack([rng.standard_normal((30, 2)), np.arange(30) == 4]), rng.standard_normal(30)
    weights = rng.random(30) + 0.1 if weighted else np.ones(30)
    others = np.arange(30) != 4
    found = diagnosis(X, y, weights)
    with pytest.warns(InferenceWarning, match=r"Row 4 has leverage one.*variance of 'x2'; the others") as caught:
        table = found.coefficients(kind)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    without = diagnosis(X[others, :2], y[others], weights[others]).coefficients(kind)
    same(table.iloc[:3], without)
    assert table.iloc[3].drop("estimate").isna().all()
    with pytest.warns(InferenceWarning, match="leverage one"):
        matrix = found.covariance(kind)
    same(matrix.iloc[:3, :3], diagnosis(X[others, :2], y[others], weights[others]).covariance(kind), atol=1e-18)
    assert matrix.iloc[3].isna().all()
    tested = found.test_linear("x0 = x1 = 0", cov=kind)
    expected = diagnosis(X[others, :2], y[others], weights[others]).test_linear("x0 = x1 = 0", cov=kind)
    assert tested.p_value == pytest.approx(expected.p_value, rel=1e-9)
    with pytest.warns(InferenceWarning, match="alone determines"):
        assert np.isnan(found.test_linear("x0 = x2", cov=kind).p_value)


def test_several_rows_of_leverage_one(rng):
    n = 40
    apart = np.column_stack([np.arange(n) == 3, np.arange(n) == 17, (np.arange(n) == 17) + 2.0 * (np.arange(n) == 30)])
    X, y = np.column_stack([rng.standard_normal((n, 2)), apart]), rng.standard_normal(n)
    others = ~apart.any(axis=1)
    with pytest.warns(InferenceWarning, match="3 rows have leverage one.*'x2', 'x3', 'x4'"):
        table = diagnosis(X, y).coefficients("HC3")
    same(table.iloc[:3], diagnosis(X[others, :2], y[others]).coefficients("HC3"))
    assert table["std_error"].iloc[3:].isna().all()
    with pytest.warns(InferenceWarning, match="3 rows"):
        again = diagnosis(sp.csr_matrix(X), y).coefficients("HC3")
    same(again, table)


def test_all_rows_of_leverage_one(rng):
    """A saturated design has no variance to estimate anywhere."""
    X, Y = np.eye(6)[:, 1:], rng.standard_normal(6)
    with pytest.warns(UserWarning):
        found = diagnosis(X, Y)
    with pytest.warns(InferenceWarning, match="6 rows have leverage one"):
        assert found.coefficients("HC3")["std_error"].isna().all()


def test_the_report_tells_one_reason_once(rng):
    X, y = np.column_stack([rng.standard_normal(30), np.arange(30) == 4]), rng.standard_normal(30)
    text = " ".join(diagnosis(X, y).report().to_text(100).split())
    assert text.count("eing alone") + text.count("has leverage one") == 2  # HC3, and the row left out
    y = X @ [1.0, 2.0]
    with pytest.warns(UserWarning):
        found = diagnosis(X, y)
    said = found.report().to_text(200)
    assert said.count("there is no noise to test") == 1
    assert "No number for" in said


# -- clusters ----------------------------------------------------------------------------------------------------------


def brute_force_cr2(A, y, groups, weights=None):
    """CR2, its degrees of freedom and Hotelling's η by n × n matrices, under a working model of noise σ²/w."""
    w = np.ones(len(y)) if weights is None else weights
    A, y = A * np.sqrt(w)[:, None], y * np.sqrt(w)
    bread = np.linalg.pinv(A.T @ A)
    left = np.eye(len(y)) - A @ bread @ A.T
    e, covariance, parts = left @ y, 0.0, []
    for group in np.unique(groups):
        rows = np.flatnonzero(groups == group)
        values, vectors = np.linalg.eigh(left[np.ix_(rows, rows)])
        root = (vectors * np.where(values > 1e-10, np.maximum(values, 1e-10), np.inf) ** -0.5) @ vectors.T
        score = bread @ A[rows].T @ root @ e[rows]
        covariance = covariance + np.outer(score, score)
        parts.append(left[:, rows] @ root @ A[rows] @ bread)

    def hypothesis(C, beta):
        q, target = len(C), C @ bread @ C.T
        values, vectors = np.linalg.eigh(target)
        images = [part @ C.T @ (vectors / np.sqrt(values)) @ vectors.T for part in parts]
        products = [a.T @ b for a in images for b in images]
        eta = q * (q + 1) / sum(np.trace(p) ** 2 + np.trace(p @ p) for p in products)
        wald = (C @ beta) @ np.linalg.solve(C @ covariance @ C.T, C @ beta)
        return wald * (eta - q + 1) / (eta * q), eta - q + 1

    dof = []
    for j in range(A.shape[1]):
        p = np.stack([part[:, j] for part in parts], axis=1)
        p = p.T @ p
        dof.append(np.trace(p) ** 2 / np.sum(p**2))
    return covariance, np.array(dof), hypothesis


def grouped(rng, n=60, n_groups=7):
    groups = rng.integers(0, n_groups, n)
    X = np.column_stack([rng.standard_normal((n, 2)), groups % 2])
    return X, rng.standard_normal(n) + rng.standard_normal(n_groups)[groups], groups


@pytest.mark.parametrize("weights", [None, "precision", "frequency", "with zeros"])
@pytest.mark.parametrize("intercept", [False, True])
def test_cr2_against_brute_force(intercept, weights, rng):
    X, y, groups = grouped(rng)
    w = {None: None, "precision": rng.random(60) + 0.2, "frequency": rng.integers(1, 4, 60) * 1.0}.get(
        weights, np.r_[np.zeros(10), np.ones(50)]
    )
    kind = "frequency" if weights == "frequency" else "precision"
    found = diagnosis(X, y, w, weight_type=kind, fit_intercept=intercept)
    A = np.column_stack([np.ones(60), X]) if intercept else X
    rows = np.repeat(np.arange(60), w.astype(int)) if kind == "frequency" else np.arange(60)
    covariance, dof, hypothesis = brute_force_cr2(
        A[rows], y[rows], groups[rows], None if w is None or kind == "frequency" else w
    )
    cov = {"cluster": groups, "kind": "CR2"}
    table = found.coefficients(cov, confidence=0.9)
    same(table["std_error"], np.sqrt(np.diagonal(covariance)))
    same(table["df"], dof)
    same(table["p_value"], 2 * student_t.sf(np.abs(table["t"]), dof))
    same(table["upper"] - table["estimate"], student_t.ppf(0.95, dof) * table["std_error"])
    same(found.covariance(cov), covariance, atol=1e-15)
    assert table.attrs["covariance"].endswith("clusters, CR2")
    first = int(intercept)
    for text, C in (
        ("x0 = 0", [[1.0, 0, 0]]),
        ("x0 = 2*x1", [[1.0, -2, 0]]),
        ("x0 = x1 = 0", [[1.0, -1, 0], [0, 1, 0]]),
    ):
        C = np.column_stack([np.zeros((len(C), first)), C])
        statistic, denominator = hypothesis(C, table["estimate"].to_numpy())
        tested = found.test_linear(text, cov=cov)
        same([tested.statistic, tested.df_denom], [statistic, denominator])
        assert "CR2" in str(tested)


def test_cr2_of_single_rows_is_hc2(rng):
    X, y, _ = grouped(rng)
    found = diagnosis(X, y)
    ours = found.coefficients({"cluster": np.arange(60), "kind": "CR2"})["std_error"]
    same(ours, found.coefficients("HC2")["std_error"])


def test_cr2_with_a_constant_for_each_group(rng):
    """A group's own constant cannot be told from its noise; other coefficients are as brute force has them."""
    X, y, groups = grouped(rng)
    X = np.column_stack([X[:, :2], groups[:, None] == np.arange(1, 7)])
    found = diagnosis(X, y).coefficients({"cluster": groups, "kind": "CR2"})
    covariance, dof, _ = brute_force_cr2(np.column_stack([np.ones(60), X]), y, groups)
    same(found["std_error"].iloc[1:3], np.sqrt(np.diagonal(covariance)[1:3]))
    same(found["df"].iloc[1:3], dof[1:3])
    assert found["std_error"].drop(["x0", "x1"]).isna().all()


def test_cr2_of_several_outputs_and_large_groups(rng):
    X, y, groups = grouped(rng, 400, 5)
    Y = np.column_stack([y, rng.standard_normal(400)])
    table = diagnosis(X, Y).coefficients({"cluster": groups, "kind": "CR2"})
    same(table.loc[1], diagnosis(X, Y[:, 1]).coefficients({"cluster": groups, "kind": "CR2"}))
    covariance, dof, _ = brute_force_cr2(np.column_stack([np.ones(400), X]), y, groups)
    same(table.loc[0, "std_error"], np.sqrt(np.diagonal(covariance)))
    same(table.loc[0, "df"], dof)


def test_cr2_in_parts_is_that_of_the_whole(rng, monkeypatch):
    X, y, groups = grouped(rng, 300, 40)
    whole = diagnosis(X, y).coefficients({"cluster": groups, "kind": "CR2"})
    for held in (1, 100, 500):
        monkeypatch.setattr("mle_regression.diagnostics.clusters._HELD", held)
        same(diagnosis(X, y).coefficients({"cluster": groups, "kind": "CR2"}), whole, rtol=1e-12)


def test_few_clusters_are_told(rng):
    X, y, groups = grouped(rng)
    found = diagnosis(X, y)
    with pytest.warns(InferenceWarning, match="Only 2 clusters.*CR2"):
        found.coefficients({"cluster": groups % 2})
    assert "only 3 clusters" in str(found.test_linear("x0 = 0", cov={"cluster": groups % 3}))
    found.coefficients({"cluster": groups % 2, "kind": "CR2"})
    found.coefficients({"cluster": groups})


def test_too_few_groups_for_a_hypothesis(rng):
    X, y = rng.standard_normal((60, 4)), rng.standard_normal(60)
    with pytest.warns(InferenceWarning, match="too few groups for so many equations"):
        tested = diagnosis(X, y).test_linear("x0 = x1 = x2 = x3 = 0", cov={"cluster": np.arange(60) % 3, "kind": "CR2"})
    assert np.isnan(tested.p_value)


def multiway(A, y, codes, g_of):
    """Cameron, Gelbach and Miller (2011) by their sum, without repair."""
    bread = np.linalg.inv(A.T @ A)
    e = y - A @ (bread @ A.T @ y)
    n, k = A.shape
    both = codes[:, 0] * (codes[:, 1].max() + 1) + codes[:, 1]
    total = 0.0
    sizes = [len(np.unique(code)) for code in (codes[:, 0], codes[:, 1], both)]
    for code, size, sign in zip((codes[:, 0], codes[:, 1], both), sizes, (1, 1, -1), strict=True):
        sums = np.stack([(A * e[:, None])[code == c].sum(axis=0) for c in np.unique(code)])
        g = g_of(size, min(sizes))
        total = total + sign * (n - 1) / (n - k) * g / (g - 1) * bread @ (sums.T @ sums) @ bread
    return total


@pytest.mark.parametrize("which", ["each", "min"])
def test_the_number_of_groups_in_two_ways(which, rng):
    X, y, _ = grouped(rng, 300)
    codes = np.column_stack([rng.integers(0, 12, 300), rng.integers(0, 9, 300)])
    expected = multiway(
        np.column_stack([np.ones(300), X]),
        y,
        codes,
        (lambda own, _: own) if which == "each" else lambda _, least: least,
    )
    table = diagnosis(X, y).coefficients({"cluster": codes, "G": which})
    same(table["std_error"], np.sqrt(np.diagonal(expected)))
    assert ("of its own" if which == "each" else "of the coarsest") in table.attrs["covariance"]
    if which == "each":
        plain = diagnosis(X, y).coefficients({"cluster": codes})
        same(plain, table, rtol=0)


def test_only_negative_variances_are_repaired():
    """Of a covariance that is not positive, variances above zero stay as estimated; the others are told."""
    repaired = touched = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        n = 24
        X, y = rng.standard_normal((n, 3)), rng.standard_normal(n)
        codes = np.column_stack([rng.integers(0, 6, n), rng.integers(0, 6, n)])
        estimate = multiway(np.column_stack([np.ones(n), X]), y, codes, lambda own, _: own)
        negative = np.diagonal(estimate) < 0
        found = diagnosis(X, y)
        if negative.any():
            with pytest.warns(InferenceWarning, match="comes out negative") as caught:
                table = found.coefficients({"cluster": codes})
            names = np.array(["intercept", "x0", "x1", "x2"])[negative]
            assert all(repr(str(name)) in str(caught[0].message) for name in names)
            with pytest.warns(InferenceWarning, match="comes out negative"):
                matrix = found.covariance({"cluster": codes}).to_numpy()
            repaired += 1
        else:
            table = found.coefficients({"cluster": codes})
            matrix = found.covariance({"cluster": codes}).to_numpy()
            touched += np.linalg.eigvalsh(estimate)[0] < -1e-12
        same(table["std_error"][~negative], np.sqrt(np.diagonal(estimate)[~negative]))
        assert (table["std_error"] > 0).all()
        same(np.diagonal(matrix), table["std_error"] ** 2)
        keep = np.ix_(~negative, ~negative)
        same(matrix[keep], estimate[keep], atol=1e-12)
        positive = [j for j in range(4) if estimate[j, j] > 0]
        for j in positive:
            name = ["intercept", "x0", "x1", "x2"][j]
            tested = found.test_linear(f"{name} = 0", cov={"cluster": codes})
            assert tested.statistic == pytest.approx(table["t"].iloc[j] ** 2, rel=1e-7)
            assert "positive part" not in tested.note
    assert repaired > 3
    assert touched > 3


@pytest.mark.filterwarnings("ignore:The test of.*lower rank:mle_regression.InferenceWarning")
def test_a_hypothesis_without_a_positive_covariance_says_so():
    told = 0
    for seed in range(60):
        rng = np.random.default_rng(seed)
        X, y = rng.standard_normal((24, 3)), rng.standard_normal(24)
        codes = np.column_stack([rng.integers(0, 6, 24), rng.integers(0, 6, 24)])
        estimate = multiway(np.column_stack([np.ones(24), X]), y, codes, lambda own, _: own)[1:, 1:]
        beta = MLELinearRegressor().fit(X, y).coef_
        tested = diagnosis(X, y).test_linear("x0 = x1 = x2 = 0", cov={"cluster": codes})
        if np.linalg.eigvalsh(estimate)[0] > 1e-6:
            assert tested.statistic == pytest.approx(beta @ np.linalg.solve(estimate, beta) / 3, rel=1e-8)
        elif np.linalg.eigvalsh(estimate)[0] < -1e-6:
            assert "its positive part is taken" in tested.note
            told += 1
    assert told > 3


def test_as_many_clusters_as_half_the_rows(rng):
    n = 20_000
    X, y, groups = rng.standard_normal((n, 5)), rng.standard_normal(n), rng.integers(0, n // 2, n)
    theirs = sm.OLS(y, sm.add_constant(X)).fit(cov_type="cluster", cov_kwds={"groups": groups})
    same(diagnosis(X, y).coefficients({"cluster": groups})["std_error"], theirs.bse)


def test_three_ways_and_labels_that_are_no_numbers(rng):
    X, y, groups = grouped(rng, 200, 8)
    codes = np.column_stack([groups, rng.integers(0, 9, 200), rng.integers(0, 10, 200)])
    frame = pd.DataFrame(codes).map(lambda code: f"group {code}")
    same(diagnosis(X, y).covariance({"cluster": frame}), diagnosis(X, y).covariance({"cluster": codes}), rtol=1e-12)


def test_a_difference_of_covariances_and_where_it_is_none(rng):
    """L Lᵀ − N Nᵀ of two outputs: plain, with a variance that comes out negative or zero, and one that is not told."""
    root, negative = np.zeros((4, 2, 2)), np.zeros((4, 1, 2))
    root[:, :, 0] = [[3.0, 0.0], [1.0, 1.0], [0.0, 2.0], [4.0, 3.0]]
    root[:, :, 1] = 2.0 * root[:, :, 0]
    negative[:, 0, 0] = [2.0, 1.0, 2.0, 6.0]  # the third variance is zero, the last one is negative
    inverse = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [0.0, 3.0]])
    found = Sandwich(inverse, root, negative, 5.0, np.zeros((2, 0)))
    deviations, repaired = found.deviations
    np.testing.assert_allclose(deviations[:, 0], np.sqrt([5.0, 1.0, 4.0, 25.0]))
    assert repaired[:, 0].tolist() == [False, False, True, True]
    np.testing.assert_allclose(deviations[:, 1], 2.0 * np.sqrt([9.0, 2.0, 4.0, 25.0]))
    assert not repaired[:, 1].any()
    positive = root[:, :, 0] @ root[:, :, 0].T
    expected = positive - negative[:, :, 0] @ negative[:, :, 0].T
    expected[2:], expected[:, 2:] = positive[2:], positive[:, 2:]
    np.testing.assert_allclose(found.matrix(0), expected)
    np.testing.assert_allclose(found.matrix(1), 4.0 * positive)
    partly = Sandwich(inverse, root, negative, 5.0, np.array([[1.0], [0.0]]))
    assert np.isnan(partly.deviations[0]).all(axis=1).tolist() == [True, False, True, False]
    np.testing.assert_array_equal(np.isnan(partly.matrix(1)).all(axis=0), [True, False, True, False])
    np.testing.assert_allclose(partly.matrix(0)[np.ix_([1, 3], [1, 3])], expected[np.ix_([1, 3], [1, 3])])
    assert partly.sees_undefined(np.array([[1.0, 0, 0, 0], [1.0, 1.0, -1.0, 0], [0, 1.0, 0, 1.0]])).tolist() == [
        True,
        False,
        False,
    ]


def test_roots_of_a_meat_are_those_of_its_positive_and_negative_parts(rng):
    q = np.linalg.qr(rng.standard_normal((4, 4)))[0]
    positive, negative = meat_roots(q * [5.0, -2.0, 1e-17, 0.1] @ q.T)
    np.testing.assert_allclose(positive @ positive.T, q * [5.0, 0.0, 0.0, 0.1] @ q.T, atol=1e-12)
    np.testing.assert_allclose(negative @ negative.T, q * [0.0, 2.0, 0.0, 0.0] @ q.T, atol=1e-12)
    assert np.linalg.matrix_rank(positive, tol=1e-12) == 2
    bad, none = meat_roots(np.full((2, 2), np.inf))
    assert np.isnan(bad).all()
    assert not none.any()


def test_factors_of_rows_by_their_leverage():
    leverage = np.array([0.0, 0.5, 1.0 - 1e-6, 1.0 - 1e-12, 1.0])
    np.testing.assert_array_equal(row_factors("HC0", leverage), np.ones(5))
    np.testing.assert_array_equal(row_factors("HC1", leverage), np.ones(5))
    np.testing.assert_allclose(row_factors("HC2", leverage), [1.0, 2.0**0.5, 1e3, 0.0, 0.0], rtol=1e-9)
    np.testing.assert_allclose(row_factors("HC3", leverage), [1.0, 2.0, 1e6, 0.0, 0.0], rtol=1e-9)


# -- autocorrelation ---------------------------------------------------------------------------------------------------


def newey_west_1994(A, e, constant):
    """Bandwidth for Bartlett weights from section 3 of the paper: every sum written out."""
    n = len(e)
    h = (A * e[:, None]) @ np.r_[[0.0] * constant, np.ones(A.shape[1] - constant)]
    lags = int(4 * (n / 100) ** (2 / 9))
    sigma = [sum(h[t] * h[t - j] for t in range(j, n)) / n for j in range(lags + 1)]
    s0 = sigma[0] + 2 * sum(sigma[1:])
    s1 = 2 * sum(j * sigma[j] for j in range(1, lags + 1))
    return int(1.1447 * ((s1 / s0) ** 2) ** (1 / 3) * n ** (1 / 3))


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("memory", [0.0, 0.6, 0.9])
def test_automatic_lags(memory, intercept, rng):
    n = 150
    X, noise = rng.standard_normal((n, 2)), rng.standard_normal(n)
    for t in range(1, n):
        X[t] += memory * X[t - 1]
        noise[t] += memory * noise[t - 1]
    y = X.sum(axis=1) + noise
    A = np.column_stack([np.ones(n), X]) if intercept else X
    residual = y - A @ np.linalg.lstsq(A, y, rcond=None)[0]
    lags = newey_west_1994(A, residual, int(intercept))
    found = diagnosis(X, y, fit_intercept=intercept)
    table = found.coefficients({"HAC": "auto"})
    same(table, found.coefficients({"HAC": lags}), rtol=0)
    assert f"HAC, {lags} lag" in table.attrs["covariance"]
    theirs = sm.OLS(y, A).fit(cov_type="HAC", cov_kwds={"maxlags": lags, "use_correction": False})
    same(table["std_error"], theirs.bse)


def test_automatic_lags_of_each_output_and_any_units(rng):
    X, Y = rng.standard_normal((100, 2)), rng.standard_normal((100, 2)).cumsum(axis=0)
    both = diagnosis(X, Y).coefficients({"HAC": "auto"})
    same(both.loc[1], diagnosis(X, Y[:, 1]).coefficients({"HAC": "auto"}))
    far = diagnosis(X * 1e200, Y[:, 1]).coefficients({"HAC": "auto"})
    same(far["t"], both.loc[1, "t"])


@pytest.mark.parametrize(
    ("cov", "message"),
    [
        ({"cluster": [0, 1] * 30, "kind": "CR7"}, "kind"),
        ({"cluster": [0, 1] * 30, "kind": "CR2", "correction": True}, "leave 'correction'"),
        ({"cluster": [0, 1] * 30, "G": "most"}, "G"),
        ({"cluster": [0, 1] * 30, "kind": np.zeros(2)}, "kind"),
        ({"HAC": "automatic"}, "lags"),
        ({"HAC": 1, "kind": "CR2"}, "is not one of"),
        ({"cluster": np.arange(120).reshape(60, 2) % 7, "kind": "CR2"}, "one grouping"),
    ],
)
def test_choices_that_are_none(cov, message, rng):
    X, y, _ = grouped(rng)
    with pytest.raises(ValueError, match=message):
        diagnosis(X, y).coefficients(cov)


def test_cr2_of_a_penalised_fit_is_refused(rng):
    X, y, groups = grouped(rng)
    with pytest.raises(ValueError, match="without a penalty"):
        diagnosis(X, y, alpha=1.0).coefficients({"cluster": groups, "kind": "CR2"})
