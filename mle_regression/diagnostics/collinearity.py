"""How nearly the columns depend on each other, and which of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import EPS, Array
from mle_regression.linalg.information import InformationFactor, inverse_root, scaled_factor
from mle_regression.linalg.scaling import column_norms
from mle_regression.linalg.singular import of_easy_columns, values_of_easy_columns


def variance_inflation(information: InformationFactor) -> Array:
    """Variance inflation factors (p,), 1/(1 − R²) of each column on the others (Marquardt, 1970); ``inf`` if dependent.

    The square of a column's length times that of its row of the inverse's root; of lengths about the mean if there is an
    intercept.
    """
    first = int(information.centred)
    lengths = column_norms(information.factor) * column_norms(inverse_root(information)[first:].T)
    return np.where(information.estimable[first:] & (column_norms(information.factor) > 0), lengths**2, np.inf)


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Belsley, Kuh and Welsch's (1980) decomposition: columns of unit length, not centred, the intercept among them.

    Attributes
    ----------
    indices : Array of shape (k,)
        Condition indices μ₁/μⱼ, ascending; ``inf`` where the rank is deficient.
    proportions : Array of shape (k, c + p)
        Share of each coefficient's variance that goes with each index; columns add up to one.
    directions : Array of shape (k, c + p)
        The right singular vectors, of columns of unit length.
    """

    indices: Array
    proportions: Array
    directions: Array


def decompose_variances(information: InformationFactor) -> Decomposition:
    """Decompose the variance of each coefficient over the singular values of [1 | X]."""
    factor = _unit_columns(information)
    k = factor.shape[1]
    values, right_t = of_easy_columns(factor) or np.linalg.svd(factor, full_matrices=True)[1:]
    values = np.concatenate([values, np.zeros(k - len(values))]) if len(values) < k else values
    values[information.rank :] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(values[:, None] > 0, right_t**2 / values[:, None] ** 2, 0.0)
        # Undetermined directions hold all of the variance.
        null = np.where(values[:, None] > 0, 0.0, np.where(np.abs(right_t) > np.sqrt(EPS), right_t**2, 0.0))
        undetermined = null.sum(axis=0) > 0
        share[:, undetermined] = null[:, undetermined]
        proportions = share / share.sum(axis=0)
        indices = np.where(values > 0, values.max(initial=0.0) / values, np.inf)
    return Decomposition(indices, proportions, right_t)


def scaled_condition(information: InformationFactor) -> float:
    """Condition number of [1 | X] with columns of unit length, the largest condition index; ``inf`` if dependent."""
    if information.rank < information.size:
        return float(np.inf)
    factor = _unit_columns(information)
    easy = values_of_easy_columns(factor)
    values = np.linalg.svd(factor, compute_uv=False) if easy is None else easy
    return float(values[0] / values[-1]) if values.size else 1.0


def _unit_columns(information: InformationFactor) -> Array:
    """Return a factor of [1 | X] with columns of unit length."""
    factor = scaled_factor(information)
    lengths = column_norms(factor)
    return np.asarray(factor / np.where(lengths > 0, lengths, 1.0))
