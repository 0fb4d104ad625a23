"""Linear hypotheses as users give them, and results as they read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from mle_regression.diagnostics.hypotheses import FTest
from mle_regression.fitted.linear import LinearFit
from mle_regression.linalg.arrays import Array
from mle_regression.reports.linear.hypotheses import HypothesisTest, describe_hypotheses, parse_hypotheses
from mle_regression.warnings import InferenceWarning, warn_user

_LARGEST_NUMBER = 1e150


def as_restriction(restriction: Any, value: Any, names: list[str], n_outputs: int) -> tuple[Array, Array, str]:
    """Check R and q, in words or numbers; return R (q, k), q (q, 1) or (q, m), and the hypothesis in words."""
    if isinstance(restriction, str) or (
        isinstance(restriction, (list, tuple)) and restriction and all(isinstance(item, str) for item in restriction)
    ):
        if value is not None:
            raise ValueError("q goes with a matrix R; in words, write the right-hand side into the equation.")
        table, right = parse_hypotheses(restriction, names)
        _check_finite(table, right)
        return table, right[:, None], describe_hypotheses(table, right, names)
    if isinstance(restriction, pd.DataFrame):
        given = [str(label) for label in restriction.columns]
        if sorted(given) != sorted(names) or len(set(given)) < len(given):
            raise ValueError(f"The columns of R must be the parameters: {', '.join(names)}.")
        restriction = restriction.iloc[:, [given.index(name) for name in names]]
    table = np.atleast_2d(np.asarray(restriction, dtype=np.float64))
    if table.ndim != 2 or table.shape[1] != len(names):
        raise ValueError(
            f"R has shape {table.shape}; its columns must be the {len(names)} parameters: {', '.join(names)}."
        )
    right = np.zeros(len(table)) if value is None else np.atleast_1d(np.asarray(value, dtype=np.float64))
    if right.shape not in ((len(table),), (len(table), n_outputs), (1,)):
        raise ValueError(f"q has shape {right.shape}; R calls for ({len(table)},).")
    right = np.broadcast_to(right, (len(table),)) if right.ndim == 1 else right
    _check_finite(table, right)
    if not table.size or not table.any(axis=1).all():
        raise ValueError("R has a row of zeros, which is no hypothesis.")
    if right.ndim == 1:
        return table, right[:, None], describe_hypotheses(table, right, names)
    return table, right, "R @ parameters = q"


def _check_finite(table: Array, right: Array) -> None:
    largest = max(np.abs(table).max(initial=0.0), np.abs(right).max(initial=0.0))
    if not largest < _LARGEST_NUMBER:
        raise ValueError("R and q must be finite, and not so large that their squares are not.")


def as_hypothesis_test(fit: LinearFit, test: FTest, hypothesis: str, notes: Sequence[str] = ()) -> HypothesisTest:
    """Return the result as floats where y had one dimension; warn where it is NaN. ``notes`` go with it."""
    if np.isnan(test.p_value).any():
        reason = test.reason
        if fit.noise_free.any():
            reason = "the fit is exact, there is no noise to test against"
        elif not (test.df_denom > 0 or reason):
            reason = "there are no residual degrees of freedom"
        elif not test.df_num:
            reason = "there is no coefficient to test"
        warn_user(f"The test of {hypothesis} is NaN: {reason or 'y does not vary'}.", InferenceWarning)
    return HypothesisTest(
        fit.of_output(test.statistic),
        float(test.df_num),
        float(test.df_denom),
        fit.of_output(test.p_value),
        hypothesis,
        "; ".join(filter(None, [*notes, test.note])),
        fit.outputs,
    )
