"""The numerical kernels, each against exact arithmetic or an identity."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest
import scipy.sparse as sp
from designs import conditioned, hilbert
from hypothesis import given, settings
from hypothesis import strategies as st

from mle_regression.diagnostics.curvature import graded_singular_values
from mle_regression.linalg.exact import MAX_TERMS, Fixed, exact_gram, fixed, two_prod, two_sum
from mle_regression.linalg.frame import Frame, choose_frame
from mle_regression.linalg.gram import block_moments, cross_product, fold_gram
from mle_regression.linalg.precondition import triangular_preconditioner
from mle_regression.linalg.qr import block_factor, stack_factors, triangular_factor
from mle_regression.linalg.scaling import column_magnitudes, column_norms, exponents, scale
from mle_regression.linalg.triangle import exceeds_condition, reciprocal_condition

floats = st.floats(-1e100, 1e100, allow_nan=False).filter(lambda v: v == 0 or abs(v) > 1e-100)


def as_fractions(f: Fixed):
    digits = f.digits.astype(int)
    return np.array([[sum(Fraction(int(d)) * Fraction(2) ** (20 * (f.top - level)) for level, d in enumerate(column))
                      for column in row] for row in digits.transpose(1, 2, 0)])  # fmt: skip


@given(floats, floats)
def test_error_free_transformations(a, b):
    s, e = two_sum(np.float64(a), np.float64(b))
    assert Fraction(float(s)) + Fraction(float(e)) == Fraction(a) + Fraction(b)
    p, e = two_prod(np.float64(a), np.float64(b))
    assert Fraction(float(p)) + Fraction(float(e)) == Fraction(a) * Fraction(b)


@settings(deadline=None)
@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=6), st.booleans())
def test_exact_gram_is_exact(rows, weighted):
    # Values of one column may differ by 2**50 and still be written to the last bit, times a weight of 53 bits too.
    z = np.array(rows)
    top = exponents(np.abs(z).max(axis=0))
    z = np.where(np.abs(z) < np.ldexp(1.0, top - 50), 0.0, z)
    weights = np.linspace(0.1, 1.0, len(z)) if weighted else None
    gram = as_fractions(exact_gram(z, top + 1, weights).carried())
    exact = [[sum(Fraction(1 if weights is None else float(weights[k])) * Fraction(float(z[k, i])) * Fraction(float(z[k, j]))
                  for k in range(len(z))) for j in range(2)] for i in range(2)]  # fmt: skip
    for i in range(2):
        for j in range(2):
            assert gram[i, j] * Fraction(2) ** int(top[i] + top[j] + 2) == exact[i][j]


def test_exact_gram_sums_blocks_of_any_length(rng):
    z = rng.integers(-(2**30), 2**30, (5000, 3)).astype(float)
    top = exponents(np.abs(z).max(axis=0)) + 1
    whole = exact_gram(z, top, None).carried()
    parts = (exact_gram(z[:777], top, None) + exact_gram(z[777:], top, None)).carried()
    np.testing.assert_array_equal(as_fractions(whole), as_fractions(parts))
    exact = z.astype(int).astype(object).T @ z.astype(int).astype(object)
    units = np.array([[Fraction(2) ** int(a + b) for b in top] for a in top])
    assert (as_fractions(whole) * units == exact).all()


def test_the_sums_of_limbs_stay_below_the_integers_of_float64():
    """The largest possible digits, in the longest block: every partial sum must be an integer that float64 holds."""
    full = np.full((1, MAX_TERMS, 1), 2.0**19.5 // 1)
    product = Fixed(full, -1).times(Fixed(full, -1))
    assert as_fractions(product)[0, 0] == MAX_TERMS * Fraction(int(full[0, 0, 0])) ** 2 * Fraction(2) ** -40


@given(st.lists(floats, min_size=1, max_size=5))
def test_fixed_point_holds_what_it_is_given(values):
    a = np.array([values])
    stored = fixed(a)
    largest = max(abs(v) for v in values)
    for kept, v in zip(as_fractions(stored)[0], values, strict=True):
        assert abs(kept - Fraction(v)) <= Fraction(largest) * Fraction(2) ** -139
    np.testing.assert_allclose(stored.carried().to_float(), a, rtol=2**-52, atol=largest * 2.0**-138)


@pytest.mark.parametrize("kappa", [1e3, 1e9, 1e13, 1e15])
def test_preconditioner_makes_any_gram_matrix_the_identity(kappa):
    a = conditioned(30, 5, kappa)
    top = exponents(np.abs(a).max(axis=0)) + 1
    v = triangular_preconditioner(exact_gram(a, top, None).carried())
    basis = np.array([[Fraction(float(x)) for x in row] for row in np.ldexp(v, 0)])
    rows = np.array([[Fraction(float(x)) for x in row] for row in np.ldexp(a, -top)])
    product = (rows.dot(basis)).T.dot(rows.dot(basis)).astype(float)
    np.testing.assert_allclose(product, np.eye(5), atol=0.5)


SHAPES = [(1, 1), (7, 3), (1000, 1), (1001, 5), (333, 20), (50, 60)]


@pytest.mark.parametrize(("n", "p"), SHAPES)
@pytest.mark.parametrize("order", ["C", "F"])
def test_folded_gram(n, p, order, rng):
    x = np.asarray(rng.standard_normal((n, p)), order=order)
    np.testing.assert_allclose(fold_gram(x), x.T @ x, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(("n", "p"), [*SHAPES, (5, 0)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_column_magnitudes(n, p, order, rng):
    x = np.asarray(rng.standard_normal((n, p)), order=order)
    np.testing.assert_array_equal(column_magnitudes(x), np.abs(x).max(axis=0))
    if p:
        x[n // 2, p // 2], x[-1, 0] = -np.inf, np.nan
        np.testing.assert_array_equal(column_magnitudes(x), np.abs(x).max(axis=0))


@pytest.mark.parametrize(("n", "p"), [*SHAPES, (0, 4), (4, 0), (300, 200), (200, 300)])
def test_triangular_factor(n, p, rng):
    x = rng.standard_normal((n, p)) * np.logspace(-100, 100, p)
    before = x.copy()
    upper = triangular_factor(x)
    np.testing.assert_array_equal(x, before)
    assert upper.shape == (min(n, p), p)
    np.testing.assert_array_equal(upper, np.triu(upper))
    size = np.logspace(-100, 100, p)
    np.testing.assert_allclose((upper / size).T @ (upper / size), (x / size).T @ (x / size), atol=1e-11)


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize("weighted", [False, True])
def test_the_factor_of_a_block_is_that_of_its_columns_in_the_frame(centred, weighted, rng):
    x, y = rng.standard_normal((40, 3)), rng.standard_normal((40, 2))
    weights = rng.random(40) if weighted else None
    frame = Frame(np.array([3, 0, -2, 1, 0]), np.arange(5.0))
    z = np.hstack([np.ones((40, int(centred))), np.ldexp(np.hstack([x, y]), -frame.exponent) - frame.shift])
    upper = block_factor(x, y, weights, frame, centred)
    np.testing.assert_allclose(upper.T @ upper, (z.T * (1.0 if weights is None else weights)) @ z, rtol=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_moments_are_the_same_in_any_coordinates(weighted, rng):
    x, y = rng.standard_normal((50, 3)) + 2, rng.standard_normal((50, 2))
    weights = rng.random(50) if weighted else None
    z = np.hstack([x, y])
    w = np.ones(50) if weights is None else weights
    plain = block_moments(x, y, weights, Frame(np.zeros(5, dtype=np.int64), np.zeros(5)))
    np.testing.assert_allclose(plain.gram, (z * w[:, None]).T @ z, rtol=1e-13)
    np.testing.assert_allclose(plain.sums, w @ z, rtol=1e-13)
    frame = Frame(np.array([3, 0, -2, 1, 0]), np.arange(5.0))
    moved = block_moments(x, y, weights, frame)
    inside = np.ldexp(z, -frame.exponent) - frame.shift
    np.testing.assert_allclose(moved.gram, (inside * w[:, None]).T @ inside, rtol=1e-12)
    total = plain + plain
    np.testing.assert_allclose(total.gram, 2 * plain.gram)


def test_frame_shifts_only_where_squares_would_cancel(rng):
    sample = rng.standard_normal((100, 3)) + np.array([0.0, 5.0, 1e6])
    assert choose_frame(sample, shifted=False).is_identity
    assert (choose_frame(sample, shifted=True).shift != 0).tolist() == [False, False, True]
    huge = choose_frame(sample * np.array([1e200, 1.0, 1e-200]), shifted=True)
    assert (huge.exponent != 0).tolist() == [True, False, True]


def test_factors_combine_in_any_tree(rng):
    a, b, c = (rng.standard_normal((n, 4)) for n in (3, 10, 6))
    whole = np.vstack([a, b, c])
    for upper in (stack_factors(stack_factors(a, b), c), stack_factors(a, stack_factors(b, c))):
        np.testing.assert_allclose(upper.T @ upper, whole.T @ whole, atol=1e-12)


@pytest.mark.parametrize("n", [3, 3000])
@pytest.mark.parametrize("exponent", [[0, 5, -7], [1000, -1000, 3], [1074, -1074, 2000]])
def test_scaling_is_exact_to_the_last_subnormal_number(n, exponent, rng):
    """Whether few numbers or many, by factors that float64 holds or not."""
    exponent = np.array(exponent)
    values = rng.standard_normal((n, 3)) * 2.0 ** rng.integers(-70, 70, (n, 3))
    values[0], values[1, 0], values[1, 1], values[2, 1] = 5e-324, np.inf, np.nan, -0.0
    for by in (exponent, -exponent[0]):
        with np.errstate(all="ignore"):
            expected = np.ldexp(values, by)
        np.testing.assert_array_equal(scale(values, by), expected)


def test_column_norms_do_not_overflow():
    a = np.array([[3e200, 3e-200, 0.0, 3.0], [4e200, 4e-200, 0.0, 4.0]])
    np.testing.assert_allclose(column_norms(a), [5e200, 5e-200, 0.0, 5.0])


@pytest.mark.parametrize("size", [6, 320])
def test_graded_singular_values(size, rng):
    q = np.linalg.qr(rng.standard_normal((size, size)))[0]
    scales = np.logspace(-120, 120, size)
    # Orthogonal columns times scales: the singular values are the scales.
    np.testing.assert_allclose(graded_singular_values(q * scales), np.sort(scales)[::-1], rtol=1e-11)


def test_singular_values_of_hilbert():
    a = hilbert(6, 6)
    truth = sorted((float(v) for v in mpmath.svd_r(mpmath.matrix(a.tolist()), compute_uv=False)), reverse=True)
    np.testing.assert_allclose(graded_singular_values(a), truth, rtol=1e-9)


def test_products_with_a_long_inner_dimension_are_exact(rng):
    a = rng.integers(-(2**50), 2**50, (20_000, 2)).astype(float)
    exact = a.astype(int).astype(object).T @ a.astype(int).astype(object)
    assert (as_fractions(fixed(a).times(fixed(a))) == exact).all()


@pytest.mark.parametrize("size", [1, 7, 300])
@pytest.mark.parametrize("kappa", [1.0, 20.0, 1e3, 1e9])
def test_condition_of_a_triangle(size, kappa, rng):
    upper = np.linalg.qr(conditioned(size, size, kappa) if size > 1 else np.array([[kappa]]), mode="r")
    condition = np.linalg.cond(upper)
    assert not exceeds_condition(upper, 1.3 * condition)
    assert exceeds_condition(upper, condition / 1.3 if condition > 1.3 else 0.9)


def test_condition_of_dummies_is_that_of_the_two_norm(rng):
    levels = 1500
    # Centred dummies of as many rows each, the first left out: I - 11'/L, whose condition is √L.
    upper = np.linalg.cholesky(np.eye(levels - 1) - 1.0 / levels).T
    assert 1.0 / reciprocal_condition(upper) > 1e3
    assert not exceeds_condition(upper, 1.05 * levels**0.5)
    assert exceeds_condition(upper, 0.95 * levels**0.5)
    assert exceeds_condition(np.diag([1.0, 0.0]), 1e6)
    assert exceeds_condition(np.ones((1, 2)), 1e6)


@pytest.mark.parametrize("condition", [5.0, 25.0, 100.0])
def test_singular_values_of_many_columns_by_cross_products(condition, rng):
    from mle_regression.linalg.singular import of_easy_columns, values_of_easy_columns

    a = np.linalg.qr(rng.standard_normal((450, 420)))[0] * np.geomspace(1.0, condition, 420)
    a = a @ np.linalg.qr(rng.standard_normal((420, 420)))[0]
    truth = np.geomspace(condition, 1.0, 420)
    found, values = of_easy_columns(a), values_of_easy_columns(a)
    if condition > 30:
        assert found is None
        assert values is None
        return
    np.testing.assert_allclose(values, truth, rtol=1e-12)
    np.testing.assert_allclose(found[0], truth, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(a @ found[1].T, axis=0), truth, rtol=1e-11)
    assert of_easy_columns(a[:, :50]) is None


@pytest.mark.parametrize("graded", [False, True])
def test_singular_values_of_many_ill_conditioned_columns(graded, rng):
    """Of like lengths, or of lengths from 1 to 1e-12, which leave each value its relative digits."""
    k = 320
    left, right = np.linalg.qr(rng.standard_normal((k, k)))[0], np.linalg.qr(rng.standard_normal((k, k)))[0]
    values = np.geomspace(1.0, 1e-6, k)
    a = (left * values) @ right.T
    if graded:
        scales = 2.0 ** np.round(np.linspace(0, -40, k))
        a, values = left * scales, np.sort(scales)[::-1]
    np.testing.assert_allclose(graded_singular_values(a), values, rtol=1e-13 if graded else 1e-9)


@pytest.mark.parametrize("p", [1, 5, 20, 40])
def test_cross_products_of_any_kind(p, rng):
    x, y = rng.standard_normal((300, p)), rng.standard_normal((300, 2))
    exact = np.einsum("ia,ib->ab", x, y)
    for make in (np.asarray, sp.csr_array):
        np.testing.assert_allclose(cross_product(make(x), y), exact, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(cross_product(x, y[:, 0]), exact[:, 0], rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(cross_product(y[:, 0], x), exact[:, 0], rtol=1e-12, atol=1e-12)
