"""White's test of equal variance."""

from __future__ import annotations

from functools import partial

import numpy as np

from mle_regression.diagnostics.residual_tests.base import (
    Diagnostic,
    FitView,
    TestResult,
    explained_variance,
    standardized,
    undefined,
)
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.information import InformationFactor
from mle_regression.rows.base import Block

# Most products of pairs of columns; more would take minutes and gigabytes.
_MOST_PRODUCTS = 4000


def white(fit: FitView) -> TestResult:
    """n·R² of the squared residuals on columns, their squares and products, χ² of their rank (White, 1980).

    Products are taken of standardised columns: with a constant beside them they span the same space, far from dependent.
    """
    if not fit.free > 0:
        return undefined("no more rows than coefficients")
    p = fit.n_features
    products = p * (p + 1) // 2
    if products > _MOST_PRODUCTS:
        return undefined(f"{p} columns have {products} products; breusch_pagan looks at the columns themselves")
    auxiliary = fit.regress_on_columns(fit.unit_squares, partial(_products, fit.information), products)
    return explained_variance(fit, auxiliary)


def _products(information: InformationFactor, block: Block) -> Array:
    """Squares and products (b, p(p + 1)/2) of the standardised columns."""
    z = standardized(information, block.x)
    first, second = np.triu_indices(z.shape[1])
    return np.asarray(z[:, first] * z[:, second])


WHITE = Diagnostic(
    white,
    asks="equal variance, no curvature in it",
    small_p='the noise depends on the columns in some way: use coefficients(cov="HC3")',
)
