"""Numerical rank, and least squares where it is deficient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr as pivoted_qr

from mle_regression.linalg.arrays import EPS, Array, BoolArray, IntArray
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.triangle import Triangle, reciprocal_condition, solve_triangle

# Entries of null vectors, of coefficients in a dependency: below this, in columns of unit length, they are noise.
_NOISE = 1e-9


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Singular value decomposition of a triangle whose columns have unit length before centring.

    Attributes
    ----------
    left : Array of shape (k, r)
    values : Array of shape (r,)
        The singular values above the tolerance, descending; r is the numerical rank.
    right : Array of shape (p, r)
    null : Array of shape (p, p - r) or (p, 0)
        Orthonormal null space; left empty where n < p, since then it is as large as it is meaningless.
    unit : Array of shape (p,)
        Lengths by which the triangle's columns were divided.
    """

    left: Array
    values: Array
    right: Array
    null: Array
    unit: Array

    @property
    def rank(self) -> int:
        """Numerical rank of the centred columns."""
        return len(self.values)


def default_tolerance(n_columns: int, data_eps: float = EPS) -> float:
    """Relative singular value below which a direction is indistinguishable from none.

    Rounding the data alone perturbs the equilibrated matrix by up to ``data_eps/2 · √n_columns`` of its norm; the rest
    of the factor 8 is for the arithmetic of the factorisation, whose errors do not grow with the number of rows when
    blocks are combined in a tree.
    """
    return 8.0 * data_eps * float(np.sqrt(n_columns))


def surely_full_rank(triangle: Triangle, tolerance: float) -> bool:
    """Decide full rank from a condition estimate alone, where it is clear: no spectrum is needed then."""
    p = triangle.n_features
    if triangle.r.shape[0] < p:
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        centred_share = (np.linalg.norm(triangle.r, axis=0) / triangle.norm[:p]).min(initial=1.0)
    return reciprocal_condition(triangle.r) * float(centred_share) > 100.0 * p * tolerance


def has_full_rank(triangle: Triangle, tolerance: float) -> bool:
    """Decide full rank, by the condition estimate where it is clear and by the spectrum where it is not."""
    return surely_full_rank(triangle, tolerance) or spectrum(triangle, tolerance).rank == triangle.n_features


def spectrum(triangle: Triangle, tolerance: float) -> Spectrum:
    """Decompose the triangle and cut it at ``tolerance`` times the largest singular value of [1 | X], equilibrated."""
    p = triangle.n_features
    unit = np.where(triangle.norm[:p] > 0, triangle.norm[:p], 1.0)
    equilibrated = triangle.r / unit
    left, values, right_t = np.linalg.svd(equilibrated, full_matrices=False)
    largest = np.linalg.norm(np.vstack([np.sqrt(triangle.total) * triangle.mean[:p] / unit, equilibrated]), 2)
    rank = int(np.sum(values > tolerance * largest)) if p else 0
    null = right_t[rank:].T if triangle.r.shape[0] >= p else np.zeros((p, 0))
    # Null vectors are known to about eps over the gap to the directions that are kept.
    noise = max(_NOISE, 16.0 * np.sqrt(p) * EPS / values[rank - 1]) if rank else _NOISE
    null = np.where(np.abs(null) < noise, 0.0, null)
    return Spectrum(left[:, :rank], values[:rank], right_t[:rank].T, null, unit)


def solve_by_singular_values(triangle: Triangle) -> Array:
    """Return the coefficients (p, m) of a triangle of full rank, in its units."""
    left, values, right_t = np.linalg.svd(triangle.r, full_matrices=False)
    solution: Array = right_t.T @ ((left.T @ triangle.z) / values[:, None])
    return solution


def minimum_norm(triangle: Triangle, s: Spectrum) -> Array:
    """Return the least-squares coefficients (p, m), in the triangle's units, whose norm in the units of X is smallest."""
    return _smallest(triangle, s, s.right @ ((s.left.T @ triangle.z) / s.values[:, None]))


def smallest_coefficients(triangle: Triangle, s: Spectrum, coef: Array) -> Array:
    """Return, of all coefficients (p, m) that fit as these do, those whose norm in the units of X is smallest."""
    return _smallest(triangle, s, s.right @ (s.right.T @ (coef * s.unit[:, None])))


def _smallest(triangle: Triangle, s: Spectrum, particular: Array) -> Array:
    p = triangle.n_features
    if s.rank == 0:
        return particular
    exponent = triangle.exponent[:p]
    weight = scale(1.0 / s.unit, exponent.min() - exponent)[:, None]
    if s.null.shape[1]:
        coordinates, *_ = np.linalg.lstsq(weight * s.null, weight * particular, rcond=None)
        return (particular - s.null @ coordinates) / s.unit[:, None]
    rows = s.right / np.maximum(weight, np.finfo(np.float64).tiny)
    q, r = np.linalg.qr(rows)
    raw = q @ solve_lower(r.T, s.right.T @ particular)
    return raw / np.maximum(weight, np.finfo(np.float64).tiny) / s.unit[:, None]


def solve_lower(lower: Array, rhs: Array) -> Array:
    """Return ``lower⁻¹ rhs`` for a nonsingular lower triangle."""
    return solve_triangle(lower[::-1, ::-1], rhs[::-1])[::-1]


def estimable(triangle: Triangle, s: Spectrum) -> tuple[BoolArray, bool]:
    """Tell which coefficients (p,), and whether the intercept, the data determine: those without part in the null space."""
    p = triangle.n_features
    if s.rank == p:
        return np.ones(p, dtype=bool), True
    if not s.null.shape[1]:
        return np.asarray(np.einsum("ij,ij->i", s.right, s.right) > 1.0 - _NOISE), False
    shift = np.sqrt(triangle.total) * (triangle.mean[:p] / s.unit) @ s.null
    return np.asarray(~s.null.any(axis=1)), bool((np.abs(shift) < _NOISE).all())


@dataclass(frozen=True, slots=True)
class Relation:
    """A column that is a linear combination of others: ``x[dependent] = constant + Σ terms[j] · x[j]``."""

    dependent: int
    terms: tuple[tuple[int, float], ...]
    constant: float

    def in_units(self, unit: Array) -> Relation:
        """Return the same relation for columns ``unit`` (k,) times as large."""
        whole = float(unit[self.dependent])
        terms = tuple((i, c * float(whole / unit[i])) for i, c in self.terms)
        return Relation(self.dependent, terms, self.constant * whole)


def independent_columns(triangle: Triangle, s: Spectrum, tolerance: float) -> IntArray:
    """Pick ``s.rank`` independent columns, the earlier before the later, as R's ``lm`` does."""
    columns = triangle.r / s.unit
    basis = np.zeros((columns.shape[0], min(columns.shape)))
    kept: list[int] = []
    for j, column in enumerate(columns.T):
        inside = basis[:, : len(kept)]
        rest = column - inside @ (inside.T @ column)
        rest -= inside @ (inside.T @ rest)
        length = np.linalg.norm(rest)
        if length > tolerance and len(kept) < s.rank:
            basis[:, len(kept)] = rest / length
            kept.append(j)
    if len(kept) < s.rank:
        # Columns can be dependent together while each is far from the span of those before it (Kahan's matrix).
        _, order = pivoted_qr(columns, mode="r", pivoting=True)[-2:]
        kept = sorted(order[: s.rank].tolist())
    return np.array(kept, dtype=np.int64)


def relations(triangle: Triangle, kept: IntArray, limit: int = 5) -> tuple[Relation, ...]:
    """Write the first ``limit`` dependent columns as combinations of the kept ones, in the units of X."""
    p = triangle.n_features
    dependent = np.setdiff1d(np.arange(p), kept)[:limit]
    r, mean = triangle.r, triangle.mean[:p]
    # Shares are judged by what they contribute to the spread of the column, so that far means do not hide them.
    spread = np.linalg.norm(r, axis=0)
    spread = np.where(spread > _NOISE * triangle.norm[:p], spread, np.inf)
    shares, *_ = np.linalg.lstsq(r[:, kept], r[:, dependent], rcond=None)
    shares[np.abs(shares) * spread[kept, None] < _NOISE * spread[dependent]] = 0.0
    shares[:, np.isinf(spread[dependent])] = 0.0
    constants = mean[dependent] - mean[kept] @ shares
    constants[np.abs(constants) * np.sqrt(triangle.total) < _NOISE * triangle.norm[dependent]] = 0.0
    exponent = triangle.exponent
    found = []
    for j, share, constant in zip(dependent, shares.T, constants, strict=True):
        in_units = scale(share, exponent[j] - exponent[kept])
        terms = tuple((int(i), float(c)) for i, c in zip(kept, in_units, strict=True) if c != 0)
        found.append(Relation(int(j), terms, float(scale(constant, exponent[j]))))
    return tuple(found)
