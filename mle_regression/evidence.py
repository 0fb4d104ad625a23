"""Penalties that the data choose while a network is trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mle_regression.diagnostics import laplace
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.models.network import Network
from mle_regression.objective.network import NetworkObjective
from mle_regression.solvers.base import Status
from mle_regression.solvers.path import Path

GROUPINGS = ("single", "layer", "input")

# Steps of the solver between estimates; a gain in evidence too small to go on for; turns at most.
_STEPS, _SETTLED, _TURNS = 5, 1e-2, 200
# α to begin with. What training learns under a strong prior it need not unlearn; but one too strong switches units off for
# good, so that a second walk begins with a weak one, where walks are short.
_STRONG, _STRONG_SHARE, _WEAK = 100.0, 0.1, 0.3
_SHORT = 3_000_000
# Turns before a walk is compared with its rival, and times that its last gain is hoped for again.
_PATIENT, _HOPE = 6, 20


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
    first: float,
    max_iter: int,
    n: float,
    log_weights: float,
    rival: float = -np.inf,
) -> tuple[Path, NetworkObjective, Chosen]:
    """Train and estimate the penalties in turn while the evidence grows; then train to the end with those.

    Parameters
    ----------
    objective : NetworkObjective
    train : callable
        ``train(objective, max_iter, last)`` lets a solver go on from the objective's start, the last time to the end.
    grouping : (IntArray of shape (P,), list of str)
    first : float
        α to begin with.
    max_iter : int
        Of all steps together.
    n : float
        Number of observations.
    log_weights : float
        Σ log w of weights with mean one.
    rival : float
        Log evidence where another walk has ended; one that will hardly get there is given up.

    Returns
    -------
    path : Path
        All steps one after another. Losses are those under the penalties of their time.
    objective : NetworkObjective
        With the penalties chosen.
    chosen : Chosen
    """
    group, names = grouping
    network, rows = objective.network, objective.rows
    levels = np.full(len(names), first / n)
    whole = Path(objective.start)
    theta, before, given_up = objective.start, -np.inf, False
    for turn in range(_TURNS):
        penalty = np.where(group >= 0, levels[group], 0.0)
        objective = NetworkObjective(network, rows, penalty * rows.total, theta)
        path = train(objective, max(1, min(_STEPS, max_iter - whole.n_iter)), False)
        _append(whole, path)
        theta = np.asarray(path.theta, dtype=np.float64)
        if path.status in (Status.STOPPED, Status.INTERRUPTED) or whole.n_iter >= max_iter:
            break
        density, _, found = _look(objective, theta, grouping, n, log_weights)
        if abs(density - before) <= _SETTLED or turn == _TURNS - 1:
            objective.start = theta
            path = train(objective, max_iter - whole.n_iter, True)
            _append(whole, path)
            theta = np.asarray(path.theta, dtype=np.float64)
            break
        given_up = turn >= _PATIENT and density + _HOPE * (density - before) < rival
        if given_up:
            break
        levels, before = found.penalty, density
    density, levels, found = _look(objective, theta, grouping, n, log_weights)
    # One that is given up has reached no optimum, and is no match for one that has.
    density = -np.inf if given_up else density
    alpha = {name: float(level) * rows.total for name, level in zip(names, levels, strict=True)}
    bounded = [name for name, at in zip(names, found.bounded, strict=True) if at]
    return whole, objective, Chosen(alpha, found.effective, found.noise, density, bounded)


def _look(
    objective: NetworkObjective, theta: Array, grouping: tuple[IntArray, list[str]], n: float, log_weights: float
) -> tuple[float, Array, laplace.Evidence]:
    """Return the evidence at θ, the penalties (groups,) there, and what they should become."""
    group, names = grouping
    outputs, penalty = objective.network.sizes[-1], objective.penalty
    objective.value_and_gradient(theta)
    squares = float(np.trace(objective.cross))
    curvature = laplace.inverted(objective.gauss_newton(theta), penalty)
    found = laplace.reestimated(curvature, penalty, group, theta, squares, n, outputs)
    density = laplace.log_marginal_likelihood(curvature, penalty, theta, squares, found.noise, n, outputs, log_weights)
    return density, np.array([penalty[group == k][0] for k in range(len(names))]), found


def _append(whole: Path, path: Path) -> None:
    """Let one path go on where another ends."""
    skip = 1 if whole.losses else 0
    whole.theta, whole.status, whole.memory = path.theta, path.status, path.memory
    whole.losses += path.losses[skip:]
    whole.gradient_norms += path.gradient_norms[skip:]
