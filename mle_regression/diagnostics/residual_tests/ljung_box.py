"""Ljung–Box test of uncorrelated noise, up to some lags."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined

# Most lags, and least rows for each (Hyndman and Athanasopoulos, 2021, section 5.4).
_MOST_LAGS, _ROWS_PER_LAG = 10, 5


def ljung_box(fit: FitView) -> TestResult:
    """n(n + 2) Σ ρₗ²/(n − l) over the first min(10, n/5) autocorrelations of the residuals, χ² (Ljung and Box, 1978)."""
    if not fit.free > 0:
        return undefined("no more rows than coefficients")
    n = len(fit.whitened)
    lags = min(_MOST_LAGS, n // _ROWS_PER_LAG)
    u = fit.whitened - fit.whitened.mean()
    squares = float(u @ u)
    if lags < 1 or not squares > 0:
        return undefined("fewer than five rows, or no residuals")
    correlations = np.array([u[lag:] @ u[:-lag] for lag in range(1, lags + 1)]) / squares
    statistic = n * (n + 2.0) * float(np.sum(correlations**2 / (n - np.arange(1, lags + 1))))
    return TestResult(statistic, float(lags), p_value=chi2.sf(statistic, lags))


LJUNG_BOX = Diagnostic(
    ljung_box,
    asks="noise uncorrelated over several rows",
    small_p='errors return after some rows: use coefficients(cov={"HAC": lags}), or model the season',
    ordered=True,
)
