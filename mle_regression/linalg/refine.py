"""Least squares to the last digit: the normal equation formed without rounding.

The textbook's case against the normal equation is that rounding XᵀX loses twice the digits that X can spare. Here XᵀX is
exact, so nothing is lost. With V ≈ R⁻¹ from a factorisation in double precision, K = Vᵀ(XᵀX)V is close to the identity,
whatever the condition of X; one Newton step from coefficients b₀,

    b = b₀ + V K⁻¹ Vᵀ Xᵀ(y − X b₀),    RSS = RSS₀ − ‖K^(-1/2) Vᵀ Xᵀ(y − X b₀)‖²,    (XᵀX)⁻¹ = V K⁻¹ Vᵀ,

is then solved in double precision to double precision (Rump, 1990, inverts matrices of condition beyond 1/eps so).
The classical alternative, refinement of the augmented system (Björck, 1967), needs the residuals of all rows in every
step and an orthogonal basis of the size of X; the exact XᵀX is a sum over rows, taken once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.linalg.lapack import dpotrf, dpotrs, dtrtri

from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.exact import MAX_LIMBS, Fixed, fixed, two_sum
from mle_regression.linalg.scaling import exponents, scale

_MAX_STEPS = 10
# V is only a preconditioner: four limbs, 80 bits below the largest entry of a column, are enough.
_PRECONDITIONER_LIMBS = 4
# Up to this many outputs the exact equation itself gives the cross-products of all residuals.
FEW_OUTPUTS = 32
# Outputs are split into parts so that a table of products of digits has at most this many numbers.
_TABLE_SIZE = 1 << 22
# Share of a sum of squares that can be subtracted without cancellation.
_SMALL_SHARE = 0.25
# Largest error, in units of the last bit; and size below which a parameter is negligible, relative to the largest.
_LAST_BIT, _NOTHING = 0.125, 2.0**-100


@dataclass(frozen=True, slots=True)
class Refined:
    """Least-squares solution correct to about the last bit.

    Attributes
    ----------
    params : Array of shape (k, m)
    rss : Array of shape (m, m)
        Cross-products of the residuals.
    root : Array of shape (k, k)
        ``root @ root.T`` is the inverse of the (penalised) cross-product matrix, row by row to full precision.
    steps : int
        Newton steps taken.
    """

    params: Array
    rss: Array
    root: Array
    steps: int


def refine(gram: Fixed, inverse: Array, params: Array, penalty: Array | None) -> Refined | None:
    """Solve the exact normal equation of [A | y] for the coefficients of y on A.

    Parameters
    ----------
    gram : Fixed of shape (k + m, k + m)
        Exact cross-products of the columns of [A | y], each of about unit length, carried.
    inverse : Array of shape (k, k)
        Approximate inverse of a triangular factor of AᵀA + diag(penalty).
    params : Array of shape (k, m)
        Where to start.
    penalty : Array of shape (k,) or None
        Diagonal added to AᵀA.

    Returns
    -------
    Refined or None
        None if ``inverse`` is too poor a preconditioner, which only numerically dependent columns make it.
    """
    k, m = params.shape
    penalised = gram if penalty is None else (gram + fixed(np.diag(np.concatenate([penalty, np.zeros(m)])))).carried()
    basis, inverse, unit = _preconditioner(inverse, m)
    low = np.zeros_like(params)
    direction = _residual_direction(params, low)
    # One product for the columns of V and the residual's direction together.
    both = basis.beside(direction)
    image = penalised.times(both)
    forms = both.times(image).to_float()
    gradient, rss = scale(forms[:k, k:], -unit[:, None]), forms[k:, k:]
    factor, info = dpotrf(scale(forms[:k, :k], -(unit[:, None] + unit)), lower=1, clean=1)
    if info != 0 or not np.isfinite(factor).all():
        return None
    for step in range(1, _MAX_STEPS + 1):  # noqa: B007
        newton, _ = dpotrs(factor, gradient, lower=1)
        params, low = two_sum(params, inverse @ newton + low)
        gain = gradient.T @ newton
        noise = 4 * k * EPS * (np.abs(inverse) @ np.abs(newton))
        if _settled(params, noise, gain.diagonal(), rss.diagonal()):
            break
        direction = _residual_direction(params, low)
        gradient = scale(image.columns(slice(k)).times(direction).to_float(), -unit[:, None])
        rss = direction.times(penalised.times(direction)).to_float()
    triangle, _ = dtrtri(factor, lower=1)
    rss = rss - gain
    if penalty is not None:
        taken = params.T @ (penalty[:, None] * params)
        # Subtracting the penalty's part cancels where it is most of the sum of squares.
        harmless = (taken.diagonal() < _SMALL_SHARE * rss.diagonal()).all()
        rss = rss - taken if harmless else cross_products(gram, params, low)
    return Refined(params, 0.5 * (rss + rss.T), inverse @ triangle.T, step)


@dataclass(frozen=True, slots=True)
class RefinedMany:
    """Coefficients of many outputs, as a sum of two terms; their residuals are left to who has the rows.

    Attributes
    ----------
    params, low : Array of shape (k, m)
        Correct to about the last bit, and what rounding has left of them.
    root : Array of shape (k, k)
        As that of `Refined`.
    """

    params: Array
    low: Array
    root: Array


def refine_many(gram: Fixed, inverse: Array, params: Array, penalty: Array | None) -> RefinedMany | None:
    """Solve the exact normal equation of [A | y] for many outputs, a part of them at a time.

    The work is of the order of k² (k + m), and so is the memory; `refine` takes (k + m)² m.

    Parameters
    ----------
    gram : Fixed of shape (k, k + m)
        Exact cross-products of the columns of A with those of [A | y], each of about unit length, carried.
    inverse, params, penalty
        As in `refine`.

    Returns
    -------
    RefinedMany or None
    """
    k, m = params.shape
    square = gram.columns(slice(k))
    if penalty is not None:
        square = (square + fixed(np.diag(penalty))).carried()
    basis, inverse, unit = _preconditioner(inverse, 0)
    forms = basis.times(square.times(basis)).to_float()
    factor, info = dpotrf(scale(forms, -(unit[:, None] + unit)), lower=1, clean=1)
    if info != 0 or not np.isfinite(factor).all():
        return None
    triangle, _ = dtrtri(factor, lower=1)
    high, low = np.empty_like(params), np.empty_like(params)
    for part in _parts(m, k * len(gram.digits)):
        products = gram.columns(slice(k + part.start, k + part.stop))
        start = params[:, part]
        found = _solve_part(square, products, (basis, inverse, unit), factor, start)
        high[:, part], low[:, part] = found
    return RefinedMany(high, low, inverse @ triangle.T)


def _solve_part(
    square: Fixed, products: Fixed, preconditioner: tuple[Fixed, Array, IntArray], factor: Array, params: Array
) -> tuple[Array, Array]:
    """Newton steps for some outputs, of cross-products (k, m) with the columns."""
    basis, inverse, unit = preconditioner
    low = np.zeros_like(params)
    for _ in range(_MAX_STEPS):
        fitted = square.times(fixed(params) + fixed(low))
        left = (products + fitted.negated()).carried()
        newton, _ = dpotrs(factor, scale(basis.times(left).to_float(), -unit[:, None]), lower=1)
        params, low = two_sum(params, inverse @ newton + low)
        if _exact_enough(params, 4 * len(params) * EPS * (np.abs(inverse) @ np.abs(newton))):
            break
    return params, low


def cross_products(gram: Fixed, params: Array, low: Array) -> Array:
    """Cross-products (m, m) of the residuals of coefficients ``params + low`` (k, m), from exact ones of [A | y]."""
    k, m = params.shape
    coef = (fixed(-params) + fixed(-low)).carried()
    of_columns, of_outputs = gram.rows(slice(k)), gram.columns(slice(k, None))
    cross = np.empty((m, m))
    for part in _parts(m, (k + m) * len(gram.digits)):
        image = of_columns.times(coef.columns(part)) + of_outputs.columns(part)
        image = image.carried()
        cross[:, part] = (coef.times(image.rows(slice(k))) + image.rows(slice(k, None))).carried().to_float()
    return cross


def _parts(m: int, width: int) -> list[slice]:
    """Cut m outputs into parts whose products with so many digits make a table of bounded size."""
    step = max(1, _TABLE_SIZE // max(1, width * 2 * MAX_LIMBS))
    return [slice(i, min(i + step, m)) for i in range(0, m, step)]


def _preconditioner(inverse: Array, m: int) -> tuple[Fixed, Array, IntArray]:
    """Return [inverse; 0] (k + m, k) with columns of about unit size, the inverse as cut, and the columns' exponents."""
    unit = -exponents(np.abs(inverse).max(axis=0, initial=0.0))
    scaled = np.vstack([scale(inverse, unit), np.zeros((m, inverse.shape[1]))])
    basis = fixed(scaled, limbs=_PRECONDITIONER_LIMBS)
    return basis, scale(basis.to_float()[: len(inverse)], -unit), unit


def _residual_direction(high: Array, low: Array) -> Fixed:
    """Return [−params; identity] (k + m, m), so that [A | y] times it is the residual."""
    identity = np.eye(high.shape[1])
    return fixed(np.vstack([-high, identity])) + fixed(np.vstack([-low, np.zeros_like(identity)]))


def _settled(params: Array, noise: Array, gain: Array, rss: Array) -> bool:
    """Whether the error of the last step is below a quarter of the last bit, of parameters and of RSS."""
    return _exact_enough(params, noise) and bool((gain <= 0.5 * rss).all())


def _exact_enough(params: Array, noise: Array) -> bool:
    """Whether errors of parameters are below an eighth of the last bit, or of what is nothing beside the others."""
    floor = _NOTHING * np.abs(params).max(axis=0, initial=0.0)
    return bool((noise <= np.maximum(_LAST_BIT * EPS * np.abs(params), floor)).all())
