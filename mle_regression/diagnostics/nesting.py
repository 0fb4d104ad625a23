"""Whether two linear fits were made to the same rows, the columns of one among those of the other."""

from __future__ import annotations

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
    lengths = np.sqrt(np.diagonal(ours)[:-m]), np.sqrt(np.diagonal(theirs)[:-m])
    of_y = np.sqrt(np.diagonal(ours)[-m:])
    mean = scale(small.geometry.mean, small.geometry.exponent), scale(large.geometry.mean, large.geometry.exponent)
    matched: list[int] = []
    kept: list[int] = []
    missing = []
    for j, name in enumerate(small.features):
        near = np.abs(ours[j, -m:] - theirs[:p, -m:]) <= _SAME * lengths[0][j] * of_y
        like = near.all(axis=1) & np.isclose(lengths[1], lengths[0][j], rtol=_SAME, atol=0.0)
        if centred:
            spread = lengths[0][j] + np.abs(mean[0][j])
            like &= np.abs(mean[1] - mean[0][j]) <= _SAME * spread
        crossed = np.abs(ours[j, kept] - theirs[:p][:, matched]) <= _SAME * lengths[0][j] * lengths[0][kept]
        like &= crossed.all(axis=1)
        like[matched] = False
        found = np.flatnonzero(like).tolist()
        if not found:
            missing.append(j)
            continue
        matched.append(next((i for i in found if large.features[i] == name), found[0]))
        kept.append(j)
    return np.array(missing, dtype=np.int64)


def _cross_products(fit: FittedLinear, centred: bool) -> Array:
    """Cross-products (p + m, p + m) of [X | y] per unit of weight, about the means or about zero."""
    p = len(fit.features)
    gram = scale(fit.geometry.factor.T @ fit.geometry.factor, fit.geometry.exponent[:, None] + fit.geometry.exponent)
    gram = gram / fit.geometry.total
    # The normal equation: the cross-products with y are those with the fitted mean.
    with_y = gram @ fit.scaled_coef
    of_y = np.diag((fit.residual_squares + fit.explained) / fit.geometry.total)
    if fit.centred and not centred:
        mean = scale(fit.geometry.mean, fit.geometry.exponent)
        mean_of_y = scale(fit.intercept, -fit.output_exponent) + mean @ fit.scaled_coef
        gram = gram + np.outer(mean, mean)
        with_y = with_y + np.outer(mean, mean_of_y)
        of_y = of_y + np.diag(mean_of_y**2)
    with_y = scale(with_y, fit.output_exponent)
    table = np.zeros((p + len(of_y), p + len(of_y)))
    table[:p, :p], table[:p, p:], table[p:, :p] = gram, with_y, with_y.T
    table[p:, p:] = scale(of_y, 2 * fit.output_exponent)
    return table
