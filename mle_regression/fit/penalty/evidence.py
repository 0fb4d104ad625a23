"""Penalties that the data choose while a network is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from mle_regression.diagnostics import laplace_approximation as laplace
from mle_regression.fitted.penalty import PenaltyChoice
from mle_regression.linalg.arrays import TINY, Array, BoolArray, IntArray
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.labels import unlike
from mle_regression.solvers.base import ENDED_FROM_OUTSIDE, Status
from mle_regression.solvers.path import Path

GROUPINGS = ("all", "layer", "input")

# α of every group to begin with, one climb after another. What training learns under a strong prior, with most units switched
# off, it does not unlearn when the prior weakens; under a weak one, where parameters are many, it learns the noise by heart.
_FIRST, _WEAKER = 1.0, (1e-2, 1e-4)
# A climb from a weaker prior is given up where so many parameters a residual are determined; where its first optimum has so
# many nats a residual less than the best place; and after so many steps.
_BY_HEART, _BEHIND, _MOST_STEPS = 0.75, 1.0 / 3.0, 1000
# Nats that the rest of the way to an optimum may yet gain, times its squared length in posterior standard deviations: of a
# Gaussian a half.
_HOPE = 2.0
# Steps of the solver between looks, and how many looks the first optimum may take, each later one,
# and the last steps to the very optimum.
_STRETCH, _LOOKS_FIRST, _LOOKS, _LOOKS_LAST = 20, 20, 5, 3
# Gauss–Newton steps on residuals, of which no square is taken, where the solver's come no nearer to the optimum.
_LAST_STEPS = 10
# Numbers of a Jacobian up to which differences are taken of it, and not of its squares.
_JACOBIAN_SIZE = 1 << 22
# Posterior standard deviations from an optimum that are none, and that are few enough to climb on from there.
_AT_OPTIMUM_DEVIATIONS, _NEAR_ENOUGH = 0.03, 0.1
# The region in which the evidence is taken for a quadratic function of log α: first and largest radius, the share of it that
# is left after a step too far, and the least.
_RADIUS, _WIDEST, _NARROWER, _NARROWEST = 1.1, 2.3, 0.3, 0.1
# Nats that are no gain; and that are none where a step was to gain several times as many.
_SETTLED_NATS, _LITTLE_NATS, _DISAPPOINTING = 1e-5, 0.05, 0.25
_ESTIMATES = 40
# Parameters that the data determine of a group, below which they tell nothing of it.
_UNSEEN_PARAMETERS = 0.05
_AT_REST = (Status.CONVERGED, Status.PLATEAU)


def parameter_groups(network: Network, grouping: str, features: list[str]) -> tuple[IntArray, list[str]]:
    """Return the group of each parameter (P,), −1 for biases of outputs, and the groups' names.

    Hidden biases have a prior too: of a unit that the data switch off nothing else would hold the bias.
    """
    group = np.zeros(network.n_parameters, dtype=np.int64)
    layers = network.layers(group)
    names = ["all"]
    if grouping != "all":
        names = [f"layer {index + 1}" for index in range(len(layers))]
        for index, layer in enumerate(layers):
            layer[:] = index
    if grouping == "input":
        own = ["biases of layer 1", *names[1:]]
        while set(own) & set(_distinct(features)):  # columns may be called anything
            own = [f"{name} of the network" for name in own]
        names = [*_distinct(features), *own]
        for index, layer in enumerate(layers):
            layer[:] = np.arange(layer.shape[1]) if index == 0 else len(features) + index
    layers[-1][:, -1] = -1
    used, compact = np.unique(group[group >= 0], return_inverse=True)
    group[group >= 0] = compact
    return group, [names[k] for k in used]


def _distinct(names: list[str]) -> list[str]:
    """Return names of which no two are alike: columns may be."""
    found: list[str] = []
    for name in names:
        found.append(unlike(name, found))
    return found


def train_by_evidence(
    objective: NetworkObjective,
    train: Callable[[NetworkObjective, int, float], Path],
    grouping: tuple[IntArray, list[str]],
    max_iter: int,
    n: float,
    log_weights: float,
) -> tuple[Path, NetworkObjective, PenaltyChoice]:
    """Train to the optimum under the penalties that make the data likeliest.

    The evidence is a function of log α alone: of the optimum that training finds there, and the curvature of that. It is
    climbed with its own gradient, in which the optimum moves with α and the curvature with the optimum. MacKay's re-estimate
    (1992) leaves the latter out; for a network that is not linear it runs past the maximum, as weaker penalties lead to
    steeper places, which ask for weaker penalties.

    Where an optimum ceases to exist, units split or join and the evidence jumps: steps that end in less are taken back and
    shortened, and the climb ends before the jump.

    Parameters
    ----------
    objective : NetworkObjective
    train : callable
        ``train(objective, max_iter, tol)`` lets a solver go on from the objective's start until the gradient, in units of the
        prior's spread, is ``tol`` or less; zero leaves the tolerance to it.
    grouping : (IntArray of shape (P,), list of str)
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
    chosen : PenaltyChoice
    """
    climb = _Climb(objective, train, grouping, max_iter, n, log_weights)
    place = climb.top()
    path = climb.path
    path.theta, path.status = place.theta, place.status
    names, total = grouping[1], objective.rows.total
    alpha_of = {name: float(level) * total for name, level in zip(names, place.levels, strict=True)}
    idle = climb.at_bound(place) | (climb.determined(place) < _UNSEEN_PARAMETERS)
    bounded = [name for name, at in zip(names, idle, strict=True) if at]
    chosen = PenaltyChoice(alpha_of, place.effective, place.density, bounded)
    return path, climb.posed(place.levels, place.theta), chosen


@dataclass(frozen=True, slots=True)
class _Place:
    """An optimum, or where training has got to on its way there.

    Attributes
    ----------
    theta : Array of shape (P,)
    levels : Array of shape (groups,)
        Penalties.
    curvature : laplace.Curvature
    density : float
        Log evidence, with the noise that makes it largest.
    noise : float
        That noise.
    effective : float
        γ.
    distance : float
        To the optimum, in posterior standard deviations.
    status : Status
        Of the solver.
    """

    theta: Array
    levels: Array
    curvature: laplace.Curvature
    density: float
    noise: float
    effective: float
    distance: float
    status: Status

    @property
    def arrived(self) -> bool:
        """Whether this is an optimum, or near enough."""
        return self.status in _AT_REST or self.distance <= _NEAR_ENOUGH

    def surpasses(self, other: _Place) -> bool:
        """Whether there is more evidence here than at another place, whatever is left of the way to either optimum.

        At a distance d, in posterior standard deviations, the density is off by ½d², as of a Gaussian.
        """
        left = 0.0 if self.arrived else self.distance**2
        return self.density - left > other.density or (not other.arrived and self.density > other.density)


@dataclass(frozen=True, slots=True)
class _Slope:
    """How the evidence changes with log α.

    Attributes
    ----------
    gradient : Array of shape (groups,)
    moves : Array of shape (groups, P)
        How the optimum moves.
    determined : Array of shape (groups,)
        How many parameters the data determine of each group; half of it is about the curvature of the evidence.
    """

    gradient: Array
    moves: Array
    determined: Array


class _Climb:
    """A walk up the evidence, and the path of all the solver's steps."""

    def __init__(
        self,
        objective: NetworkObjective,
        train: Callable[[NetworkObjective, int, float], Path],
        grouping: tuple[IntArray, list[str]],
        max_iter: int,
        n: float,
        log_weights: float,
    ) -> None:
        self.objective, self.train, self.group = objective, train, grouping[0]
        self.member = self.group == np.arange(len(grouping[1]))[:, None]
        self.left, self.n, self.log_weights = max_iter, n, log_weights
        self.path = Path(objective.start)
        self.ended: Status | None = None

    def top(self) -> _Place:
        """Return the optimum under the penalties that have most evidence, of climbs from several."""
        best = self._arrive(self._climbed(self._optimum(self._alike(_FIRST), self.objective.start, None)))
        for level in _WEAKER:
            if self.ended:
                break
            rest = max(self.left - _MOST_STEPS, 0)
            self.left -= rest
            start = self._promising(self._alike(level), best)
            found = best if start is None else self._climbed(start)
            self._allow(rest)
            if found.surpasses(best):
                found = self._arrive(found)
                best = found if found.surpasses(best) else best
        # Ended from outside, this is the best place so far, though not the last; out of steps, it may well be an optimum.
        return replace(best, status=self.ended) if self.ended in ENDED_FROM_OUTSIDE else best

    def _allow(self, steps: int) -> None:
        """Allow more steps of the solver."""
        self.left += steps
        if self.ended is Status.MAX_ITER and self.left > 0:
            self.ended = None

    def _alike(self, alpha: float) -> Array:
        return np.full(len(self.member), alpha / self.n)

    def _promising(self, levels: Array, rival: _Place) -> _Place | None:
        """Return the first optimum under weaker penalties, or None where a climb from there would be idle."""
        theta, residuals = self.objective.start, self.n * self.objective.network.sizes[-1]
        least = rival.density - _BEHIND * residuals
        for _ in range(_LOOKS):
            here = self._walk(levels, theta, _STRETCH, 0.0)
            hopeless = here.density + _HOPE * here.distance**2 < least
            if here.arrived or self.ended or hopeless or here.effective > _BY_HEART * residuals:
                break
            theta = here.theta
        by_heart = here.effective > _BY_HEART * residuals
        return None if by_heart or here.density < least else here

    def _climbed(self, best: _Place) -> _Place:
        """Return the top that is reached from an optimum."""
        slope, radius = self._slope(best), _RADIUS
        model = np.diag(
            2.0 / np.maximum(slope.determined, _UNSEEN_PARAMETERS)
        )  # inverse curvature of minus the evidence
        for _ in range(_ESTIMATES):
            step, gain = _step(model, slope.gradient, radius)
            levels = self._within_bounds(best, best.levels * np.exp(step))
            step = np.log(levels / best.levels)
            if self.ended or not 0.5 * gain > _SETTLED_NATS or not step.any():
                break
            found = self._optimum(levels, best.theta + step @ slope.moves, best)
            gained = found.density - best.density
            if not (gained > 0 and (found.arrived or not best.arrived)):
                radius = _NARROWER * float(np.abs(step).max())
                if radius < _NARROWEST:
                    break
                continue
            before, best = slope, found
            if gained < _LITTLE_NATS and gained < _DISAPPOINTING * gain:
                break
            slope, radius = self._slope(best), min(2.0 * radius, _WIDEST)
            model = _updated(model, step, before.gradient - slope.gradient)
        return best

    def determined(self, place: _Place) -> Array:
        """Return how many parameters the data determine of each group."""
        penalty = self.posed(place.levels, place.theta).penalty
        return np.asarray(self.member @ np.maximum(laplace.effective_parameters(place.curvature, penalty), 0.0))

    def at_bound(self, place: _Place) -> BoolArray:
        """Return whether each penalty stands at its bound."""
        bound = self._bounds(place)
        return np.asarray(~((bound[0] < place.levels) & (place.levels < bound[1])))

    def posed(self, levels: Array, theta: Array) -> NetworkObjective:
        """Return the objective with penalties (groups,), starting at θ."""
        penalty = np.where(self.group >= 0, levels[self.group], 0.0)
        rows = self.objective.rows
        return NetworkObjective(self.objective.network, rows, penalty * rows.total, theta)

    def _bounds(self, place: _Place) -> tuple[float, float]:
        least, most = laplace.PRIOR_VARIANCE
        return place.noise / (self.n * most), place.noise / (self.n * least)

    def _within_bounds(self, place: _Place, levels: Array) -> Array:
        return np.clip(levels, *self._bounds(place))

    def _slope(self, place: _Place) -> _Slope:
        """Return the gradient of the evidence, the optimum's own movement included.

        With ``n J`` at its minimum, A its curvature and P₀ parameters without penalty the log evidence is
        ``−½(n m − P₀) log(n J) + ½ Σ log αᵢ − ½ log det A``, up to a constant, once the noise is chosen to make it largest.
        """
        objective, theta = self.posed(place.levels, place.theta), place.theta
        pull, determined = self.member * (objective.penalty * theta), self.determined(place)
        partial = 0.5 * (determined - self.n / place.noise * (pull @ theta))
        if not place.arrived:  # at a kink, say; how such a place moves no derivative tells, and MacKay's slope must do
            return _Slope(partial, np.zeros_like(pull), determined)
        try:
            moves = -cho_solve(cho_factor(0.5 * objective.hessian(theta), check_finite=False), pull.T).T
        except LinAlgError:  # not quite at a minimum
            moves = -place.curvature.inverse.solve(pull.T).T
        change = _trace_change(objective, place.curvature, theta)
        bent = np.array([change(move) for move in moves])
        return _Slope(partial - 0.5 * bent, moves, determined)

    def _optimum(self, levels: Array, theta: Array, rival: _Place | None) -> _Place:
        """Train to the optimum; give up where a rival has more evidence."""
        for _ in range(_LOOKS_FIRST if rival is None else _LOOKS):
            # In these units the curvature A is 1/n at least, so that the distance √(n/σ²)·½·√(gᵀA⁻¹g) is near enough.
            tol = 0.0 if rival is None else 2.0 * _NEAR_ENOUGH * rival.noise**0.5 / self.n
            here = self._walk(levels, theta, _STRETCH, tol)
            if here.arrived or self.ended or (rival is not None and here.density < rival.density):
                break
            theta = here.theta
        return here

    def _arrive(self, place: _Place) -> _Place:
        """Train to the very optimum under a place's penalties; a place near it will do where that is out of reach."""
        if not self.ended:
            here = self._walk(place.levels, place.theta, _STRETCH * _LOOKS_LAST, 0.0)
            if here.status in _AT_REST or here.distance <= place.distance:
                place = here
        place = self._polished(place)
        # An optimum may be out of reach: a loss that is not smooth seldom has its minimum where it is.
        if self.ended and not place.arrived:
            return place
        return replace(place, status=Status.CONVERGED if place.distance <= _AT_OPTIMUM_DEVIATIONS else Status.PLATEAU)

    def _polished(self, place: _Place) -> _Place:
        """Take Gauss–Newton steps of residuals: where hardly any noise is left, those of squares are all rounding."""
        objective = self.posed(place.levels, place.theta)
        for _ in range(_LAST_STEPS):
            if not place.distance > _AT_OPTIMUM_DEVIATIONS:
                break
            _, gradient = objective.value_and_gradient(place.theta)
            theta = place.theta - 0.5 * place.curvature.inverse.solve(gradient)
            here = self._look(objective, place.levels, theta, place.status)
            if not here.distance < 0.5 * place.distance:
                break
            place = here
        return place

    def _walk(self, levels: Array, theta: Array, steps: int, tol: float) -> _Place:
        objective = self.posed(levels, theta)
        path = self.train(objective, max(1, min(steps, self.left)), tol)
        self.left -= path.n_iter
        whole = self.path
        skip = 1 if whole.losses else 0
        whole.memory = path.memory
        whole.losses += path.losses[skip:]
        whole.gradient_norms += path.gradient_norms[skip:]
        if path.status in ENDED_FROM_OUTSIDE:
            self.ended = path.status
        elif self.left <= 0:
            self.ended = Status.MAX_ITER
        return self._look(objective, levels, np.asarray(path.theta, dtype=np.float64), path.status)

    def _look(self, objective: NetworkObjective, levels: Array, theta: Array, status: Status) -> _Place:
        outputs, penalty = objective.network.sizes[-1], objective.penalty
        here = objective.evaluate(theta)
        squares = float(np.trace(here.cross))
        curvature = laplace.curvature_at(objective, theta)
        noise = laplace.likeliest_noise(here.value, penalty, self.n, outputs)
        density = laplace.log_marginal_likelihood(
            curvature, penalty, theta, squares, noise, self.n, outputs, self.log_weights
        )
        effective = float(laplace.effective_parameters(curvature, penalty).sum())
        gradient = laplace.beyond_rounding(objective, theta, here.gradient, noise)
        away = laplace.distance(curvature, gradient, self.n, noise)
        return _Place(theta, levels, curvature, density, noise, effective, away, status)


def _trace_change(objective: NetworkObjective, curvature: laplace.Curvature, theta: Array) -> Callable[[Array], float]:
    """Return the function of a direction that tells ``tr A⁻¹ ∂G`` along it, G the Gauss–Newton matrix; by differences."""
    eps, length = float(np.finfo(objective.dtype).eps), float(np.linalg.norm(theta))
    if objective.n_residuals * len(theta) <= _JACOBIAN_SIZE:
        response = curvature.inverse.solve(objective.residual_jacobian(theta)[1].T).T

        def of_jacobians(move: Array) -> float:
            size: float = length * eps ** (1 / 3) / max(float(np.linalg.norm(move)), TINY)
            above, below = (objective.residual_jacobian(theta + side * size * move)[1] for side in (1.0, -1.0))
            return float(np.vdot(response, above - below)) / max(size, TINY)

        return of_jacobians
    matrix, inverse = objective.gauss_newton(theta), curvature.inverse.solve(np.eye(len(theta)))

    def of_matrices(move: Array) -> float:
        size: float = length * eps**0.5 / max(float(np.linalg.norm(move)), TINY)
        return float(np.vdot(inverse, objective.gauss_newton(theta + size * move) - matrix)) / size

    return of_matrices


def _step(model: Array, gradient: Array, radius: float) -> tuple[Array, float]:
    """Return the step to the top of the model, or towards it as far as the radius allows, and what the slope gains."""
    step = model @ gradient
    step = step * min(1.0, radius / max(float(np.abs(step).max()), TINY))
    return step, float(step @ gradient)


def _updated(model: Array, step: Array, change: Array) -> Array:
    """Return the inverse curvature that a step has found as well (Broyden, Fletcher, Goldfarb and Shanno, 1970)."""
    along = float(step @ change)
    if not along > 1e-8 * float(np.linalg.norm(step) * np.linalg.norm(change)):
        return model
    turn = np.eye(len(step)) - np.outer(step, change) / along
    return np.asarray(turn @ model @ turn.T + np.outer(step, step) / along)
