"""Numerical rank, and least squares where it is deficient."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg import qr as pivoted_qr

from mle_regression.linalg.arrays import EPS, Array, BoolArray, IntArray
from mle_regression.linalg.qr import triangular_factor
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.triangle import Triangle, reciprocal_condition, solve_triangle

# Smaller entries of null vectors (coefficients of a dependency, for columns of unit length) are rounding.
_NULL_ENTRY = 1e-9
# Rank tolerance, and error of an entry of a null vector, in eps times the square root of the number of columns.
_TOLERANCE_EPS, _NULL_EPS = 8.0, 16.0
# Bisection steps to full precision.
_BISECTIONS = 60
# The rank is full for sure if the reciprocal condition is this many times the tolerance.
_SURELY = 100.0
# Up to this ratio of column scales, as a power of two, coefficients are measured in the units of X.
_NEAR_UNITS = 20
# Beyond this ratio of units a coefficient does not count in the norm beside another; more would cost digits of the fit.
_FARTHEST_UNITS = float(np.sqrt(EPS))
# A column is surely independent if its distance from the span of the columns before it is this many tolerances.
_UNSURE = 1e4
# Columns that are orthogonalised against the previous ones as one block.
_BLOCK = 48


@dataclass(frozen=True, slots=True)
class RowSpace:
    """A triangle cut to its numerical rank r: ``left · core · rightᵀ · diag(unit)`` with orthonormal columns left and right.

    Attributes
    ----------
    left : Array of shape (k, r)
    core : Array of shape (r,) or (r, r)
        Singular values above the tolerance, descending; or, where the rows are independent, a lower triangle.
    right : Array of shape (p, r)
    null : Array of shape (p, p - r) or (p, 0)
        Orthonormal null space; left empty where n < p, since then it is as large as it is meaningless.
    unit : Array of shape (p,)
        By what the triangle's columns were divided.
    """

    left: Array
    core: Array
    right: Array
    null: Array
    unit: Array

    @property
    def rank(self) -> int:
        """Numerical rank of the centred columns."""
        return len(self.core)

    @property
    def factor(self) -> Array:
        """Factor (r, p) whose cross-products are those of the triangle."""
        inner = self.core[:, None] * self.right.T if self.core.ndim == 1 else self.core @ self.right.T
        return inner * self.unit

    @property
    def root(self) -> Array:
        """Root (p, r) of the pseudo-inverse of the cross-products of columns divided by ``unit``, in the triangle's units."""
        if self.core.ndim == 1:
            return self.right / self.core / self.unit[:, None]
        return solve_lower(self.core, self.right.T, transposed=True).T / self.unit[:, None]

    def inside(self, z: Array) -> Array:
        """Return the part (r, m) of z (k, m) that the columns reach."""
        return self.left.T @ z

    def shortest(self, z: Array) -> Array:
        """Return the solution (p, m) of smallest norm for z (k, m), in columns divided by ``unit``."""
        inside = self.inside(z)
        return self.right @ (inside / self.core[:, None] if self.core.ndim == 1 else solve_lower(self.core, inside))


def default_tolerance(n_columns: int, data_eps: float = EPS) -> float:
    """Relative singular value below which a direction is indistinguishable from none.

    Rounding the data alone perturbs the equilibrated matrix by up to ``data_eps/2 · √n_columns`` of its norm; the rest
    of the factor 8 is for the arithmetic of the factorisation, whose errors do not grow with the number of rows when
    blocks are combined in a tree.
    """
    return _TOLERANCE_EPS * data_eps * float(np.sqrt(n_columns))


def surely_full_rank(triangle: Triangle, tolerance: float) -> bool:
    """Decide full rank from a condition estimate alone, where it is clear: no spectrum is needed then."""
    p = triangle.n_features
    if triangle.r.shape[0] < p:
        return False
    with np.errstate(divide="ignore", invalid="ignore"):
        centred_share = (np.linalg.norm(triangle.r, axis=0) / triangle.norm[:p]).min(initial=1.0)
    return reciprocal_condition(triangle.r) * float(centred_share) > _SURELY * p * tolerance


def has_full_rank(triangle: Triangle, tolerance: float) -> bool:
    """Decide full rank, by the condition estimate where it is clear and by the spectrum where it is not."""
    return surely_full_rank(triangle, tolerance) or spectrum(triangle, tolerance).rank == triangle.n_features


def row_space(triangle: Triangle, tolerance: float) -> RowSpace:
    """Cut a triangle to its rank: by an LQ decomposition where rows are fewer and surely independent, by the SVD else."""
    found = _independent_rows(triangle, tolerance) if 0 < len(triangle.r) < triangle.n_features else None
    return spectrum(triangle, tolerance) if found is None else found


def _independent_rows(triangle: Triangle, tolerance: float) -> RowSpace | None:
    """LQ decomposition of k < p rows, in the units of X; None if a condition estimate does not show them independent.

    In these units the shortest solution is that of smallest coefficients. An SVD costs ten times as much.
    """
    (k, p), exponent = triangle.r.shape, triangle.exponent[: triangle.n_features]
    low = int(exponent.min())
    if int(exponent.max()) - low > _NEAR_UNITS:
        return None
    unit = scale(np.ones(p), low - exponent)
    right, upper = np.linalg.qr((triangle.r / unit).T)
    # 1/‖R⁻¹‖₂ is at least rcond ‖R‖₁ / √k; columns of unit length before centring stretch it by no less than this.
    least = reciprocal_condition(upper) * float(np.abs(upper).sum(axis=0).max()) / np.sqrt(k)
    stretch = float((unit / np.where(triangle.norm[:p] > 0, triangle.norm[:p], 1.0)).min())
    if not least * stretch > _SURELY * tolerance * np.sqrt(p):
        return None
    return RowSpace(np.eye(k), upper.T, right, np.zeros((p, 0)), unit)


def spectrum(triangle: Triangle, tolerance: float) -> RowSpace:
    """Decompose the triangle and cut it at ``tolerance`` times the largest singular value of [1 | X], equilibrated."""
    p = triangle.n_features
    unit = np.where(triangle.norm[:p] > 0, triangle.norm[:p], 1.0)
    left, values, right_t = np.linalg.svd(triangle.r / unit, full_matrices=False)
    largest = _largest_with_row(np.sqrt(triangle.total) * triangle.mean[:p] / unit, values, right_t)
    rank = int(np.sum(values > tolerance * largest)) if p else 0
    null = right_t[rank:].T if triangle.r.shape[0] >= p else np.zeros((p, 0))
    # Null vectors are known to about eps over the gap to the directions that are kept.
    noise = max(_NULL_ENTRY, _NULL_EPS * np.sqrt(p) * EPS / values[rank - 1]) if rank else _NULL_ENTRY
    null = np.where(np.abs(null) < noise, 0.0, null)
    return RowSpace(left[:, :rank], values[:rank], right_t[:rank].T, null, unit)


def _largest_with_row(row: Array, values: Array, right_t: Array) -> float:
    """Largest singular value of a matrix diag(values) rightᵀ with one more row (p,) on top.

    Its square is the largest root λ of ``λ = ‖row‖² + Σ (row·vⱼ)² sⱼ² / (λ − sⱼ²)``, found by bisection.
    """
    squares, first = values**2, float(row @ row)
    pull = (right_t @ row) ** 2 * squares
    low, high = max(first, float(squares.max(initial=0.0))), first + float(squares.max(initial=0.0))
    for _ in range(_BISECTIONS):
        middle = 0.5 * (low + high)
        with np.errstate(divide="ignore", invalid="ignore"):
            beyond = first + float(np.where(pull > 0, pull / (middle - squares), 0.0).sum())
        low, high = (middle, high) if middle < beyond else (low, middle)
    return float(np.sqrt(high))


def solve_by_spectrum(triangle: Triangle, s: RowSpace) -> Array:
    """Return the coefficients (p, m) of a triangle of full rank, in its units.

    Columns far from their mean are short beside ``unit``, which costs digits; what is left of z gives them back.
    """
    unit = s.unit[:, None]
    coef = s.shortest(triangle.z) / unit
    return coef + s.shortest(triangle.z - triangle.r @ coef) / unit


def minimum_norm(triangle: Triangle, s: RowSpace) -> Array:
    """Return the least-squares coefficients (p, m), in the triangle's units, whose norm in the units of X is smallest."""
    return _smallest(triangle, s, s.shortest(triangle.z))


def smallest_coefficients(triangle: Triangle, s: RowSpace, coef: Array) -> Array:
    """Return, of all coefficients (p, m) that fit as these do, those whose norm in the units of X is smallest."""
    return _smallest(triangle, s, s.right @ (s.right.T @ (coef * s.unit[:, None])))


def _smallest(triangle: Triangle, s: RowSpace, particular: Array) -> Array:
    p = triangle.n_features
    if s.rank == 0:
        return particular
    if s.core.ndim == 2:  # already of smallest norm in the units of X
        return np.asarray(particular / s.unit[:, None])
    exponent = triangle.exponent[:p]
    weight = scale(1.0 / s.unit, exponent.min() - exponent)[:, None]
    if s.null.shape[1]:
        coordinates, *_ = np.linalg.lstsq(weight * s.null, weight * particular, rcond=None)
        return (particular - s.null @ coordinates) / s.unit[:, None]
    weight = np.maximum(weight, _FARTHEST_UNITS * weight.max())
    q, r = np.linalg.qr(s.right / weight)
    inside = s.right.T @ particular
    smallest: Array = q @ solve_lower(r.T, inside) / weight
    smallest += s.right @ (inside - s.right.T @ smallest)
    in_units: Array = smallest / s.unit[:, None]
    return in_units


def solve_lower(lower: Array, rhs: Array, *, transposed: bool = False) -> Array:
    """Return ``lower⁻¹ rhs``, or ``lower⁻ᵀ rhs``, for a nonsingular lower triangle."""
    if transposed:
        return solve_triangle(lower.T, rhs)
    return solve_triangle(lower[::-1, ::-1], rhs[::-1])[::-1]


def estimable(triangle: Triangle, s: RowSpace) -> tuple[BoolArray, bool]:
    """Tell which coefficients (p,), and whether the intercept, the data determine: those without part in the null space."""
    p = triangle.n_features
    if s.rank == p:
        return np.ones(p, dtype=bool), True
    if not s.null.shape[1]:
        return np.asarray(np.einsum("ij,ij->i", s.right, s.right) > 1.0 - _NULL_ENTRY), False
    shift = np.sqrt(triangle.total) * (triangle.mean[:p] / s.unit) @ s.null
    return np.asarray(~s.null.any(axis=1)), bool((np.abs(shift) < _NULL_ENTRY).all())


@dataclass(frozen=True, slots=True)
class Relation:
    """A column that is a linear combination of others: ``x[dependent] = constant + Σ terms[j] · x[j]``."""

    dependent: int
    terms: tuple[tuple[int, float], ...]
    constant: float

    def in_units(self, unit: Array) -> Relation:
        """Return the same relation for columns ``unit`` (k,) times as large."""
        whole = float(unit[self.dependent])
        with np.errstate(over="ignore", under="ignore"):
            terms = tuple((i, float(c * (whole / unit[i]))) for i, c in self.terms)
        return Relation(self.dependent, terms, self.constant * whole)


def independent_columns(triangle: Triangle, s: RowSpace, tolerance: float) -> IntArray:
    """Pick ``s.rank`` independent columns, the earlier before the later, as R's ``lm`` does."""
    p = triangle.n_features
    columns = triangle.r / np.where(triangle.norm[:p] > 0, triangle.norm[:p], 1.0)
    kept, least = _from_left(columns, s.rank, tolerance)
    if least < _UNSURE * tolerance and len(kept) == s.rank:
        # Rounding may have made a dependent column look independent, and a later independent one dependent.
        surer, _ = _from_left(columns, s.rank, _UNSURE * tolerance)
        kept = surer if len(surer) == s.rank else kept
    if len(kept) < s.rank:
        # Columns can be dependent together while each is far from the span of those before it (Kahan's matrix).
        _, order = pivoted_qr(columns, mode="r", pivoting=True)[-2:]
        kept = sorted(order[: s.rank].tolist())
    return np.array(kept, dtype=np.int64)


def _from_left(columns: Array, rank: int, tolerance: float) -> tuple[list[int], float]:
    """Return the first ``rank`` columns further than ``tolerance`` from the span of those before, and the least distance."""
    lead = _leading(columns, tolerance, rank)
    kept = list(range(lead))
    least = float(np.abs(np.diagonal(columns)[:lead]).min(initial=np.inf))
    # The columns of a triangle before this one span the first coordinates.
    inner = columns[lead:]
    basis = np.zeros((inner.shape[0], rank))
    for start in range(lead, columns.shape[1], _BLOCK):
        if len(kept) == rank:
            break
        # Orthogonalise a block against the previous columns, then column by column within the block.
        rest = _outside(inner[:, start : start + _BLOCK], basis[:, lead : len(kept)])
        first = len(kept)
        for j, column in enumerate(rest.T):
            left = _outside(column, basis[:, first : len(kept)])
            length = float(np.linalg.norm(left))
            if length > tolerance and len(kept) < rank:
                basis[:, len(kept)] = left / length
                kept.append(start + j)
                least = min(least, length)
    return kept, least


def _leading(columns: Array, tolerance: float, rank: int) -> int:
    """Return how many columns precede the first that is dependent on those before it; 0 where they are no triangle."""
    if not _is_upper(columns):
        return 0
    distance = np.abs(np.diagonal(columns))[:rank]
    return int(np.argmin(np.r_[distance > tolerance, False]))


def _is_upper(a: Array) -> bool:
    return not np.tril(a, -1).any()


def _outside(columns: Array, basis: Array) -> Array:
    """Take from columns what lies in the span of an orthonormal basis, twice for orthogonality to rounding."""
    rest = columns - basis @ (basis.T @ columns)
    return np.asarray(rest - basis @ (basis.T @ rest))


def relations(triangle: Triangle, kept: IntArray, limit: int = 5) -> tuple[Relation, ...]:
    """Write the first ``limit`` dependent columns as combinations of the kept ones, in the units of X."""
    p = triangle.n_features
    dependent = np.setdiff1d(np.arange(p), kept)[:limit]
    r, mean = triangle.r, triangle.mean[:p]
    # A term counts by what it contributes to the column's spread, not to its mean.
    spread = np.linalg.norm(r, axis=0)
    spread = np.where(spread > _NULL_ENTRY * triangle.norm[:p], spread, np.inf)
    upper = np.hstack([r[:, kept], r[:, dependent]])
    if not _is_upper(upper[:, : len(kept)]):
        upper = triangular_factor(upper)
    shares = solve_triangle(upper[: len(kept), : len(kept)], upper[: len(kept), len(kept) :])
    shares[np.abs(shares) * spread[kept, None] < _NULL_ENTRY * spread[dependent]] = 0.0
    shares[:, np.isinf(spread[dependent])] = 0.0
    constants = mean[dependent] - mean[kept] @ shares
    constants[np.abs(constants) * np.sqrt(triangle.total) < _NULL_ENTRY * triangle.norm[dependent]] = 0.0
    exponent = triangle.exponent
    found = []
    for j, share, constant in zip(dependent, shares.T, constants, strict=True):
        in_units = scale(share, exponent[j] - exponent[kept])
        terms = tuple((int(i), float(c)) for i, c in zip(kept, in_units, strict=True) if c != 0)
        found.append(Relation(int(j), terms, float(scale(constant, exponent[j]))))
    return tuple(found)
