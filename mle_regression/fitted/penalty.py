"""The penalties that the data have chosen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, IntArray

# Where a choice of a linear model ends, if not at a minimum of its own: at no penalty, or one that leaves no column; and why
# there was nothing to choose.
ZERO, INFINITY, NO_COLUMN, NO_ROW = "zero", "infinity", "no column", "no row"


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


@dataclass(frozen=True, slots=True)
class LinearPenalty:
    """The penalty that the data have chosen for a linear model.

    Attributes
    ----------
    method : {"evidence", "loo"}
    alpha : float or Array of shape (m,)
        One for all outputs, or one each, for weights and columns as given.
    value : Array of shape (1,) or (m,)
        Log marginal likelihood of all outputs, or the mean square left out of each, in the units of y².
    limits : tuple of str
        Of each penalty, the limit that it is or stands for; empty of an optimum.
    path : structured array of shape (g,)
        Penalties that were tried, their scores and effective parameters; empty of the evidence.
    own : IntArray of shape (r,)
        Which rows are left out of the score, as each has a parameter of its own.
    """

    method: str
    alpha: float | Array
    value: Array
    limits: tuple[str, ...]
    path: AnyArray = field(default_factory=lambda: np.zeros(0))
    own: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))

    def attributes(self, single_output: bool) -> dict[str, Any]:
        """Return the fitted attributes of an estimator that tell of the choice."""
        alpha = float(self.alpha[0]) if isinstance(self.alpha, np.ndarray) and single_output else self.alpha
        if self.method == "evidence":
            return {"alpha_": alpha, "log_marginal_likelihood_": float(self.value[0])}
        score = float(self.value[0]) if single_output else self.value.copy()
        return {"alpha_": alpha, "alpha_path_": self.path.copy(), "loo_score_": score}


@dataclass(frozen=True, slots=True)
class LeftOutChoice:
    """The penalty of a network that rows left out of its training have chosen.

    Attributes
    ----------
    alpha : float
        α, for weights as they were given.
    effective : float
        Effective parameters γ of a network under it.
    score : Array of shape (m,)
        Mean square of the left-out residuals of the mean over all networks, in standard units of y.
    penalties, effectives : Array of shape (levels,)
        α and γ of each level of the path.
    scores : Array of shape (levels, m)
    folds : int
        Into which the rows were divided.
    networks : int
        How many there are.
    singly : bool
        Whether `score` is that of each row left out by itself, from the networks on all rows, and not of the folds.
    ratios : tuple of float
        Penalty of each layer in units of α; empty where they have none of their own.
    """

    alpha: float
    effective: float
    score: Array
    penalties: Array
    scores: Array
    effectives: Array
    folds: int
    networks: int
    singly: bool = False
    ratios: tuple[float, ...] = ()

    @property
    def by_group(self) -> float | dict[str, float]:
        """The penalty, or those of the layers by name."""
        if not self.ratios:
            return self.alpha
        return {f"layer {k + 1}": self.alpha * ratio for k, ratio in enumerate(self.ratios)}

    def path(self, spread: Array, single_output: bool) -> AnyArray:
        """Return the path as a structured array (levels,), its scores in the units of y squared."""
        score: Any = ("score", float) if single_output else ("score", float, (len(spread),))
        path = np.zeros(len(self.penalties), dtype=[("penalty", float), score, ("effective_parameters", float)])
        path["penalty"], path["effective_parameters"] = self.penalties, self.effectives
        with np.errstate(over="ignore"):
            scores = self.scores * spread**2
        path["score"] = scores[:, 0] if single_output else scores
        return path
