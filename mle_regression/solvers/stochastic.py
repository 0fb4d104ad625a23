"""Stochastic gradients from batches of rows: SGD with momentum and averaging, Adam and AdamW.

A step allocates nothing: parameters, moments and a spare array are written in place.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from mle_regression.linalg.arrays import AnyArray
from mle_regression.linalg.threads import each_in_threads, row_workers
from mle_regression.objective.base import BatchObjective
from mle_regression.solvers.base import Need, Options, Serves
from mle_regression.solvers.gradient_descent import largest_curvature, stable_curvature
from mle_regression.solvers.path import Control, ConvergenceMonitor, DivergenceError, Path, ends_of, run_monitored

_BATCHES = 256
_SMALLEST_BATCH = 32
SCHEDULES = ("constant", "inverse", "cosine")


class _Rule(Protocol):
    """How a gradient moves the parameters; ``memory`` holds what it remembers."""

    @property
    def memory(self) -> dict[str, AnyArray]: ...

    def step(self, theta: AnyArray, gradient: AnyArray, rate: float) -> None:
        """Move theta in place."""
        ...

    def forget(self) -> None:
        """Forget all steps so far."""
        ...


@dataclass(slots=True)
class _Step:
    """The size of a step; one that was chosen for the user is halved where it diverges."""

    size: float
    automatic: bool = False


class _Momentum:
    """``v ← μv − ηg``; Nesterov's form, in the parameters at which the gradient is taken, adds ``μv − ηg`` to them."""

    def __init__(self, like: AnyArray, memory: dict[str, AnyArray], momentum: float, nesterov: bool) -> None:
        self.momentum, self.nesterov = momentum, nesterov
        self.velocity = _remembered(memory, "velocity", like)
        self.spare = np.empty_like(like)
        self.memory = {"velocity": self.velocity}

    def forget(self) -> None:
        self.velocity[:] = 0.0

    def step(self, theta: AnyArray, gradient: AnyArray, rate: float) -> None:
        np.multiply(gradient, rate, out=self.spare)
        self.velocity *= self.momentum
        self.velocity -= self.spare
        if self.nesterov:
            theta -= self.spare
            np.multiply(self.velocity, self.momentum, out=self.spare)
            theta += self.spare
        else:
            theta += self.velocity


class _Moments:
    """Adam's moments, kept undivided: ``m ← β₁m + g``, ``v ← β₂v + g²``; their factors go into the rate."""

    def __init__(self, like: AnyArray, memory: dict[str, AnyArray], adam: Adam) -> None:
        self.options = adam
        self.first, self.second = _remembered(memory, "first", like), _remembered(memory, "second", like)
        self.count = int(memory.get("count", 0))
        self.spare = np.empty_like(like)
        self.parts = _shared_out(like.size)
        self.pool = ThreadPoolExecutor(len(self.parts))

    @property
    def memory(self) -> dict[str, AnyArray]:
        return {"first": self.first, "second": self.second, "count": np.array(self.count)}

    def forget(self) -> None:
        self.first[:] = self.second[:] = 0.0
        self.count = 0

    def step(self, theta: AnyArray, gradient: AnyArray, rate: float) -> None:
        options = self.options
        self.count += 1
        of_first = (1.0 - options.beta_1) / (1.0 - options.beta_1**self.count)
        of_second = ((1.0 - options.beta_2) / (1.0 - options.beta_2**self.count)) ** 0.5
        arrays = (theta, gradient, self.first, self.second, self.spare)
        if len(self.parts) == 1:
            self._move(arrays, rate, of_first, of_second)
            return
        each_in_threads(
            lambda part: self._move(tuple(a[part] for a in arrays), rate, of_first, of_second), self.parts, self.pool
        )

    def _move(self, arrays: tuple[AnyArray, ...], rate: float, of_first: float, of_second: float) -> None:
        """Move some of the parameters in place."""
        options, (theta, gradient, first, second, spare) = self.options, arrays
        first *= options.beta_1
        first += gradient
        second *= options.beta_2
        np.multiply(gradient, gradient, out=spare)
        second += spare
        np.sqrt(second, out=spare)
        spare += options.epsilon / of_second
        np.divide(first, spare, out=spare)
        spare *= rate * of_first / of_second
        if options.weight_decay:
            theta *= 1.0 - rate * options.weight_decay
        theta -= spare


@dataclass
class StochasticGradient(Options):
    """Mini-batch gradient descent.

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
    serves: ClassVar[Serves] = Serves.ANY
    needs: ClassVar[Need] = Need.BATCHES
    continues_from: ClassVar[Need | None] = Need.BATCHES

    def minimise(self, objective: BatchObjective, control: Control) -> Path:
        """Follow batch gradients for ``max_iter`` passes over the rows."""
        if not 0.0 <= self.momentum < 1.0:
            raise ValueError(f"momentum={self.momentum!r} must be at least 0 and less than 1.")
        _, high = ends_of(objective.spectrum)
        stable = (
            f"Steps well below {2 / high:.6g} are stable."
            if high
            else "Take a smaller learning_rate, a tenth of this one."
        )
        theta = objective.start.astype(objective.dtype)
        rule = _Momentum(theta, control.memory, self.momentum, self.nesterov)
        automatic = control.learning_rate == "auto"
        step = _Step(self._stable_step(objective, control) if automatic else float(control.learning_rate), automatic)
        path = _passes(objective, control, theta, rule, step, self.schedule, self.average, stable)
        if automatic:
            path.memory = path.memory | {"sgd_step": np.array(step.size)}
        last = step.size * _share(self.schedule, max(0, path.n_iter - 1), control.max_iter)
        path.stability_limit = stable_curvature(self._acceleration, self.momentum, last)
        return path

    @property
    def _acceleration(self) -> str:
        return "nesterov" if self.nesterov else "polyak"

    def _stable_step(self, objective: BatchObjective, control: Control) -> float:
        """Return the step that is remembered, else half of one that is stable."""
        if "sgd_step" in control.memory:
            return float(control.memory["sgd_step"])
        if objective.spectrum is None:
            sample = objective.thinned(_SAMPLE_ROWS)
            start = np.asarray(sample.start, dtype=np.float64)
            # Numbers of their own, so that the batches do not depend on how the step was found.
            with np.errstate(over="ignore", invalid="ignore"):
                curvature = largest_curvature(sample, start, np.random.default_rng(0), _PRODUCTS)
            return 0.5 * stable_curvature(self._acceleration, self.momentum, curvature)
        high = float(objective.spectrum[-1]) if objective.spectrum.size else 1.0
        # Momentum multiplies the step. In the mean over batches of b rows, steps are stable below 2/(λmax + R²/b)
        # (Bach and Moulines, 2013): rows that are few and long, as of sparse columns, ask for smaller ones.
        noise = objective.batch_curvature(_batch_size(objective, control))
        return (1.0 - self.momentum) / max(2.0 * high, high + noise)


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
    serves: ClassVar[Serves] = Serves.ANY
    needs: ClassVar[Need] = Need.BATCHES
    continues_from: ClassVar[Need | None] = Need.BATCHES

    def minimise(self, objective: BatchObjective, control: Control) -> Path:
        """Follow batch gradients for ``max_iter`` passes over the rows."""
        for name in ("beta_1", "beta_2"):
            if not 0.0 <= getattr(self, name) < 1.0:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 0 and less than 1.")
        step = _ADAM_STEP if objective.spectrum is not None else _NETWORK_STEP
        rate = step if control.learning_rate == "auto" else float(control.learning_rate)
        theta = objective.start.astype(objective.dtype)
        rule = _Moments(theta, control.memory, self)
        remedy = f"Take a smaller learning_rate: {rate / 10:.3g}."
        return _passes(objective, control, theta, rule, _Step(rate), self.schedule, False, remedy)


@dataclass
class AdamW(Adam):
    """Adam with decoupled weight decay, 0.01 by default."""

    weight_decay: float = 0.01

    name: ClassVar[str] = "adamw"


# Steps of "auto": on a quadratic in columns of unit length, and on a network in columns of unit variance.
_ADAM_STEP = 0.01
_NETWORK_STEP = 2e-3
# The curvature at the start of a network: from so many of the rows, by so many products with their Hessian.
_SAMPLE_ROWS, _PRODUCTS = 1000, 10
# Parameters that a thread moves at least, in some 0.1 ms.
_LEAST_SHARE = 1 << 15
# How often a step may be halved: to the rounding of the first.
_HALVINGS = 52
# Times its size that no stable step adds to the first loss.
_OVERSHOT = 1.0


def _shared_out(size: int) -> list[slice]:
    """Return the parts of so many parameters that threads move, each a part; one where a thread is not worth its while."""
    count = max(1, min(row_workers(), size // _LEAST_SHARE))
    return [slice(size * k // count, size * (k + 1) // count) for k in range(count)]


def _remembered(memory: dict[str, AnyArray], name: str, like: AnyArray) -> AnyArray:
    """Return a copy of what is remembered under a name, zeros if that is nothing or of another size."""
    found = memory.get(name)
    return np.array(found, dtype=like.dtype) if found is not None and found.shape == like.shape else np.zeros_like(like)


def _batch_size(objective: BatchObjective, control: Control) -> int:
    """Rows of a batch: as asked for, else about 1/256 of all."""
    return control.batch_size or max(_SMALLEST_BATCH, objective.n_rows // _BATCHES)


def _overshot(first: float) -> float:
    """Return a loss that no stable step comes to from the first one, which may be negative."""
    return first + _OVERSHOT * abs(first)


def _share(schedule: str, t: int, passes: int) -> float:
    if schedule == "inverse":
        return 1.0 / (1.0 + t)
    return float(0.5 * (1.0 + np.cos(np.pi * t / passes))) if schedule == "cosine" else 1.0


def _passes(
    objective: BatchObjective,
    control: Control,
    theta: AnyArray,
    rule: _Rule,
    step: _Step,
    schedule: str,
    average: bool,
    stable: str,
) -> Path:
    """Go through batches of all rows, again and again.

    After a pass the loss is looked at where that costs little; else it is the mean over the batches of the pass, and so is
    the gradient. Where an automatic step diverges it is halved, and the path goes on from the best place that it has seen.
    """
    if schedule not in SCHEDULES:
        raise ValueError(f"schedule={schedule!r} is not one of: {', '.join(map(repr, SCHEDULES))}.")
    size = _batch_size(objective, control)
    spectrum = objective.spectrum
    low, high = ends_of(spectrum)
    monitor = ConvergenceMonitor(control, theta, low, stable, highest=high)

    def run(monitor: ConvergenceMonitor) -> None:
        loss, gradient = objective.value_and_gradient(theta)
        ended = monitor.note(theta.copy(), loss, float(np.linalg.norm(gradient)))
        sum_of, count, halved = np.zeros_like(theta), 0, 0
        best, best_loss = theta.copy(), loss
        with np.errstate(over="ignore", invalid="ignore"):
            while not ended and (t := monitor.path.n_iter) < control.max_iter:
                rate = step.size * _share(schedule, t, control.max_iter)
                loss, gradient = _one_pass(objective, control, theta, rule, rate, size)
                shown = theta
                if average and 2 * t >= control.max_iter:
                    sum_of, count = sum_of + theta, count + 1
                    shown = sum_of / count
                loss, gradient = objective.after_pass(shown) or (loss, gradient)
                try:
                    if step.automatic and halved < _HALVINGS and loss > _overshot(monitor.path.losses[0]):
                        raise DivergenceError
                    ended = monitor.note(shown.copy(), loss, float(np.linalg.norm(gradient)))
                except DivergenceError:
                    halved += 1
                    if not step.automatic or halved > _HALVINGS:
                        raise
                    step.size, theta[:], monitor.rises = 0.5 * step.size, best, 0
                    sum_of, count = np.zeros_like(theta), 0
                    rule.forget()
                    continue
                if loss < best_loss:
                    best[:], best_loss = theta, loss
        monitor.path.memory = rule.memory

    return run_monitored(run, monitor)


def _one_pass(
    objective: BatchObjective, control: Control, theta: AnyArray, rule: _Rule, rate: float, size: int
) -> tuple[float, AnyArray]:
    """Take a step for each batch; return the means of their losses and gradients."""
    losses, total, count = 0.0, np.zeros_like(theta), 0
    for batch in objective.batches(control.rng, size):
        loss, gradient = objective.batch_gradient(theta, batch)
        losses, count = losses + loss, count + 1
        total += gradient
        rule.step(theta, gradient, rate)
    return losses / count, total / count
