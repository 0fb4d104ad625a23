"""Whether two linear fits were made to the same rows, the columns of one among those of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.diagnostics.fitted import FittedLinear
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.scaling import scale

# Cross-products of the same columns, summed in different orders, agree to this part of the columns' lengths.
_SAME = 1e-7


def total_weight(fit: FittedLinear) -> float:
    """Sum of the weights."""
    return float(scale(fit.geometry.total, 2 * fit.weight_exponent))


def total_squares(fit: FittedLinear) -> Array:
    """Σ w y² (m,) about zero: what is left and what is explained, the mean included."""
    mean = scale(fit.intercept, -fit.output_exponent)
    if fit.centred:
        mean = mean + scale(fit.geometry.mean, fit.geometry.exponent) @ fit.scaled_coef
    about_mean = fit.residual_squares + fit.explained
    squares = about_mean + (fit.geometry.total * mean**2 if fit.centred else 0.0)
    return scale(squares, 2 * fit.output_exponent + 2 * fit.weight_exponent)


def unmatched_columns(small: FittedLinear, large: FittedLinear) -> IntArray:
    """Return which columns of ``small`` are none of ``large``, by their cross-products with each other and with y.

    Columns are matched one by one: to one of the same mean and length whose cross-products with y, and with the columns
    matched before, are the same too; to one of the same name, if it is such a one.
    """
    centred = small.centred and large.centred
    ours, theirs = _cross_products(small, centred), _cross_products(large, centred)
    m, p = small.coef.shape[1], len(large.features)
    matched: list[int] = []
    kept: list[int] = []
    missing = []
    for j, name in enumerate(small.features):
        like = np.isclose(theirs.log_length[:p], ours.log_length[j], rtol=0.0, atol=_SAME)
        like &= np.abs(theirs.mean[:p] - ours.mean[j]) <= _SAME * (1.0 + np.abs(ours.mean[j]))
        like &= (np.abs(ours.cosines[j, -m:] - theirs.cosines[:p, -m:]) <= _SAME).all(axis=1)
        like &= (np.abs(ours.cosines[j, kept] - theirs.cosines[:p][:, matched]) <= _SAME).all(axis=1)
        like[matched] = False
        found = np.flatnonzero(like).tolist()
        if not found:
            missing.append(j)
            continue
        matched.append(next((i for i in found if large.features[i] == name), found[0]))
        kept.append(j)
    return np.array(missing, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Columns of [X | y]: log₂ of their lengths (q,), means over lengths (q,), and the cosines (q, q) between them."""

    log_length: Array
    mean: Array
    cosines: Array


def _cross_products(fit: FittedLinear, centred: bool) -> _Columns:
    """Describe the columns of [X | y] by their cross-products, about the means or about zero, whatever their units."""
    p, exponent = len(fit.features), fit.geometry.exponent
    gram = fit.geometry.factor.T @ fit.geometry.factor
    # The normal equation: the cross-products with y are those with the fitted mean.
    coef = scale(fit.scaled_coef, exponent[:, None])
    table = np.block([[gram, gram @ coef], [(gram @ coef).T, np.diag(fit.residual_squares + fit.explained)]])
    mean = np.concatenate([fit.geometry.mean, np.zeros(coef.shape[1])])
    if fit.centred:
        mean[p:] = scale(fit.intercept, -fit.output_exponent) + fit.geometry.mean @ coef
    if fit.centred and not centred:
        table = table + fit.geometry.total * np.outer(mean, mean)
    length = np.sqrt(np.maximum(np.diagonal(table), 0.0))
    unit = np.where(length > 0, length, 1.0)
    shift = np.concatenate([exponent, fit.output_exponent])
    with np.errstate(divide="ignore"):
        weight = np.log2(fit.geometry.total) / 2
        log_length = np.where(length > 0, np.log2(unit) + shift - weight, -np.inf)
    far = mean / unit * np.sqrt(fit.geometry.total) if centred else np.zeros_like(mean)
    return _Columns(log_length, far, table / np.outer(unit, unit))
