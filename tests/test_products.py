"""Fits by products with X alone: no matrix of p × p numbers, and what can be known without one."""

import pickle
import tracemalloc
import warnings
from dataclasses import replace

import numpy as np
import pytest
import scipy.sparse as sp
from designs import conditioned
from sklearn.exceptions import ConvergenceWarning

from mle_regression import InferenceWarning, MLELinearRegressor, NoiseFreeWarning, RankDeficiencyWarning, compare_models
from mle_regression.linalg import memory
from mle_regression.linalg.memory import MemoryNeededError
from mle_regression.rows.base import row_totals
from mle_regression.rows.registry import as_rows
from mle_regression.solvers import LSMR, auto, linear_path
from mle_regression.solvers.base import LeastSquares
from mle_regression.solvers.by_products import InverseByProducts, solve_by_products, solve_if_easy
from mle_regression.solvers.passes import triangle_bytes
from mle_regression.solvers.path import Control
from mle_regression.solvers.registry import SOLVERS


@pytest.fixture
def products(monkeypatch):
    """Fit by products whatever the number of columns."""
    monkeypatch.setattr(linear_path, "TRIANGLE_COLUMNS", 0)


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize(
    "options", [{}, {"fit_intercept": False}, {"weight_type": "frequency"}, {"outputs": 3}, {"units": 1e170}], ids=str
)
def test_products_give_what_a_triangle_gives(options, as_sparse, products, rng):
    options = dict(options)
    X = np.where(rng.random((300, 12)) < 0.4, rng.standard_normal((300, 12)), 0.0) * 10.0 ** np.arange(-6, 6)
    X = X * options.pop("units", 1.0)
    y = (X / np.abs(X).max(axis=0)).sum(axis=1) + 0.1 * rng.standard_normal(300) + 7
    if options.pop("outputs", 0):
        y = np.column_stack([y, 1e6 * rng.standard_normal(300), rng.standard_normal(300) - 4])
    weights = rng.integers(0, 4, 300).astype(float) if "weight_type" in options else None
    truth = MLELinearRegressor(**options).fit(X, y, weights)
    found = MLELinearRegressor(solver="lsmr", **options).fit(sp.csr_array(X) if as_sparse else X, y, weights)
    assert (found.solver_, found.verdict_, found.rank_) == ("lsmr", "unique minimum", truth.rank_)
    unit = np.abs(X).max(axis=0)
    np.testing.assert_allclose(found.coef_ * unit, truth.coef_ * unit, rtol=1e-6, atol=1e-7 * np.abs(y).max())
    for name in ("log_likelihood_", "noise_variance_", "r2_", "residual_dof_", "aic_"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=1e-8, err_msg=name)
    np.testing.assert_allclose(found.predict(X), truth.predict(X), rtol=1e-6, atol=1e-7 * np.abs(y).max())
    assert found.score(X, y) == pytest.approx(truth.score(X, y), rel=1e-8)
    assert found.log_likelihood(X, y, weights) == pytest.approx(found.log_likelihood_, rel=1e-9)


@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("centre", [1e6, 1e9, 1e12])
def test_a_mean_far_beyond_the_spread_costs_no_digits(centre, alpha, as_sparse, products, rng):
    moving = np.round(rng.standard_normal((200, 4)) * 64) / 64
    X = moving + [0, 0, centre, 0]
    y = np.round((moving.sum(axis=1) + rng.standard_normal(200)) * 64) / 64
    truth = MLELinearRegressor(alpha=alpha).fit(moving, y)
    found = MLELinearRegressor(solver="lsmr", alpha=alpha).fit(sp.csr_array(X) if as_sparse else X, y + centre)
    assert (found.converged_, found.rank_) == (True, 5)
    np.testing.assert_allclose(found.coef_, truth.coef_, rtol=1e-6)
    assert found.noise_variance_ == pytest.approx(truth.noise_variance_, rel=1e-8)
    # The intercept is the value at zero, some ``centre`` away from all rows.
    assert found.intercept_ == pytest.approx(truth.intercept_ + centre - centre * truth.coef_[2], rel=1e-6)
    np.testing.assert_allclose(found.predict(X) - centre, truth.predict(moving), atol=1e-6 + 1e-15 * centre)


@pytest.mark.parametrize("alpha", [1e-3, 1.0, 100.0])
def test_effective_parameters_are_estimated(alpha, products, rng):
    X = conditioned(900, 300, 30.0) * 10.0
    y = X @ rng.standard_normal(300) + rng.standard_normal(900)
    truth = MLELinearRegressor(alpha=alpha).fit(X, y)
    found = MLELinearRegressor(solver="lsmr", alpha=alpha).fit(X, y)
    np.testing.assert_allclose(found.coef_, truth.coef_, rtol=1e-5, atol=1e-7)
    assert found.effective_dof_ == pytest.approx(truth.effective_dof_, abs=0.02 * 301)


@pytest.mark.parametrize("by", ["products", "triangle"])
@pytest.mark.parametrize("alpha", [1e-16, 1e-12, 1e-8, 1e-4, 1.0, 100.0])
def test_few_rows_and_a_penalty_however_small(alpha, by, rng, monkeypatch):
    """The dual form, β = Xᵀ(XXᵀ + αI)⁻¹y of centred rows, is as well conditioned as the rows are."""
    monkeypatch.setattr(linear_path, "TRIANGLE_COLUMNS", 0 if by == "products" else 500)
    X, y = rng.standard_normal((50, 100)) * rng.uniform(0.3, 3, 100), rng.standard_normal(50)
    inner = X - X.mean(axis=0)
    truth = inner.T @ np.linalg.solve(inner @ inner.T + alpha * np.eye(50) + 1.0, y - y.mean())
    model = MLELinearRegressor(solver="lsmr", alpha=alpha)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", NoiseFreeWarning)
        model.fit(X, y)
    assert model.converged_
    np.testing.assert_allclose(model.coef_, truth, atol=1e-7 * np.linalg.norm(truth))


def test_the_smallest_of_all_solutions_of_few_rows(products, rng):
    X, y = rng.standard_normal((40, 90)), rng.standard_normal(40)
    with pytest.warns(NoiseFreeWarning):
        model = MLELinearRegressor(solver="lsmr", on_rank_deficiency="min_norm").fit(X, y)
    expected = np.linalg.pinv(X - X.mean(axis=0)) @ (y - y.mean())
    np.testing.assert_allclose(model.coef_, expected, atol=1e-7 * np.linalg.norm(expected))
    assert (model.verdict_, model.rank_) == ("flat minimum", 40)


@pytest.mark.parametrize("intercept", [True, False])
def test_null_vectors_are_found_and_named(intercept, products, rng):
    X = rng.standard_normal((200, 8)) * 10.0 ** np.arange(-3, 5)
    X = np.column_stack([X, 2 * X[:, 1] - X[:, 4] + 3.0 * intercept, X[:, 0] * 5, np.full(200, 4.0 * intercept)])
    y = X @ rng.standard_normal(11) + rng.standard_normal(200)
    options = {"fit_intercept": intercept, "on_rank_deficiency": "warn"}
    with pytest.warns(RankDeficiencyWarning) as told:
        truth = MLELinearRegressor(**options).fit(X, y)
    with pytest.warns(RankDeficiencyWarning) as caught:
        found = MLELinearRegressor(solver="lsmr", **options).fit(X, y)
    # The same relations; of the remedies lsmr does not name dropping columns, which it cannot.
    relations, expected = (str(warning[0].message).split("Instead")[0] for warning in (caught, told))
    assert relations == expected
    assert "drop" not in str(caught[0].message)
    assert (found.rank_, found.verdict_) == (truth.rank_, "flat minimum")
    np.testing.assert_allclose(found.coef_, truth.coef_, rtol=1e-5, atol=1e-9)
    with pytest.raises(ValueError, match="cannot drop dependent columns"):
        MLELinearRegressor(solver="lsmr", on_rank_deficiency="drop").fit(X, y)
    with pytest.raises(np.linalg.LinAlgError, match="flat valley"):
        MLELinearRegressor(solver="lsmr", on_rank_deficiency="raise").fit(X, y)


def test_what_products_cannot_tell_is_not_told(products, rng):
    X = conditioned(300, 40, 1e7)
    y = rng.standard_normal(300)
    with pytest.warns(ConvergenceWarning, match="not converged"):
        model = MLELinearRegressor(solver="lsmr", max_iter=100).fit(X, y)
    assert model.verdict_ == "not stationary"
    assert not model.converged_


@pytest.mark.parametrize("as_sparse", [False, True])
def test_no_matrix_of_columns_by_columns(as_sparse, rng):
    p = 2500
    X = sp.random(4000, p, density=0.004, random_state=1, format="csr")
    y = X @ rng.standard_normal(p) + rng.standard_normal(4000)
    stored = X if as_sparse else X.toarray()
    tracemalloc.start()
    try:
        model = MLELinearRegressor(solver="lsmr").fit(stored, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 8 * p**2 / 4
    residual = y - model.predict(X)
    np.testing.assert_allclose(X.T @ residual, 0.0, atol=1e-6 * np.linalg.norm(y))
    assert residual.mean() == pytest.approx(0.0, abs=1e-9)
    again = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(again.predict(X[:5]), model.predict(X[:5]))
    for what in ("standard_errors_", "hessian_eigenvalues_", "condition_number_"):
        with pytest.raises(MemoryNeededError, match=r"no 2500 x 2500 triangle .* diagnose\(X, y\)"):
            getattr(again, what)
    for ask in (model.coefficients, model.summary, lambda: model.predict_interval(X[:2])):
        with pytest.raises(MemoryNeededError, match="made by products with X alone"):
            ask()


def test_a_large_sparse_matrix_is_fitted_without_being_told_how(rng):
    n, p, each = 60_000, 20_000, 10
    at = np.repeat(np.arange(n), each), rng.integers(0, p, n * each)
    X = sp.csr_array((rng.standard_normal(n * each), at), shape=(n, p))
    b = rng.standard_normal(p)
    y = X @ b + 3.0 + 0.1 * rng.standard_normal(n)
    tracemalloc.start()
    try:
        model = MLELinearRegressor().fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 100e6  # 20,000² numbers are 3.2 gigabytes
    assert (model.solver_, model.verdict_, model.rank_) == ("lsmr", "unique minimum", p + 1)
    np.testing.assert_allclose(X.T @ (y - model.predict(X)), 0.0, atol=1e-7 * np.linalg.norm(y))
    assert model.intercept_ == pytest.approx(3.0, abs=0.01)
    assert model.residual_variance_ == pytest.approx(0.01, rel=0.05)


@pytest.mark.parametrize("solver", sorted(set(SOLVERS) - {"auto", "lsmr"}))
def test_every_other_solver_says_at_once_what_it_would_need(solver, monkeypatch, rng):
    monkeypatch.setattr(memory, "memory_bytes", lambda: 64.0 * 2**20)
    X = sp.random(3000, 2000, density=0.01, random_state=0, format="csr")
    y = rng.standard_normal(3000)
    tracemalloc.start()
    try:
        with pytest.raises(MemoryNeededError, match=r"triangle: about 0\.\d+ GiB .* Take solver='lsmr'"):
            MLELinearRegressor(solver=solver).fit(X, y)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    assert MLELinearRegressor().fit(X, y).solver_ == "lsmr"
    table = compare_models({"ours": MLELinearRegressor()}, X, y, cv=None)
    assert np.isnan(table.loc["ours", "condition_number"])
    assert table.loc["ours", "rank"] == 2001


def test_memory_is_that_of_the_process():
    assert memory.fits_memory(1.0)
    assert not memory.fits_memory(1e18)
    with pytest.raises(
        MemoryNeededError, match="It takes: about .* GiB of memory, and this process may have .* Take less."
    ):
        memory.require_memory(1e18, "It takes", "Take less")


@pytest.mark.parametrize("options", [{}, {"fit_intercept": False}, {"alpha": 2.0}, {"outputs": 2}], ids=str)
def test_standard_errors_on_request(options, products, rng):
    options = dict(options)
    X = sp.random(400, 15, density=0.4, random_state=2, format="csr")
    y = X @ rng.standard_normal(15) + rng.standard_normal(400)
    if options.pop("outputs", 0):
        y = np.column_stack([y, 1e3 * rng.standard_normal(400)])
    weights = rng.uniform(0.1, 3, 400)
    truth = MLELinearRegressor(**options).fit(X, y, weights)
    rows = MLELinearRegressor(solver="lsmr", **options).fit(X, y, weights).diagnose(X, y, weights)
    assert rows.data == "the rows of the fit"
    chosen = ["intercept", "x3", 7] if options.get("fit_intercept", True) else ["x3", 7]
    found, full = rows.coefficients(columns=chosen), truth.diagnose(X, y, weights).coefficients(columns=chosen)
    assert "_fit" not in rows.__dict__  # no triangle so far
    # Under a penalty s² divides by degrees of freedom that are estimated, to two or three of 385.
    exact = 0.01 if options.get("alpha") else 1e-8
    np.testing.assert_allclose(found.iloc[:, 1], full.iloc[:, 1], rtol=exact)
    np.testing.assert_allclose(found["estimate"], full["estimate"], rtol=1e-5)
    assert list(found.index) == list(full.index)
    if not options.get("alpha"):
        hypothesis = "x3 - 2*x7 = 0.5, x1 = 0, x1 + x3 = 2*x7 + 0.5"
        one, other = rows.test_linear(hypothesis), truth.test_linear(hypothesis)
        np.testing.assert_allclose(one.statistic, other.statistic, rtol=1e-6)
        assert (one.df_num, one.df_denom) == (other.df_num, other.df_denom) == (2, truth.residual_dof_)
    assert "_fit" not in rows.__dict__
    # Of all columns, and of everything else, from a triangle of the rows at hand.
    np.testing.assert_allclose(rows.coefficients().iloc[:, 1], truth.coefficients().iloc[:, 1], rtol=exact)
    with pytest.raises(ValueError, match="'x99', which is no column of the fit"):
        rows.coefficients(columns=["x99"])
    other_rows = MLELinearRegressor(solver="lsmr", **options).fit(X, y, weights).diagnose(X[:, ::-1], y, weights)
    assert other_rows.data == "new rows"
    with pytest.raises(MemoryNeededError, match="products with X alone"):
        other_rows.coefficients(columns=["x3"])


def test_no_standard_error_where_there_is_none(products, rng):
    X = rng.standard_normal((60, 4))
    X = np.column_stack([X, X[:, 0] - X[:, 1]])
    y = rng.standard_normal(60)
    model = MLELinearRegressor(solver="lsmr", on_rank_deficiency="min_norm").fit(X, y)
    table = model.diagnose(X, y).coefficients(columns=[0, 2, 4])
    assert np.isnan(table["std_error"]).tolist() == [True, False, True]
    truth = MLELinearRegressor(on_rank_deficiency="min_norm").fit(X, y)
    assert table["std_error"].iloc[1] == pytest.approx(truth.standard_errors_[2], rel=1e-8)
    with pytest.warns(InferenceWarning, match="do not determine"):
        assert np.isnan(model.diagnose(X, y).test_linear("x0 = 0").statistic)
    assert model.diagnose(X, y).test_linear("x0 + x4 = 0").statistic == pytest.approx(
        truth.test_linear("x0 + x4 = 0").statistic, rel=1e-6
    )


def test_chosen_columns_where_the_triangle_does_not_fit(monkeypatch, rng):
    X = sp.random(3000, 2000, density=0.01, random_state=0, format="csr")
    y = X @ rng.standard_normal(2000) + rng.standard_normal(3000)
    truth = MLELinearRegressor().fit(X, y)
    monkeypatch.setattr(memory, "memory_bytes", lambda: 64.0 * 2**20)
    rows = MLELinearRegressor().fit(X, y).diagnose(X, y)
    with pytest.raises(MemoryNeededError, match=r"Ask for chosen columns, coefficients\(columns="):
        rows.coefficients()
    found = rows.coefficients(columns=[5, 1999])
    np.testing.assert_allclose(found["std_error"], truth.standard_errors_[[5, 1999]], rtol=1e-7)


@pytest.mark.parametrize(("n", "p"), [(10_000, 300), (100, 3000), (299, 300)])
def test_memory_foreseen_is_that_of_a_few_triangles(n, p):
    """A triangle has no more rows than [1 | X | y] has rows or columns."""
    rows = as_rows(np.zeros((n, p)), np.zeros((n, 1)), None)
    problem = LeastSquares(rows, row_totals(np.zeros((n, 1)), None), True, 0.0, 1e-12, "warn", False)
    triangle = 8.0 * p * min(n, p)
    assert 3 * triangle < triangle_bytes(problem) < 8 * triangle


@pytest.mark.parametrize("alpha", [0.0, 2.0])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("intercept", [False, True])
def test_what_is_known_of_columns_by_products(alpha, weighted, intercept, rng):
    """Lengths, means, explained squares and what is left of the gradient, of a path that ends early."""
    X, Y = rng.standard_normal((30, 3)) * [1.0, 10.0, 0.1] + [0.5, 0.0, 1.0], rng.standard_normal((30, 2)) * [1.0, 50.0]
    weights = rng.uniform(0.5, 2.0, 30) if weighted else None
    w = np.ones(30) if weights is None else weights
    problem = LeastSquares(as_rows(X, Y, weights), row_totals(Y, weights), intercept, alpha, 1e-12, "warn", False)
    control = Control("auto", None, 2, 1e-12, np.random.default_rng(0))
    found = solve_by_products(problem, LSMR(), control)
    Z, T = (X - w @ X / w.sum(), Y - w @ Y / w.sum()) if intercept else (X, Y)
    residual = T - Z @ found.coef
    information, unit = found.information, 2.0**found.output_exponent
    np.testing.assert_allclose(information.lengths * 2.0**information.exponent, np.sqrt(w @ Z**2 + alpha), rtol=1e-9)
    np.testing.assert_allclose(information.mean, w @ X / w.sum() if intercept else np.zeros(3), rtol=1e-9)
    explained = w @ (Z @ found.coef) ** 2 + alpha * (found.coef**2).sum(axis=0)
    np.testing.assert_allclose(information.explained * unit**2, explained, rtol=1e-9)
    np.testing.assert_allclose(found.residual_cross * np.outer(unit, unit), residual.T * w @ residual, rtol=1e-9)
    left = Z.T * w @ residual - alpha * found.coef
    np.testing.assert_allclose(found.gradient * unit, left, rtol=1e-6, atol=1e-9)
    assert np.abs(left).max() > 1e-3
    assert found.information.rank == 3 + intercept
    np.testing.assert_allclose(found.intercept, w @ (Y - X @ found.coef) / w.sum() if intercept else 0.0, atol=1e-9)


# -- chosen by solver="auto" ------------------------------------------------------------------------------------------


def scattered(p, rng):
    """Ten numbers a row wherever they fall, ten rows a column."""
    return sp.random(10 * p, p, density=10.0 / p, random_state=rng, format="csr", data_rvs=rng.standard_normal)


@pytest.fixture
def easily_chosen(monkeypatch):
    """Let products be foreseen to be cheap whatever the number of columns."""
    monkeypatch.setattr(auto, "_MANY_COLUMNS", 0)
    monkeypatch.setattr(auto, "SPARSE_PRICE", 0.0)


def test_scattered_columns_are_fitted_by_products(rng):
    X = scattered(2500, rng)
    y = X @ np.ones(2500) + rng.standard_normal(25_000)
    found, truth = MLELinearRegressor().fit(X, y), MLELinearRegressor(solver="normal").fit(X, y)
    assert (found.solver_, found.rank_, found.verdict_, found.converged_) == ("lsmr", 2501, "unique minimum", True)
    np.testing.assert_allclose(found.coef_, truth.coef_, atol=1e-9)
    assert found.intercept_ == pytest.approx(truth.intercept_, abs=1e-9)
    for name in ("log_likelihood_", "noise_variance_", "r2_", "residual_dof_", "bic_"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=1e-12, err_msg=name)
    table = found.diagnose(X, y).coefficients(columns=[0, 7])
    of_triangle = truth.diagnose(X, y).coefficients()
    np.testing.assert_allclose(table["std_error"], of_triangle["std_error"].loc[table.index], rtol=1e-7)


def test_few_columns_keep_their_triangle(rng):
    X = scattered(300, rng)
    found = MLELinearRegressor().fit(X, X @ np.ones(300) + rng.standard_normal(3000))
    assert found.solver_ == "normal"
    assert np.isfinite(found.standard_errors_).all()


@pytest.mark.parametrize("case", ["plain", "weights", "outputs", "no intercept", "units"])
def test_products_are_right_where_they_are_chosen(case, easily_chosen, rng):
    X = scattered(200, rng)
    y = X @ np.ones(200) + rng.standard_normal(2000) + 5.0
    weights = rng.uniform(0.5, 2.0, 2000) if case == "weights" else None
    if case == "outputs":
        y = np.column_stack([y, 1e6 * rng.standard_normal(2000)])
    if case == "units":
        X = sp.csr_array(X @ sp.diags_array(10.0 ** rng.integers(-9, 9, 200)))
    options = {"fit_intercept": case != "no intercept"}
    found = MLELinearRegressor(**options).fit(X, y, weights)
    truth = MLELinearRegressor(solver="normal", **options).fit(X, y, weights)
    assert (found.solver_, found.verdict_, found.rank_) == ("lsmr", truth.verdict_, truth.rank_)
    size = np.sqrt(np.asarray(X.multiply(X).sum(axis=0)).ravel())
    np.testing.assert_allclose(found.coef_ * size, truth.coef_ * size, rtol=1e-9, atol=1e-9 * np.abs(y).max())
    assert found.log_likelihood_ == pytest.approx(truth.log_likelihood_, rel=1e-12)


def test_a_dependent_column_is_named_by_products_too(easily_chosen, rng):
    X = scattered(200, rng)
    X = sp.hstack([X[:, :-1], X[:, :1] + X[:, 1:2]]).tocsr()
    y = X @ np.ones(200) + rng.standard_normal(2000)
    with pytest.warns(RankDeficiencyWarning, match="x199 = x0 \\+ x1"):
        found = MLELinearRegressor().fit(X, y)
    assert (found.solver_, found.rank_, found.verdict_) == ("lsmr", 200, "flat minimum")
    truth = MLELinearRegressor(solver="qr", on_rank_deficiency="min_norm").fit(X, y)
    np.testing.assert_allclose(found.coef_, truth.coef_, atol=1e-8)


@pytest.mark.parametrize("case", ["near dependency", "many dependencies", "drop", "constant"])
def test_what_products_do_not_settle_soon_is_left_to_the_triangle(case, easily_chosen, rng):
    X, options = scattered(200, rng).tolil(), {}
    if case == "near dependency":
        X[:, 199] = X[:, 0] + 1e-6 * X[:, 199]
    elif case == "many dependencies":
        X[:, 190:] = X[:, :10] + X[:, 10:20]
        options = {"on_rank_deficiency": "min_norm"}
    elif case == "drop":
        X[:, 199] = X[:, 0] + X[:, 1]
        options = {"on_rank_deficiency": "drop"}
    else:
        X[:, 199] = 3.0
        options = {"on_rank_deficiency": "min_norm"}
    X = X.tocsr()
    y = X @ np.ones(200) + rng.standard_normal(2000)
    found = MLELinearRegressor(**options).fit(X, y)
    truth = MLELinearRegressor(solver="qr", **options).fit(X, y)
    assert found.solver_ != "lsmr"
    assert (found.rank_, found.verdict_) == (truth.rank_, truth.verdict_)


# -- relations and covariances by products -----------------------------------------------------------------------------


@pytest.mark.parametrize("far", [0.0, 1e3, 1e7])
def test_a_difference_of_columns_far_from_zero_has_no_constant(far, rng):
    """Its mean is zero, the means that it is a difference of are not."""
    X = np.round(rng.standard_normal((40, 3)) * 1024) / 1024
    X[:, 1] -= np.round((X[:, 1].mean() - X[:, 0].mean()) * 2**20) / 2**20
    X[:, :2] += far
    X[:, 2] = X[:, 0] - X[:, 1]
    Y = rng.standard_normal((40, 1))
    problem = LeastSquares(as_rows(X, Y, None), row_totals(Y, None), True, 0.0, 1e-12, "warn", False)
    found = solve_by_products(problem, LSMR(), Control("auto", None, 99, 1e-9, np.random.default_rng(0)))
    (relation,) = found.relations
    assert relation.dependent == 2
    assert relation.constant == 0.0
    np.testing.assert_allclose([share for _, share in relation.terms], [1.0, -1.0], rtol=1e-6)


@pytest.mark.parametrize("deficiency", ["warn", "min_norm", "drop"])
@pytest.mark.parametrize("dependent", [0, 1, 4])
def test_easy_columns_are_left_to_others_where_products_do_not_suffice(deficiency, dependent, rng):
    """To be dropped a dependent column must be found, and four random vectors find up to three."""
    X, Y = rng.standard_normal((60, 8)), rng.standard_normal((60, 1))
    X[:, 8 - dependent :] = X[:, :dependent]
    problem = LeastSquares(as_rows(X, Y, None), row_totals(Y, None), True, 0.0, 1e-12, deficiency, False)
    control = Control("auto", None, 99, 1e-12, np.random.default_rng(0))
    found = solve_if_easy(problem, LSMR(), control, 60)
    if dependent == 4 or (dependent and deficiency == "drop"):
        assert found is None
    else:
        centred = X - X.mean(axis=0)
        np.testing.assert_allclose(found.coef, np.linalg.pinv(centred) @ (Y - Y.mean()), atol=1e-9)
        assert len(found.relations) == dependent
    X[:, 3] *= 1e4
    X[:, 3] += X[:, 2] * 1e8  # of a large condition
    assert solve_if_easy(replace(problem, rows=as_rows(X, Y, None)), LSMR(), control, 60) is None


def test_covariances_of_combinations_by_products(rng):
    """tᵀu of two images is R (XᵀX)⁻¹Rᵀ; that of the mean alone asks for no slopes."""
    half = rng.integers(-9, 10, (20, 3)).astype(float)
    X, Y = np.vstack([half, -half]), np.zeros((40, 1))  # means of exactly zero
    problem = LeastSquares(as_rows(X, Y, None), row_totals(Y, None), True, 0.0, 1e-12, "warn", False)
    inverse = InverseByProducts(problem)
    R = np.vstack([[1.0, 0.0, 0.0, 0.0], rng.standard_normal((3, 4))])
    images = np.array([inverse.image(row) for row in R])
    assert images.shape == (4, 1 + 40 + 3)
    A = np.column_stack([np.ones(40), X])
    np.testing.assert_allclose(images @ images.T, R @ np.linalg.inv(A.T @ A) @ R.T, rtol=1e-7, atol=1e-12)


@pytest.mark.parametrize("unit", [1e-200, 1.0, 1e200])
def test_relations_are_in_the_units_of_the_columns(unit, rng):
    X = np.round(rng.standard_normal((40, 4)) * 1024) / 1024 * [1.0, 3.0, 1.0, 1.0] + [0.0, 2.0, 0.0, 0.0]
    X[:, 2], X[:, 3] = 2.0 * X[:, 0] - X[:, 1] + 5.0, 7.0
    Y = rng.standard_normal((40, 1))
    X *= [1.0, unit, unit, unit]
    problem = LeastSquares(as_rows(X, Y, None), row_totals(Y, None), True, 0.0, 1e-12, "warn", False)
    found = solve_by_products(problem, LSMR(), Control("auto", None, 99, 1e-9, np.random.default_rng(0)))
    follows, constant = found.relations
    assert (follows.dependent, [place for place, _ in follows.terms]) == (2, [0, 1])
    np.testing.assert_allclose([share for _, share in follows.terms], [2.0 * unit, -1.0], rtol=1e-6)
    assert follows.constant == pytest.approx(5.0 * unit, rel=1e-6)
    assert (constant.dependent, constant.terms) == (3, ())
    assert constant.constant == pytest.approx(7.0 * unit, rel=1e-12)
