"""D'Agostino and Pearson's omnibus test of normal noise."""

from __future__ import annotations

import numpy as np
from scipy.stats import chi2, kurtosis, skew

from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined

_FEWEST = 8


def omnibus(fit: FitView) -> TestResult:
    """K² of the residuals' skewness and kurtosis, each made normal, χ² of 2 (D'Agostino and Pearson, 1973)."""
    if not fit.free > 0:
        return undefined("no more rows than coefficients")
    residuals = fit.repeated
    if residuals is None:
        return undefined("frequency weights are no integers, or too large to write the rows out")
    n = len(residuals)
    if n < _FEWEST:
        return undefined(f"fewer than {_FEWEST} rows")
    if residuals.max() == residuals.min():
        return undefined("the residuals are all equal")
    statistic = _normal_skewness(float(skew(residuals)), n) ** 2
    statistic += _normal_kurtosis(float(kurtosis(residuals, fisher=False)), n) ** 2
    return TestResult(statistic, 2.0, p_value=float(chi2.sf(statistic, 2)))


# SciPy's normaltest is these two; but it warns of fewer than twenty rows, and to silence a warning is to change a state
# that all threads share.


def _normal_skewness(skewness: float, n: int) -> float:
    """Return √b₁ of n normal numbers as a standard normal one (D'Agostino, 1970)."""
    y = skewness * np.sqrt((n + 1) * (n + 3) / (6.0 * (n - 2)))
    beta = 3.0 * (n**2 + 27 * n - 70) * (n + 1) * (n + 3) / ((n - 2.0) * (n + 5) * (n + 7) * (n + 9))
    w = np.sqrt(2.0 * (beta - 1.0)) - 1.0
    return float(np.arcsinh(y * np.sqrt((w - 1.0) / 2.0)) / np.sqrt(0.5 * np.log(w)))


def _normal_kurtosis(b: float, n: int) -> float:
    """Return b₂ of n normal numbers as a standard normal one (Anscombe and Glynn, 1983)."""
    mean = 3.0 * (n - 1) / (n + 1)
    variance = 24.0 * n * (n - 2) * (n - 3) / ((n + 1.0) ** 2 * (n + 3) * (n + 5))
    x = (b - mean) / np.sqrt(variance)
    third = (
        6.0 * (n**2 - 5 * n + 2) / ((n + 7.0) * (n + 9)) * np.sqrt(6.0 * (n + 3) * (n + 5) / (n * (n - 2.0) * (n - 3)))
    )
    a = 6.0 + 8.0 / third * (2.0 / third + np.sqrt(1.0 + 4.0 / third**2))
    root = np.cbrt((1.0 - 2.0 / a) / (1.0 + x * np.sqrt(2.0 / (a - 4.0))))
    return float((1.0 - 2.0 / (9.0 * a) - root) / np.sqrt(2.0 / (9.0 * a)))


OMNIBUS = Diagnostic(
    omnibus,
    asks="normal noise",
    small_p="the noise is skewed or heavy-tailed, by a test that is exact enough in small samples too",
)
