"""Least squares in rational arithmetic: the exact solution of a float64 design, against which digits are counted."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import mpmath
import numpy as np

mpmath.mp.dps = 60


@dataclass(frozen=True)
class ExactFit:
    """Exact solution, rounded once to float64; ``params`` (k,) and ``errors`` (k,), the intercept first if there is one."""

    params: np.ndarray
    errors: np.ndarray
    rss: float
    exact_params: list[Fraction]


def exact_least_squares(x, y, weights=None, *, intercept=True, alpha=0.0) -> ExactFit:
    """Solve (XᵀWX + αI₀) b = XᵀWy by elimination in rational numbers."""
    rows = [[Fraction(1)] * intercept + [Fraction(float(v)) for v in row] for row in np.asarray(x)]
    target = [Fraction(float(v)) for v in y]
    w = [Fraction(1)] * len(rows) if weights is None else [Fraction(float(v)) for v in weights]
    k = len(rows[0])
    gram = [[sum(wi * r[i] * r[j] for wi, r in zip(w, rows)) for j in range(k)] for i in range(k)]
    for j in range(int(intercept), k):
        gram[j][j] += Fraction(float(alpha))
    cross = [sum(wi * r[i] * t for wi, r, t in zip(w, rows, target)) for i in range(k)]
    work = [gram[i] + [cross[i]] + [Fraction(int(i == j)) for j in range(k)] for i in range(k)]
    for i in range(k):
        pivot = next(r for r in range(i, k) if work[r][i] != 0)
        work[i], work[pivot] = work[pivot], work[i]
        head = work[i][i]
        work[i] = [v / head for v in work[i]]
        for r in range(k):
            if r != i and work[r][i] != 0:
                factor = work[r][i]
                work[r] = [a - factor * b for a, b in zip(work[r], work[i])]
    beta = [row[k] for row in work]
    rss = sum(wi * (t - sum(a * b for a, b in zip(r, beta))) ** 2 for wi, r, t in zip(w, rows, target))
    dof = sum(wi > 0 for wi in w) - k
    errors = [root(rss * work[i][k + 1 + i] / dof) if dof > 0 else float("nan") for i in range(k)]
    return ExactFit(np.array([nearest(b) for b in beta]), np.array(errors), nearest(rss), beta)


def exact_covariance(design, y, weights=None) -> np.ndarray:
    """Covariance matrix (k, k) of the coefficients, s²(AᵀWA)⁻¹, from cross-products of integers and 60 digits after them."""
    table = np.column_stack([design, y])
    whole, unit = _as_integers(table)
    of_weights, unit_of_weights = _as_integers(np.ones(len(table)) if weights is None else np.asarray(weights))
    gram = whole.T.dot(of_weights[:, None] * whole)
    k = table.shape[1] - 1
    scaled = mpmath.matrix(gram.tolist()) * mpmath.mpf(2) ** (2 * unit + unit_of_weights)
    inverse = scaled[:k, :k] ** -1
    of_y = scaled[:k, k]
    left = scaled[k, k] - (of_y.T * inverse * of_y)[0]
    variance = left / (len(table) - k)
    return np.array([[float(variance * inverse[i, j]) for j in range(k)] for i in range(k)])


def _as_integers(numbers):
    """Return integers, of any length, and the power of two that makes them the numbers."""
    mantissa, exponent = np.frexp(numbers)
    lowest = int(exponent[mantissa != 0].min(initial=0)) - 53
    shift = np.where(mantissa != 0, exponent - 53 - lowest, 0)
    return np.ldexp(mantissa, 53).astype(np.int64).astype(object) << shift.astype(object), lowest


def nearest(value: Fraction) -> float:
    """Round a rational number to float64, to infinity beyond its range."""
    try:
        return float(value)
    except OverflowError:
        return math.copysign(math.inf, value)


def root(value: Fraction) -> float:
    """Square root of a rational number, rounded to float64."""
    return float(mpmath.sqrt(mpmath.mpf(value.numerator) / mpmath.mpf(value.denominator)))


def digits(computed, exact) -> float:
    """Smallest number of correct digits, −log₁₀ of the relative error (absolute where the truth is zero), at most 16."""
    computed, exact = np.atleast_1d(computed).astype(float), np.atleast_1d(exact).astype(float)
    if not np.isfinite(computed).all():
        return 0.0
    error = np.abs(computed - exact) / np.where(exact == 0, 1.0, np.abs(exact))
    return float(min(16.0, max(0.0, -np.log10(max(error.max(), 1e-16)))))
