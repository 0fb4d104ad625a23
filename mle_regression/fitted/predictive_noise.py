"""How far new rows lie from a network's mean, and what that has been learnt from."""

from __future__ import annotations

from dataclasses import dataclass

from mle_regression.linalg.arrays import Array

HELD_OUT, LEFT_OUT, COUNTED, TRAINING = "rows held out", "each row left out", "parameters counted", "training rows"
CROSS_FITTED = "rows left out in folds"
# The same where parameters are too many for what is linear in them to tell of a network that is fitted anew.
TOO_LOW = "; may be far too low"


@dataclass(frozen=True, slots=True)
class PredictiveNoise:
    """Mean square distance of new rows from the mean, as it is estimated.

    Attributes
    ----------
    variance : Array of shape (m,)
        Square of the noise's scale, of an observation of weight one in standard units: under Gaussian noise its variance.
    dof : float
        Degrees of freedom of the estimate.
    source : str
        What it comes from.
    """

    variance: Array
    dof: float
    source: str


def is_unsure(source: str) -> bool:
    """Tell whether an estimate from there may be far too low."""
    return source == TRAINING or source.endswith(TOO_LOW)
