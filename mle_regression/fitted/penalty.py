"""The penalties that the data have chosen."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PenaltyChoice:
    """What the evidence has chosen.

    Attributes
    ----------
    alpha : dict of str to float
        α of each group of parameters, for weights as the objective has them.
    effective : float
        γ.
    log_marginal_likelihood : float
        In standard units of y.
    bounded : list of str
        Groups whose α stands at its bound: the data ask for none of them, or for no penalty.
    """

    alpha: dict[str, float]
    effective: float
    log_marginal_likelihood: float
    bounded: list[str]
