"""Linear hypotheses as users give them, and results as they read them."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from mle_regression.diagnostics.fitted import FittedLinear
from mle_regression.diagnostics.hypotheses import FTest
from mle_regression.linalg.arrays import Array
from mle_regression.reports.hypotheses import HypothesisTest, describe_hypotheses, parse_hypotheses
from mle_regression.warnings import InferenceWarning


def as_restriction(restriction: Any, value: Any, names: list[str], n_outputs: int) -> tuple[Array, Array, str]:
    """Check R and q, in words or numbers; return R (q, k), q (q, 1) or (q, m), and the hypothesis in words."""
    if isinstance(restriction, str) or (
        isinstance(restriction, (list, tuple)) and restriction and all(isinstance(item, str) for item in restriction)
    ):
        if value is not None:
            raise ValueError("q goes with a matrix R; in words, write the right-hand side into the equation.")
        table, right = parse_hypotheses(restriction, names)
        return table, right[:, None], describe_hypotheses(table, right, names)
    table = np.atleast_2d(np.asarray(restriction, dtype=np.float64))
    if table.ndim != 2 or table.shape[1] != len(names):
        raise ValueError(
            f"R has shape {table.shape}; its columns must be the {len(names)} parameters: {', '.join(names)}."
        )
    right = np.zeros(len(table)) if value is None else np.atleast_1d(np.asarray(value, dtype=np.float64))
    if right.shape not in ((len(table),), (len(table), n_outputs), (1,)):
        raise ValueError(f"q has shape {right.shape}; R calls for ({len(table)},).")
    right = np.broadcast_to(right, (len(table),)) if right.ndim == 1 else right
    if not (np.isfinite(table).all() and np.isfinite(right).all()):
        raise ValueError("R and q must be finite.")
    if not table.size or not table.any(axis=1).all():
        raise ValueError("R has a row of zeros, which is no hypothesis.")
    if right.ndim == 1:
        return table, right[:, None], describe_hypotheses(table, right, names)
    return table, right, "R @ parameters = q"


def told(fit: FittedLinear, test: FTest, hypothesis: str) -> HypothesisTest:
    """Return the result as floats where y had one dimension; warn where it is NaN."""
    if np.isnan(test.p_value).any():
        reason = "there are no residual degrees of freedom" if not test.df_denom > 0 else "the data do not determine it"
        if test.df_denom > 0 and not test.df_num:
            reason = "there is no coefficient to test"
        elif fit.noise_free:
            reason = "the fit is exact, there is no noise to test against"
        warnings.warn(f"The test of {hypothesis} is NaN: {reason}.", InferenceWarning, stacklevel=3)
    return HypothesisTest(
        fit.of_output(test.statistic), float(test.df_num), float(test.df_denom), fit.of_output(test.p_value), hypothesis
    )
