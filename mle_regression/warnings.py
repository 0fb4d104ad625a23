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
    """The fit, or that of some combination of outputs, is exact to rounding: the likelihood has no finite maximum."""


class InferenceWarning(UserWarning):
    """Some statistic is not defined for this fit or these rows, and NaN, or not what it is taken for."""


# What lies between a user's line and ours: decorators, of the standard library and of scikit-learn's callbacks.
_INSIDE = ("mle_regression", "contextlib", "sklearn.callback")


# Where warnings are kept for who collects them; of one thread alone, as filters of the standard library are not.
_KEPT: ContextVar[list[str] | None] = ContextVar("_KEPT", default=None)


@contextmanager
def collected_warnings() -> Iterator[list[str]]:
    """Collect what this package has to warn of inside, in this thread, in the place of warning the user."""
    kept: list[str] = []
    token = _KEPT.set(kept)
    try:
        yield kept
    finally:
        _KEPT.reset(token)


def warn_user(message: str, category: type[Warning]) -> None:
    """Warn at the line of the caller that is outside of this package, however deep inside it the reason lies.

    Where warnings are collected, tell who collects them.
    """
    kept = _KEPT.get()
    if kept is not None:
        kept.append(message)
        return
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").startswith(_INSIDE):
        frame, level = frame.f_back, level + 1
    warnings.warn(message, category, stacklevel=level)
