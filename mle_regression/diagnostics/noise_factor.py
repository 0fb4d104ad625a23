"""Triangular factor of the residuals of several outputs, and which of these have no noise of their own.

With E the residuals (n, m) of m outputs, the noise covariance is EᵀWE/n. Where outputs are nearly dependent their
cross-products round to a singular matrix, as those of columns of X do; a QR decomposition of E keeps twice the digits,
and a second one, of E R⁻¹ multiplied in twice the precision, keeps all of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, partial

import numpy as np
from scipy.linalg.lapack import dpotrf

from mle_regression.diagnostics.covariance import whiten
from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.exact import Fixed, accurate_product_parts, fixed, two_sum
from mle_regression.linalg.information import InformationFactor, inverse_root
from mle_regression.linalg.precondition import triangular_preconditioner
from mle_regression.linalg.qr import stack_factors, triangular_factor
from mle_regression.linalg.rank import Relation
from mle_regression.linalg.scaling import column_norms, scale
from mle_regression.linalg.triangle import inverse_triangle, reciprocal_condition, solve_triangle
from mle_regression.rows.base import Block, Rows

# At this condition number, times √m, a Cholesky factor of cross-products has lost about four digits.
_CHOLESKY_CONDITION = 100.0
# Noise up to this many times the rounding of the outputs is zero.
_NO_NOISE_EPS = 4.0
# Eigenvalues up to this many eps, times m times the largest, are zero.
_EIGENVALUE_EPS = 64.0
# Relative error of a diagonal element above which a second decomposition is worth its cost.
_NEGLIGIBLE = 1e-13
# Products are taken in twice the precision up to this many multiplications, about one second.
_ACCURATE_WORK = 5e7
# Part of residuals in the span of the columns that rounding of the coefficients may leave, in eps.
LEFT_IN_SPAN = 256.0
# Most projections, and relative change of the residuals at which they have converged.
_MAX_PROJECTIONS, _SETTLED_ROTATION = 4, 1e-13
# Terms of a relation below this part of the output are rounding.
_NO_TERM = 1e-9
_SHOWN_RELATIONS = 5
# Number of random vectors that the range of a covariance is first looked for with.
_SKETCH = 128


@dataclass(frozen=True, slots=True)
class NoiseFactor:
    """What the residuals of m outputs say of their noise covariance.

    Attributes
    ----------
    root : Array of shape (m, m) or (0, 0)
        Upper triangle R with RᵀR = EᵀWE, of outputs divided by powers of two; empty where that is singular.
    relations : tuple of Relation
        Which outputs have no noise but that of others, where there are such.
    """

    root: Array
    relations: tuple[Relation, ...] = ()

    @property
    def singular(self) -> bool:
        """Whether the likelihood of all outputs together has no finite maximum."""
        return self.root.size == 0


SINGULAR = NoiseFactor(np.zeros((0, 0)))


@dataclass(frozen=True, slots=True)
class SingularNoise:
    """Why the likelihood of all outputs together has no finite maximum.

    Attributes
    ----------
    relations : tuple of Relation
        Outputs that follow from others, in their own units.
    bearable : int
        How many outputs the rows can bear.
    """

    relations: tuple[Relation, ...]
    bearable: int


def factor_of_cross(cross: Array, condition: float = _CHOLESKY_CONDITION) -> Array | None:
    """Return the root of cross-products (m, m) by Cholesky; None where it is of a larger condition than this."""
    length = np.sqrt(cross.diagonal())
    if not (length > 0).all():
        return None
    if len(cross) == 1:
        return length[None] if length[0] < np.inf else None
    root, info = dpotrf(cross / length / length[:, None], clean=1)
    if info != 0 or reciprocal_condition(root) * condition * np.sqrt(len(cross)) < 1:
        return None
    return np.asarray(root * length)


@dataclass(frozen=True)
class ResidualRows:
    """Residuals y − Xβ − b of rows, to twice the precision where that is affordable.

    Attributes
    ----------
    rows : Rows
    information : InformationFactor
        Of the columns of X.
    coef : Array of shape (p, m)
        Coefficients of columns divided by ``2**information.exponent``, of outputs divided by ``2**output_exponent``.
    intercept : Array of shape (m,)
    output_exponent : IntArray of shape (m,)
    """

    rows: Rows
    information: InformationFactor
    coef: Array
    intercept: Array
    output_exponent: IntArray

    def factor(self) -> NoiseFactor:
        """Factorise the residuals, or find the outputs that depend on others."""
        first, size = self._triangle(None)
        rounding = _NO_NOISE_EPS * EPS * size
        found = _nonsingular(first, rounding)
        if found.singular:
            return found
        inverse = inverse_triangle(first)
        n, _, m = self.rows.shape
        if (np.abs(inverse).T @ size * EPS).max() <= _NEGLIGIBLE or n * m * m > _ACCURATE_WORK:
            return found
        second, _ = self._triangle(inverse)
        return _nonsingular(second @ first, rounding)

    def _triangle(self, whitener: Array | None) -> tuple[Array, Array]:
        """Triangular factor of the residuals, times ``whitener`` (m, m) if there is one, and the lengths (m,) of y."""
        triangle, squares = self.rows.reduce(
            partial(_factor_of_block, self._less(self._in_span), whitener), _stack_with_squares, dense=True
        )
        return triangle, np.sqrt(squares)

    def _less(self, part: Array) -> _BlockResiduals:
        """Residuals without their part (r, m) along the whitened columns."""
        accurate = float(np.prod(self.rows.shape, dtype=float)) <= _ACCURATE_WORK
        return _BlockResiduals(self.information, self.coef, self.intercept, self.output_exponent, accurate, part)

    @cached_property
    def _in_span(self) -> Array:
        """What rounding of the coefficients has left of the residuals in the span of the columns, whitened (r, m).

        Zero where it is more than that: under a penalty, or before a solver has arrived.
        """
        part = np.zeros((inverse_root(self.information).shape[1], len(self.intercept)))
        if self.information.alpha:
            return part
        allowed = LEFT_IN_SPAN * EPS * mean_reach(self.information, self.coef, self.intercept)
        for _ in range(_MAX_PROJECTIONS):
            more, length = self._span(part)
            if not (np.linalg.norm(part + more, axis=0) <= allowed).all():
                return np.zeros_like(part)
            part = part + more
            if (np.linalg.norm(more, axis=0) <= _SETTLED_ROTATION * length).all():
                break
        return part

    def _span(self, part: Array) -> tuple[Array, Array]:
        """Return what the residuals less ``part`` have left along the whitened columns (r, m), and their lengths (m,)."""
        found = self.rows.reduce(partial(_span_of_block, self._less(part)), np.add, dense=True)
        return found[:-1], np.sqrt(found[-1])


@dataclass(frozen=True, slots=True)
class _BlockResiduals:
    """Residuals of a block of rows, of a `ResidualRows` without its rows.

    Attributes
    ----------
    information, coef, intercept, output_exponent
        As there.
    accurate : bool
        Whether to multiply in twice the precision.
    part : Array of shape (r, m)
        What is taken from the residuals along the whitened columns.
    """

    information: InformationFactor
    coef: Array
    intercept: Array
    output_exponent: IntArray
    accurate: bool
    part: Array

    def __call__(self, block: Block) -> tuple[Array, Array]:
        """Return the residuals (b, m) as a sum of two terms."""
        high, low = self._raw(block)
        return high, low - whiten(self.information, block.x) @ self.part if self.part.any() else low

    def _raw(self, block: Block) -> tuple[Array, Array]:
        """Residuals (b, m) of the coefficients as they are, as a sum of two terms."""
        y, x = scale(block.y, -self.output_exponent), scale(block.x, -self.information.exponent)
        if not self.accurate:
            return y - x @ self.coef - self.intercept, np.zeros_like(y)
        mean, low = accurate_product_parts(x, self.coef)
        high, first = two_sum(y, -mean)
        high, second = two_sum(high, np.broadcast_to(-self.intercept, y.shape))
        return high, first + second - low


def _factor_of_block(residuals: _BlockResiduals, whitener: Array | None, block: Block) -> tuple[Array, Array]:
    """Triangular factor of the residuals, times ``whitener`` (m, m) if there is one, and the squares (m,) of y."""
    high, low = residuals(block)
    if whitener is not None:
        high, inner = accurate_product_parts(high, whitener)
        low = inner + low @ whitener
    e, y = high + low, scale(block.y, -residuals.output_exponent)
    if block.weights is not None:
        e, y = np.sqrt(block.weights)[:, None] * e, np.sqrt(block.weights)[:, None] * y
    return triangular_factor(e), np.einsum("ij,ij->j", y, y)


def _stack_with_squares(a: tuple[Array, Array], b: tuple[Array, Array]) -> tuple[Array, Array]:
    return stack_factors(a[0], b[0]), a[1] + b[1]


def _span_of_block(residuals: _BlockResiduals, block: Block) -> Array:
    """Weighted sums of the residuals along the whitened columns (r, m), and below them their squares (m,)."""
    high, low = residuals(block)
    q, e = whiten(residuals.information, block.x), high + low
    weighted = e if block.weights is None else block.weights[:, None] * e
    return np.vstack([q.T @ weighted, np.einsum("ij,ij->j", e, weighted)])


def mean_reach(information: InformationFactor, coef: Array, intercept: Array) -> Array:
    """Σ ‖xⱼ‖|βⱼ| and the intercept's part (m,): what sums of so large terms round by, times eps, moves a residual.

    ``coef`` (p, m) is that of the columns as the information has them divided.
    """
    lengths = np.hypot(information.column_lengths(), np.sqrt(information.total) * np.abs(information.mean))
    return np.asarray(lengths @ np.abs(coef) + np.sqrt(information.total) * np.abs(intercept))


def factor_of_array(residuals: Array, rounding: Array) -> NoiseFactor:
    """Factorise residuals (n, m), already times the roots of their weights, that are known to within ``rounding`` (m,)."""
    triangle = triangular_factor(residuals)
    return SINGULAR if len(triangle) < residuals.shape[1] else _nonsingular(triangle, rounding)


def factor_of_sums(products: Fixed, size: Array, eps: float) -> NoiseFactor:
    """Factorise cross-products (m, m) of residuals, known to ``eps`` times the lengths ``size`` (m,) of the outputs."""
    whitener, rounding = triangular_preconditioner(products), _NO_NOISE_EPS * eps * size
    if whitener is not None and (np.abs(whitener).T @ rounding < 1.0).all():
        basis = fixed(whitener)
        rest, info = dpotrf(basis.times(products.times(basis)).to_float(), clean=1)
        if info == 0:
            return NoiseFactor(np.triu(rest @ inverse_triangle(whitener)))
    rounded = products.to_float()
    length = np.sqrt(np.maximum(np.diagonal(rounded), 0.0))
    unit = np.where(length > 0, length, 1.0)
    values, vectors = np.linalg.eigh(rounded / np.outer(unit, unit))
    near = (vectors * np.sqrt(np.maximum(values, 0.0))).T * unit
    return NoiseFactor(np.zeros((0, 0)), _relations(triangular_factor(near), np.sqrt(EPS) * len(unit) * length))


def _nonsingular(triangle: Array, rounding: Array) -> NoiseFactor:
    """Return the factor that a triangle (k, m) is, unless some output has no more noise of its own than ``rounding``."""
    m = triangle.shape[1]
    if len(triangle) == m and np.diagonal(triangle).all():
        # Column j of the inverse combines outputs to noise of unit length, which their rounding should not reach.
        reached = np.abs(inverse_triangle(triangle)).T @ rounding
        if (reached < 1.0).all():
            return NoiseFactor(triangle)
    return NoiseFactor(np.zeros((0, 0)), _relations(triangle, rounding))


def _relations(triangle: Array, rounding: Array) -> tuple[Relation, ...]:
    """Write the first outputs whose residuals are combinations of those of the outputs before, which they are."""
    k, m = triangle.shape
    basis, upper = np.zeros((k, min(k, m))), np.zeros((min(k, m), min(k, m)))
    kept: list[int] = []
    found: list[Relation] = []
    for j in range(m):
        r, inside = len(kept), basis[:, : len(kept)]
        part = inside.T @ triangle[:, j]
        rest = triangle[:, j] - inside @ part
        again = inside.T @ rest
        rest, part = rest - inside @ again, part + again
        share = solve_triangle(upper[:r, :r], part[:, None])[:, 0]
        length = np.linalg.norm(rest)
        if r < min(k, m) and length > rounding[j] + np.abs(share) @ rounding[kept]:
            basis[:, r], upper[:r, r], upper[r, r] = rest / length, part, length
            kept.append(j)
            continue
        size = column_norms(triangle)
        terms = tuple((i, float(c)) for i, c in zip(kept, share, strict=True) if abs(c) * size[i] > _NO_TERM * size[j])
        found.append(Relation(j, terms, 0.0))
        if len(found) == _SHOWN_RELATIONS:
            break
    return tuple(found)


def noise_range(correlation: Array) -> Array:
    """Return an orthonormal basis (m, r) of the combinations of outputs that have noise, of a singular correlation.

    Where it has few, from the products with random vectors (Halko, Martinsson and Tropp, 2011), a fraction of the cost of the
    eigenvectors.
    """
    m = len(correlation)
    rounding = _EIGENVALUE_EPS * m * EPS
    rng, size = np.random.default_rng(0), _SKETCH
    while size <= m // 2:
        upper, basis = np.linalg.qr(correlation @ rng.standard_normal((m, size)))[::-1]
        kept = np.abs(np.diagonal(upper)) > np.sqrt(rounding) * np.abs(upper[0, 0])
        if not kept.all():
            return np.asarray(basis[:, kept])
        size *= 2
    values, vectors = np.linalg.eigh(correlation)
    real = values > rounding * values[-1]
    real[0] = False
    return np.asarray(vectors[:, real])
