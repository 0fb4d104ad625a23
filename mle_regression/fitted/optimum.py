"""What kind of optimum a fit has reached, how, and how likely the data are there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Optimum:
    """Fitted attributes of an estimator that its summary tells; the names are theirs without the underscore."""

    log_likelihood: float
    aic: float
    aicc: float
    bic: float
    solver: str
    refined: bool
    verdict: str
    rank: int
    n_iter: int
