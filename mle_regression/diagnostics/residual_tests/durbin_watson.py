"""Durbin–Watson test of uncorrelated noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from scipy.stats import norm

from mle_regression.diagnostics.covariance import whiten
from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined
from mle_regression.linalg.arrays import Array
from mle_regression.rows.base import as_dense

_BLOCK = 1 << 18


def durbin_watson(fit: FitView) -> TestResult:
    """Σ(uₜ − uₜ₋₁)²/Σu², with a two-sided p from its exact mean and variance (Durbin and Watson, 1951, 1971).

    With A the matrix of that quadratic form and Q an orthonormal basis of the columns, the statistic has mean tr(MA)/ν
    and variance 2(tr(MA)² − ν mean²)/(ν(ν + 2)), M = I − QQᵀ and ν = tr M. Both traces need QᵀAQ and QᵀA²Q only, which
    are sums over neighbouring rows.
    """
    if not fit.free > 0:
        return undefined("no more rows than coefficients")
    u = fit.whitened
    n = len(u)
    squares = float(u @ u)
    if n < 3 or not squares > 0:
        return undefined("fewer than three rows, or no residuals")
    statistic = float(np.sum(np.diff(u) ** 2) / squares)
    first, second = _traces(fit)
    dof = n - fit.linear_information.rank
    if dof <= 0:
        return undefined("no more rows than coefficients")
    mean = (2.0 * (n - 1) - np.trace(first)) / dof
    trace_of_square = 2.0 * (3 * n - 4) - 2.0 * np.trace(second) + np.sum(first**2)
    variance = 2.0 * (trace_of_square - dof * mean**2) / (dof * (dof + 2.0))
    if not variance > 0:
        return TestResult(statistic, note="too few rows for its distribution")
    return TestResult(statistic, p_value=2.0 * norm.sf(abs(statistic - mean) / np.sqrt(variance)))


def _traces(fit: FitView) -> tuple[Array, Array]:
    """Return QᵀAQ and QᵀA²Q, (r, r) each."""
    r = whiten(fit.linear_information, as_dense(fit.x, slice(0, 1))).shape[1]
    first, second = np.zeros((r, r)), np.zeros((r, r))
    for q, begins, ends in _windows(fit):
        steps = np.diff(q, axis=0)
        # A q is minus the second difference; beyond either end of the rows there is no step.
        inner = np.vstack([steps, np.zeros((1, r))] if ends else [steps])
        before = np.vstack([np.zeros((1, r)), steps] if begins else [steps])
        curved = (inner if begins else inner[1:]) - (before if ends else before[:-1])
        counted = steps if begins else steps[1:]
        first += counted.T @ counted
        second += curved.T @ curved
    return first, second


def _windows(fit: FitView) -> Iterator[tuple[Array, bool, bool]]:
    """Yield Q block by block, with the row before and the row after, and whether it begins and ends all rows."""
    n = len(fit.residual)
    step = max(2, _BLOCK // (fit.n_features + 1))
    for start in range(0, n, step):
        stop = min(n, start + step)
        window = slice(max(0, start - 1), min(n, stop + 1))
        q = whiten(fit.linear_information, as_dense(fit.x, window))
        if fit.precision is not None:
            q *= np.sqrt(fit.precision[window])[:, None]
        yield q, start == 0, stop == n


DURBIN_WATSON = Diagnostic(
    durbin_watson,
    asks="noise uncorrelated from row to row",
    small_p='neighbouring rows err together (below 2) or in turn (above 2): use coefficients(cov={"HAC": lags})',
    ordered=True,
)
