"""A triangle from an exact Gram matrix, however ill-conditioned."""

from __future__ import annotations

import numpy as np
from scipy.linalg.lapack import dpotrf

from mle_regression.linalg.arrays import EPS, Array
from mle_regression.linalg.exact import Fixed, fixed
from mle_regression.linalg.scaling import exponents, scale
from mle_regression.linalg.triangle import inverse_triangle

_MAX_ROUNDS = 6
_MAX_SHIFTS = 16
# Factor by which a shift grows that was too small.
_LARGER_SHIFT = 16.0


def triangular_preconditioner(gram: Fixed) -> Array | None:
    """Return an upper triangle V (k, k) with Vᵀ G V close to the identity, for an exact G of any condition.

    Each round factorises the product Vᵀ G V, which is exact before it is rounded, and multiplies V by the inverse of the
    factor: the condition falls by a factor of about 1/eps a round (Rump, 1990). A factorisation that fails is repeated
    with a shift just large enough to succeed, as in shifted CholeskyQR (Fukaya et al., 2020). None if no number of rounds
    gets there, which is the case only where G is singular.
    """
    product = gram.to_float()
    unit = exponents(np.sqrt(np.maximum(np.diagonal(product), 0.0)))
    inverse = np.diag(scale(np.ones(len(unit)), -unit))
    for _ in range(_MAX_ROUNDS):
        grade = -exponents(np.abs(inverse).max(axis=0))
        basis = fixed(scale(inverse, grade))
        product = scale(basis.times(gram.times(basis)).to_float(), -(grade[:, None] + grade[None, :]))
        factor, shifted = _shifted_cholesky(product)
        inverse = np.triu(inverse @ inverse_triangle(factor))
        if not shifted and np.linalg.norm(product - np.eye(len(product))) < 0.5:
            return inverse
    return None


def _shifted_cholesky(a: Array) -> tuple[Array, bool]:
    """Cholesky factor of a (k, k), plus a small multiple of the identity if it needs one, and whether it did."""
    factor, info = dpotrf(a, clean=1)
    if info == 0:
        return np.asarray(factor), False
    shift = 4.0 * len(a) * EPS * float(np.abs(np.diagonal(a)).max())
    for _ in range(_MAX_SHIFTS):
        factor, info = dpotrf(a + shift * np.eye(len(a)), clean=1)
        if info == 0:
            return np.asarray(factor), True
        shift *= _LARGER_SHIFT
    return np.eye(len(a)), True  # zero, or not finite
