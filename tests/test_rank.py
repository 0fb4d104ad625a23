"""Dependent columns: what is said, what is fitted, and what is not claimed."""

import warnings
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from designs import conditioned, random

from mle_regression import MLELinearRegressor, NoiseFreeWarning, RankDeficiencyWarning
from mle_regression.diagnostics.covariance import leverage
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.rank import _largest_with_row, independent_columns, relations, row_space
from mle_regression.linalg.triangle import triangle_of_factor
from mle_regression.rows.base import row_totals
from mle_regression.rows.registry import as_rows
from mle_regression.solvers.base import LeastSquares
from mle_regression.solvers.registry import SOLVERS


def dependent(rng, n=50):
    X = rng.standard_normal((n, 5)) + 1.0
    X[:, 3] = 2 * X[:, 0] - 0.5 * X[:, 1] + 7
    return pd.DataFrame(X, columns=["a", "b", "c", "d", "e"]), rng.standard_normal(n)


def test_warning_names_columns_and_relation(solver, rng):
    X, y = dependent(rng)
    with pytest.warns(RankDeficiencyWarning, match=r"5 of 6 .*: d = 2\*a - 0\.5\*b \+ 7\..*alpha > 0"):
        model = MLELinearRegressor(solver=solver).fit(X, y)
    assert model.rank_ == 5
    assert model.verdict_ == "flat minimum"
    assert model.condition_number_ == np.inf
    assert model.hessian_eigenvalues_[0] == 0 < model.hessian_eigenvalues_[1]
    assert model.solver_ == "svd"


def test_minimum_norm_is_that_of_the_pseudo_inverse(solver, rng):
    X, y = dependent(rng)
    X = X.to_numpy()
    model = MLELinearRegressor(solver=solver, on_rank_deficiency="min_norm").fit(X, y)
    centred = X - X.mean(axis=0)
    np.testing.assert_allclose(model.coef_, np.linalg.pinv(centred) @ (y - y.mean()), atol=1e-12)
    np.testing.assert_allclose(
        model.predict(X), y.mean() + centred @ np.linalg.pinv(centred) @ (y - y.mean()), atol=1e-12
    )
    assert model.noise_variance_ == pytest.approx(np.mean((y - model.predict(X)) ** 2), rel=1e-12)


@pytest.mark.filterwarnings("ignore::mle_regression.NoiseFreeWarning")
@pytest.mark.parametrize("unit", [2.0**20, 2.0**40, 2.0**200, 2.0**-500])
@pytest.mark.parametrize("shape", [(3, 5), (12, 5)], ids=["fewer rows than columns", "more"])
@pytest.mark.parametrize("fit_intercept", [True, False])
def test_minimum_norm_in_any_units_is_a_least_squares_fit(shape, unit, fit_intercept, solver, rng):
    """Units choose among the fits of equal residuals; they change no residual, and no norm for the worse."""
    X = rng.integers(-6, 7, shape).astype(float)
    X[:, 3] = 0.0
    X[:, 4] = X[:, 0] - X[:, 2]
    y = rng.integers(-9, 10, shape[0]).astype(float)
    centred, rest = (X - X.mean(axis=0), y - y.mean()) if fit_intercept else (X, y)
    fitted = y - rest + centred @ np.linalg.pinv(centred) @ rest
    units = np.array([1.0, unit, 1.0, 1.0, 1.0])
    model = MLELinearRegressor(solver=solver, fit_intercept=fit_intercept, on_rank_deficiency="min_norm").fit(
        X * units, y
    )
    np.testing.assert_allclose(model.predict(X * units), fitted, atol=1e-12)
    if unit == 2.0**20:
        smallest = np.linalg.pinv(centred * units, rcond=1e-13) @ rest
        np.testing.assert_allclose(model.coef_ * units, smallest * units, atol=1e-8)


def test_no_column_but_zeros_is_a_fit_of_nothing(solver):
    y = np.array([1.0, 2.0])
    for mode in ("drop", "min_norm"):
        model = MLELinearRegressor(solver=solver, fit_intercept=False, on_rank_deficiency=mode).fit(np.zeros((2, 1)), y)
        assert model.rank_ == 0
        assert model.coef_ == 0
        assert model.noise_variance_ == 2.5


def test_standard_errors_only_where_there_is_something_to_err(solver, rng):
    X, y = dependent(rng)
    model = MLELinearRegressor(solver=solver, on_rank_deficiency="min_norm").fit(X, y)
    whole = MLELinearRegressor(solver=solver).fit(X.drop(columns="d"), y)
    errors = pd.Series(model.standard_errors_, X.columns)
    assert errors[["a", "b", "d"]].isna().all()
    expected = pd.Series(whole.standard_errors_, ["a", "b", "c", "e"])
    np.testing.assert_allclose(errors[["c", "e"]], expected[["c", "e"]], rtol=1e-10)
    assert np.isnan(model.intercept_standard_error_)
    assert model.log_likelihood_ == pytest.approx(whole.log_likelihood_, rel=1e-12)
    assert model.n_parameters_ == whole.n_parameters_


def test_predictions_are_determined_only_inside_the_row_space(solver, rng):
    X, y = dependent(rng)
    model = MLELinearRegressor(solver=solver, on_rank_deficiency="min_norm").fit(X, y)
    whole = MLELinearRegressor(solver=solver).fit(X.drop(columns="d"), y)
    _, std = model.predict(X, return_std=True)
    np.testing.assert_allclose(std, whole.predict(X.drop(columns="d"), return_std=True)[1], rtol=1e-9)
    outside = X.assign(d=X["d"] + 1.0)
    assert np.isnan(model.predict(outside, return_std=True)[1]).all()


@pytest.mark.parametrize("refine", [True, False])
def test_drop_fits_the_first_independent_columns(refine, solver, rng):
    X, y = dependent(rng)
    model = MLELinearRegressor(solver=solver, on_rank_deficiency="drop", refine=refine).fit(X, y)
    kept = MLELinearRegressor(solver=solver, refine=refine).fit(X.drop(columns="d"), y)
    np.testing.assert_allclose(np.delete(model.coef_, 3), kept.coef_, rtol=1e-11)
    assert model.coef_[3] == 0
    assert np.isnan(model.standard_errors_[3])
    np.testing.assert_allclose(np.delete(model.standard_errors_, 3), kept.standard_errors_, rtol=1e-11)
    assert model.intercept_standard_error_ == pytest.approx(kept.intercept_standard_error_, rel=1e-11)
    assert model.log_likelihood_ == pytest.approx(kept.log_likelihood_, rel=1e-12)
    assert model.rank_ == 5
    assert model.condition_number_ == np.inf


def test_raise_and_keep_the_earlier_fit(solver, rng):
    X, y = dependent(rng)
    model = MLELinearRegressor(solver=solver, on_rank_deficiency="raise").fit(X.drop(columns="d"), y)
    before = model.coefficients()
    with pytest.raises(np.linalg.LinAlgError, match=r"d = 2\*a - 0\.5\*b \+ 7"):
        model.fit(X, y)
    pd.testing.assert_frame_equal(model.coefficients(), before)
    assert model.n_features_in_ == 4


def test_min_norm_is_silent(rng):
    X, y = dependent(rng)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model = MLELinearRegressor(on_rank_deficiency="min_norm").fit(X, y)
    assert model.rank_ == 5


CASES = {
    "duplicated": (lambda X: np.column_stack([X, X[:, 1]]), "x4 = x1"),
    "negated": (lambda X: np.column_stack([X, -X[:, 1]]), "x4 = -x1"),
    "constant": (lambda X: np.column_stack([X, np.full(len(X), 0.1)]), "x4 = 0.1"),
    "zero": (lambda X: np.column_stack([X, np.zeros(len(X))]), "x4 = 0"),
    "large constant": (lambda X: np.column_stack([X, np.full(len(X), 1e9 / 3)]), "x4 = 3.33333e+08"),
    "dummies": (lambda X: np.eye(4)[np.arange(len(X)) % 4], r"x3 = -x0 - x1 - x2 \+ 1"),
    "other unit": (lambda X: np.column_stack([X, 1e-120 * X[:, 0]]), "x4 = 1e-120*x0"),
    "far mean": (lambda X: np.column_stack([X + 1e7, X[:, 0] - 3]), r"x4 = x0 - 1e\+07"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("refine", [True, False])
def test_relation_found(case, refine, solver):
    make, said = CASES[case]
    X = make(random(60, 4))
    y = np.random.default_rng(1).standard_normal(60)
    said = said.replace("*", r"\*").replace("e+0", r"e\+0") if "\\" not in said else said
    with pytest.warns(RankDeficiencyWarning, match=said):
        model = MLELinearRegressor(solver=solver, refine=refine).fit(X, y)
    assert model.rank_ == X.shape[1]
    centred = X - X.mean(axis=0)
    best = np.linalg.lstsq(centred, y - y.mean(), rcond=1e-7)[0]
    residuals = y - model.predict(X)
    assert residuals @ residuals <= (1 + 1e-6) * np.sum((y - y.mean() - centred @ best) ** 2)


@pytest.mark.parametrize("kappa", [1e9, 1e12])
def test_nearly_dependent_is_not_dependent(kappa, solver):
    X = conditioned(200, 4, kappa)
    y = np.random.default_rng(1).standard_normal(200)
    for refine in (True, False):
        assert MLELinearRegressor(solver=solver, refine=refine).fit(X, y).verdict_ == "unique minimum"


def test_rank_does_not_depend_on_units(solver, rng):
    X, y = dependent(rng)
    units = np.array([1e-140, 1e80, 3.0, 1e-7, 1e12])
    model = MLELinearRegressor(solver=solver, on_rank_deficiency="drop").fit(X.to_numpy() * units, y)
    plain = MLELinearRegressor(solver=solver, on_rank_deficiency="drop").fit(X.to_numpy(), y)
    assert model.rank_ == plain.rank_ == 5
    np.testing.assert_allclose(model.coef_ * units, plain.coef_, rtol=1e-9)


def test_rank_tol_decides(solver):
    X, y = conditioned(50, 4, 1e6), np.random.default_rng(1).standard_normal(50)
    assert MLELinearRegressor(solver=solver).fit(X, y).rank_ == 5
    model = MLELinearRegressor(solver=solver, rank_tol=1e-5, on_rank_deficiency="min_norm").fit(X, y)
    assert model.rank_ == 4


@pytest.mark.parametrize("storage", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("intercept", [True, False])
def test_fewer_rows_than_columns(intercept, storage, solver, rng):
    X, y = rng.standard_normal((8, 20)), rng.standard_normal(8)
    with pytest.warns(UserWarning) as caught:
        model = MLELinearRegressor(solver=solver, fit_intercept=intercept).fit(storage(X), y)
    assert any(w.category is RankDeficiencyWarning for w in caught)
    centred = X - X.mean(axis=0) * intercept
    np.testing.assert_allclose(model.coef_, np.linalg.pinv(centred) @ (y - intercept * y.mean()), atol=1e-12)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-12)
    assert model.rank_ == 8
    assert np.isnan(model.standard_errors_).all()
    assert np.isnan(model.predict(X, return_std=True)[1]).all()
    assert np.isnan(model.coefficients()[["t", "p_value", "lower"]].to_numpy()).all()
    assert len(model.hessian_eigenvalues_) == 20 + intercept
    assert np.sum(model.hessian_eigenvalues_ > 0) == 8


def test_one_row(solver):
    with pytest.warns(UserWarning):
        model = MLELinearRegressor(solver=solver).fit([[1.0, 2.0]], [3.0])
    np.testing.assert_array_equal(model.coef_, 0)
    assert model.intercept_ == 3.0
    assert model.rank_ == 1


def test_nothing_but_zeros(solver):
    y = np.arange(6.0)
    model = MLELinearRegressor(solver=solver, fit_intercept=False, on_rank_deficiency="min_norm").fit(
        np.zeros((6, 2)), y
    )
    np.testing.assert_array_equal(model.coef_, 0)
    np.testing.assert_array_equal(model.hessian_eigenvalues_, 0)
    assert model.rank_ == 0
    assert model.condition_number_ == np.inf
    assert model.noise_variance_ == pytest.approx(np.mean(y**2))


def test_as_many_rows_as_parameters(solver, rng):
    X, y = rng.standard_normal((4, 3)), rng.standard_normal(4)
    with pytest.warns(UserWarning, match="exact"):
        model = MLELinearRegressor(solver=solver).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-12)
    assert model.rank_ == 4
    assert np.isnan(model.standard_errors_).all()


def test_float32_columns_are_dependent_to_their_own_precision(rng):
    X = rng.standard_normal((80, 3)).astype(np.float32)
    X = np.column_stack([X, X[:, 0] + X[:, 1]])
    with pytest.warns(RankDeficiencyWarning, match=r"x3 = x0 \+ x1"):
        MLELinearRegressor().fit(X, X[:, 2] + rng.standard_normal(80))
    assert MLELinearRegressor().fit(X.astype(float), X[:, 2] + rng.standard_normal(80)).rank_ == 5


def test_penalty_lifts_the_flat_valley(solver, rng):
    X, y = dependent(rng)
    model = MLELinearRegressor(solver=solver, alpha=1e-3).fit(X, y)
    assert model.verdict_ == "unique minimum"
    assert np.isfinite(model.standard_errors_).all()


def test_drop_takes_only_the_kept_columns_into_exact_sums(rng):
    """Far more columns than rows: nothing of the size of all columns squared is formed."""
    X, y = rng.standard_normal((5, 15_000)), rng.standard_normal(5)
    with pytest.warns(UserWarning, match="exact"):
        model = MLELinearRegressor(on_rank_deficiency="drop", refine=True).fit(X, y)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-12)
    assert np.count_nonzero(model.coef_) == 4


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("scales", ["plain", "near units", "far units"])
@pytest.mark.parametrize("shape", [(20, 20), (15, 40), (20, 21)])
def test_fewer_rows_than_parameters(shape, scales, intercept, weighted, rng):
    """An LQ decomposition of independent rows says what the singular values say, in the units of X."""
    n, p = shape
    X = rng.standard_normal(shape) + 3.0
    X *= {"plain": 1.0, "near units": 4.0 ** rng.uniform(-3, 3, p), "far units": 10.0 ** rng.uniform(-9, 9, p)}[scales]
    y, weights = rng.standard_normal(n), rng.uniform(0.5, 2.0, n) if weighted else np.ones(n)
    options = {"fit_intercept": intercept, "on_rank_deficiency": "min_norm"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseFreeWarning)
        model, by_values = (MLELinearRegressor(solver=s, **options).fit(X, y, weights) for s in ("auto", "svd"))
    if n < p + intercept:
        assert (model.solver_, by_values.solver_) == ("qr" if scales != "far units" else "svd", "svd")
        assert model.rank_ == by_values.rank_ == n
    root = np.sqrt(weights)[:, None]
    mean = np.average(np.c_[X, y], axis=0, weights=weights) if intercept else np.zeros(p + 1)
    truth = np.linalg.pinv(root * (X - mean[:p]), rcond=1e-14) @ (root[:, 0] * (y - mean[p]))
    if scales != "far units":  # of which pinv knows nothing
        size = np.abs(truth) + 1e-6 * np.abs(truth).max()
        np.testing.assert_allclose(model.coef_ / size, truth / size, rtol=0, atol=1e-9)
        np.testing.assert_allclose(by_values.coef_ / size, truth / size, rtol=0, atol=1e-9)
    np.testing.assert_allclose(model.predict(X), y, atol=1e-10)
    np.testing.assert_allclose(model.hessian_eigenvalues_[-n:], by_values.hessian_eigenvalues_[-n:], rtol=1e-8)
    np.testing.assert_array_equal(np.isnan(model.standard_errors_), np.isnan(by_values.standard_errors_))


def test_rows_that_are_dependent_are_left_to_singular_values(rng):
    X, y = rng.standard_normal((12, 30)), rng.standard_normal(12)
    X[5], X[7] = X[3], X[2] + X[1] - X[0]
    model = MLELinearRegressor(on_rank_deficiency="min_norm", fit_intercept=False).fit(X, y)
    assert (model.solver_, model.rank_) == ("svd", 10)
    np.testing.assert_allclose(model.coef_, np.linalg.pinv(X, rcond=1e-12) @ y, atol=1e-12)


@pytest.mark.parametrize("n", [200, 90])
@pytest.mark.parametrize("dependent", [[0], [3], [59, 60, 61], [119], [1, 50, 100], list(range(0, 120, 3))])
def test_the_earlier_columns_are_kept(dependent, n, rng):
    """Wherever the dependent ones stand, in blocks of columns and in triangles cut short."""
    X = rng.standard_normal((n, 120))
    for j in dependent:
        X[:, j] = X[:, [i for i in range(j) if i not in dependent][-2:]] @ np.ones(min(2, j)) if j else 0.0
    upper = np.linalg.qr(X, mode="r")
    triangle = triangle_of_factor(upper, Frame(np.zeros(120, np.int64), np.zeros(120)), 120, float(n), False, 0.0)
    expected = [j for j in range(120) if j not in dependent][:n]
    s = row_space(triangle, 1e-12)
    assert s.rank == len(expected)
    assert independent_columns(triangle, s, 1e-12).tolist() == expected
    # The same of a factor that is no triangle.
    turned = replace(triangle, r=np.linalg.qr(rng.standard_normal((len(triangle.r),) * 2))[0] @ triangle.r)
    assert independent_columns(turned, s, 1e-12).tolist() == expected
    for relation in relations(triangle, np.array(expected)):
        terms = X[:, [j for j, _ in relation.terms]] @ [c for _, c in relation.terms] if relation.terms else 0.0
        np.testing.assert_allclose(terms, X[:, relation.dependent], atol=1e-8)


@pytest.mark.parametrize("size", [0.0, 1e-3, 1.0, 1e3])
def test_tolerance_counts_the_column_of_ones(size, rng):
    """The largest singular value with the row of means on top, without another decomposition."""
    a, row = rng.standard_normal((9, 5)), size * rng.standard_normal(5)
    _, values, right_t = np.linalg.svd(a, full_matrices=False)
    whole = np.linalg.norm(np.vstack([row, a]), 2)
    assert _largest_with_row(row, values, right_t) == pytest.approx(whole, rel=1e-12)
    assert _largest_with_row(values[0] * right_t[0], values, right_t) == pytest.approx(
        np.sqrt(2) * values[0], rel=1e-12
    )


@pytest.mark.parametrize("p", [2, 16])
@pytest.mark.parametrize("factor", [0.5, 2.0])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_default_tolerance_is_as_documented(p, factor, dtype):
    """8·√p·eps of the largest singular value: half of that is no direction, twice as much is one.

    Rows are 0, ±1 and a shift that is exact in the dtype, so that the singular values are what they are said to be.
    """
    eps = float(np.finfo(dtype).eps)
    tolerance = 8.0 * np.sqrt(p) * eps
    signs = np.array([[(-1.0) ** bin(i & j).count("1") for j in range(32)] for i in range(32)])  # orthogonal columns
    X = signs[:, :p].copy()
    # columns u and u + φw at right angles to all others: singular values √2 and φ/√2
    shift = 2.0 ** np.round(np.log2(2.0 * factor * tolerance))
    X[:, 1] = X[:, 0] + shift * signs[:, 20]
    assert (X.astype(dtype).astype(float) == X).all()
    ratio = shift / 2.0 / tolerance
    assert 0.3 < ratio < 0.8 if factor < 1 else 1.4 < ratio < 2.9
    model = MLELinearRegressor(solver="svd", fit_intercept=False, on_rank_deficiency="min_norm")
    model.fit(X.astype(dtype), signs[:, 25] + 0.5 * signs[:, 0])
    assert model.rank_ == (p if factor > 1 else p - 1)


def test_what_few_rows_determine_has_a_standard_error(solver, rng):
    """With fewer rows than columns too, a coefficient that no other column can stand in for is as good as any."""
    X = np.zeros((5, 7))
    X[:, 0] = [1.0, 1.0, 0.0, 0.0, 0.0]
    X[2:, 1] = [1.0, 2.0, 3.0]
    X[:, 2:] = X[:, 1:2] * rng.integers(1, 5, 5)
    y = rng.standard_normal(5)
    model = MLELinearRegressor(solver=solver, fit_intercept=False, on_rank_deficiency="min_norm").fit(X, y)
    alone = MLELinearRegressor(fit_intercept=False).fit(X[:, :2], y)
    assert model.coef_[0] == pytest.approx(alone.coef_[0], rel=1e-12)
    assert model.standard_errors_[0] == pytest.approx(alone.standard_errors_[0], rel=1e-12)
    assert np.isnan(model.standard_errors_[1:]).all()


@pytest.mark.parametrize("name", ["normal", "qr", "svd"])
@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize("units", [[1.0] * 6, [1e-9, 1e6, 3.0, 1e-120, 7.0, 1e100]])
def test_relations_hold_in_the_units_of_the_columns(units, fit_intercept, refine, name, rng):
    X = rng.integers(-9, 10, (30, 6)).astype(float)
    X[:, 2] = 3.0 * X[:, 0] - 2.0 * X[:, 1] + 5.0 * fit_intercept
    X[:, 4] = 7.0 * fit_intercept
    X[:, 5] = 1e3 * X[:, 3] - X[:, 0]
    y = rng.standard_normal((30, 1))
    problem = LeastSquares(as_rows(X * units, y, None), row_totals(y, None), fit_intercept, 0.0, 1e-12, "drop", refine)
    found = {relation.dependent: relation for relation in SOLVERS[name]().solve(problem).relations}
    assert sorted(found) == [2, 4, 5]
    assert found[4].terms == ()
    expected = {2: {0: 3.0, 1: -2.0}, 5: {0: -1.0, 3: 1e3}}
    for j, terms in expected.items():
        assert [i for i, _ in found[j].terms] == list(terms)
        np.testing.assert_allclose(
            [c for _, c in found[j].terms], [units[j] / units[i] * c for i, c in terms.items()], rtol=1e-9
        )
    for j, constant in ((2, 5.0), (4, 7.0), (5, 0.0)):
        assert found[j].constant == pytest.approx(units[j] * constant * fit_intercept, rel=1e-9, abs=0.0)


def test_leverage_of_dependent_columns_is_that_of_independent_ones(rng):
    X = rng.standard_normal((20, 3)) + [2.0, -1.0, 0.0]
    X[:, 2] = 2.0 * X[:, 0] - X[:, 1] + 4.0
    model = MLELinearRegressor(on_rank_deficiency="min_norm").fit(X, rng.standard_normal(20))
    expected = np.diag(np.c_[np.ones(20), X[:, :2]] @ np.linalg.pinv(np.c_[np.ones(20), X[:, :2]]))
    np.testing.assert_allclose(leverage(model._fit.information, X), expected, rtol=1e-10)
    assert np.isnan(leverage(model._fit.information, X + [0.0, 0.0, 1e-3])).all()


def test_a_fit_through_the_origin_is_refined_too():
    """Of (1, 1), (1 + δ, 1), … no more than a few digits would be left without refinement."""
    n = 12
    X = np.column_stack([np.ones(n), 1.0 + np.arange(n) * 2.0**-24])
    y = np.round(1e3 * np.sin(np.arange(n)))
    model = MLELinearRegressor(fit_intercept=False, refine=True).fit(X, y)
    gram = [[sum(Fraction(a) * Fraction(b) for a, b in zip(u, v, strict=True)) for v in X.T] for u in X.T]
    right = [sum(Fraction(a) * Fraction(b) for a, b in zip(u, y, strict=True)) for u in X.T]
    det = gram[0][0] * gram[1][1] - gram[0][1] ** 2
    exact = [
        (gram[1][1] * right[0] - gram[0][1] * right[1]) / det,
        (gram[0][0] * right[1] - gram[0][1] * right[0]) / det,
    ]
    assert model.refined_
    np.testing.assert_allclose(model.coef_, [float(value) for value in exact], rtol=2e-16)
