"""Running sums of cross-products: added in any order, merged from anywhere, without rounding.

Fixed-point sums are associative, which floating-point sums are not. Each column has a unit, a power of 2**20, that grows
with the largest number seen in it; changing the unit moves digits from limb to limb.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.exact import BITS, Fixed, exact_gram, fixed
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import Moments
from mle_regression.linalg.scaling import exponents, scale

# Unit of a zero column, smaller than any other.
EMPTY = -(10**6)


def no_sums(q: int) -> ExactSums:
    """Return the sums over no rows of q columns."""
    return ExactSums(Fixed(np.zeros((1, q, q)), 0), np.full(q, EMPTY))


@dataclass(frozen=True, slots=True)
class ExactSums:
    """Cross-products Σ w z zᵀ of rows z (q,).

    Attributes
    ----------
    gram : Fixed of shape (q, q)
        Carried.
    limbs : IntArray of shape (q,)
        Column j is divided by ``2**(20 · limbs[j])``; `EMPTY` if nothing but zeros was seen in it.
    """

    gram: Fixed
    limbs: IntArray

    def __add__(self, other: ExactSums) -> ExactSums:
        """Add the sums over other rows."""
        limbs = np.maximum(self.limbs, other.limbs)
        return ExactSums(_trimmed((self._in(limbs) + other._in(limbs)).carried()), limbs)

    def scaled(self, limbs: int) -> ExactSums:
        """Return the sums times ``2**(20 · limbs)``."""
        return ExactSums(Fixed(self.gram.digits, self.gram.top + limbs), self.limbs)

    @property
    def exponent(self) -> IntArray:
        """Exponents (q,) of the powers of two by which the columns are divided."""
        return BITS * np.where(self.limbs == EMPTY, 0, self.limbs)

    def in_unit_columns(self, penalty: Array) -> tuple[Fixed, IntArray]:
        """Return the cross-products of columns of about unit length, and the exponents by which they were divided.

        ``penalty`` (q,) is what will be added to the squares of the columns, and counts towards their length.
        """
        squares = np.maximum(np.diagonal(self.gram.to_float()), 0.0)
        lengths = np.hypot(np.sqrt(squares), scale(np.sqrt(penalty), -self.exponent))
        exponent = self.exponent + exponents(lengths)
        # Shift by whole limbs, then multiply by the remaining power of two.
        limbs = -(-exponent // BITS)
        rest = fixed(np.diag(scale(np.ones(len(limbs)), BITS * limbs - exponent)))
        return rest.times(self._in(limbs).times(rest)), exponent

    def _in(self, limbs: IntArray) -> Fixed:
        """Return the digits in other units: each moves down by as many limbs as its row's and its column's unit grow."""
        grown = np.where(self.limbs == EMPTY, 0, limbs - self.limbs)
        if not grown.any():
            return self.gram
        down = grown[:, None] + grown
        least = int(down.min())
        digits = np.zeros((len(self.gram.digits) + int(down.max()) - least, *down.shape))
        for step in np.unique(down).tolist():
            which = down == step
            digits[step - least : step - least + len(self.gram.digits), which] = self.gram.digits[:, which]
        return Fixed(digits, self.gram.top - least)


@dataclass(frozen=True)
class KeptSums:
    """What is left of rows that have gone by: of each its exact cross-products or rounded ones, and no row in both.

    Attributes
    ----------
    exact : ExactSums of [1 | X | y]
    moments : Moments of [X | y] in ``frame``, or None
    frame : Frame
    weight : float
        Sum of the weights of the rows in ``moments``.
    penalty : Array of shape (q,)
        What will be added to the squares of the columns.
    as_given : bool
        Whether all rows were summed without rounding.
    well_conditioned : bool
        Whether what was rounded is known to have lost no more than a few digits by it.
    """

    exact: ExactSums
    moments: Moments | None
    frame: Frame
    weight: float
    penalty: Array
    as_given: bool
    well_conditioned: bool

    @property
    def only_rounded(self) -> bool:
        """Whether there are no rows but those that were rounded."""
        return self.moments is not None and bool((self.exact.limbs == EMPTY).all())

    def of_outputs(self, which: IntArray, n_features: int, alpha: float) -> KeptSums:
        """Return the sums with some of the outputs, under a penalty of their own."""
        keep = np.concatenate([np.arange(n_features), n_features + which])
        moments = self.moments
        if moments is not None:
            moments = Moments(moments.sums[keep], moments.gram[np.ix_(keep, keep)])
        every = np.concatenate([np.zeros(1, dtype=np.int64), 1 + keep])
        penalty = np.zeros(len(every))
        penalty[1 : 1 + n_features] = alpha
        return replace(
            self,
            exact=ExactSums(self.exact.gram.submatrix(every), self.exact.limbs[every]),
            moments=moments,
            frame=Frame(self.frame.exponent[keep], self.frame.shift[keep]),
            penalty=penalty,
        )

    @cached_property
    def table(self) -> tuple[Fixed, IntArray]:
        """Cross-products of all rows, in fixed point and columns of about unit length, and the exponents of these."""
        whole = self.exact
        if self.moments is not None:
            whole = whole + sums_of_moments(self.moments, self.frame, self.weight)
        return whole.in_unit_columns(self.penalty)


def exact_sums(z: Array, weights: Array | None) -> ExactSums:
    """Sum a block of rows z (b, q) with weights (b,), without rounding."""
    limbs = _limbs_above(np.abs(z).max(axis=0, initial=0.0))
    heaviest = np.ones(1) if weights is None else weights.max(keepdims=True, initial=0.0)
    weight_limbs = int(_limbs_above(heaviest)[0]) if weights is not None and heaviest[0] > 0 else 0
    gram = exact_gram(z, BITS * np.where(limbs == EMPTY, 0, limbs), weights, BITS * weight_limbs).carried()
    return ExactSums(_trimmed(Fixed(gram.digits, gram.top + weight_limbs)), limbs)


def sums_of_moments(moments: Moments, frame: Frame, total: float) -> ExactSums:
    """Cross-products of [1 | z] from moments in a frame: the shift is undone without rounding.

    Parameters
    ----------
    moments : Moments
        Of q columns, rounded as they are.
    frame : Frame
    total : float
        Sum of the weights.
    """
    q = len(moments.sums)
    table = np.empty((q + 1, q + 1))
    table[0, 0], table[0, 1:], table[1:, 0], table[1:, 1:] = total, moments.sums, moments.sums, moments.gram
    size = np.sqrt(np.maximum(np.diagonal(table), 0.0))
    reach = np.maximum(size, np.r_[0.0, np.abs(frame.shift) * size[0]])
    limbs = _limbs_above(reach)
    limbs[limbs == EMPTY] = 0
    scaled = fixed(scale(table, -BITS * (limbs[:, None] + limbs)))
    if frame.shift.any():
        # [1 | z + shift] = [1 | z] T, with T in the units of the columns on either side.
        back = np.eye(q + 1)
        back[0, 1:] = frame.shift
        back = scale(back, BITS * (limbs[:, None] - limbs))
        change = fixed(back)
        scaled = change.times(scaled.times(change))
    units = limbs.copy()
    exponent = frame.exponent
    if exponent.any():
        # The remaining power of two, less than a limb, multiplies the numbers exactly.
        whole = -(-exponent // BITS)
        rest = np.diag(scale(np.ones(q + 1), np.r_[0, exponent - BITS * whole]))
        change = fixed(rest)
        scaled = change.times(scaled.times(change))
        units = limbs + np.r_[0, whole]
    return ExactSums(_trimmed(scaled.carried()), units)


def _limbs_above(magnitude: Array) -> IntArray:
    """Return l with ``magnitude < 2**(20 l - 1)``."""
    return np.where(magnitude > 0, -(-(exponents(magnitude) + 1) // BITS), EMPTY)


def _trimmed(number: Fixed) -> Fixed:
    """Leave out limbs of zeros at either end."""
    used = np.flatnonzero(number.digits.any(axis=(1, 2)))
    if not used.size:
        return Fixed(number.digits[:1], number.top)
    return Fixed(number.digits[used[0] : used[-1] + 1], number.top - int(used[0]))
