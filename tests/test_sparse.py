"""Sparse columns: dummies and large matrices, at the price of their nonzeros."""

import itertools
import pickle
import tracemalloc
import warnings

import numpy as np
import pytest
import scipy.sparse as sp
from designs import conditioned
from sklearn.exceptions import ConvergenceWarning
from threadpoolctl import threadpool_limits

from mle_regression import MLELinearRegressor, MLPGradientRegressor, RankDeficiencyWarning
from mle_regression.linalg import memory
from mle_regression.linalg.elimination import eliminate, orthogonal_run
from mle_regression.linalg.memory import MemoryNeededError
from mle_regression.linalg.sparse_information import SparseInformation
from mle_regression.solvers import sparse_normal


def dummies(*levels, rows=None, drop=True, seed=0):
    """One-hot columns of factors with so many levels, each level in some row; without the first of each if ``drop``."""
    rng = np.random.default_rng(seed)
    n = rows or 20 * max(levels)
    columns = []
    for count in levels:
        codes = rng.permutation(np.r_[np.arange(count), rng.integers(0, count, n - count)])
        columns.append(sp.csr_array((np.ones(n), (np.arange(n), codes)), shape=(n, count))[:, int(drop) :])
    return sp.hstack(columns, format="csr")


def test_dummies_of_many_levels_are_means(rng):
    X, y = dummies(1200), rng.standard_normal(24_000)
    model = MLELinearRegressor().fit(X, y)
    counts = X.sum(axis=0)
    first = y[np.asarray(X.sum(axis=1)) == 0].mean()
    assert model.solver_ == "normal"
    assert model.intercept_ == pytest.approx(first, rel=1e-10)
    np.testing.assert_allclose(model.coef_, X.T @ y / counts - first, rtol=1e-9, atol=1e-12)
    s2 = np.sum((y - model.predict(X)) ** 2) / (24_000 - 1200)
    errors = np.sqrt(s2 * (1 / counts + 1 / (24_000 - counts.sum())))
    np.testing.assert_allclose(model.standard_errors_, errors, rtol=1e-10)


def test_normal_does_no_exact_work_unasked(rng):
    X = conditioned(200, 6, 1e6)
    y = X.sum(axis=1) + rng.standard_normal(200)
    truth = MLELinearRegressor(solver="normal", refine=True).fit(X, y)
    found = MLELinearRegressor(solver="normal", refine=False).fit(X, y)
    assert (truth.solver_, truth.refined_) == ("normal", True)
    assert (found.solver_, found.refined_) == ("qr", False)
    np.testing.assert_allclose(found.coef_, truth.coef_, rtol=1e-8)


def features(*levels, numeric=0, drop=False, seed=0):
    X = dummies(*levels, rows=15 * max(levels), drop=drop, seed=seed)
    if numeric:
        X = sp.hstack([X, sp.random(X.shape[0], numeric, 0.3, random_state=seed) * 30.0], format="csr")
    return X


OPTIONS = {
    "plain": {},
    "ridge": {"alpha": 0.5},
    "no intercept": {"fit_intercept": False},
    "drop": {"on_rank_deficiency": "drop"},
    "minimum norm": {"on_rank_deficiency": "min_norm"},
    "frequencies": {"weight_type": "frequency"},
}


@pytest.mark.parametrize("factorised", [True, False], ids=["factorised", "conjugate gradients"])
@pytest.mark.parametrize("options", OPTIONS)
@pytest.mark.parametrize("drop", [False, True], ids=["every level", "first level left out"])
@pytest.mark.parametrize("levels", [(170,), (90, 80), (80, 60, 30)], ids=str)
@pytest.mark.filterwarnings("ignore::mle_regression.RankDeficiencyWarning")
def test_sparse_dummies_give_what_dense_ones_give(levels, drop, options, factorised, rng, monkeypatch):
    X = features(*levels, numeric=2, drop=drop)
    X = sp.csr_array(X @ sp.diags_array(np.where(np.arange(X.shape[1]) == 3, 0.0, 1.0)))
    X.eliminate_zeros()  # column 3 is nothing but zeros
    y = X @ rng.standard_normal(X.shape[1]) + rng.standard_normal(X.shape[0])
    weights = rng.uniform(0, 2, len(y)) if options == "frequencies" else None
    if weights is not None:
        weights[::9] = 0
    monkeypatch.setattr(sparse_normal, "FACTORISED", 500 if factorised else 0)
    monkeypatch.setattr(sparse_normal, "_FROM_COLUMNS", 1)
    monkeypatch.setattr(sparse_normal, "_pays", lambda *_: True)
    found = MLELinearRegressor(refine=False, **OPTIONS[options]).fit(X, y, weights)
    truth = MLELinearRegressor(refine=False, **OPTIONS[options]).fit(X.toarray(), y, weights)
    assert isinstance(found._fit.information, SparseInformation)
    assert (found.rank_, found.verdict_) == (truth.rank_, truth.verdict_)
    assert found._fit.notes == truth._fit.notes
    tight = {"rtol": 1e-9, "atol": 1e-11}
    np.testing.assert_allclose(found.coef_, truth.coef_, **tight)
    np.testing.assert_allclose(found.intercept_, truth.intercept_, **tight)
    for name in ("log_likelihood_", "effective_dof_", "r2_", "aic_", "noise_variance_"):
        np.testing.assert_allclose(getattr(found, name), getattr(truth, name), rtol=1e-11, err_msg=name)
    np.testing.assert_allclose(found.standard_errors_, truth.standard_errors_, rtol=1e-9)
    np.testing.assert_allclose(found.intercept_standard_error_, truth.intercept_standard_error_, rtol=1e-9)
    np.testing.assert_allclose(found.predict(X, return_std=True)[1], truth.predict(X, return_std=True)[1], rtol=1e-9)
    np.testing.assert_allclose(found.hessian_eigenvalues_, truth.hessian_eigenvalues_, rtol=1e-9, atol=1e-13)
    # One row outside of what was fitted is as undetermined either way.
    row = np.zeros((1, X.shape[1]))
    row[0, :2] = 1.0
    np.testing.assert_allclose(*(m.predict(row, return_std=True)[1] for m in (found, truth)), rtol=1e-7)


def test_a_fit_on_dummies_can_be_stored_and_asked_everything(rng):
    X = features(200, 8, numeric=1, drop=True)
    y = X @ rng.standard_normal(X.shape[1]) + rng.standard_normal(X.shape[0])
    found = pickle.loads(pickle.dumps(MLELinearRegressor().fit(X, y)))
    truth = MLELinearRegressor().fit(X.toarray(), y)
    assert isinstance(found._fit.information, SparseInformation)
    last = f"x{X.shape[1] - 1}"
    for one, other in (
        (found.test_linear(f"{last} = 0"), truth.test_linear(f"{last} = 0")),
        (found.f_test(), truth.f_test()),
    ):
        assert one.statistic == pytest.approx(other.statistic, rel=1e-9)
    table = found.diagnose(X, y).coefficients("HC3")
    np.testing.assert_allclose(table["std_error"], truth.diagnose(X, y).coefficients("HC3")["std_error"], rtol=1e-8)
    np.testing.assert_allclose(found.coefficient_covariance(), truth.coefficient_covariance(), rtol=1e-8, atol=1e-12)
    assert str(found.summary()) == str(truth.summary())
    more, whole = found.partial_fit(X[:300], y[:300]), truth.partial_fit(X[:300], y[:300])
    np.testing.assert_allclose(more.coef_, whole.coef_, rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("levels", [(1000,), (1000, 700), (3000,)], ids=str)
def test_dummies_of_every_level_name_their_dependency(levels, rng):
    X = dummies(*levels, drop=False)
    y = rng.standard_normal(X.shape[0])
    with pytest.warns(
        RankDeficiencyWarning, match=rf"only {X.shape[1] + 1 - len(levels)} of {X.shape[1] + 1}"
    ) as caught:
        model = MLELinearRegressor().fit(X, y)
    assert f"x{levels[0] - 1} = " in str(caught[0].message)
    assert model.verdict_ == "flat minimum"
    # The coefficients of smallest norm have the means of each factor's own level at zero.
    edges = np.cumsum([0, *levels])
    sums = [model.coef_[lo:hi].sum() for lo, hi in itertools.pairwise(edges)]
    np.testing.assert_allclose(sums, 0.0, atol=1e-9)
    gradient = X.T @ (y - model.predict(X))
    np.testing.assert_allclose(gradient, 0.0, atol=1e-9)


@pytest.mark.parametrize("near", [1e-4, 1e-8])
def test_nearly_dependent_sparse_columns_leave_the_fast_way(near, rng):
    X = dummies(200, drop=True)
    twin = X[:, [0]].toarray() + near * rng.standard_normal((X.shape[0], 1))
    X = sp.hstack([X, sp.csr_array(twin)], format="csr")
    y = rng.standard_normal(X.shape[0])
    found, truth = (MLELinearRegressor().fit(x, y) for x in (X, X.toarray()))
    assert found.rank_ == truth.rank_ == X.shape[1] + 1
    assert not isinstance(found._fit.information, SparseInformation)
    np.testing.assert_allclose(found.standard_errors_, truth.standard_errors_, rtol=1e-6)


def test_sparse_columns_cost_what_their_nonzeros_cost(rng):
    X = dummies(3000, 2500, drop=True)
    y = rng.standard_normal(X.shape[0])
    tracemalloc.start()
    try:
        model = MLELinearRegressor().fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert model.rank_ == X.shape[1] + 1
    assert peak < 60e6  # 5,499² numbers are 242 megabytes
    np.testing.assert_allclose(X.T @ (y - model.predict(X)), 0.0, atol=1e-9)


def test_a_network_reads_sparse_rows_a_few_at_a_time(monkeypatch, rng):
    """Standardised rows are dense; the whole of them would be 320 megabytes."""
    at = np.repeat(np.arange(1000), 10), rng.integers(0, 40_000, 10_000)
    X, y = sp.csr_array((rng.standard_normal(10_000), at), shape=(1000, 40_000)), rng.standard_normal(1000)
    tracemalloc.start()
    try:
        with warnings.catch_warnings(), threadpool_limits(1):  # a thread holds a block of its own
            warnings.simplefilter("ignore", ConvergenceWarning)
            MLPGradientRegressor((2,), alpha=1e-4, solver="adam", max_iter=1, batch_size=20, random_state=0).fit(X, y)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 160e6
    monkeypatch.setattr(memory, "memory_bytes", lambda: 64.0 * 2**20)
    with pytest.raises(MemoryNeededError, match=r"40000 x 50 x 1 units .* fewer hidden units"):
        MLPGradientRegressor((50,), alpha=1e-4).fit(X, y)


def with_twins(rng, n=1200, levels=200, apart=5e-3):
    """Dummies, and two columns that are nearly the same."""
    dummies = sp.csr_array((np.ones(n), (np.arange(n), rng.integers(0, levels, n))), shape=(n, levels))
    twins = rng.standard_normal((n, 2)) @ [[1.0, 1.0], [0.0, apart]]
    return sp.csr_array(sp.hstack([dummies, twins])), rng.standard_normal(n)


@pytest.mark.parametrize(("rank_tol", "rank"), [(None, 202), (1e-3, 202), (2e-2, 201)])
def test_the_rank_of_sparse_columns_goes_by_the_tolerance_asked_for(rank_tol, rank, rng):
    X, y = with_twins(rng)
    options = {"rank_tol": rank_tol, "fit_intercept": False, "on_rank_deficiency": "min_norm"}
    sparse, dense = (MLELinearRegressor(**options).fit(A, y) for A in (X, X.toarray()))
    assert sparse.rank_ == dense.rank_ == rank
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("intercept", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [180, 203, 1200])
def test_sparse_columns_under_a_penalty(n, weighted, intercept, rng):
    """More rows than columns or fewer: coefficients, errors and degrees of freedom are those of the dense columns."""
    X, y = with_twins(rng, n, apart=1.0)
    w = rng.uniform(0.5, 2.0, n) if weighted else None
    sparse, dense = (
        MLELinearRegressor(alpha=0.5, fit_intercept=intercept).fit(A, y, w) for A in (X, np.asarray(X.toarray()))
    )
    np.testing.assert_allclose(sparse.coef_, dense.coef_, rtol=1e-9, atol=1e-11)
    np.testing.assert_allclose(sparse.intercept_, dense.intercept_, rtol=1e-9, atol=1e-11)
    assert sparse.gradient_norm_ < 1e-13
    for name in ("noise_variance_", "effective_dof_", "log_likelihood_", "r2_"):
        assert getattr(sparse, name) == pytest.approx(getattr(dense, name), rel=1e-9)
    assert sparse.verdict_ == dense.verdict_ == "unique minimum"


@pytest.mark.parametrize("factorised", [True, False], ids=["factorised", "conjugate gradients"])
@pytest.mark.parametrize("levels", [(20, 12), (12, 20), (9, 8, 7)], ids=str)
def test_the_equation_of_dummies_and_its_null_vectors(levels, factorised, rng, monkeypatch):
    """Of every level of k factors k − 1 combinations vanish, before any pass over the rows sharpens them."""
    monkeypatch.setattr(sparse_normal, "FACTORISED", 500 if factorised else 0)

    def equation(X):
        gram = sp.csr_array(X.T @ X)
        return sparse_normal._Equation(eliminate(gram, orthogonal_run(X)), gram), gram.toarray()

    every, gram = equation(dummies(*levels, drop=False))
    null = every.null_space()
    assert null.shape == (sum(levels), len(levels) - 1)
    assert np.linalg.matrix_rank(null) == len(levels) - 1
    assert np.abs(gram @ null).max() < 1e-8 * np.abs(gram).max() * np.abs(null).max()
    regular, gram = equation(dummies(*levels, drop=True))
    assert regular.null_space().shape[1] == 0
    assert regular.is_well_conditioned()
    rhs = rng.standard_normal((len(gram), 2))
    np.testing.assert_allclose(regular.solve(rhs), np.linalg.solve(gram, rhs), rtol=1e-8, atol=1e-10)
