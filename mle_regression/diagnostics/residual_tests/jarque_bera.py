"""Jarque–Bera test of normal noise."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2

from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined


def jarque_bera(fit: FitView) -> TestResult:
    """n/6 · (S² + (K − 3)²/4) of the residuals' skewness S and kurtosis K, χ² of 2 (Jarque and Bera, 1987)."""
    if not fit.free > 0:
        return undefined("no more rows than coefficients")
    weights = np.ones(len(fit.whitened)) if fit.counts is None else fit.counts
    centred = fit.whitened - np.average(fit.whitened, weights=weights)
    variance = np.average(centred**2, weights=weights)
    if not variance > 0:
        return undefined("the residuals are all equal")
    unit = centred / np.sqrt(variance)
    skewness, kurtosis = np.average(unit**3, weights=weights), np.average(unit**4, weights=weights)
    statistic = fit.n_rows / 6.0 * (skewness**2 + 0.25 * (kurtosis - 3.0) ** 2)
    return TestResult(statistic, 2.0, p_value=chi2.sf(statistic, 2))


JARQUE_BERA = Diagnostic(
    jarque_bera,
    asks="normal noise",
    small_p="the noise is skewed or heavy-tailed: in small samples p-values and intervals are off; look for outliers",
)
