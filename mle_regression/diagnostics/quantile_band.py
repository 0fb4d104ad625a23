"""How far ordered residuals may lie from the quantiles of their distribution, all of them at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import beta

from mle_regression.linalg.arrays import Array

# Order statistics that the band is worked out at, and samples that its level is found from.
_PLACES = 120
_SAMPLES = 1000


@dataclass(frozen=True, slots=True)
class QuantileBand:
    """Limits of uniform order statistics.

    Attributes
    ----------
    position : Array of shape (k,)
        Plotting positions of the order statistics that it is told of, between 0 and 1.
    lower, upper : Array of shape (k,)
        Probabilities between which each lies; all of them, with probability ``coverage``.
    """

    position: Array
    lower: Array
    upper: Array


def plotting_positions(n: int) -> Array:
    """Probabilities (n,) of order statistics, (i − a)/(n + 1 − 2a), a = 3/8 up to ten of them and 1/2 beyond, as R has it."""
    a = 0.375 if n <= 10 else 0.5
    return np.asarray((np.arange(1, n + 1) - a) / (n + 1 - 2 * a))


def quantile_band(n: int, coverage: float = 0.95, seed: int = 0) -> QuantileBand:
    """Band that holds all n order statistics of a uniform sample at once with probability ``coverage``.

    The i-th follows a Beta(i, n + 1 − i) distribution; each has the same probability of leaving the band (Aldor-Noiman et
    al., 2013), found from 1,000 samples. Of more than 120 order statistics it is worked out at as many, closest together in
    the tails.

    References
    ----------
    S. Aldor-Noiman, L. D. Brown, A. Buja, W. Rolke and R. A. Stine (2013). The power to see: a new graphical test of
    normality. The American Statistician 67, 249-260.

    Examples
    --------
    >>> band = quantile_band(20)
    >>> bool(np.all((band.lower < band.position) & (band.position < band.upper)))
    True
    """
    rank = _places(n)
    steps = np.diff(np.concatenate([[0.0], rank, [n + 1.0]]))
    gaps = np.random.default_rng(seed).gamma(steps, size=(_SAMPLES, len(steps)))
    samples = np.cumsum(gaps, axis=1)
    below = beta.cdf(samples[:, :-1] / samples[:, -1:], rank, n + 1 - rank)
    least = np.minimum(below, 1.0 - below).min(axis=1)
    level = float(np.quantile(least, 1.0 - coverage))
    return QuantileBand(
        plotting_positions(n)[rank.astype(int) - 1],
        beta.ppf(level, rank, n + 1 - rank),
        beta.isf(level, rank, n + 1 - rank),
    )


def _places(n: int) -> Array:
    """Ranks (k,) of order statistics, all of few, else spaced by their logit."""
    if n <= _PLACES:
        return np.arange(1.0, n + 1.0)
    tail = np.log(n)
    logits = np.linspace(-tail, tail, _PLACES)
    return np.unique(np.clip(np.round((n + 1) / (1 + np.exp(-logits))), 1, n))
