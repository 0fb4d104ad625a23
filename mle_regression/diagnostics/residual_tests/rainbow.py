"""Utts' rainbow test of a linear mean."""

from __future__ import annotations

import numpy as np
from scipy.stats import f as f_distribution

from mle_regression.diagnostics.covariance import leverage
from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined
from mle_regression.rows.registry import as_rows


def rainbow(fit: FitView) -> TestResult:
    """F of the whole fit against one to the central half of the rows, those of least leverage (Utts, 1982).

    A curved mean looks straight in the middle. Ties in leverage are broken by the order of the rows.
    """
    geometry = fit.linear_geometry
    rows = as_rows(fit.x, np.zeros((len(fit.residual), 0)))
    lever = rows.map(lambda block: leverage(geometry, block.x), dense=True)
    # What differs by rounding is a tie.
    order = np.argsort(np.round(lever / lever.max(initial=1e-300), 10), kind="stable")
    if fit.counts is None:
        size = len(order) // 2
    else:
        size = int(np.searchsorted(np.cumsum(fit.counts[order]), 0.5 * fit.n_rows, side="right"))
    central = fit.only(np.sort(order[:size]))
    whole = fit.regress_on_columns(fit.residual[:, None], weighted=True, constant=fit.centred)
    inner = central.regress_on_columns(central.residual[:, None], weighted=True, constant=fit.centred)
    dof = central.n_rows - inner.rank - int(fit.centred)
    added = fit.n_rows - central.n_rows
    if dof <= 0 or not inner.residual[0] > 0:
        return undefined("half of the rows are no more than the coefficients")
    statistic = float((whole.residual[0] - inner.residual[0]) / added / (inner.residual[0] / dof))
    return TestResult(statistic, added, dof, p_value=f_distribution.sf(statistic, added, dof))


RAINBOW = Diagnostic(
    rainbow,
    asks="a mean linear far from the centre",
    small_p="the line that fits the central rows does not fit the outer ones: look for curvature or outliers",
)
