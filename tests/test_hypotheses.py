"""Wald statistics and what the data leave undetermined, against dense formulas."""

import numpy as np
import pytest
from scipy.stats import f as f_distribution

from mle_regression.diagnostics.hypotheses import (
    adjusted_r_squared,
    f_test,
    independent_restrictions,
    outside_row_space,
    row_space,
    wald_squares,
    wald_squares_of_difference,
)
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.information import deficient_information, information_of
from mle_regression.linalg.qr import block_factor
from mle_regression.linalg.rank import row_space as row_space_of
from mle_regression.linalg.triangle import triangle_of_factor


@pytest.mark.parametrize("units", [1.0, 1e-150, 1e150])
def test_wald_squares_are_the_quadratic_form(units, rng):
    root, R, gap = rng.standard_normal((4, 4)), rng.standard_normal((2, 4)), rng.standard_normal(2)
    expected = gap @ np.linalg.solve(R @ root @ root.T @ R.T, gap)
    rows = np.array([[units], [1.0 / units]])
    assert wald_squares(root, R * rows, gap * rows[:, 0], 2) == pytest.approx(expected, rel=1e-9)
    assert np.isnan(wald_squares(np.full((4, 4), np.nan), R, gap, 2))


def test_an_equation_that_follows_from_others_adds_nothing(rng):
    root, R, gap = rng.standard_normal((4, 4)), rng.standard_normal((2, 4)), rng.standard_normal((2, 3))
    more = np.array([[1.0, 0.0], [0.0, 1.0], [2.0, -3.0]])
    assert independent_restrictions(root, R, gap) == 2
    assert independent_restrictions(root, more @ R, more @ gap) == 2
    assert wald_squares(root, more @ R, more @ gap[:, 0], 2) == pytest.approx(wald_squares(root, R, gap[:, 0], 2))
    for off in (1e-3, 1e3):
        with pytest.raises(ValueError, match="contradicts itself"):
            independent_restrictions(root, more @ R, more @ gap + [[0.0] * 3, [0.0] * 3, [0.0, off, 0.0]])
    assert independent_restrictions(root, np.zeros((1, 4)), np.zeros((1, 1))) == 0


def test_a_covariance_of_lower_rank_than_the_hypothesis_has_no_statistic(rng):
    root = rng.standard_normal((4, 1))
    assert np.isnan(wald_squares(root, np.eye(4)[:2], np.ones(2), 2))
    assert wald_squares(root, np.eye(4)[:1], np.full(1, 3.0), 1) == pytest.approx(9.0 / root[0, 0] ** 2)


@pytest.mark.parametrize("size", [0.1, 0.3])
def test_a_difference_that_is_positive_is_taken_whole(size, rng):
    root, negative = rng.standard_normal((4, 4)) + 3 * np.eye(4), size * rng.standard_normal((4, 2))
    R, gap = rng.standard_normal((2, 4)) * [[1e3], [1e-3]], rng.standard_normal(2) * [1e3, 1e-3]
    covariance = R @ (root @ root.T - negative @ negative.T) @ R.T
    assert np.linalg.eigvalsh(covariance)[0] > 0
    found, repaired = wald_squares_of_difference(root, negative, R, gap, 2)
    assert found == pytest.approx(gap @ np.linalg.solve(covariance, gap), rel=1e-8)
    assert not repaired


def test_a_difference_that_is_not_positive_is_taken_without_what_is_negative(rng):
    root, negative = np.eye(3), np.array([[0.0], [2.0], [0.0]])
    whole, gap = np.eye(3), np.array([1.0, 2.0, 3.0])
    assert wald_squares_of_difference(root, negative, whole, gap, 3) == (pytest.approx(14.0), True)
    assert wald_squares_of_difference(root, negative, whole[[0, 2]], gap[[0, 2]], 2) == (pytest.approx(10.0), False)
    assert wald_squares_of_difference(root, negative[:, :0], whole, gap, 3) == (pytest.approx(14.0), False)
    short, repaired = wald_squares_of_difference(root[:, :1], negative, whole, gap, 3)
    assert np.isnan(short)
    assert repaired


def test_a_basis_of_the_rows_of_an_image(rng):
    rows = rng.standard_normal((2, 5))
    image = np.vstack([1e8 * rows[0], rows[1], rows[0] - rows[1], np.zeros(5)])
    basis = row_space(image, 2)
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-12)
    np.testing.assert_allclose(rows @ basis @ basis.T, rows, atol=1e-12)


@pytest.mark.parametrize("centred", [False, True])
def test_what_is_no_combination_of_rows_is_outside(centred, rng):
    """The third column is the sum of the others, and means are far from zero."""
    X = rng.standard_normal((20, 3)) + [5.0, -2.0, 0.0]
    X[:, 2] = X[:, 0] + X[:, 1]
    frame = Frame(np.zeros(4, dtype=int), np.zeros(4))
    factor = block_factor(X, np.zeros((20, 1)), None, frame, centred)
    triangle = triangle_of_factor(factor, frame, 3, 20.0, centred, 0.0)
    information = deficient_information(triangle, row_space_of(triangle, 1e-9), centred, 0.0)
    A = np.column_stack([np.ones(20), X]) if centred else X
    inside = rng.standard_normal((3, 20)) @ A
    assert not outside_row_space(information, inside).any()
    away = np.r_[[0.0] * centred, 1.0, 1.0, -1.0]  # Aβ does not change along it
    assert outside_row_space(information, inside + 1e-3 * away).all()
    assert outside_row_space(information, np.eye(A.shape[1])).tolist() == [False] * centred + [True] * 3
    regular = triangle_of_factor(
        block_factor(X[:, :2], np.zeros((20, 1)), None, Frame(frame.exponent[:3], frame.shift[:3]), centred),
        Frame(frame.exponent[:3], frame.shift[:3]),
        2,
        20.0,
        centred,
        0.0,
    )
    assert not outside_row_space(information_of(regular, centred, 0.0), np.eye(2 + centred)).any()


def test_f_statistics():
    found = f_test(np.array([12.0, 3.0]), 3, 10.0)
    np.testing.assert_allclose(found.statistic, [4.0, 1.0])
    np.testing.assert_allclose(found.p_value, f_distribution.sf([4.0, 1.0], 3, 10))
    for df_num, df_denom in ((0, 10.0), (3, 0.0)):
        assert np.isnan(f_test(np.array([12.0]), df_num, df_denom).statistic).all()


def test_adjusted_r2_of_the_definition():
    """1 − (RSS/ν)/(TSS/(n − c))."""
    for centred in (True, False):
        expected = 1.0 - (2.0 / 7) / (10.0 / (10 - centred))
        assert adjusted_r_squared(np.array([0.8]), 10.0, centred, 7.0) == pytest.approx([expected])
    assert np.isnan(adjusted_r_squared(np.array([0.8]), 10.0, True, 0.0)).all()
