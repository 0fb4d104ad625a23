"""A network fitted anew without each of its rows: Newton's steps from where it stands with all of them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from mle_regression.linalg.arrays import TINY, Array, BoolArray, IntArray
from mle_regression.models.several import half_gradients, outputs_of_each
from mle_regression.objective.network import NetworkObjective
from mle_regression.rows.base import is_local
from mle_regression.rows.registry import as_rows
from mle_regression.rows.standard import StandardBlock
from mle_regression.solvers.base import Status
from mle_regression.solvers.levenberg_marquardt import LevenbergMarquardt
from mle_regression.solvers.path import Control, Path

# Curvature, relative to the mean of the Hessian's diagonal, of directions that have none: biases of units switched off.
_LEAST_CURVATURE = 1e-8
# How far from a minimum a network may stand: Newton's step, in units in which J is a squared length, beside the root of J.
_AT_REST = 1e-3
# Steps with one factorisation, and by what each must shorten the next.
_CHORDS, _SHORTENED = 12, 0.6
# Part of the residuals' root mean square to which a prediction is known.
_KNOWN = 1e-3
# Steps of Levenberg–Marquardt, where one factorisation leads nowhere; the gradient at which they end; and the radius of the
# first region, as part of the parameters' length: short, so as not to leap over to another minimum.
_STEPS, _TOL, _RADIUS = 100, 1e-6, 0.05
# Weights, one a row of each fit, that are held at a time.
_HELD = 1 << 21
# What a step of it costs whatever its size, in multiplications.
_OF_A_STEP = 4e5
# Gradients that a row takes, about, and multiplications of one, a row and parameter.
_GRADIENTS, _OF_A_GRADIENT = 4.0, 6.0


def refitted_without_each(
    objective: NetworkObjective, theta: Array, groups: IntArray, budget: float, left: Array | None = None
) -> Array | None:
    """Return predictions (n, m) of rows, in standard units, by the network fitted without them.

    From the minimum over all rows, ``δ ← δ − ½A⁻¹ ∇J₋ᵢ(θ + δ)`` with A half the Hessian of all rows less the row's own
    Gauss–Newton part, so that one factorisation serves all (the chord method), until the prediction stands still. Where a
    step does not shorten the next, Levenberg–Marquardt goes on from θ. The first step of the linearised network alone is
    Allen's (1974) formula; where a row weighs much, or units are bent, its square has been off by a factor of three.

    Parameters
    ----------
    objective : NetworkObjective
        In float64, of rows in memory.
    theta : Array of shape (P,)
        Its minimum.
    groups : IntArray of shape (n,)
        From zero on; rows of a group have the same columns, and are left out together.
    budget : float
        Multiplications that this may take.
    left : Array of shape (n,), default=None
        Part of a row's weight that is left in; none of it by default.

    Returns
    -------
    Array of shape (n, m) or None
        None where θ is no minimum, where a fit without some row gets to none, and where the budget does not suffice.
    """
    n_groups = int(groups.max(initial=-1)) + 1
    if refits_work(objective, n_groups) > budget or not is_local(objective.rows.home):
        return None
    place = _place_of(objective, theta)
    if place is None:
        return None
    first = np.unique(groups, return_index=True)[1]
    found, steps = np.empty((n_groups, objective.network.sizes[-1])), 0
    together = max(1, _HELD // len(groups))
    for lo in range(0, n_groups, together):
        some = np.arange(lo, min(lo + together, n_groups))
        stays = np.where(groups == some[:, None], 0.0 if left is None else left, 1.0)
        thetas, arrived = _chords(place, first[some], stays)
        for group in np.flatnonzero(~arrived):
            path = _walked(_weighted(objective, stays[group]), theta)
            steps += path.n_iter
            if path.status not in (Status.CONVERGED, Status.PLATEAU) or steps * _step_work(objective) > budget:
                return None
            thetas[group] = path.theta
        found[some] = outputs_of_each(objective.network, thetas, place.block.x.T[first[some]][:, :, None])[:, :, 0]
    return found[groups]


def refits_work(objective: NetworkObjective, n_groups: int) -> float:
    """Return about how many multiplications the fits without each of so many groups of rows take."""
    size, k = float(objective.network.n_parameters), float(objective.n_residuals)
    return n_groups * (_GRADIENTS * _OF_A_GRADIENT * k * size + 2.0 * size**2) + k * size**2 + size**3


def _step_work(objective: NetworkObjective) -> float:
    size = float(objective.network.n_parameters)
    return _OF_A_STEP + objective.n_residuals * size**2 + size**3


@dataclass(frozen=True, slots=True)
class _Place:
    """A network at its minimum over all rows, and the curvature there.

    Attributes
    ----------
    objective : NetworkObjective
    theta : Array of shape (P,)
    block : StandardBlock
        All rows.
    factor : tuple
        Cholesky factor of half the Hessian times Σw.
    size : float
        Root mean square of the residuals.
    """

    objective: NetworkObjective
    theta: Array
    block: StandardBlock
    factor: tuple[Array, bool]
    size: float

    def half_gradients(self, thetas: Array, stays: Array) -> Array:
        """Return half the gradients (g, P) of Σw J at parameters (g, P), with parts (g, n) of the rows' weights."""
        objective, block = self.objective, self.block
        weights = stays if block.weights is None else stays * block.weights
        penalty = objective.penalty * objective.rows.total
        return half_gradients(objective.network, thetas, block.x, block.y, weights) + penalty * thetas


def _place_of(objective: NetworkObjective, theta: Array) -> _Place | None:
    """Return the place of a minimum; None where it is none."""
    total = objective.rows.total
    curvature = 0.5 * total * objective.hessian(theta)
    curvature[np.diag_indices_from(curvature)] += _LEAST_CURVATURE * abs(float(np.trace(curvature))) / len(theta)
    try:
        factor = cho_factor(curvature, lower=True, overwrite_a=True)
    except (LinAlgError, ValueError):
        return None
    here = objective.evaluate(theta)
    half = 0.5 * total * here.gradient
    away = float(half @ cho_solve(factor, half, check_finite=False))
    if not away <= _AT_REST**2 * total * here.value:
        return None
    block = objective.rows.block(slice(0, objective.n_rows))
    return _Place(objective, theta, block, factor, float(np.trace(here.cross)) ** 0.5)


def _chords(place: _Place, first: IntArray, stays: Array) -> tuple[Array, BoolArray]:
    """Return the parameters (g, P) fitted to what stays, and whether the curvature of all rows has led there.

    Without a group of weight w, of rows with the Jacobian Jᵢ, ``A⁻¹ + A⁻¹Jᵢᵀ (1/w − JᵢA⁻¹Jᵢᵀ)⁻¹ JᵢA⁻¹`` is the inverse.
    """
    objective, block = place.objective, place.block
    weights = 1.0 - stays if block.weights is None else (1.0 - stays) * block.weights
    jacobian = np.concatenate([objective.output_jacobian(place.theta, slice(k, k + 1)) for k in first])
    g, m, size = jacobian.shape
    image = cho_solve(place.factor, jacobian.reshape(-1, size).T, check_finite=False).T.reshape(g, m, size)
    own = jacobian @ image.swapaxes(1, 2)
    spread, vectors = np.linalg.eigh(np.eye(m) / weights.sum(axis=1)[:, None, None] - own)
    active = spread[:, 0] > 0
    inner = (vectors / np.where(active[:, None], spread, 1.0)[:, None, :]) @ vectors.swapaxes(1, 2)
    reach = np.trace(own + own @ inner @ own, axis1=1, axis2=2)
    near = _KNOWN * place.size / np.sqrt(np.maximum(reach, TINY))
    thetas, before, arrived = np.tile(place.theta, (g, 1)), np.full(g, np.inf), np.zeros(g, dtype=bool)
    for _ in range(_CHORDS):
        now = np.flatnonzero(active & ~arrived)
        half = place.half_gradients(thetas[now], stays[now])
        step = cho_solve(place.factor, half.T, check_finite=False).T
        seen = inner[now] @ (jacobian[now] @ step[:, :, None])
        step += (image[now].swapaxes(1, 2) @ seen)[:, :, 0]
        length = np.sqrt(np.maximum(np.einsum("gp,gp->g", half, step), 0.0))
        active[now] = length < _SHORTENED * before[now]
        thetas[now] -= step
        before[now], arrived[now] = length, active[now] & (length <= near[now])
    return thetas, arrived


def _weighted(objective: NetworkObjective, factors: Array) -> NetworkObjective:
    """Return the objective with weights times some factors, rows of none left away, at the same penalty."""
    rows, keep = objective.rows, factors > 0
    assert is_local(rows.home)
    weights = None if rows.weights is None else rows.weights[keep]
    if not (factors[keep] == 1.0).all():
        weights = (1.0 if weights is None else weights) * factors[keep]
    return replace(objective, rows=replace(rows, home=as_rows(rows.home.x[keep], rows.y[keep], weights)))


def _walked(rest: NetworkObjective, theta: Array) -> Path:
    """Let Levenberg–Marquardt go on from parameters."""
    control = Control("auto", None, _STEPS, _TOL, np.random.default_rng(0), memory={"exact": np.array(True)})
    return LevenbergMarquardt(radius=_RADIUS * float(np.linalg.norm(theta))).minimise(
        replace(rest, start=theta), control
    )
