"""Stochastic gradients from batches of rows: SGD with momentum and averaging, Adam and AdamW."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import ClassVar

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.objective import BatchObjective
from mle_regression.solvers.base import Options
from mle_regression.solvers.path import Control, Path, Walk, walk

_BATCHES = 256
_SMALLEST_BATCH = 32
SCHEDULES = ("constant", "inverse", "cosine")


@dataclass
class StochasticGradient(Options):
    """Mini-batch gradient descent.

    A batch takes every k-th row, so that rows in some order are spread over all batches; batches follow one another in a
    new random order in each pass.

    Parameters
    ----------
    momentum : float, default=0.9
        Share of the last step that is taken again.
    nesterov : bool, default=True
        Whether the gradient is taken after the momentum's part of the step.
    schedule : {"constant", "inverse", "cosine"}, default="cosine"
        How the step falls with the passes t of T = max_iter: not, as 1/(1 + t), as (1 + cos(πt/T))/2.
    average : bool, default=False
        Whether the result is the mean over the second half of the passes (Polyak and Juditsky, 1992).
    """

    momentum: float = 0.9
    nesterov: bool = True
    schedule: str = "cosine"
    average: bool = False

    name: ClassVar[str] = "sgd"
    noises: ClassVar[frozenset[str]] = frozenset({"gaussian"})
    from_sums: ClassVar[bool] = False
    draws_batches: ClassVar[bool] = True
    goes_on: ClassVar[bool] = True

    def minimise(self, objective: BatchObjective, control: Control) -> Path:
        """Follow batch gradients for ``max_iter`` passes over the rows."""
        high = _highest(objective)
        # Of a batch the largest curvature may be larger than that of all rows; momentum multiplies the step.
        step = 0.5 * (1.0 - self.momentum) / high if control.learning_rate == "auto" else float(control.learning_rate)
        velocity = np.zeros_like(objective.start)

        def update(theta: Array, gradient: Callable[[Array], Array], share: float) -> Array:
            ahead = theta + self.momentum * velocity if self.nesterov else theta
            velocity[:] = self.momentum * velocity - step * share * gradient(ahead)
            return theta + velocity

        return _passes(
            objective, control, update, self.schedule, self.average, f"Steps well below {2 / high:.6g} are stable."
        )


@dataclass
class Adam(Options):
    """Adam (Kingma and Ba, 2015): steps of about one size in each parameter, from running moments of the gradient.

    Parameters
    ----------
    beta_1, beta_2 : float, default=0.9, 0.999
        Memory of the first and the second moment.
    epsilon : float, default=1e-8
    weight_decay : float, default=0.0
        Decoupled shrinkage of the parameters in each step, a part of the learning rate (Loshchilov and Hutter, 2019).
    schedule : {"constant", "inverse", "cosine"}, default="cosine"
        How the step falls with the passes over the rows.
    """

    beta_1: float = 0.9
    beta_2: float = 0.999
    epsilon: float = 1e-8
    weight_decay: float = 0.0
    schedule: str = "cosine"

    name: ClassVar[str] = "adam"
    noises: ClassVar[frozenset[str]] = frozenset({"gaussian"})
    from_sums: ClassVar[bool] = False
    draws_batches: ClassVar[bool] = True
    goes_on: ClassVar[bool] = True

    def minimise(self, objective: BatchObjective, control: Control) -> Path:
        """Follow batch gradients for ``max_iter`` passes over the rows."""
        step = 0.01 if control.learning_rate == "auto" else float(control.learning_rate)
        first, second = np.zeros_like(objective.start), np.zeros_like(objective.start)
        count = 0

        def update(theta: Array, gradient: Callable[[Array], Array], share: float) -> Array:
            nonlocal count
            count += 1
            g = gradient(theta)
            first[:] = self.beta_1 * first + (1 - self.beta_1) * g
            second[:] = self.beta_2 * second + (1 - self.beta_2) * g**2
            move = (first / (1 - self.beta_1**count)) / (np.sqrt(second / (1 - self.beta_2**count)) + self.epsilon)
            return theta - step * share * (move + self.weight_decay * theta)

        return _passes(objective, control, update, self.schedule, False, "Take a smaller learning_rate.")


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 by default."""

    weight_decay: float = 0.01

    name: ClassVar[str] = "adamw"


def _gradient_of(objective: BatchObjective, rows: slice, theta: Array) -> Array:
    return objective.batch_gradient(theta, rows)


def _highest(objective: BatchObjective) -> float:
    spectrum = objective.spectrum
    return float(spectrum[-1]) if spectrum is not None and spectrum.size else 1.0


def _share(schedule: str, t: int, passes: int) -> float:
    if schedule == "inverse":
        return 1.0 / (1.0 + t)
    return float(0.5 * (1.0 + np.cos(np.pi * t / passes))) if schedule == "cosine" else 1.0


def _passes(
    objective: BatchObjective,
    control: Control,
    update: Callable[[Array, Callable[[Array], Array], float], Array],
    schedule: str,
    average: bool,
    stable: str,
) -> Path:
    """Go through the batches of all rows, again and again; the loss is looked at after each pass."""
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule={schedule!r} is not one of: {', '.join(map(repr, SCHEDULES))}.")
    n = objective.n_rows
    size = control.batch_size or max(_SMALLEST_BATCH, n // _BATCHES)
    n_batches = max(1, n // size)
    spectrum = objective.spectrum
    low = float(spectrum[0]) if spectrum is not None and spectrum.size else 0.0
    follower = Walk(control, objective.start, low, stable)

    def run(follower: Walk) -> None:
        theta = follower.path.theta.copy()
        loss, gradient = objective.value_and_gradient(theta)
        ended = follower.note(theta, loss, float(np.linalg.norm(gradient)))
        sum_of, count = np.zeros_like(theta), 0
        with np.errstate(over="ignore", invalid="ignore"):
            while not ended and (t := follower.path.n_iter) < control.max_iter:
                share = _share(schedule, t, control.max_iter)
                for batch in control.rng.permutation(n_batches).tolist():
                    theta = update(theta, partial(_gradient_of, objective, slice(batch, None, n_batches)), share)
                shown = theta
                if average and 2 * t >= control.max_iter:
                    sum_of, count = sum_of + theta, count + 1
                    shown = sum_of / count
                loss, gradient = objective.value_and_gradient(shown)
                ended = follower.note(shown, loss, float(np.linalg.norm(gradient)))

    return walk(run, follower)
