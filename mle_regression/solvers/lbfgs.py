"""Limited-memory BFGS: SciPy's; by own steps where it goes on from what an earlier path has remembered."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from scipy.optimize import minimize

from mle_regression.linalg.arrays import EPS, AnyArray, Array
from mle_regression.objective.base import Objective
from mle_regression.solvers.base import Need, Options, Serves, Status
from mle_regression.solvers.path import Control, ConvergenceMonitor, Path, ends_of, run_monitored

# Of the decrease that the slope promises, and of the slope, a step leaves no less and no more (Wolfe's conditions).
_DECREASE, _SLOPE = 1e-4, 0.9
_TRIALS = 40
# How much flatter it must be where a new search ends that has found no lower loss.
_FLATTER = 0.5

Value = Callable[[Array], tuple[float, Array]]


@dataclass
class LBFGS(Options):
    """Quasi-Newton steps from the last ``memory`` gradients (Liu and Nocedal, 1989), with a Wolfe line search.

    Parameters
    ----------
    memory : int, default=20
    """

    memory: int = 20

    name: ClassVar[str] = "lbfgs"
    serves: ClassVar[Serves] = Serves.ANY
    needs: ClassVar[Need] = Need.MOMENTS
    continues_from: ClassVar[Need | None] = Need.MOMENTS
    iterations: ClassVar[int] = 2000

    def minimise(self, objective: Objective, control: Control) -> Path:
        """Follow quasi-Newton steps; restarted where the line search gives up above the tolerance."""
        control.require_automatic_step("lbfgs finds its steps by line search")
        low, high = ends_of(objective.spectrum)
        stable = "It searches its own steps: look for numbers of extreme size."
        monitor = ConvergenceMonitor(control, objective.start, low, stable, highest=high)
        seen: dict[bytes, tuple[float, Array]] = {}
        pairs = _Pairs(control, self.memory, len(objective.start))

        bare, constant = objective.without_constant()

        def value(theta: Array) -> tuple[float, Array]:
            found = bare.value_and_gradient(theta)
            seen.clear()
            seen[theta.tobytes()] = found
            return found

        def told(theta: Array) -> None:
            loss, gradient = seen.get(theta.tobytes()) or bare.value_and_gradient(theta)
            pairs.note(theta, gradient)
            if monitor.note(theta.copy(), loss + constant, float(np.linalg.norm(gradient))):
                raise StopIteration

        def search(monitor: ConvergenceMonitor) -> None:
            loss, gradient = value(monitor.path.theta)
            pairs.note(monitor.path.theta, gradient)
            ended = monitor.note(monitor.path.theta, loss + constant, float(np.linalg.norm(gradient)))
            if not ended and pairs.steps:
                ended = _own_steps(value, told, pairs, monitor.path, control.max_iter)
            while not ended and (left := control.max_iter - monitor.path.n_iter) > 0:
                path = monitor.path
                before, least, flattest = path.n_iter, path.losses[-1], path.gradient_norms[-1]
                minimize(
                    value,
                    monitor.path.theta,
                    jac=True,
                    method="L-BFGS-B",
                    callback=told,
                    options={
                        "maxiter": left,
                        "maxcor": self.memory,
                        "ftol": 0.0,
                        "gtol": 0.0,
                        "maxfun": 20 * left + 100,
                    },
                )
                ended = path.status is not Status.MAX_ITER
                # Within rounding of the least loss steps that leave it as it is are taken for ever.
                lower = path.losses[-1] < least or path.gradient_norms[-1] < _FLATTER * flattest
                if not ended and path.n_iter < control.max_iter and (path.n_iter == before or not lower):
                    path.status, ended = Status.STALLED, True

        path = run_monitored(search, monitor)
        if control.remember:
            path.memory = pairs.remembered()
        return path


class _Pairs:
    """The last steps and the changes of the gradient along them, from which the inverse of the Hessian is made.

    Nothing is noted where nothing is to be remembered, and nothing is.
    """

    def __init__(self, control: Control, size: int, n_parameters: int) -> None:
        steps = control.remembered("lbfgs_steps", (-1, n_parameters))
        changes = control.remembered("lbfgs_changes", (-1, n_parameters))
        known = steps is not None and changes is not None and len(steps) == len(changes)
        self.steps: deque[Array] = deque(steps if known and steps is not None else (), maxlen=size)
        self.changes: deque[Array] = deque(changes if known and changes is not None else (), maxlen=size)
        self.wanted = control.remember or bool(self.steps)
        self.last: tuple[Array, Array] | None = None

    def note(self, theta: Array, gradient: Array) -> None:
        """Note a place on the path; a step along which the slope does not grow says nothing of the Hessian's inverse."""
        if not self.wanted:
            return
        if self.last is not None:
            step, change = theta - self.last[0], gradient - self.last[1]
            if step @ change > EPS * (change @ change):
                self.steps.append(step)
                self.changes.append(change)
        self.last = theta.copy(), gradient.copy()

    def direction(self, gradient: Array) -> Array:
        """Return −Hg by the two loops of Nocedal (1980)."""
        direction, weights = -gradient, []
        for step, change in zip(reversed(self.steps), reversed(self.changes), strict=True):
            weights.append((step @ direction) / (step @ change))
            direction = direction - weights[-1] * change
        step, change = self.steps[-1], self.changes[-1]
        direction = direction * ((step @ change) / (change @ change))
        for step, change, weight in zip(self.steps, self.changes, reversed(weights), strict=True):
            direction = direction + (weight - (change @ direction) / (step @ change)) * step
        return np.asarray(direction)

    def remembered(self) -> dict[str, AnyArray]:
        """Return what an array can hold of it."""
        return {"lbfgs_steps": np.array(self.steps), "lbfgs_changes": np.array(self.changes)} if self.steps else {}


def _own_steps(value: Value, told: Callable[[Array], None], pairs: _Pairs, path: Path, max_iter: int) -> bool:
    """Go on with what is remembered; return whether the path ends, and not where no step lowers the loss."""
    theta = path.theta
    loss, gradient = value(theta)
    while path.n_iter < max_iter:
        found = _wolfe_step(value, theta, loss, gradient, pairs.direction(gradient))
        if found is None:
            return False
        theta, loss, gradient = found
        try:
            told(theta)
        except StopIteration:
            return True
    return True


def _wolfe_step(
    value: Value, theta: Array, loss: float, gradient: Array, direction: Array
) -> tuple[Array, float, Array] | None:
    """Return where Wolfe's conditions hold along a direction, and value and gradient there, by bisection (Lewis, Overton)."""
    slope = float(gradient @ direction)
    low, high, size = 0.0, np.inf, 1.0
    for _ in range(_TRIALS if slope < 0 else 0):
        place = theta + size * direction
        new_loss, new_gradient = value(place)
        if not new_loss <= loss + _DECREASE * size * slope:
            high = size
        elif new_gradient @ direction < _SLOPE * slope:
            low = size
        else:
            return place, new_loss, new_gradient
        size = 0.5 * (low + high) if np.isfinite(high) else 2.0 * low
    return None
