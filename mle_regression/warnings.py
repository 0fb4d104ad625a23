"""Warnings that the estimators give; silence one kind without the others by its class."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class RankDeficiencyWarning(UserWarning):
    """The data do not determine all coefficients."""


class NoiseFreeWarning(UserWarning):
    """The fit is exact to rounding, so that the likelihood has no finite maximum."""


class InferenceWarning(UserWarning):
    """Some statistic is not defined for this fit or these rows, and is given as NaN."""


# What lies between a user's line and ours: decorators, of the standard library and of scikit-learn's callbacks.
_INSIDE = ("mle_regression", "contextlib", "sklearn.callback")


# Where the reasons for NaN are noted in the place of warnings; each thread has its own.
_NOTES: ContextVar[list[str] | None] = ContextVar("_NOTES", default=None)


@contextmanager
def noted() -> Iterator[list[str]]:
    """Note what would be an `InferenceWarning`, for a report to tell; no filter, which all threads share, changes."""
    notes: list[str] = []
    token = _NOTES.set(notes)
    try:
        yield notes
    finally:
        _NOTES.reset(token)


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the line of the caller that is outside of this package, however deep inside it the reason lies."""
    notes = _NOTES.get()
    if notes is not None and issubclass(category, InferenceWarning):
        notes.append(message)
        return
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
