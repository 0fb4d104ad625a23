"""Whether the rows of two estimators can be added up."""

from __future__ import annotations

from typing import Any

import numpy as np

from mle_regression.validation import checks


def check_mergeable(one: Any, other: Any) -> None:
    """Raise unless both have seen partial_fit, with the same columns, outputs and options."""
    for who, estimator in (("this", one), ("the other", other)):
        if "_sums" not in estimator.__dict__:
            raise ValueError(f"merge adds up what partial_fit has kept, and {who} estimator has not seen partial_fit.")
    mine, theirs = checks.feature_names(one), checks.feature_names(other)
    if mine != theirs:
        raise ValueError(f"The estimators were fitted to other columns: {mine[:8]} and {theirs[:8]}.")
    for name in ("alpha", "fit_intercept", "weight_type"):
        if not np.array_equal(getattr(one, name), getattr(other, name)):
            raise ValueError(
                f"{name} is {getattr(one, name)!r} here and {getattr(other, name)!r} there; set one first."
            )
    kinds = [(sums.n_outputs, sums.single_output) for sums in (one._sums, other._sums)]
    if kinds[0] != kinds[1]:
        here, there = ("one dimension" if single else f"{count} columns" for count, single in kinds)
        raise ValueError(f"y has {here} here and {there} there; give all batches the same outputs.")
