"""However rows are stored, cut or counted, the fit is the same."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp

from mle_regression import MLELinearRegressor
from mle_regression.linalg.threads import blas_threads
from mle_regression.rows import dense, sparse, standard
from mle_regression.rows.base import spans
from mle_regression.rows.registry import ROWS, as_rows


def problem(rng, n=400, p=6):
    X = rng.integers(-8, 9, (n, p)).astype(float)
    X[rng.random((n, p)) < 0.5] = 0
    return X, X @ np.arange(p) + rng.standard_normal(n) + 3


LAYOUTS = {
    "Fortran": np.asfortranarray,
    "every other row": lambda X: np.repeat(X, 2, axis=0)[::2],
    "every other column": lambda X: np.repeat(X, 2, axis=1)[:, ::2],
    "reversed": lambda X: X[::-1, ::-1].copy()[::-1, ::-1],
    "float32": lambda X: X.astype(np.float32),
    "float16": lambda X: X.astype(np.float16),
    "int64": lambda X: X.astype(np.int64),
    "int8": lambda X: X.astype(np.int8),
    "big-endian": lambda X: X.astype(">f8"),
    "csr": sp.csr_array,
    "csc": sp.csc_array,
    "csr_matrix": sp.csr_matrix,
    "coo": sp.coo_array,
    "bsr": sp.bsr_matrix,
    "lil": sp.lil_array,
    "dok": sp.dok_matrix,
    "int64 csr": lambda X: sp.csr_array(X.astype(np.int64)),
    "list": lambda X: X.tolist(),
}


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_layout_changes_nothing(layout, weighted, solver, rng):
    X, y = problem(rng)
    weights = rng.random(len(y)) if weighted else None
    truth = MLELinearRegressor(solver=solver).fit(X, y, weights)
    stored = LAYOUTS[layout](X)
    model = MLELinearRegressor(solver=solver).fit(stored, y, weights)
    np.testing.assert_allclose(model.coef_, truth.coef_, rtol=1e-14)
    np.testing.assert_allclose(model.standard_errors_, truth.standard_errors_, rtol=1e-14)
    # Predictions are as precise as the rows: of float32 they have seven digits.
    rtol = 1e-6 if layout == "float32" else 1e-12
    np.testing.assert_allclose(model.predict(stored), truth.predict(X), rtol=rtol)
    np.testing.assert_allclose(
        model.predict(stored, return_std=True)[1], truth.predict(X, return_std=True)[1], rtol=rtol
    )


def test_dense_blocks_of_a_sparse_matrix_keep_to_eight_megabytes():
    rows = as_rows(sp.random(300, 40_000, density=1e-3, format="csr", random_state=0), np.zeros((300, 1)))
    sizes = []
    assert rows.map(lambda block: sizes.append(block.x.nbytes) or block.y, dense=True).shape == (300, 1)
    assert max(sizes) <= 8 << 20
    assert len(rows.sample(256)) * 40_001 * 8 <= 9 << 20
    # A sum of the size p² may take blocks that are not lower than a square.
    tall = as_rows(sp.random(5000, 800, density=1e-2, format="csr", random_state=0), np.zeros((5000, 1)))
    heights = tall.reduce(lambda block: [len(block.y)], lambda a, b: a + b, dense=True, tall=True)
    assert min(heights[:-1]) == 1600
    assert sum(heights) == 5000


def test_read_only_memory_map(tmp_path, rng):
    X, y = problem(rng)
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(MLELinearRegressor().fit(mapped, y).coef_, MLELinearRegressor().fit(X, y).coef_)


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("shift", [0.0, 1e6])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_blocks_and_threads_change_nothing(as_sparse, shift, refine, solver, rng, monkeypatch):
    X, y = problem(rng)
    X[:, 1] += shift
    weights = rng.random(len(y))
    weights[::7] = 0
    stored = sp.csr_array(X) if as_sparse else X
    truth = MLELinearRegressor(solver=solver, refine=refine).fit(stored, y, weights)
    monkeypatch.setattr(dense, "_BLOCK_SIZE", 64)
    monkeypatch.setattr(dense, "_THREADED_FROM", 1)
    monkeypatch.setattr(dense, "row_workers", lambda: 3)
    monkeypatch.setattr(sparse, "_DENSE_BLOCK_SIZE", 64)
    monkeypatch.setattr(sparse, "_SPARSE_BLOCK_NONZEROS", 100)
    model = MLELinearRegressor(solver=solver, refine=refine).fit(stored, y, weights)
    np.testing.assert_allclose(model.coef_, truth.coef_, rtol=1e-11)
    assert model.log_likelihood_ == pytest.approx(truth.log_likelihood_, rel=1e-13)


def test_sorted_rows_do_not_fool_the_sample(solver, rng):
    """A sample of rows that shows neither the mean nor the magnitude of the others."""
    X = rng.standard_normal((3000, 2))
    X[1::2] += 1e8
    X[5, 1] = 1e160
    y = 1e-8 * X[:, 0] + rng.standard_normal(3000)
    model = MLELinearRegressor(solver=solver, refine=False).fit(X, y)
    exact = MLELinearRegressor(solver=solver, refine=True).fit(X, y)
    np.testing.assert_allclose(model.coef_, exact.coef_, rtol=1e-9)
    np.testing.assert_allclose(model.standard_errors_, exact.standard_errors_, rtol=1e-9)


def test_nothing_is_written_to(rng):
    X, y = problem(rng)
    weights = rng.random(len(y))
    copies = X.copy(), y.copy(), weights.copy()
    for array in (X, y, weights):
        array.setflags(write=False)
    MLELinearRegressor().fit(X, y, weights).predict_interval(X)
    for array, copy in zip((X, y, weights), copies, strict=True):
        np.testing.assert_array_equal(array, copy)


def test_a_sparse_fit_never_makes_x_dense(rng, monkeypatch):
    X = sp.csr_array(sp.random(20_000, 30, density=0.01, random_state=0))
    y = X @ np.ones(30) + rng.standard_normal(20_000)
    truth = MLELinearRegressor(refine=False).fit(X.toarray(), y)

    def refuse(*_, **__):
        raise AssertionError("made dense")

    monkeypatch.setattr(sp.csr_array, "toarray", refuse)
    as_rows(X, y[:, None]).reduce(lambda block: block.x.sum(), lambda a, b: a + b)
    monkeypatch.undo()
    np.testing.assert_allclose(MLELinearRegressor(refine=False).fit(X, y).coef_, truth.coef_, rtol=1e-10)


@pytest.mark.parametrize(("n", "width", "workers"), [(1, 5, 3), (10, 3, 2), (100, 7, 4), (8, 8, 2), (9, 1, 20)])
def test_spans_cover_every_row_once(n, width, workers):
    rows = [i for part in spans(n, width, workers) for lo in part for i in range(lo, min(lo + width, part.stop))]
    assert rows == list(range(n))


def test_every_home_takes_its_own_and_the_error_names_them():
    assert set(ROWS) >= {"dense", "sparse"}
    with pytest.raises(TypeError, match=", ".join(ROWS)):
        as_rows("no rows", np.zeros((1, 1)))


def test_whole_blocks_of_weight_zero(solver, rng, monkeypatch):
    X, y = problem(rng)
    weights = np.r_[np.zeros(150), rng.random(100), np.zeros(150)]
    for refine in (True, False):
        truth = MLELinearRegressor(solver=solver, refine=refine).fit(X[150:250], y[150:250], weights[150:250])
        with monkeypatch.context() as patch:
            patch.setattr(dense, "_BLOCK_SIZE", 64)
            patch.setattr(dense, "_THREADED_FROM", 1)
            patch.setattr(dense, "row_workers", lambda: 4)
            model = MLELinearRegressor(solver=solver, refine=refine).fit(X, y, weights)
        np.testing.assert_allclose(model.coef_, truth.coef_, rtol=1e-12)


def test_fits_in_threads_leave_the_blas_threads_as_they_were(rng):
    X, y = problem(rng)
    before = blas_threads()
    truth = MLELinearRegressor().fit(X, y).coef_
    with ThreadPoolExecutor(4) as pool:
        for coef in pool.map(lambda _: MLELinearRegressor().fit(X, y).coef_, range(40)):
            np.testing.assert_array_equal(coef, truth)
    assert blas_threads() == before


def test_only_what_blas_cannot_read_is_copied(rng):
    X = rng.standard_normal((8, 6))
    for readable in (X, np.asfortranarray(X), X[:, :4], X[2:], X.T):
        assert dense._for_blas(readable) is readable
    for other in (X[:, ::2].T[::2], X[::-1], X[:, ::-1], X.astype(np.float32), X.astype(int), X.astype(">f8")):
        copy = dense._for_blas(other)
        assert copy.flags.c_contiguous
        assert copy.dtype == np.float64
        np.testing.assert_array_equal(copy, other)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("kept", [True, False])
@pytest.mark.parametrize("size", [1, 7, 10, 24, 25, 1000])
def test_batches_are_all_rows_once_in_standard_units(size, kept, weighted, rng, monkeypatch):
    monkeypatch.setattr(standard, "_KEPT_SIZE", 10**9 if kept else 0)
    monkeypatch.setattr(standard, "_DRAWN_SIZE", 30)
    X, y = rng.standard_normal((25, 3)) * [1.0, 10.0, 0.1] + 5.0, rng.standard_normal((25, 2))
    weights = rng.random(25) if weighted else None
    of_x, of_y = (standard.Units(data.mean(axis=0), data.std(axis=0)) for data in (X, y))
    rows = standard.StandardRows(as_rows(X, y, weights), of_x, of_y, np.float64)
    batches = [
        (batch.x.copy(), batch.y.copy(), None if batch.weights is None else batch.weights.copy())
        for batch in rows.batches(np.random.default_rng(0), size)
    ]
    sizes = [batch[0].shape[1] for batch in batches]
    assert max(sizes) <= size
    assert max(sizes) - min(sizes) <= 1
    x, outputs = np.hstack([batch[0] for batch in batches]).T, np.hstack([batch[1] for batch in batches]).T
    np.testing.assert_array_equal(x[:, -1], 1.0)
    order = np.argsort(x[:, 0])
    expected = np.argsort(X[:, 0])
    np.testing.assert_allclose(x[order, :3], in_units(X, of_x)[expected], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(outputs[order], in_units(y, of_y)[expected], rtol=1e-12, atol=1e-12)
    if weighted:
        np.testing.assert_array_equal(np.concatenate([batch[2] for batch in batches])[order], weights[expected])
    if len(batches) > 1:
        assert not (np.diff(order) > 0).all()
        again = next(iter(rows.batches(np.random.default_rng(1), size)))
        assert not np.array_equal(again.x, batches[0][0])


def in_units(values, units):
    return (values - units.center) / units.spread


def test_blocks_of_a_sparse_matrix_are_all_rows_once(monkeypatch, rng):
    X = sp.random(53, 7, density=0.3, format="csr", random_state=0)
    y, weights = rng.standard_normal((53, 1)), rng.random(53)
    rows = as_rows(X, y, weights)
    monkeypatch.setattr(sparse, "_SPARSE_BLOCK_NONZEROS", 20)
    monkeypatch.setattr(sparse, "_DENSE_BLOCK_SIZE", 7 * 5)
    for kind in ({}, {"dense": True}, {"dense": True, "tall": True}):
        blocks = []

        def keep(block, blocks=blocks):
            blocks.append(block)
            return np.zeros(1)

        rows.reduce(keep, np.add, **kind)
        x = [block.x if "dense" in kind else block.x.toarray() for block in blocks]
        np.testing.assert_array_equal(np.vstack(x), X.toarray())
        np.testing.assert_array_equal(np.vstack([block.y for block in blocks]), y)
        np.testing.assert_array_equal(np.concatenate([block.weights for block in blocks]), weights)
        assert len(blocks) > 2
        tall = max(len(part) for part in x[:-1])
        assert tall >= (14 if "tall" in kind else 2)
        assert tall <= (2 * 14 if "tall" in kind else 2 * 5)
