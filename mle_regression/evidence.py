"""Penalties that the data choose while a network is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from mle_regression.diagnostics import laplace
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.solvers.base import Status
from mle_regression.solvers.path import Path

GROUPINGS = ("single", "layer", "input")

# The climb: steps of the solver between estimates, and estimates without a better one after which it ends.
_STEPS, _PATIENT = 5, 5
# α to begin with. What training learns under a strong prior it need not unlearn; but one too strong switches units off for
# good, so that a second climb begins with a weak one, where steps are cheap.
_STRONG, _STRONG_SHARE, _WEAK = 100.0, 0.1, 0.3
_SHORT = 3_000_000
# The descent: by how much stronger than where the climb was best the penalties begin, by what they weaken, how often.
_ABOVE, _WEAKER, _DESCENTS = 64.0, 0.25, 10
# Steps on the way to an optimum between looks round, and how many such; what is so much less likely by then is given up, and
# what is so near, in posterior standard deviations, has arrived.
_STRETCH, _STRETCHES, _HOPELESS, _NEAR = 30, 10, 10.0, 0.03
# Re-estimates at the end; the change of a penalty, and the gain, that are none.
_TURNS, _SAME, _SETTLED = 20, 1e-3, 1e-3
_FROM_OUTSIDE = (Status.STOPPED, Status.INTERRUPTED)
_AT_REST = (Status.CONVERGED, Status.PLATEAU)


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the evidence has chosen.

    Attributes
    ----------
    alpha : dict of str to float
        α of each group of parameters, for weights as the objective has them.
    effective : float
        γ.
    noise : float
        σ², in standard units.
    log_marginal_likelihood : float
        In standard units of y.
    bounded : list of str
        Groups whose α stands at its bound: the data ask for none of them, or for no penalty.
    """

    alpha: dict[str, float]
    effective: float
    noise: float
    log_marginal_likelihood: float
    bounded: list[str]


def parameter_groups(network: Network, grouping: str, features: list[str]) -> tuple[IntArray, list[str]]:
    """Return the group of each parameter (P,), −1 for biases of outputs, and the groups' names.

    Hidden biases have a prior too: of a unit that the data switch off nothing else would hold the bias.
    """
    group = np.zeros(network.n_parameters, dtype=np.int64)
    layers = network.layers(group)
    names = ["all"]
    if grouping != "single":
        names = [f"layer {index + 1}" for index in range(len(layers))]
        for index, layer in enumerate(layers):
            layer[:] = index
    if grouping == "input":
        names = [*features, "biases of layer 1", *names[1:]]
        for index, layer in enumerate(layers):
            layer[:] = np.arange(layer.shape[1]) if index == 0 else len(features) + index
    layers[-1][:, -1] = -1
    used, compact = np.unique(group[group >= 0], return_inverse=True)
    group[group >= 0] = compact
    return group, [names[k] for k in used]


def first_penalties(n: float, n_parameters: int) -> list[float]:
    """Return the α to begin with, each for a walk of its own; the evidence decides between where they end."""
    strong = min(_STRONG, _STRONG_SHARE * n)
    return [strong, _WEAK] if n * n_parameters <= _SHORT else [strong]


def train_by_evidence(
    objective: NetworkObjective,
    train: Callable[[NetworkObjective, int, bool], Path],
    grouping: tuple[IntArray, list[str]],
    first: list[float],
    max_iter: int,
    n: float,
    log_weights: float,
) -> tuple[Path, NetworkObjective, Chosen]:
    """Train to the optimum under the penalties that make the data likeliest.

    MacKay's re-estimate is a fixed point of the evidence only at an optimum under fixed penalties; taken from step to step it
    runs past the maximum: as penalties weaken, training finds steeper places, which ask for weaker penalties. So it is used
    to climb, from step to step, while the evidence grows. From where that was best, penalties much stronger come down by
    factors, each with training to its optimum, while the evidence there grows. Optima are met from the side of the stronger
    prior, where they are near and smooth. Re-estimates settle the rest, each kept only if it is better.

    Parameters
    ----------
    objective : NetworkObjective
    train : callable
        ``train(objective, max_iter, exactly)`` lets a solver go on from the objective's start, by a few steps or to the
        optimum.
    grouping : (IntArray of shape (P,), list of str)
    first : list of float
        α to begin climbs with, of which the better one counts.
    max_iter : int
        Of all steps together.
    n : float
        Number of observations.
    log_weights : float
        Σ log w of weights with mean one.

    Returns
    -------
    path : Path
        All steps one after another. Losses are those under the penalties of their time.
    objective : NetworkObjective
        With the penalties chosen.
    chosen : Chosen
    """
    climbs = []
    for alpha in first:
        ascent = _Ascent(objective, train, grouping, max_iter, n, log_weights)
        climbs.append((ascent.climb(np.full(len(grouping[1]), alpha / n)), ascent))
        if ascent.ended:
            break
    place, ascent = max(climbs, key=lambda climb: climb[0].density)
    place = ascent.settle(place)
    path = ascent.path
    path.theta, path.status = place.theta, place.status
    names, total = grouping[1], objective.rows.total
    alpha_of = {name: float(level) * total for name, level in zip(names, place.levels, strict=True)}
    bounded = [name for name, at in zip(names, place.found.bounded, strict=True) if at]
    chosen = Chosen(alpha_of, place.found.effective, place.found.noise, place.density, bounded)
    return path, ascent.posed(place.levels, place.theta), chosen


@dataclass(frozen=True, slots=True)
class _Place:
    """A place on the way.

    Attributes
    ----------
    theta : Array of shape (P,)
    levels : Array of shape (groups,)
        Penalties.
    density : float
        Log evidence.
    distance : float
        To the optimum, in posterior standard deviations.
    found : laplace.Evidence
        With what the penalties should become.
    status : Status
        Of the solver.
    """

    theta: Array
    levels: Array
    density: float
    distance: float
    found: laplace.Evidence
    status: Status


class _Ascent:
    """A walk towards more evidence, and the path of all its steps."""

    def __init__(
        self,
        objective: NetworkObjective,
        train: Callable[[NetworkObjective, int, bool], Path],
        grouping: tuple[IntArray, list[str]],
        max_iter: int,
        n: float,
        log_weights: float,
    ) -> None:
        self.objective, self.train, self.group = objective, train, grouping[0]
        self.left, self.n, self.log_weights = max_iter, n, log_weights
        self.path = Path(objective.start)
        self.ended: Status | None = None

    def climb(self, levels: Array) -> _Place:
        """Take a few steps and re-estimate the penalties, in turn, while the evidence grows; return the best place."""
        best, since, theta = None, 0, self.objective.start
        while since < _PATIENT:
            here = self._walk(levels, theta, _STEPS, exactly=False)
            better = best is None or here.density > best.density
            best, since = (here, 0) if best is None or better else (best, since + 1)
            if self.ended:
                return here
            levels, theta = here.found.penalty, here.theta
        assert best is not None
        return best

    def settle(self, top: _Place) -> _Place:
        """Return the optimum under the penalties, in a row through those of a place, that have most evidence."""
        if self.ended:
            return top
        best, factor = self._optimum(_ABOVE * top.levels, top.theta, None), _ABOVE
        for _ in range(_DESCENTS):
            factor *= _WEAKER
            found = self._optimum(factor * top.levels, best.theta, best)
            if found is best:
                break
            best = found
        for _ in range(_TURNS):
            if self.ended or np.abs(np.log(best.found.penalty / best.levels)).max() <= _SAME:
                break
            found = self._optimum(best.found.penalty, best.theta, best)
            gain, best = found.density - best.density, found
            if gain <= _SETTLED:
                break
        best = self._arrive(best)
        # Ended from outside, this is the best place so far, though not the last; out of steps, it may well be an optimum.
        return replace(best, status=self.ended) if self.ended in _FROM_OUTSIDE else best

    def _optimum(self, levels: Array, theta: Array, rival: _Place | None) -> _Place:
        """Train to the optimum, or near it; return that, or the rival where it is no worse or the optimum out of reach."""
        for _ in range(_STRETCHES if rival is None else _STRETCHES // 2):
            here = self._walk(levels, theta, _STRETCH, exactly=True)
            arrived = here.status in _AT_REST or here.distance <= _NEAR
            if arrived and (rival is None or here.density > rival.density):
                return here
            if self.ended or arrived or (rival is not None and here.density < rival.density - _HOPELESS):
                break
            theta = here.theta
        return here if rival is None else rival

    def _arrive(self, place: _Place) -> _Place:
        """Train to the very optimum under a place's penalties; a place near it will do where that is out of reach."""
        if place.status in _AT_REST:
            return place
        if not self.ended:
            here = self._walk(place.levels, place.theta, _STRETCH * _STRETCHES, exactly=True)
            if here.status in _AT_REST or here.distance <= place.distance:
                return here
        return replace(place, status=Status.PLATEAU) if place.distance <= _NEAR else place

    def _walk(self, levels: Array, theta: Array, steps: int, exactly: bool) -> _Place:
        objective = self.posed(levels, theta)
        path = self.train(objective, max(1, min(steps, self.left)), exactly)
        self.left -= path.n_iter
        whole = self.path
        skip = 1 if whole.losses else 0
        whole.memory = path.memory
        whole.losses += path.losses[skip:]
        whole.gradient_norms += path.gradient_norms[skip:]
        if path.status in _FROM_OUTSIDE:
            self.ended = path.status
        elif self.left <= 0:
            self.ended = Status.MAX_ITER
        return self._look(objective, levels, np.asarray(path.theta, dtype=np.float64), path.status)

    def posed(self, levels: Array, theta: Array) -> NetworkObjective:
        """Return the objective with penalties (groups,), starting at θ."""
        penalty = np.where(self.group >= 0, levels[self.group], 0.0)
        rows = self.objective.rows
        return NetworkObjective(self.objective.network, rows, penalty * rows.total, theta)

    def _look(self, objective: NetworkObjective, levels: Array, theta: Array, status: Status) -> _Place:
        outputs, penalty = objective.network.sizes[-1], objective.penalty
        _, gradient = objective.value_and_gradient(theta)
        squares = float(np.trace(objective.cross))
        curvature = laplace.inverted(objective.gauss_newton(theta), penalty)
        found = laplace.reestimated(curvature, penalty, self.group, theta, squares, self.n, outputs)
        density = laplace.log_marginal_likelihood(
            curvature, penalty, theta, squares, found.noise, self.n, outputs, self.log_weights
        )
        away = laplace.distance(curvature, gradient, self.n, found.noise)
        return _Place(theta, levels, density, away, found, status)
