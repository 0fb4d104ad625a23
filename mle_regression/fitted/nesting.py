"""Whether two linear fits were made to the same rows, the columns of one among those of the other."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.fitted.linear import INTERCEPT, LinearFit
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import scale

# Cross-products of the same columns, summed in different orders, agree to this part of the columns' lengths.
_SAME_COSINE = 1e-7
# Eigenvalues of cosines below this, times their number, are those of dependent columns.
_DEPENDENT = 1e-13


def total_weight(fit: LinearFit) -> float:
    """Sum of the weights."""
    return float(scale(fit.information.total, 2 * fit.weight_exponent))


def total_squares(fit: LinearFit) -> Array:
    """Σ w y² (m,) about zero: what is left and what is explained, the mean included."""
    mean = scale(fit.intercept, -fit.output_exponent)
    if fit.centred:
        mean = mean + scale(fit.information.mean, fit.information.exponent) @ fit.scaled_coef
    about_mean = fit.residual_squares + fit.explained
    squares = about_mean + (fit.information.total * mean**2 if fit.centred else 0.0)
    return scale(squares, 2 * fit.output_exponent + 2 * fit.weight_exponent)


def unmatched_columns(small: LinearFit, large: LinearFit) -> tuple[str, ...]:
    """Name the columns of ``small`` that are none of ``large``, by their cross-products with each other and with y.

    Columns are matched one by one: to one, or a multiple of one, whose cosines with y and with the columns matched before are
    the same; of several such to one of the same name or, failing that, of the same length and mean. An intercept is a column
    of ones. Where the columns matched span all columns of ``small``, the others are none of their own, and not named.
    """
    centred = small.centred and large.centred
    ours, theirs = _columns(small, centred), _columns(large, centred)
    m, p = small.coef.shape[1], len(theirs.names)
    matched: list[int] = []
    kept: list[int] = []
    signs: list[float] = []
    missing = []
    for j, name in enumerate(ours.names):
        alike = np.isclose(theirs.log_length[:p], ours.log_length[j], rtol=0.0, atol=_SAME_COSINE)
        alike &= np.abs(theirs.mean[:p] - ours.mean[j]) <= _SAME_COSINE * (1.0 + np.abs(ours.mean[j]))
        found: list[tuple[int, float]] = []
        for sign in (1.0, -1.0):
            with_y, with_kept = sign * ours.cosines[j, -m:], sign * np.array(signs) * ours.cosines[j, kept]
            like = np.isfinite(theirs.log_length[:p]) & np.isfinite(ours.log_length[j])
            like &= (np.abs(with_y - theirs.cosines[:p, -m:]) <= _SAME_COSINE).all(axis=1)
            like &= (np.abs(with_kept - theirs.cosines[:p, matched]) <= _SAME_COSINE).all(axis=1)
            like[matched] = False
            found += [(i, sign) for i in np.flatnonzero(like).tolist()]
        found.sort(key=lambda pair: (theirs.names[pair[0]] != name, not (alike[pair[0]] and pair[1] > 0)))
        if not found:
            missing.append(name)
            continue
        place, sign = found[0]
        matched.append(place)
        kept.append(j)
        signs.append(sign)
    inside = np.linalg.eigvalsh(ours.cosines[np.ix_(kept, kept)]) if kept else np.zeros(0)
    spanned = int(np.sum(inside > _DEPENDENT * len(kept))) + int(centred) >= small.information.rank
    return () if spanned else tuple(missing)


@dataclass(frozen=True, slots=True)
class _Columns:
    """Columns of [X | y], and of [1 | X | y] where an intercept is told by its cross-products, as q columns.

    Attributes
    ----------
    names : tuple of str
        Of those before y.
    log_length : Array of shape (q,)
        log₂ of their lengths.
    mean : Array of shape (q,)
        Means over lengths.
    cosines : Array of shape (q, q)
        Between them.
    """

    names: tuple[str, ...]
    log_length: Array
    mean: Array
    cosines: Array


def _columns(fit: LinearFit, centred: bool) -> _Columns:
    """Describe the columns by their cross-products, about the means or about zero, whatever their units."""
    p, exponent = len(fit.features), fit.information.exponent
    gram = fit.information.factor.T @ fit.information.factor
    # The normal equation: the cross-products with y are those with the fitted mean.
    coef = scale(fit.scaled_coef, exponent[:, None])
    table = np.block([[gram, gram @ coef], [(gram @ coef).T, np.diag(fit.residual_squares + fit.explained)]])
    mean = np.concatenate([fit.information.mean, np.zeros(coef.shape[1])])
    shift = np.concatenate([exponent, fit.output_exponent])
    if fit.centred:
        mean[p:] = scale(fit.intercept, -fit.output_exponent) + fit.information.mean @ coef
    names = fit.features
    if fit.centred and not centred:
        about_means, of_one = table, np.r_[1.0, mean]
        table = fit.information.total * np.outer(of_one, of_one)
        table[1:, 1:] += about_means
        names, shift = (INTERCEPT, *names), np.r_[0, shift]
    length = np.sqrt(np.maximum(np.diagonal(table), 0.0))
    unit = np.where(length > 0, length, 1.0)
    with np.errstate(divide="ignore"):
        weight = np.log2(fit.information.total) / 2
        log_length = np.where(length > 0, np.log2(unit) + shift - weight, -np.inf)
    far = mean / unit * np.sqrt(fit.information.total) if centred else np.zeros(len(table))
    return _Columns(names, log_length, far, table / np.outer(unit, unit))
