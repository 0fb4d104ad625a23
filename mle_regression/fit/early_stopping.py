"""Rows held out of a network's training: how likely they are on the way, and when to stop for their sake."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mle_regression.diagnostics.likelihood import profile_log_likelihood
from mle_regression.fit.predictive_noise import of_held_out
from mle_regression.fitted.predictive_noise import PredictiveNoise
from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.models.network import Network
from mle_regression.noise.base import NoiseFamily
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.standard import StandardRows
from mle_regression.solvers.base import Status
from mle_regression.solvers.path import Path

# Part of the training loss by which it has fallen over the last iterations, where training still learns.
_LEARNS = 2e-3
# Standard errors of a log-likelihood that the held-out rows may have lost while training still learns.
_WORSE = 1.0
# How many times the least patience lasts, at most, while there is hope.
_HOPE = 5
# Gain of a held-out row over the last iterations, and which share of the path these are, from which on its likelihood rises.
_RISE, _LATE = 1e-3, 0.1


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to go on without a gain.

    Attributes
    ----------
    least : int
        Iterations.
    share : float
        How many more for each that has led to the best place.
    hopes : bool
        Whether to go on for longer where a gain is in sight.
    """

    least: int
    share: float = 0.0
    hopes: bool = False

    def after(self, best: int) -> float:
        """Return for how many iterations to go on, the best place found after ``best``."""
        return self.least + self.share * best


class HeldOut:
    """Rows held out, on which the likelihood is watched, and the parameters at which it was best.

    The likelihood is that at the noise scales which make these rows likeliest: those of the training rows fall without
    end where a network learns its rows by heart, and with them any judgement of other rows. For one output of Gaussian
    noise it is ``−½ log(mean squared error)`` and a constant.

    Patience at an end, two things are reason to go on for some time (as the stopping criteria of Prechelt, 1998, weigh what
    generalisation has lost against what training gains): the likelihood rises, and fast enough to be the best soon; or the
    training loss falls, and the likelihood has lost no more than chance may take: at the start of a long way, and where
    all training rows are met, and the penalty goes on to smooth what lies between them.

    Parameters
    ----------
    network : Network
    rows : StandardRows
    weights : Array of shape (n,) or None
        Those of the rows, as given.
    patience : Patience
    stops : bool
        Whether to stop at all, and take the best parameters.
    frequency : bool
    noise : NoiseFamily
        By which the rows are judged.

    References
    ----------
    L. Prechelt (1998). Early stopping - but when? In Neural Networks: Tricks of the Trade, Springer.
    """

    def __init__(
        self,
        network: Network,
        rows: StandardRows,
        weights: Array | None,
        patience: Patience,
        stops: bool,
        frequency: bool,
        noise: NoiseFamily,
    ) -> None:
        self.objective = NetworkObjective(network, rows, 0.0, np.zeros(network.n_parameters))
        self.weights, self.frequency, self.family = weights, frequency, noise
        self.patience, self.stops = patience, stops
        self.curve: list[float] = []
        self.losses: list[float] = []
        self.best, self.best_theta, self.at = -np.inf, np.zeros(0), 0
        self.last_theta = np.zeros(0)
        self._outputs = (rows.y - rows.of_y.center) / rows.of_y.spread
        self._units = float(np.log(rows.of_y.spread).sum())

    def look(self, theta: AnyArray, loss: float) -> bool:
        """Note the mean log-likelihood of a row, in the units of y, and the training loss; return whether to stop."""
        self.losses.append(loss)
        if self.curve and np.array_equal(theta, self.last_theta):  # after a step that was taken back
            return self._note(self.curve[-1], theta)
        self.last_theta = np.array(theta, dtype=np.float64)
        return self._note(self._score(self.residuals(theta)), theta)

    def residuals(self, theta: AnyArray) -> Array:
        """Return the residuals (n, m) in standard units."""
        with np.errstate(over="ignore", invalid="ignore"):
            return np.asarray(self._outputs - self.objective.outputs(theta))

    def noise(self, theta: AnyArray) -> PredictiveNoise:
        """Return how far the rows lie from the mean at some parameters."""
        return of_held_out(self.residuals(theta), self.weights, self.frequency, self.stops, self.family)

    @property
    def rises(self) -> bool:
        """Whether the likelihood was still rising when training ended."""
        window = max(self.patience.least, int(_LATE * len(self.curve)))
        before = max(self.curve[:-window], default=-np.inf)
        return self.best - before > _RISE

    def _score(self, residuals: Array) -> float:
        found = profile_log_likelihood(residuals, self.weights, frequency=self.frequency, noise=self.family)
        return found - self._units

    def _note(self, score: float, theta: AnyArray) -> bool:
        self.curve.append(score)
        if score > self.best or not self.best_theta.size:
            self.best, self.best_theta, self.at = score, np.array(theta, dtype=np.float64), len(self.curve)
        patience, waited = self.patience.after(self.at), len(self.curve) - self.at
        if not self.stops or waited < patience:
            return False
        return not (
            self.patience.hopes and waited < _HOPE * self.patience.least and (self._soon(patience) or self._learns())
        )

    def _soon(self, patience: float) -> bool:
        """Whether the likelihood, rising as it has over the last iterations, is at its best within so many."""
        now, before = self.curve[-1], self.curve[-1 - min(self.patience.least, len(self.curve) - 1)]
        gained = (now - before) / self.patience.least
        return bool(gained > 0) and self.best - now <= gained * patience

    def _learns(self) -> bool:
        """Whether training gains what counts, and the held-out rows have not lost more than by chance."""
        m = self._outputs.shape[1]
        chance = (0.5 * m / len(self._outputs)) ** 0.5  # standard deviation of the sum over outputs of ½ log(s²)
        if self.best - self.curve[-1] > _WORSE * chance:
            return False
        before = self.losses[-1 - min(self.patience.least, len(self.losses) - 1)]
        return before - self.losses[-1] > _LEARNS * abs(before)


def keep_best(path: Path, held_out: HeldOut | None) -> Path:
    """Return a path that ends where the rows held out were most likely, if they are to decide.

    How it ended remains said, where that was from outside, or out of iterations while they still became likelier.
    """
    if held_out is None or not held_out.stops or not held_out.best_theta.size:
        return path
    status = Status.EARLY_STOPPED
    if path.status in (Status.STOPPED, Status.INTERRUPTED) or (path.status is Status.MAX_ITER and held_out.rises):
        status = path.status
    return replace(path, theta=held_out.best_theta, status=status)
