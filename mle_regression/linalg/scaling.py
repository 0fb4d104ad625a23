"""Scaling by powers of two, which floating point does without error."""

from __future__ import annotations

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, IntArray

# Sums of weights between these neither overflow nor underflow; other weights are scaled.
LEAST_WEIGHT, LARGEST_WEIGHT = 1e-60, 1e60
# A norm whose square has all digits.
_LEAST_NORM = 1e-140
# Numbers in a row of a narrow matrix that is read as a wider one.
_FOLDED_WIDTH = 512
# Numbers from which a product with powers of two pays, and exponents of such as float64 holds.
_MANY, _FACTOR_EXPONENT = 1 << 10, 1000


def exponents(magnitude: Array) -> IntArray:
    """Return e with ``magnitude * 2**-e`` in [0.5, 1); zero for a magnitude of zero, infinity or NaN.

    Examples
    --------
    >>> import numpy as np
    >>> exponents(np.array([0.75, 1.0, 1e-300, 0.0]))
    array([   0,    1, -996,    0])
    """
    _, exponent = np.frexp(magnitude)  # zero of zero; of infinity and NaN whatever the C library gives
    usable = np.isfinite(magnitude)
    return (exponent if usable.all() else np.where(usable, exponent, 0)).astype(np.int64)


def scale(values: AnyArray | float, exponent: IntArray | int) -> Array:
    """Return ``values * 2**exponent`` (broadcast): exact unless the result leaves the range of float64."""
    with np.errstate(over="ignore", under="ignore"):
        if getattr(values, "size", 1) >= _MANY and np.abs(exponent).max(initial=0) <= _FACTOR_EXPONENT:
            return np.asarray(values * np.ldexp(1.0, exponent))  # the same, several times as fast
        return np.asarray(np.ldexp(values, exponent))


def column_magnitudes(a: Array) -> Array:
    """Largest magnitude of each column (p,) of a (n, p), n > 0; NaN where there is one.

    A narrow C-ordered matrix is read as a wider one, k rows side by side, so that the inner loops of NumPy are long.

    Examples
    --------
    >>> import numpy as np
    >>> column_magnitudes(np.array([[1.0, -2.0], [-3.0, 0.5]]))
    array([3., 2.])
    """
    n, p = a.shape
    k = min(_FOLDED_WIDTH // p, n) if p and a.flags.c_contiguous else 1
    if k < 2:
        return np.asarray(np.maximum(a.max(axis=0), -a.min(axis=0)))  # without a copy
    head = n - n % k
    wide = a[:head].reshape(head // k, k * p)
    folded = np.maximum(wide.max(axis=0), -wide.min(axis=0)).reshape(k, p)
    return np.asarray(np.maximum(folded.max(axis=0), np.abs(a[head:]).max(axis=0, initial=0.0)))


def fast_column_norms(a: Array) -> Array:
    """Euclidean norm of each column, as `column_norms`, which is asked where squares would leave float64."""
    with np.errstate(over="ignore"):
        norms = np.sqrt(np.einsum("ij,ij->j", a, a))
    unsure = (norms < _LEAST_NORM) | ~np.isfinite(norms)
    if unsure.any():
        norms[unsure] = column_norms(a[:, unsure])
    return np.asarray(norms)


def column_norms(a: Array) -> Array:
    """Euclidean norm of each column, free of overflow and underflow (Blue, 1978, does the same in one pass)."""
    if a.shape[0] == 0:
        return np.zeros(a.shape[1])
    exponent = exponents(np.abs(a).max(axis=0))
    scaled = scale(a, -exponent)
    norms: Array = scale(np.sqrt(np.einsum("ij,ij->j", scaled, scaled)), exponent)
    return norms
