"""What a row does to a fit: against fits without it, or with it, worked out one by one."""

import numpy as np
import pytest

from mle_regression.diagnostics.influence import Noise, influence, row_changes


def fitted(X, Y, w):
    """Coefficients (k, m), residual sums of squares (m,) and the inverse of XᵀWX."""
    inverse = np.linalg.inv(X.T * w @ X)
    coef = inverse @ (X.T * w @ Y)
    return coef, w @ (Y - X @ coef) ** 2, inverse


def rows_of(rng, n, weighted):
    X, Y = np.column_stack([np.ones(n), rng.standard_normal((n, 2))]), rng.standard_normal((n, 2))
    return X, Y, rng.uniform(0.3, 3.0, n) if weighted else np.ones(n)


def brute_force(X, Y, w, i):
    """Of row i of a fit with it: every number from the fit to all rows and the one to the others."""
    n, k = X.shape
    coef, squares, inverse = fitted(X, Y, w)
    others = np.arange(n) != i
    without, squares_without, _ = fitted(X[others], Y[others], w[others])
    s, s_without = np.sqrt(squares / (n - k)), np.sqrt(squares_without / (n - k - 1))
    e, h = Y[i] - X[i] @ coef, w[i] * X[i] @ inverse @ X[i]
    moved = coef - without
    return {
        "leverage": h,
        "standardized": np.sqrt(w[i]) * e / s,
        "studentized_internal": np.sqrt(w[i]) * e / (s * np.sqrt(1 - h)),
        "studentized_external": np.sqrt(w[i]) * e / (s_without * np.sqrt(1 - h)),
        "cooks_distance": np.einsum("km,kl,lm->m", moved, X.T * w @ X, moved) / (k * s**2),
        "dffits": X[i] @ moved / (s_without * np.sqrt(X[i] @ inverse @ X[i])),
        "loo_residual": Y[i] - X[i] @ without,
        "dfbetas": moved / (s_without * np.sqrt(np.diagonal(inverse))[:, None]),
    }


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("n", [5, 20])
@pytest.mark.parametrize("seen", [True, False])
def test_every_number_is_that_of_two_fits(n, weighted, seen, rng):
    """Of five rows and three coefficients one degree of freedom is left without the row."""
    X, Y, w = rows_of(rng, n, weighted)
    precision = w if weighted else None
    for i in range(3):
        others = np.arange(n) != i
        base = np.ones(n, dtype=bool) if seen else others
        coef, squares, inverse = fitted(X[base], Y[base], w[base])
        dof = base.sum() - 3.0
        leverage = np.einsum("ij,jk,ik->i", X, inverse, X)
        noise = Noise(squares / dof, dof, 3.0, False)
        found = influence(X @ coef, Y - X @ coef, leverage, precision, noise, fitted_on=seen)
        expected = brute_force(X, Y, w, i)
        for name in ("standardized", "studentized_internal", "studentized_external", "cooks_distance"):
            np.testing.assert_allclose(getattr(found, name)[i], expected[name], rtol=1e-8, err_msg=name)
        np.testing.assert_allclose(found.dffits[i], expected["dffits"], rtol=1e-8)
        np.testing.assert_allclose(found.loo_residual[i], expected["loo_residual"], rtol=1e-8)
        h = expected["leverage"]
        assert found.leverage[i] == pytest.approx(h if seen else h / (1 - h))
        whole = np.linalg.inv(X.T * w @ X)
        along = whole if seen else inverse  # applied to a row, one is the other times what is left of one
        length = np.sqrt(np.diagonal(whole))
        for k in range(2):
            change = row_changes(found, precision, k, fitted_on=seen)
            np.testing.assert_allclose(change[i] * along @ X[i] / length, expected["dfbetas"][:, k], rtol=1e-8)


def test_one_degree_of_freedom_leaves_none_without_a_row(rng):
    X, Y, w = rows_of(rng, 4, False)
    coef, squares, inverse = fitted(X, Y, w)
    leverage = np.einsum("ij,jk,ik->i", X, inverse, X)
    found = influence(X @ coef, Y - X @ coef, leverage, None, Noise(squares, 1.0, 3.0, False), fitted_on=True)
    assert np.isnan(found.studentized_external).all()
    assert np.isfinite(found.studentized_internal).all()


def test_a_row_alone_has_nothing_to_be_compared_with(rng):
    residual = np.array([[0.0], [0.5]])
    found = influence(
        residual, residual, np.array([1.0, 0.5]), None, Noise(np.ones(1), 3.0, 2.0, False), fitted_on=True
    )
    for values in (found.studentized_internal, found.studentized_external, found.loo_residual, found.cooks_distance):
        assert np.isnan(values[0, 0])
        assert np.isfinite(values[1, 0])


def test_a_penalty_hides_the_variance_without_a_row(rng):
    residual = np.array([[0.4], [0.5]])
    found = influence(residual, residual, np.array([0.2, 0.5]), None, Noise(np.ones(1), 3.0, 2.0, True), fitted_on=True)
    assert np.isnan(found.studentized_external).all()
    assert np.isnan(found.dffits).all()
    np.testing.assert_allclose(found.loo_residual, residual / [[0.8], [0.5]])


def test_rows_of_no_weight_move_nothing(rng):
    X, Y, w = rows_of(rng, 9, True)
    w[2] = 0.0
    coef, squares, inverse = fitted(X, Y, w)
    leverage = np.einsum("ij,jk,ik->i", X, inverse, X)
    found = influence(X @ coef, Y - X @ coef, leverage, w, Noise(squares / 5, 5.0, 3.0, False), fitted_on=True)
    for name in ("standardized", "studentized_internal", "studentized_external"):
        assert np.isnan(getattr(found, name)[2]).all()
        assert np.isfinite(np.delete(getattr(found, name), 2, axis=0)).all()
    assert found.leverage[2] == 0.0
    assert row_changes(found, w, 0, fitted_on=True)[2] == 0.0
