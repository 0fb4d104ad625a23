"""A network's penalty by rows left out: networks that have not seen them, walked down a path of penalties together.

The rows are divided into folds, several times over. To each fold belongs a network from a start of its own, trained on the
rows outside of it. All begin under the same penalty and go down together, level by level, each optimum the start of the next
(Friedman, Hastie and Tibshirani, 2010, do so for linear models), or up, where the first level is the best. The score of a
level is how far the rows left out lie from the predictions of the networks that have not seen them.

Predictions are to be the mean over all networks. Their error has a part that all networks share, b, and one of each by
itself, of variance v, which the mean divides by their number M. Where each row has been left out R ≥ 2 times, the mean over
the R networks that have not seen it has the mean square ``b + v/R``, and v is seen in how far they lie apart: the score is
``b + v/M``, that of the mean over all.

References
----------
J. Friedman, T. Hastie and R. Tibshirani (2010). Regularization paths for generalized linear models via coordinate descent.
Journal of Statistical Software 33 (1), 1-22.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from operator import attrgetter

import numpy as np

from mle_regression.diagnostics.left_out_rows import leave_one_out
from mle_regression.fit.left_out_plan import Plan
from mle_regression.fit.network import Training, step_work
from mle_regression.fit.network_rows import pick_rows
from mle_regression.linalg.arrays import TINY, AnyArray, Array, BoolArray, IntArray
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.duplicates import groups_of_rows
from mle_regression.rows.standard import standard_rows
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import ENDED_FROM_OUTSIDE, Status
from mle_regression.solvers.path import Path

# The penalty that the path begins with, relative to that under which a network vanishes; what each level divides it by, or
# multiplies it with; and how many levels there are at most, each way.
_FIRST_LEVEL, _FIRST_WITH_KINKS, _RATIO, _LEVELS = 0.03, 1e-4, 10.0**0.5, 20
# How many times the steps of a level the first one has, which begins at random.
_FIRST_STEPS = 3
# A change of the score that counts, as part of it. How many levels in a row may go by without such a gain, how many of them
# that are worse by as much, and the multiple of the best score that ends the path at once.
_COUNTS, _FLAT_LEVELS, _WORSE_LEVELS, _FAR_WORSE = 0.005, 4, 2, 1.1
# Part of the loss that steps must gain for training to go on.
_LOOSE = 1e-3
# Multiplications that counting the effective parameters of a level may take: less than half a second.
_COUNTING_WORK = 1e10


@dataclass
class _FoldNetwork:
    """A network, the rows that it is trained on, and those that it is judged by.

    Attributes
    ----------
    data : TrainingData
        The rows outside of its fold.
    left_out : IntArray
        Which rows are in it.
    outside : NetworkObjective
        Of these.
    share : float
        Of all weights that its rows have.
    theta : Array of shape (P,)
    """

    data: TrainingData
    left_out: IntArray
    outside: NetworkObjective
    share: float
    theta: AnyArray
    memory: dict[str, AnyArray] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Level:
    """A penalty, and what the rows left out say of it.

    Attributes
    ----------
    alpha : float
        Common to all layers.
    score : Array of shape (m,)
        Mean square of left-out residuals of the mean over all networks, in standard units.
    apart : Array of shape (m,)
        Variance between the networks that have not seen a row.
    effective : float
        Effective parameters of the first network; NaN where they are out of reach.
    thetas : list of Array of shape (P,)
        Where the networks stand.
    memories : list of dict of str to array
        What their solvers remember.
    ratios : Array of shape (layers,)
        Penalty of each layer's weights, in units of the common one.
    """

    alpha: float
    score: Array
    apart: Array
    effective: float
    thetas: list[AnyArray]
    memories: list[dict[str, AnyArray]]
    ratios: Array

    @property
    def mean_score(self) -> float:
        """Mean over the outputs, each in its own spread."""
        return float(self.score.mean())


class CrossFit:
    """Networks on the rows outside of folds, and their way down the path of penalties.

    Parameters
    ----------
    training : Training
        Of all rows.
    plan : Plan
    rng : numpy.random.Generator
        Draws folds and starts.
    """

    def __init__(self, training: Training, plan: Plan, rng: np.random.Generator) -> None:
        self.training, self.rng = training, rng
        data = training.data
        counted = np.arange(len(data.y)) if data.weights is None else np.flatnonzero(data.weights)
        self.data = data if data.weights is None else pick_rows(data, counted)
        groups = groups_of_rows(self.data.x)
        self.plan = replace(plan, folds=min(plan.folds, int(groups.max()) + 1))
        self.networks = [
            self._network(fold == k)
            for fold in (rng.permutation(int(groups.max()) + 1)[groups] % self.plan.folds for _ in range(plan.repeats))
            for k in range(self.plan.folds)
        ]
        of_y = training.units[1]
        self.y = (self.data.y - of_y.center) / of_y.spread
        weights = self.data.weights
        self.weights = np.ones(len(self.y)) if weights is None else weights / weights.max()
        self.ended: Status | None = None

    def _network(self, left_out: BoolArray) -> _FoldNetwork:
        training = self.training
        out = np.flatnonzero(left_out)
        inside, outside = pick_rows(self.data, np.flatnonzero(~left_out)), pick_rows(self.data, out)
        start = training.network.initial(self.rng)
        rows = standard_rows(replace(outside, weights=None), training.units, training.options.dtype)
        judged = NetworkObjective(training.network, rows, 0.0, start)
        share = inside.total_weight / self.data.total_weight
        return _FoldNetwork(inside, out, judged, share, start)

    def walk(self) -> tuple[list[Level], Level]:
        """Go down the path from its middle until it is behind, and up if it began about best; return it and the best level.

        A network that a strong penalty has made linear, or nothing, a weaker one seldom brings to life again. So the
        strongest penalties come last; and where units have kinks, of which all rows would stand on one side, the path begins
        far down.
        """
        smooth = self.training.network.activation.smooth
        middle = (_FIRST_LEVEL if smooth else _FIRST_WITH_KINKS) * self.largest_penalty()
        levels = self._followed(middle, 1.0 / _RATIO, [])
        lowest = min(levels, key=attrgetter("mean_score"), default=None)
        if lowest is not None and levels[0].mean_score < (1.0 + 2.0 * _COUNTS) * lowest.mean_score and not self.ended:
            self._return_to(levels[0])
            levels = self._followed(middle * _RATIO, _RATIO, levels[:1])[:0:-1] + levels
        if not levels:  # interrupted at once: the starts as they are
            nothing, starts = np.full(self.y.shape[1], np.nan), [network.theta for network in self.networks]
            return [], Level(middle, nothing, nothing, np.nan, starts, [{} for _ in starts], self.alike)
        return levels, min(levels, key=attrgetter("mean_score"))

    def _followed(self, alpha: float, factor: float, levels: list[Level]) -> list[Level]:
        """Return levels and those that follow from a penalty on, until they fall behind the best."""
        levels, flat, worse = list(levels), 0, 0
        best = min(levels, key=attrgetter("mean_score"), default=None)
        while len(levels) < _LEVELS and flat < _FLAT_LEVELS and worse < _WORSE_LEVELS and not self.ended:
            level = self._level(alpha, first=not levels)
            if level is None:
                break
            levels.append(level)
            score, before = level.mean_score, np.inf if best is None else best.mean_score
            flat = flat + 1 if score > (1.0 - _COUNTS) * before else 0
            worse = worse + 1 if score > (1.0 + _COUNTS) * before else 0
            best = min(levels, key=attrgetter("mean_score"))
            if score > _FAR_WORSE * before:
                break
            alpha *= factor
        return levels

    def _return_to(self, level: Level) -> None:
        for network, theta, memory in zip(self.networks, level.thetas, level.memories, strict=True):
            network.theta, network.memory = theta, memory

    def largest_penalty(self) -> float:
        """Return Σ w times the largest singular value of the correlations of X and y.

        Near zero a network with one hidden layer is linear, ``f = V W x`` with the penalty ``α(‖V‖² + ‖W‖²) ≥ 2α‖VW‖``, the
        sum of the singular values: under so large an α no such network is better than none, as in the lasso.
        """
        training = self.training
        columns, outputs = training.network.sizes[0], training.network.sizes[-1]
        linear = Network((columns, outputs), training.network.activation)
        rows = standard_rows(self.data, training.units, "float64")
        zero = np.zeros(linear.n_parameters)
        gradient = NetworkObjective(linear, rows, 0.0, zero).value_and_gradient(zero)[1]
        slopes = 0.5 * linear.layers(gradient)[0][:, :-1]
        strength = float(np.linalg.norm(slopes, 2)) if slopes.size else 0.0
        least: float = (columns / len(self.y)) ** 0.5
        return max(strength, least, TINY) * self.data.total_weight

    @property
    def alike(self) -> Array:
        """Return the same penalty for each layer."""
        return np.ones(len(self.training.network.shapes))

    def penalty(self, alpha: float, ratios: Array) -> float | Array:
        """Return the penalty of all weights, or of each parameter (P,) where layers differ."""
        if (ratios == 1.0).all():
            return alpha
        network, each = self.training.network, np.zeros(self.training.network.n_parameters)
        for layer, ratio in zip(network.layers(each), ratios, strict=True):
            layer[:, :-1] = alpha * ratio
        return each

    def by_layer(self, best: Level) -> Level:
        """Return the best level with a penalty for each layer: up and down from the common one, a layer at a time."""
        left, layers = _LEVELS, range(len(best.ratios))
        while left > 0:
            before = best
            for layer, factor in ((layer, factor) for layer in layers for factor in (_RATIO, 1.0 / _RATIO)):
                while left > 0:
                    left -= 1
                    ratios = best.ratios.copy()
                    ratios[layer] *= factor
                    self._return_to(best)
                    level = self._level(best.alpha, ratios=ratios)
                    if level is None:
                        return best
                    if level.mean_score > (1.0 - _COUNTS) * best.mean_score:
                        break
                    best = level
            if best is before:
                break
        return best

    def _level(self, alpha: float, first: bool = False, ratios: Array | None = None) -> Level | None:
        """Train all networks under a penalty; None where someone ended that."""
        ratios = self.alike if ratios is None else ratios
        penalty = self.penalty(alpha, ratios)
        n, m, repeats = *self.y.shape, self.plan.repeats
        found = np.zeros((repeats, n, m))
        for k, network in enumerate(self.networks):
            self._train(network, penalty, _FIRST_STEPS * self.plan.steps if first else self.plan.steps)
            if self.ended:
                return None
            found[k // self.plan.folds, network.left_out] = network.outside.outputs(network.theta)
        gap, weights = found - self.y, self.weights / self.weights.sum()
        score = weights @ gap.mean(axis=0) ** 2
        apart = weights @ found.var(axis=0, ddof=1)
        score = np.maximum(score - apart * (1.0 / repeats - 1.0 / len(self.networks)), apart / len(self.networks))
        thetas = [np.array(network.theta) for network in self.networks]
        effective = self._effective(self.networks[0], penalty)
        memories = [dict(network.memory) for network in self.networks]
        return Level(alpha, score, apart, effective, thetas, memories, ratios)

    def _train(self, network: _FoldNetwork, alpha: float | Array, steps: int) -> None:
        objective = self.training.pose(network.data, alpha * network.share, network.theta)
        path = self.training.walk(objective, self.plan.solver, steps, _LOOSE / self.plan.shortness, network.memory)
        self.note(path)
        network.theta, network.memory = np.asarray(path.theta), path.memory

    def _effective(self, network: _FoldNetwork, alpha: float | Array) -> float:
        objective = self.training.pose(network.data, alpha * network.share, network.theta)
        within_reach = step_work(self.training.network, objective.n_residuals) <= _COUNTING_WORK
        if not (within_reach and np.isfinite(network.theta).all()):
            return np.nan
        found = leave_one_out(objective, np.asarray(network.theta, dtype=np.float64))
        return np.nan if found is None else found.taken_up * objective.n_residuals

    def note(self, path: Path) -> None:
        """Note where someone has ended the training of a network."""
        if path.status in ENDED_FROM_OUTSIDE:
            self.ended = path.status
