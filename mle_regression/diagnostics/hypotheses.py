"""Tests of linear hypotheses, and what a linear fit explains."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import chi2
from scipy.stats import f as f_distribution

from mle_regression.linalg.arrays import Array
from mle_regression.linalg.information import InformationFactor
from mle_regression.linalg.scaling import column_norms, exponents, scale

# A row of a hypothesis is determined if no more than this share of its length lies outside the row space.
_OUTSIDE_HYPOTHESES = 1e-7
# Smallest singular value of unit rows, relative to the largest, that is not rounding.
_DEPENDENT = 1e-13


@dataclass(frozen=True, slots=True)
class FTest:
    """F statistic of a hypothesis.

    Attributes
    ----------
    statistic : Array of shape (m,)
    df_num : int
        Number of independent restrictions.
    df_denom : float
    p_value : Array of shape (m,)
    reason : str
        Why there is no number, where there is none.
    note : str
        What to be wary of.
    """

    statistic: Array
    df_num: int
    df_denom: float
    p_value: Array
    reason: str = ""
    note: str = ""


def f_test(squares: Array, df_num: int, df_denom: float, reason: str = "", note: str = "") -> FTest:
    """Test with a sum of squares (m,) in units of s², distributed as df_num · F(df_num, df_denom) under the hypothesis.

    That is χ² with df_num degrees of freedom where df_denom is infinite.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = squares / df_num if df_num and df_denom > 0 else np.full(len(squares), np.nan)
    if np.isinf(df_denom):
        p_value = np.asarray(chi2.sf(statistic * df_num, df_num))
    else:
        p_value = np.asarray(f_distribution.sf(statistic, df_num, df_denom))
    return FTest(statistic, df_num, df_denom, p_value, reason, note)


def independent_restrictions(root: Array, restriction: Array, gap: Array) -> int:
    """Return how many rows of R are independent in the coefficients that the data determine.

    Parameters
    ----------
    root : Array of shape (k, r)
        L, a root of the inverse of the cross-products.
    restriction : Array of shape (q, k)
        R.
    gap : Array of shape (q, m)
        Rβ − q.

    Raises
    ------
    ValueError
        If the restrictions contradict each other.
    """
    image, lengths = _unit_rows(restriction, root)
    left, values, _ = np.linalg.svd(image, full_matrices=False)
    rank = _rank(values, image)
    scaled = _row_scaled(restriction, gap) / lengths
    outside = np.linalg.norm(scaled - left[:, :rank] @ (left[:, :rank].T @ scaled), axis=0)
    if (outside > _OUTSIDE_HYPOTHESES * np.linalg.norm(scaled, axis=0)).any():
        raise ValueError("The hypothesis contradicts itself: no coefficients satisfy all of its equations.")
    return rank


def wald_squares(root: Array, restriction: Array, gap: Array, rank: int) -> float:
    """Return (Rβ − q)ᵀ (R L Lᵀ Rᵀ)⁺ (Rβ − q); NaN where R L has not the rank that R has.

    It is the squared length of the shortest w with ``R L w = Rβ − q`` (Wald, 1943), found by an SVD of R L with rows of
    unit length: nothing is squared that would have to be inverted.

    Parameters
    ----------
    root : Array of shape (k, r)
        L, a root of the covariance matrix of the coefficients.
    restriction : Array of shape (q, k)
    gap : Array of shape (q,)
    rank : int
        Number of independent restrictions.
    """
    if not np.isfinite(root).all():
        return float(np.nan)
    image, lengths = _unit_rows(restriction, root)
    left, values, _ = np.linalg.svd(image, full_matrices=False)
    if _rank(values, image) < rank:
        return float(np.nan)
    inside = left[:, :rank].T @ (_row_scaled(restriction, gap[:, None]) / lengths)
    return float(np.sum((inside / values[:rank, None]) ** 2))


def wald_squares_of_difference(
    root: Array, negative: Array, restriction: Array, gap: Array, rank: int
) -> tuple[float, bool]:
    """Return `wald_squares` of a covariance ``L Lᵀ − N Nᵀ``, or of L Lᵀ where that of the hypothesis is not positive.

    Parameters
    ----------
    root, negative : Array of shape (k, r)
        L and N; N may have no columns.
    restriction, gap, rank
        As in `wald_squares`.

    Returns
    -------
    squares : float
    repaired : bool
        Whether it is that of L Lᵀ.
    """
    if not negative.shape[1] or not (restriction @ negative).any() or not np.isfinite(root).all():
        return wald_squares(root, restriction, gap, rank), False
    image, lengths = _unit_rows(restriction, root)
    unit = exponents(np.abs(restriction).max(axis=1, initial=0.0))
    less = scale(restriction, -unit[:, None]) @ negative / lengths
    left, values, _ = np.linalg.svd(image, full_matrices=False)
    if _rank(values, image) < rank:
        return float(np.nan), True
    # In the coordinates where L Lᵀ is the identity.
    inside = left[:, :rank] / values[:rank]
    share, vectors = np.linalg.eigh(np.eye(rank) - (inside.T @ less) @ (inside.T @ less).T)
    if share[0] <= _OUTSIDE_HYPOTHESES:
        return wald_squares(root, restriction, gap, rank), True
    z = vectors.T @ (inside.T @ (_row_scaled(restriction, gap[:, None]) / lengths)[:, 0])
    return float(np.sum(z**2 / share)), False


def row_space(image: Array, rank: int) -> Array:
    """Return an orthonormal basis (r, rank) of the rows of an image (q, r) of that rank."""
    lengths = column_norms(image.T)[:, None]
    return np.asarray(np.linalg.svd(image / np.where(lengths > 0, lengths, 1.0), full_matrices=False)[2][:rank].T)


def _unit_rows(restriction: Array, root: Array) -> tuple[Array, Array]:
    """Return R L with rows of unit length, and the lengths (q, 1) of those of R scaled by powers of two."""
    unit = exponents(np.abs(restriction).max(axis=1, initial=0.0))
    image = scale(restriction, -unit[:, None]) @ root
    lengths = column_norms(image.T)[:, None]
    lengths = np.where(lengths > 0, lengths, 1.0)
    return image / lengths, lengths


def _row_scaled(restriction: Array, gap: Array) -> Array:
    return scale(gap, -exponents(np.abs(restriction).max(axis=1, initial=0.0))[:, None])


def _rank(values: Array, image: Array) -> int:
    return int(np.sum(values > _DEPENDENT * max(image.shape) * values.max(initial=0.0)))


def outside_row_space(information: InformationFactor, restriction: Array) -> Array:
    """Tell which rows of R (q, c + p) ask for what the data leave undetermined.

    Rβ is determined if it is a combination of rows of [1 | X]; also if all its columns were kept where dependent ones were
    dropped, since the coefficients are then those of the smaller model.
    """
    if information.rank == information.size:
        return np.zeros(len(restriction), dtype=bool)
    first = int(information.centred)
    # The mean of y is always determined; the rest of R is about the slopes of centred columns.
    slopes = scale(restriction[:, first:], -information.exponent) - (
        restriction[:, :1] * information.mean if first else 0.0
    )
    basis = np.linalg.qr(information.factor.T)[0]
    rest = np.linalg.norm(slopes - (slopes @ basis) @ basis.T, axis=1)
    outside = rest > _OUTSIDE_HYPOTHESES * np.linalg.norm(slopes, axis=1)
    if not information.root[~information.estimable].any():  # dropped, not shared out
        outside &= (restriction[:, ~information.estimable] != 0).any(axis=1)
    return np.asarray(outside)


def explained_squares(information: InformationFactor, coef: Array) -> Array:
    """Return βᵀ(X̃ᵀWX̃ + αI)β (m,), X̃ centred if there is an intercept: without penalty, the explained sum of squares.

    Parameters
    ----------
    information : InformationFactor
    coef : Array of shape (p, m)
        In units of y, which may be divided by a power of two.
    """
    return information.squares(scale(coef, information.exponent[:, None]))


def r_squared(explained: Array, residual: Array) -> Array:
    """R² = 1 − RSS/TSS (m,), from the explained and the residual sums of squares; NaN where y does not vary."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(explained / (explained + residual))


def adjusted_r_squared(r2: Array, n: float, centred: bool, residual_dof: float) -> Array:
    """R² for the degrees of freedom used, 1 − (1 − R²)(n − c)/ν (Ezekiel, 1930); NaN without degrees of freedom ν."""
    return 1.0 - (1.0 - r2) * (n - float(centred)) / residual_dof if residual_dof > 0 else np.full_like(r2, np.nan)
