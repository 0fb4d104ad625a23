"""Error-free matrix products: long numbers cut into short pieces that BLAS multiplies without rounding.

Numbers are written in radix 2**20 with signed digits ("limbs"). A product of two limbs has at most 38 bits, so thousands
of them add up in float64 without any rounding, in any order and with any number of threads: BLAS computes sums of
products exactly, at its full speed (Ozaki, Ogita, Oishi and Rump, 2012).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import reduce

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, IntArray
from mle_regression.linalg.scaling import exponents, scale

BITS = 20
# Limbs beyond these are 160 bits below the largest entry of their column. Even an inverse that amplifies errors by
# the square of a condition number of 1e16 cannot bring them back into the first 53.
MAX_LIMBS = 8
# Rows (or inner dimension) times limbs that may be summed before 2**53 is reached, for limbs of up to 2**19.5.
MAX_TERMS = 1 << 14
_RADIX = float(2**BITS)
_ROUNDER = 1.5 * 2.0**72
_VELTKAMP = float(2**27 + 1)


def two_prod(a: AnyArray, b: AnyArray) -> tuple[Array, Array]:
    """Return (p, e) with p = fl(a·b) and a·b = p + e exactly (Dekker, 1971, with Veltkamp's splitting).

    Examples
    --------
    >>> import numpy as np
    >>> p, e = two_prod(np.float64(1 + 2**-30), np.float64(1 + 2**-30))
    >>> float(p) == 1 + 2**-29, float(e) == 2**-60
    (True, True)
    """
    p = a * b
    t = _VELTKAMP * a
    a_hi = t - (t - a)
    t = _VELTKAMP * b
    b_hi = t - (t - b)
    a_lo, b_lo = a - a_hi, b - b_hi
    return p, ((a_hi * b_hi - p) + a_hi * b_lo + a_lo * b_hi) + a_lo * b_lo


def two_sum(a: AnyArray, b: AnyArray) -> tuple[Array, Array]:
    """Return (s, e) with s = fl(a + b) and a + b = s + e exactly (Knuth, 1969).

    Examples
    --------
    >>> import numpy as np
    >>> s, e = two_sum(np.float64(1.0), np.float64(2.0**-80))
    >>> float(s), float(e) == 2**-80
    (1.0, True)
    """
    s = a + b
    t = s - a
    return s, (a - (s - t)) + (b - t)


def accurate_product(a: Array, b: Array) -> Array:
    """Return ``a @ b`` as if computed in twice the precision and rounded once (Dot2; Ogita, Rump and Oishi, 2005).

    For a tall a (n, k) and a small b (k, m), of moderate magnitudes.

    Examples
    --------
    >>> import numpy as np
    >>> a, b = np.array([[1e16, 1.0, -1e16]]), np.array([[1.0], [1.0], [1.0]])
    >>> float(accurate_product(a, b)[0, 0]), float((a @ b)[0, 0])
    (1.0, 0.0)
    """
    total, low = accurate_product_parts(a, b)
    return total + low


def accurate_product_parts(a: Array, b: Array) -> tuple[Array, Array]:
    """Return (high, low) with ``a @ b = high + low`` to about twice the precision, as `accurate_product` before it rounds.

    Examples
    --------
    >>> import numpy as np
    >>> high, low = accurate_product_parts(np.array([[1.0, 2.0**-80]]), np.ones((2, 1)))
    >>> float(high[0, 0]), float(low[0, 0]) == 2.0**-80
    (1.0, True)
    """
    total, low = np.zeros((a.shape[0], b.shape[1])), np.zeros((a.shape[0], b.shape[1]))
    for column, row in zip(a.T, b, strict=True):
        product, error = two_prod(column[:, None], row)
        total, rounding = two_sum(total, product)
        low += error + rounding
    return total, low


@dataclass(frozen=True, slots=True)
class Fixed:
    """A matrix of fixed-point numbers, ``Σ_l digits[l] * 2**(20 * (top - l))``.

    Attributes
    ----------
    digits : Array of shape (L, rows, columns)
        Integers, the most significant limb first.
    top : int
        Weight of the first limb in powers of 2**20.
    """

    digits: Array
    top: int

    def __add__(self, other: Fixed) -> Fixed:
        """Sum without carrying; up to 2**30 carried matrices can be added before they need to be carried again."""
        top = max(self.top, other.top)
        length = max(top - self.top + len(self.digits), top - other.top + len(other.digits))
        total = np.zeros((length, *self.digits.shape[1:]))
        for term in (self, other):
            total[top - term.top : top - term.top + len(term.digits)] += term.digits
        return Fixed(total, top)

    def beside(self, other: Fixed) -> Fixed:
        """Return the columns of both, one matrix beside the other."""
        n, k = self.digits.shape[1:]
        top = max(self.top, other.top)
        length = max(top - self.top + len(self.digits), top - other.top + len(other.digits))
        digits = np.zeros((length, n, k + other.digits.shape[2]))
        for term, columns in ((self, slice(k)), (other, slice(k, None))):
            digits[top - term.top : top - term.top + len(term.digits), :, columns] = term.digits
        return Fixed(digits, top)

    def rows(self, pick: slice | IntArray) -> Fixed:
        """Return some rows."""
        return Fixed(self.digits[:, pick], self.top)

    def columns(self, pick: slice | IntArray) -> Fixed:
        """Return some columns."""
        return Fixed(self.digits[:, :, pick], self.top)

    def negated(self) -> Fixed:
        """Return the same numbers with the other sign."""
        return Fixed(-self.digits, self.top)

    def submatrix(self, pick: IntArray) -> Fixed:
        """Return some rows, and the same columns."""
        if len(pick) == self.digits.shape[1]:
            return self
        return Fixed(self.digits[:, pick[:, None], pick[None, :]], self.top)

    def down_to(self, level: int) -> Fixed:
        """Leave out limbs of less than ``2**(20 * level)``, but for the first."""
        return Fixed(self.digits[: max(1, self.top - level + 1)], self.top)

    def times(self, other: Fixed) -> Fixed:
        """Return ``selfᵀ · other``, exactly and carried."""
        (la, n, q), (lb, _, k) = self.digits.shape, other.digits.shape
        step = MAX_TERMS // min(la, lb)
        if n > step:
            parts = [self.rows(slice(i, i + step)).times(other.rows(slice(i, i + step))) for i in range(0, n, step)]
            return reduce(Fixed.__add__, parts).carried()
        left = self.digits.transpose(1, 0, 2).reshape(n, la * q)
        # Given the same array twice, BLAS computes one triangle only.
        right = left if other is self else other.digits.transpose(1, 0, 2).reshape(n, lb * k)
        table = (left.T @ right).reshape(la, q, lb, k)
        digits = np.zeros((la + lb - 1, q, k))
        for j in range(lb):
            digits[j : j + la] += table[:, :, j, :]
        return Fixed(digits, self.top + other.top).carried()

    def carried(self) -> Fixed:
        """Return the same numbers with digits of magnitude at most 2**19 + 1, from integers below 2**53."""
        length, *shape = self.digits.shape
        digits = np.zeros((length + 2, *shape))
        digits[2:] = self.digits
        for _ in range(3):
            # Adding and subtracting 1.5 · 2**72 rounds to a multiple of 2**20.
            up = (digits[1:] + _ROUNDER) - _ROUNDER
            digits[1:] -= up
            up *= 1.0 / _RADIX
            digits[:-1] += up
        return Fixed(digits, self.top + 2)

    def to_float(self) -> Array:
        """Round carried numbers to float64, smallest limb first: an error of about one unit in the last place."""
        total = self.digits[-1].copy()
        for digit in self.digits[-2::-1]:
            total *= 1.0 / _RADIX
            total += digit
        return scale(total, BITS * self.top)


def fixed(values: AnyArray, exponent: IntArray | None = None, limbs: int = MAX_LIMBS) -> Fixed:
    """Write ``values * 2**-exponent`` (rows, columns) with at most ``limbs`` limbs; what is smaller is cut off.

    Examples
    --------
    >>> import numpy as np
    >>> third = fixed(np.array([[1 / 3]]))
    >>> third.digits.ravel()
    array([349525., 349525., 349504.])
    >>> float(third.times(third).to_float()[0, 0]) == (1 / 3) ** 2
    True
    """
    scaled = values if exponent is None else scale(values, -exponent)
    largest = np.abs(scaled).max(keepdims=True, initial=0.0)
    top = -(-(int(exponents(largest).item()) + 1) // BITS)
    return Fixed(_limbs(scale(scaled, BITS * (1 - top)), limbs), top - 1)


def _limbs(rest: Array, limbs: int = MAX_LIMBS) -> Array:
    """Cut numbers of magnitude at most 2**19 into integers, each next one 2**20 times finer."""
    digits = []
    for _ in range(limbs):
        digit = np.rint(rest)
        digits.append(digit)
        rest = rest - digit
        if not rest.any():
            break
        rest *= _RADIX
    return np.stack(digits)


def exact_gram(
    z: Array, exponent: IntArray, weights: Array | None, weight_exponent: int = 0, n_left: int | None = None
) -> Fixed:
    """Return ``Σ w z zᵀ`` without any rounding, in units of ``2**(exponent_i + exponent_j + weight_exponent)``.

    Parameters
    ----------
    z : Array of shape (b, q)
        Rows; column j is below ``2**(exponent_j - 1)`` in magnitude.
    exponent : IntArray of shape (q,)
    weights : Array of shape (b,) or None for ones
        Below ``2**weight_exponent``.
    weight_exponent : int, default=0
    n_left : int, default=None
        How many rows of the result are wanted, the first of q; all if None.
    """
    step = MAX_TERMS // MAX_LIMBS
    q = z.shape[1]
    n_left = q if n_left is None else n_left
    total = Fixed(np.zeros((1, n_left, q)), 0)
    for start in range(0, len(z), step):
        rows = scale(z[start : start + step], -exponent)
        right = Fixed(_limbs(rows * _RADIX), -1)
        left = right if n_left == q else right.columns(slice(n_left))
        if weights is not None:
            heavy = scale(weights[start : start + step], -weight_exponent)[:, None]
            high, low = two_prod(heavy, rows[:, :n_left])
            left = Fixed(_limbs(high * _RADIX), -1) + Fixed(_limbs(low * _RADIX), -1)
        total += left.times(right)
    return total
