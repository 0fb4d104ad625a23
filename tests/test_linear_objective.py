"""The objective that iterative solvers of a linear model see: against its definition on the standardised columns."""

import numpy as np
import pytest
import scipy.sparse as sp

from mle_regression.linalg.frame import Frame
from mle_regression.linalg.qr import block_factor
from mle_regression.linalg.triangle import triangle_of_factor
from mle_regression.objective.linear import linear_objective, quadratic_objective
from mle_regression.objective.products import ProductObjective, Products, less_shift, weighted_squares
from mle_regression.rows.base import Block
from mle_regression.rows.registry import as_rows

ALPHA = 0.7


def data(rng, weighted, centre=(3.0, 0.0, 1e3), n=40):
    X = rng.standard_normal((n, 3)) * [1.0, 1e3, 1e-2] + centre
    return X, rng.standard_normal((n, 2)) + [0.0, 5.0], rng.uniform(0.5, 2.0, n) if weighted else np.ones(n)


def triangle_and_frame(X, Y, w, alpha=ALPHA):
    frame = Frame(np.zeros(5, dtype=int), np.zeros(5))
    return triangle_of_factor(block_factor(X, Y, w, frame, True), frame, 3, w.sum(), True, alpha), frame


def standardised(X, Y, w, alpha=ALPHA):
    """Columns of [X | y] about their means, of unit length with the penalty beside them, and these lengths."""
    X, Y = X - w @ X / w.sum(), Y - w @ Y / w.sum()
    lengths = np.sqrt(w @ X**2 + alpha)
    of_y = np.sqrt(w @ Y**2)
    return X / lengths, Y / of_y, lengths, of_y


@pytest.mark.parametrize("weighted", [False, True])
def test_value_and_coefficients_are_those_of_the_definition(weighted, rng):
    X, Y, w = data(rng, weighted)
    objective = quadratic_objective(triangle_and_frame(X, Y, w)[0])
    Z, T, lengths, of_y = standardised(X, Y, w)
    theta = rng.standard_normal((3, 2))
    penalty = ALPHA / lengths**2
    loss = np.sum(w[:, None] * (T - Z @ theta) ** 2) + np.sum(penalty[:, None] * theta**2)
    assert objective.value_and_gradient(theta.ravel())[0] == pytest.approx(loss, rel=1e-9)
    exponent = triangle_and_frame(X, Y, w)[0].exponent
    in_units = objective.coefficients(theta.ravel()) * 2.0 ** (exponent[3:] - exponent[:3, None])
    np.testing.assert_allclose(in_units, theta / lengths[:, None] * of_y, rtol=1e-9)
    curvature = 2.0 * (Z.T * w @ Z + np.diag(penalty))
    np.testing.assert_allclose(objective.spectrum, np.linalg.eigvalsh(curvature), rtol=1e-9)
    bare, constant = objective.without_constant()
    assert bare.value_and_gradient(theta.ravel())[0] + constant == pytest.approx(loss, rel=1e-9)
    best = np.linalg.solve(curvature, 2.0 * Z.T * w @ T)
    assert bare.value_and_gradient(best.ravel())[0] == pytest.approx(0.0, abs=1e-12)


def test_curvatures_of_zero_are_left_out(rng):
    X, Y, w = data(rng, False)
    X[:, 2] = 2.0 * X[:, 0] - X[:, 1]
    Z = standardised(X, Y, w, 0.0)[0]
    found = quadratic_objective(triangle_and_frame(X, Y, w, 0.0)[0]).spectrum
    np.testing.assert_allclose(found, 2.0 * np.linalg.eigvalsh(Z.T @ Z)[1:], rtol=1e-9)
    assert quadratic_objective(triangle_and_frame(np.zeros((40, 3)), Y, w, 0.0)[0]).spectrum.size == 0


def test_columns_alike_keep_their_proportions(rng):
    X, Y, w = data(rng, False, centre=(0.0, 0.0, 0.0))
    triangle = triangle_and_frame(X, Y, w)[0]
    alike, each = quadratic_objective(triangle, alike=True), quadratic_objective(triangle)
    in_units = 2.0 ** triangle.exponent[:3]
    lengths = np.sqrt(((X - X.mean(axis=0)) ** 2).sum(axis=0) + ALPHA)
    np.testing.assert_allclose(np.linalg.norm(alike.factor, axis=0) * np.sqrt(np.mean(lengths**2)), lengths, rtol=1e-9)
    np.testing.assert_allclose(alike.column_length * in_units, np.sqrt(np.mean(lengths**2)), rtol=1e-9)
    theta = rng.standard_normal((3, 2))
    same = theta * (lengths / np.sqrt(np.mean(lengths**2)))[:, None]
    assert alike.value_and_gradient(theta.ravel())[0] == pytest.approx(each.value_and_gradient(same.ravel())[0])
    np.testing.assert_allclose(alike.coefficients(theta.ravel()), each.coefficients(same.ravel()), rtol=1e-9)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("as_sparse", [False, True])
@pytest.mark.parametrize("far", [False, True])
def test_curvature_that_batches_add(weighted, as_sparse, far, rng):
    """2n Σᵢ wᵢ² ‖x̂ᵢ‖² x̂ᵢⱼ² of the standardised rows, the largest over the columns, over the size of a batch."""
    X, Y, w = data(rng, weighted, centre=(3.0, 0.0, 1e6 if far else 1.0))
    triangle, frame = triangle_and_frame(X, Y, w)
    if far:
        frame = Frame(frame.exponent, np.r_[0.0, 0.0, 1e6, 0.0, 0.0])
        triangle = triangle_of_factor(block_factor(X, Y, w, frame, True), frame, 3, w.sum(), True, ALPHA)
    rows = as_rows(sp.csr_array(X) if as_sparse else X, Y, w if weighted else None)
    objective = linear_objective(triangle, frame, rows, ALPHA)
    Z = standardised(X, Y, w)[0]
    largest = (2 * len(Y) * (w**2 * (Z**2).sum(axis=1)) @ Z**2).max()
    for size in (1, 4):
        assert objective.batch_curvature(size) == pytest.approx(largest / size, rel=1e-6)


@pytest.mark.parametrize("size", [1, 7, 10, 40, 100])
def test_batches_are_all_rows_once(size, rng):
    X, Y, w = data(rng, False)
    triangle, frame = triangle_and_frame(X, Y, w)
    X = np.column_stack([np.arange(40.0), X[:, 1:]])
    objective = linear_objective(triangle, frame, as_rows(X, Y, None), ALPHA)
    batches = [batch.x[:, 0].astype(int) for batch in objective.batches(rng, size)]
    assert sorted(np.concatenate(batches).tolist()) == list(range(40))
    assert len(batches) == max(1, 40 // size)
    assert max(map(len, batches)) - min(map(len, batches)) <= 1


def test_a_batch_without_weight_says_nothing(rng):
    X, Y, w = data(rng, True)
    w[:5] = 0.0
    triangle, frame = triangle_and_frame(X, Y, w)
    objective = linear_objective(triangle, frame, as_rows(X, Y, w), ALPHA)
    assert not objective.batch_gradient(np.ones(6), Block(X[:5], Y[:5], w[:5]))[1].any()


# -- products ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("as_sparse", [False, True])
def test_products_are_those_of_the_matrix(weighted, as_sparse, rng):
    X, Y, w = data(rng, weighted, centre=(3.0, 0.0, 1.0))
    mean, of_y = w @ X / w.sum(), w @ Y / w.sum()
    by, by_y, penalty = rng.uniform(0.5, 2.0, 3), rng.uniform(0.5, 2.0, 2), rng.uniform(0.0, 1.0, 3)
    A = np.vstack([np.sqrt(w)[:, None] * (X - mean) * by, np.diag(np.sqrt(penalty))])
    b = np.vstack([np.sqrt(w)[:, None] * (Y - of_y) * by_y, np.zeros((3, 2))])
    products = Products(
        sp.csr_array(X) if as_sparse else X, Y, w if weighted else None, by, by_y, mean * by, of_y * by_y, penalty
    )
    theta, image = rng.standard_normal((3, 2)), rng.standard_normal((43, 2))
    np.testing.assert_allclose(products.image(theta.ravel()).reshape(43, 2), A @ theta, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(products.transposed(image.ravel()).reshape(3, 2), A.T @ image, rtol=1e-8, atol=1e-8)
    np.testing.assert_allclose(products.residual_at(theta.ravel()).reshape(43, 2), b - A @ theta, rtol=1e-9, atol=1e-9)
    objective = ProductObjective(products, 0.5, 4.0, np.zeros(6))
    loss, norm = objective.value_and_norm(theta.ravel())
    assert loss == pytest.approx(np.sum((b - A @ theta) ** 2))
    assert norm == pytest.approx(2.0 * np.linalg.norm(A.T @ (b - A @ theta)))
    other = rng.standard_normal((40, 1))
    plain = products.with_targets(other).residual_at(np.zeros(3))
    np.testing.assert_allclose(plain, np.r_[np.sqrt(w) * other[:, 0], np.zeros(3)])


@pytest.mark.parametrize("as_sparse", [False, True])
def test_a_shift_is_taken_from_its_columns_alone(as_sparse, rng):
    X = rng.integers(-2, 3, (9, 5)).astype(float)
    given = sp.csr_array(X) if as_sparse else X
    assert less_shift(given, np.zeros(5)) is given
    shift = np.array([0.0, 2.0, 0.0, -1.0, 0.0])
    found = less_shift(given, shift)
    np.testing.assert_array_equal(found.toarray() if as_sparse else found, X - shift)
    np.testing.assert_array_equal(given.toarray() if as_sparse else given, X)
    weights = rng.standard_normal(5)
    np.testing.assert_allclose(weighted_squares(given, weights), X**2 @ weights, rtol=1e-12)
