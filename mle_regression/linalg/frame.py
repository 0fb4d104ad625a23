"""The coordinates in which rows are summed: columns divided by powers of two, then shifted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, IntArray
from mle_regression.linalg.scaling import exponents, scale

# A column whose mean is beyond this many standard deviations loses more than two of its sixteen digits when
# squared without a shift; below it, the rank-one correction for the mean is exact enough.
_SHIFT_BEYOND = 8.0
# Columns with magnitudes inside this range can be squared and summed without leaving float64.
_SAFE_EXPONENT = 250


@dataclass(frozen=True, slots=True)
class Frame:
    """Coordinates ``column * 2**-exponent - shift`` for the q columns of [X | y].

    Attributes
    ----------
    exponent : IntArray of shape (q,)
    shift : Array of shape (q,)
        In scaled units; all zero where no intercept takes the shift up.
    """

    exponent: IntArray
    shift: Array

    @property
    def is_identity(self) -> bool:
        """Whether rows can be used where they lie, without a copy."""
        return not (np.count_nonzero(self.exponent) or np.count_nonzero(self.shift))

    def apply(self, x: AnyArray, y: Array, sqrt_weights: Array | None, *, out: Array | None = None) -> Array:
        """Return the block [X | y] of shape (b, q) in these coordinates, each row times its ``sqrt_weights``."""
        p = x.shape[1]
        z = np.empty((x.shape[0], self.exponent.size)) if out is None else out
        z[:, :p], z[:, p:] = x, y
        if self.exponent.any():
            z[...] = scale(z, -self.exponent)
        if self.shift.any():
            z -= self.shift
        if sqrt_weights is not None:
            z *= sqrt_weights[:, None]
        return z


def safe_exponents(magnitude: Array) -> IntArray:
    """Exponents of columns with these magnitudes (q,), zero where they can be squared and summed as they are."""
    exponent = exponents(magnitude)
    exponent[np.abs(exponent) <= _SAFE_EXPONENT] = 0
    return exponent


def choose_frame(sample: Array, shifted: bool) -> Frame:
    """Choose coordinates from a few rows (b, q) of [X | y]; what the sample misses shows in the sums afterwards."""
    with np.errstate(invalid="ignore", over="ignore"):
        exponent = safe_exponents(np.abs(sample).max(axis=0))
        scaled = scale(sample, -exponent) if exponent.any() else sample
        shift = np.zeros(sample.shape[1])
        if shifted:
            mean = scaled.sum(axis=0) / len(scaled)
            variance = np.einsum("ij,ij->j", scaled, scaled) / len(scaled) - mean**2
            far = (mean**2 > _SHIFT_BEYOND**2 * variance) & np.isfinite(mean)
            # A constant column is shifted by its exact value.
            if far.any():
                shift[far] = np.where((scaled[:, far] == scaled[0, far]).all(axis=0), scaled[0, far], mean[far])
    return Frame(exponent, shift)
