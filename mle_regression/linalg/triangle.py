"""A least-squares problem reduced to a triangular factor."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg.lapack import dgecon, dlange, dpotrf, dtrtri, dtrtrs

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import Moments
from mle_regression.linalg.qr import triangular_factor
from mle_regression.linalg.scaling import column_norms, exponents, scale

# Power iteration for the condition number in the 2-norm: steps, and number of vectors.
_POWER_STEPS, _VECTORS = 8, 4


@dataclass(frozen=True, slots=True)
class Triangle:
    """Minimise ``‖z − r β‖²``: what n rows come down to, in centred columns of about unit length.

    Attributes
    ----------
    r : Array of shape (k, p)
        Upper-triangular factor of the centred, penalised cross-products; k = min(n, p) rows.
    z : Array of shape (k, m)
    tail : Array of shape (m, m)
        Cross-products of y left at the minimum, penalty included.
    exponent : IntArray of shape (p + m,)
        Columns of [X | y] are divided by ``2**exponent``.
    mean : Array of shape (p + m,)
        Means of the columns, so divided; zero without intercept.
    offset : Array of shape (p + m,)
        The part of the mean that a frame's shift did not take away.
    norm : Array of shape (p + m,)
        Lengths of the columns, so divided, before centring.
    total : float
        Sum of the weights.
    """

    r: Array
    z: Array
    tail: Array
    exponent: IntArray
    mean: Array
    offset: Array
    norm: Array
    total: float

    @property
    def n_features(self) -> int:
        """Number of columns p."""
        return int(self.r.shape[1])

    def columns(self, pick: IntArray) -> Triangle:
        """Return the problem restricted to some columns of X, triangular again."""
        p = self.n_features
        keep = np.r_[pick, np.arange(p, self.exponent.size)]
        r, z, tail = retriangle(np.hstack([self.r[:, pick], self.z]), len(pick))
        return replace(
            self,
            r=r,
            z=z,
            tail=self.tail + tail,
            exponent=self.exponent[keep],
            mean=self.mean[keep],
            offset=self.offset[keep],
            norm=self.norm[keep],
        )

    def in_one_unit(self) -> Triangle:
        """Return the problem with all columns of X divided by the same power of two, that of the longest."""
        p = self.n_features
        unit, varying = self.exponent.copy(), self.r.any(axis=0)
        unit[:p] = unit[:p][varying].max() if varying.any() else 0
        step = self.exponent - unit
        return replace(
            self,
            r=scale(self.r, step[:p]),
            exponent=unit,
            mean=scale(self.mean, step),
            offset=scale(self.offset, step),
            norm=scale(self.norm, step),
        )


def retriangle(stacked: Array, p: int) -> tuple[Array, Array, Array]:
    """QR of [X | y] with p columns of X: return r (k, p), z (k, m) and the cross-products (m, m) of what is left."""
    upper = triangular_factor(stacked)
    left = upper[p:, p:]
    return upper[:p, :p], upper[:p, p:], left.T @ left


def triangle_of_moments(
    moments: Moments, frame: Frame, n_features: int, total: float, centred: bool, alpha: float
) -> Triangle | None:
    """Cholesky factor of the centred cross-products; None where they are not positive definite."""
    p = n_features
    offset = moments.sums / total if centred else np.zeros_like(moments.sums)
    gram = moments.gram - np.outer(offset, moments.sums) if centred else moments.gram
    mean = frame.shift + offset
    norm = np.sqrt(np.maximum(gram.diagonal() + total * mean**2, 0.0))
    penalised = gram[:p, :p]
    if alpha:
        penalised = penalised + np.diag(scale(np.full(p, alpha), -2 * frame.exponent[:p]))
    unit = _unit_exponents(penalised.diagonal())
    penalised = scale(penalised, -(unit[:, None] + unit[None, :]))
    r, info = dpotrf(penalised, clean=1)
    if info != 0 or not np.isfinite(r).all():
        return None
    unit = np.concatenate([unit, _unit_exponents(gram.diagonal()[p:])])
    cross = scale(gram[:, p:], -(unit[:, None] + unit[None, p:]))
    z, _ = dtrtrs(r, cross[:p], trans=1)
    tail = cross[p:] - z.T @ z
    return Triangle(
        r, z, tail, frame.exponent + unit, scale(mean, -unit), scale(offset, -unit), scale(norm, -unit), total
    )


def triangle_of_factor(
    upper: Array, frame: Frame, n_features: int, total: float, centred: bool, alpha: float
) -> Triangle:
    """Equilibrate a triangular factor of [1 | X | y] (or of [X | y] if not ``centred``) in the frame's coordinates."""
    p, first = n_features, int(centred)
    offset = upper[0, 1:] / upper[0, 0] if centred else np.zeros(upper.shape[1])
    mean = frame.shift + offset
    inner = upper[first:, first:]
    if alpha:
        penalty = scale(np.full(p, np.sqrt(alpha)), -frame.exponent[:p])
        stacked = np.vstack([inner, np.hstack([np.diag(penalty), np.zeros((p, inner.shape[1] - p))])])
        inner = triangular_factor(stacked)
    lengths = column_norms(inner)
    norm = np.hypot(lengths, np.sqrt(total) * np.abs(mean))
    unit = exponents(lengths)
    inner = scale(inner, -unit)
    left = inner[p:, p:]
    return Triangle(
        inner[:p, :p],
        inner[:p, p:],
        left.T @ left,
        frame.exponent + unit,
        scale(mean, -unit),
        scale(offset, -unit),
        scale(norm, -unit),
        total,
    )


def reciprocal_condition(r: Array) -> float:
    """Estimate ``1 / (‖r‖₁ ‖r⁻¹‖₁)`` of an upper triangle (Higham, 1988); 0 if it is not square.

    LAPACK's gecon takes the factors of an LU decomposition, of which an upper triangle is one with L the identity.
    """
    if r.shape[0] < r.shape[1]:
        return 0.0
    if r.shape[1] == 0:
        return 1.0
    rcond, _ = dgecon(r, dlange("1", r))
    return float(rcond)


def exceeds_condition(r: Array, bound: float) -> bool:
    """Tell whether the condition ``‖r‖ ‖r⁻¹‖`` of an upper triangle is above a bound.

    The estimate in the 1-norm costs least, but columns that are not far from orthogonal, as those of dummies are, may have
    √p times the condition there that they have in the 2-norm. Where it is above, the 2-norm is asked: by power iteration,
    O(p²) a step, on a few vectors at once so that none of the extreme directions is missed by all of them.
    """
    rcond = reciprocal_condition(r)
    if rcond * bound >= 1:
        return False
    # ‖a‖₂ is no less than ‖a‖₁ / √p, of a triangle and of its inverse.
    if rcond == 0 or rcond * bound * r.shape[1] < 1:
        return True
    vectors = np.random.default_rng(0).standard_normal((r.shape[1], _VECTORS))
    largest = _power(lambda v: r.T @ (r @ v), vectors)
    inverse = _power(lambda v: dtrtrs(r, dtrtrs(r, v, trans=1)[0])[0], vectors)
    return not np.sqrt(largest * inverse) <= bound


def _power(product: Callable[[Array], Array], vectors: Array) -> float:
    """Return about the largest eigenvalue of a positive definite matrix, by power iteration on vectors (p, k)."""
    value = 0.0
    for _ in range(_POWER_STEPS):
        vectors = product(vectors / np.linalg.norm(vectors, axis=0))
        value = float(np.linalg.norm(vectors, axis=0).max())
    return value


def inverse_triangle(r: Array) -> Array:
    """Return r⁻¹ of a nonsingular upper triangle (p, p)."""
    if r.shape[1] == 0:
        return r.T
    inverse, _ = dtrtri(r)
    return np.triu(inverse)


def solve_triangle(r: Array, rhs: Array, *, transposed: bool = False) -> Array:
    """Return ``r⁻¹ rhs``, or ``r⁻ᵀ rhs``, for a nonsingular upper triangle (p, p) and rhs (p, m); either may be empty."""
    if rhs.size == 0:
        return np.zeros((r.shape[1], rhs.shape[1]))
    solution, _ = dtrtrs(r, rhs, trans=int(transposed))
    return np.asarray(solution)


def with_intercept(inverse: Array, mean: Array, total: float) -> Array:
    """Inverse (1 + p, 1 + p) of the triangular factor of [1 | X], from that of the centred columns (p, p)."""
    full = np.zeros((inverse.shape[0] + 1, inverse.shape[1] + 1))
    full[0, 0] = 1 / np.sqrt(total)
    full[0, 1:] = -mean @ inverse
    full[1:, 1:] = inverse
    return full


def _unit_exponents(squares: Array) -> IntArray:
    return exponents(np.sqrt(np.maximum(squares, 0.0)))
