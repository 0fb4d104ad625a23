"""How well a fitted model foretells rows: its errors, its intervals, and the density it gives them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

from mle_regression.linalg.arrays import AnyArray, Array, BoolArray
from mle_regression.mlp import MLPGradientRegressor

COVERAGE = 0.9


@dataclass(frozen=True, slots=True)
class Judgement:
    """How well m outputs of rows are foretold.

    ``residual`` (n, m), in units of the largest |y|; ``rmse``, ``mean_error`` (m,): root mean square and mean absolute error;
    ``r2`` (m,): beside the mean of these rows; ``covered`` (m,): share of the rows inside of their interval of `COVERAGE`;
    ``log_density`` (m,): mean of a row. The last two are of rows that have an interval; ``unknown`` (m,) have
    none.
    """

    residual: Array
    rmse: Array
    mean_error: Array
    r2: Array
    covered: Array
    log_density: Array
    unknown: Array


def judge(model: Any, x: Any, y: Array, weights: Array | None = None) -> Judgement:
    """Judge a model of this package on rows as they reach it.

    Parameters
    ----------
    model : fitted MLELinearRegressor or MLPGradientRegressor
    x : array-like of shape (n, p)
    y : Array of shape (n,) or (n, m)
    weights : Array of shape (n,), default=None
        Of the model's ``weight_type``; errors are averaged with them.
    """
    predicted = np.asarray(model.predict(x), dtype=np.float64)
    lower, upper = model.predict_interval(x, COVERAGE, sample_weight=weights)
    density = _log_density(model, x, y, weights)
    truth, mean, lower, upper = (_columns(values, len(y)) for values in (y, predicted, lower, upper))
    known = np.isfinite(lower) & np.isfinite(upper)
    unit = np.abs(truth).max(axis=0, initial=0.0)
    unit[unit == 0] = 1.0
    truth, mean, lower, upper = (values / unit for values in (truth, mean, lower, upper))  # so that no square overflows
    residual = truth - mean
    centre = np.average(truth, axis=0, weights=weights)
    squares = np.average(residual**2, axis=0, weights=weights)
    spread = np.average((truth - centre) ** 2, axis=0, weights=weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        r2 = 1.0 - squares / spread
    return Judgement(
        residual,
        np.sqrt(squares) * unit,
        np.average(np.abs(residual), axis=0, weights=weights) * unit,
        r2,
        _mean_of_known((lower <= truth) & (truth <= upper), known),
        _mean_of_known(_columns(density, len(y)), known[:, :1] if np.ndim(density) == 1 else known),
        (~known).sum(axis=0).astype(np.float64),
    )


def _log_density(model: Any, x: Any, y: Array, weights: Array | None) -> Array:
    """Log density of each row, with the uncertainty of the fit: (n,), or (n, m) by output."""
    if not model._fit.likelihood.noise.sums_suffice:
        return np.asarray(model.log_likelihood(x, y, weights, pointwise=True))
    if isinstance(model, MLPGradientRegressor) and y.ndim == 1:
        return np.asarray(model.log_predictive_density(x, y, pointwise=True, sample_weight=weights))
    mean, deviation = model.predict(x, return_std=True, sample_weight=weights)
    with np.errstate(divide="ignore", invalid="ignore"):
        units = (y - mean) / deviation
        if isinstance(model, MLPGradientRegressor):
            return np.asarray(norm.logpdf(units) - np.log(deviation))
        return np.asarray(student_t.logpdf(units, model.residual_dof_) - np.log(deviation))


def _columns(values: Any, n: int) -> Array:
    return np.asarray(values, dtype=np.float64).reshape(n, -1)


def _mean_of_known(values: AnyArray, known: BoolArray) -> Array:
    with np.errstate(invalid="ignore"):
        counts = known.sum(axis=0)
        total = np.where(known, values, 0.0).sum(axis=0)
        return np.where(counts > 0, total / np.maximum(counts, 1), np.nan)
