"""How sure the coefficients and predictions of a linear fit are."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.geometry import Geometry, inverse_root
from mle_regression.linalg.scaling import column_norms, scale

# Part of a row outside the row space, relative to its length, from which a prediction is not determined.
_OUTSIDE = 1e-7
_BLOCK = 1 << 18


def effective_parameters(geometry: Geometry) -> float:
    """Effective degrees of freedom tr(XᵀWX (XᵀWX + αI₀)⁻¹); the rank where there is no penalty (Hoerl and Kennard, 1970)."""
    if not geometry.alpha:
        return float(geometry.rank)
    root = scale(inverse_root(geometry)[int(geometry.centred) :], -geometry.exponent[:, None])
    return geometry.size - geometry.alpha * float(np.sum(root**2))


def standard_errors(geometry: Geometry, residual_scale: Array, output_exponent: IntArray) -> Array:
    """Return standard errors (c + p, m) of (intercept, coef): s times the length of a row of the inverse's root.

    Parameters
    ----------
    geometry : Geometry
    residual_scale : Array of shape (m,)
        Residual standard deviation s of each output, divided by ``2**output_exponent``; NaN without degrees of freedom.
    output_exponent : IntArray of shape (m,)

    Returns
    -------
    Array of shape (c + p, m)
        NaN where the data do not determine a coefficient.
    """
    exponent = np.r_[np.zeros(int(geometry.centred), dtype=np.int64), geometry.exponent]
    lengths = column_norms(inverse_root(geometry).T)
    lengths = np.where(geometry.estimable, lengths, np.nan)
    return scale(lengths[:, None] * residual_scale, output_exponent - exponent[:, None])


def leverage_of_rows(geometry: Geometry, x: Any) -> Array:
    """Return the `leverage` of each row of x (n, p), dense or sparse, a block of rows at a time."""
    step = max(1, _BLOCK // max(1, x.shape[1]))
    parts = []
    for start in range(0, x.shape[0], step):
        rows = x[start : start + step]
        parts.append(leverage(geometry, np.asarray(rows.toarray() if sp.issparse(rows) else rows, dtype=np.float64)))
    return np.concatenate(parts)


def leverage(geometry: Geometry, x: Array) -> Array:
    """Return xᵀ(XᵀWX + αI₀)⁻¹x, intercept included, for each row of x (b, p): the variance of its mean in units of σ².

    NaN where the rank is deficient and the data say nothing about the mean at x, which then lies outside the row space.
    """
    centred = scale(x, -geometry.exponent) - geometry.mean
    spread = centred @ inverse_root(geometry)[int(geometry.centred) :]
    base = 1.0 / geometry.total if geometry.centred else 0.0
    lever: Array = base + np.einsum("ij,ij->i", spread, spread)
    if geometry.rank < geometry.size:
        basis = np.linalg.qr(geometry.factor.T)[0]
        outside = np.linalg.norm(centred - (centred @ basis) @ basis.T, axis=1)
        lever[outside > _OUTSIDE * np.linalg.norm(centred, axis=1)] = np.nan
    return lever
