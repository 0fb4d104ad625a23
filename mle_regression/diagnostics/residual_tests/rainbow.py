"""Utts' rainbow test of a linear mean."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
from scipy.stats import f as f_distribution

from mle_regression.diagnostics.covariance import leverage_of_block
from mle_regression.diagnostics.residual_tests.base import Diagnostic, FitView, TestResult, undefined
from mle_regression.linalg.arrays import TINY
from mle_regression.rows.registry import as_rows

# Leverages, relative to the largest, are rounded to this many decimals, so that rounding makes no order.
_DIGITS = 10


def rainbow(fit: FitView) -> TestResult:
    """F of the whole fit against one to the central half of the rows, those of least leverage (Utts, 1982).

    A curved mean looks straight in the middle. Ties in leverage are broken by the order of the rows.
    """
    if not fit.free > 0:
        return undefined("no more rows than coefficients")
    information = fit.linear_information
    rows = as_rows(fit.x, np.zeros((len(fit.residual), 0)))
    leverages = rows.map(partial(leverage_of_block, information), dense=True)
    # Differences of rounding are ties.
    order = np.argsort(np.round(leverages / leverages.max(initial=TINY), _DIGITS), kind="stable")
    counts = np.ones(len(order)) if fit.counts is None else fit.counts
    # As many as half of the observations; a row that stands for several may be halved itself.
    before = np.empty(len(order))
    before[order] = np.cumsum(counts[order]) - counts[order]
    inside = np.clip(np.floor(fit.n_rows / 2) - before, 0.0, counts)
    pick = np.flatnonzero(inside > 0)
    if not pick.size:
        return undefined("fewer than two rows")
    central = fit.only(pick)
    if fit.counts is not None:
        central = replace(central, counts=inside[pick])
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
