"""Whether penalties are usable: one for all outputs, or one for each."""

from __future__ import annotations

from typing import Any

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.validation.checks import check_non_negative


def check_penalties(alpha: Any) -> float | Array:
    """Return a penalty as a float, or penalties (m,) as an array; of one output's length, or of equal ones, a float too."""
    if isinstance(alpha, str):
        raise ValueError(
            f"alpha={alpha!r} must be a number, zero or more, one such for each output, or 'evidence' or 'loo', by which the "
            "data choose it."
        )
    if not hasattr(alpha, "__len__") or isinstance(alpha, bytes):
        return check_non_negative("alpha", alpha)
    given = np.asarray(alpha)
    if given.ndim != 1 or not given.size or given.dtype.kind not in "iuf":
        raise ValueError(
            f"alpha={alpha!r} must be a number, zero or more, or one such for each output, of shape (n_outputs,)."
        )
    penalties = given.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(penalties) & (penalties >= 0)))
    if wrong.size:
        raise ValueError(
            f"alpha[{wrong[0]}]={given[wrong[0]]} must be a finite number, zero or more; alpha has one for each output."
        )
    return float(penalties[0]) if len(penalties) == 1 else penalties


def penalties_of_outputs(alpha: float | Array | None, n_outputs: int) -> float | Array:
    """Return the penalty, zero for None, where one serves all outputs, else those of each (n_outputs,), as many as these."""
    if alpha is None or isinstance(alpha, float):
        return alpha or 0.0
    if len(alpha) != n_outputs:
        outputs = "one output" if n_outputs == 1 else f"{n_outputs} outputs"
        raise ValueError(
            f"alpha={np.array2string(alpha, threshold=6)} has {len(alpha)} penalties, and y has {outputs}: give one number "
            "for all, or one for each output."
        )
    return float(alpha[0]) if (alpha == alpha[0]).all() else alpha
