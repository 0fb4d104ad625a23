"""Warnings that the estimators give; silence one kind without the others by its class."""

from __future__ import annotations


class RankDeficiencyWarning(UserWarning):
    """The data do not determine all coefficients."""


class NoiseFreeWarning(UserWarning):
    """The fit is exact to rounding, so that the likelihood has no finite maximum."""


class InferenceWarning(UserWarning):
    """Some statistic is not defined for this fit or these rows, and is given as NaN."""
