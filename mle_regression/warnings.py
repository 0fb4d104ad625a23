"""Warnings that the estimators give; silence one kind without the others by its class."""

from __future__ import annotations


class RankDeficiencyWarning(UserWarning):
    """The data do not determine all coefficients."""


class NoiseFreeWarning(UserWarning):
    """The fit is exact to rounding, so that the likelihood has no finite maximum."""
