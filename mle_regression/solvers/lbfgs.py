"""Limited-memory BFGS: quasi-Newton steps from the last gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mle_regression.linalg.arrays import EPS, AnyArray, Array
from mle_regression.linalg.triangle import solve_triangle
from mle_regression.objective.base import Objective
from mle_regression.solvers.base import Need, Options, Serves, Status
from mle_regression.solvers.line_search import ROUNDING_RISE, Place, Value, place_at, search_line
from mle_regression.solvers.path import FLATTER, Control, ConvergenceMonitor, Path, ends_of, run_monitored

# Steps without a lower loss, or a flatter gradient, after which nothing but rounding is left.
_STILL_STEPS = 100


@dataclass
class LBFGS(Options):
    """Quasi-Newton steps from the last ``memory`` gradients (Liu and Nocedal, 1989), with a line search by slopes.

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
        """Follow quasi-Newton steps to the tolerance, or as far as rounding lets them."""
        control.require_automatic_step("lbfgs finds its steps by line search")
        low, high = ends_of(objective.spectrum)
        stable = "It searches its own steps: look for numbers of extreme size."
        monitor = ConvergenceMonitor(control, objective.start, low, stable, highest=high, by_gradient=True)
        pairs = Pairs(control, self.memory, len(objective.start))
        bare, constant = objective.without_constant()
        path = run_monitored(lambda monitor: _descend(bare.value_and_gradient, constant, pairs, monitor), monitor)
        if control.remember:
            path.memory = pairs.remembered()
        return path


def _descend(value: Value, constant: float, pairs: Pairs, monitor: ConvergenceMonitor) -> None:
    """Take steps until the monitor ends the path, or none is found."""
    path = monitor.path
    place, still = place_at(value, path.theta), 0
    least, flattest = place.loss, float(np.linalg.norm(place.gradient))
    ended = monitor.note(place.theta, place.loss + constant, flattest)
    while not ended and path.n_iter < monitor.control.max_iter:
        found = _step(value, place, pairs) if still < _STILL_STEPS else None
        if found is None:
            path.status = _why_none(place, pairs, monitor.control)
            return
        pairs.add(found.theta - place.theta, found.gradient - place.gradient)
        place, norm = found, float(np.linalg.norm(found.gradient))
        ended = monitor.note(place.theta, place.loss + constant, norm)
        still = 0 if place.loss < least or norm < FLATTER * flattest else still + 1
        least = min(least, place.loss)
        flattest = norm if norm < FLATTER * flattest else flattest


def _step(value: Value, place: Place, pairs: Pairs) -> Place | None:
    """Return where a quasi-Newton step leads, or else one of steepest descent, the path's first; None if there is neither."""
    if len(pairs):
        found = search_line(value, place, pairs.direction(place.gradient))
        if found is not None:
            return found
    length = float(np.linalg.norm(place.gradient))
    found = search_line(value, place, -place.gradient, first=1.0 / length) if length > 0 else None
    if found is not None:
        pairs.forget()
    return found


def _why_none(place: Place, pairs: Pairs, control: Control) -> Status:
    """Return how a path ends that finds no step: on a plateau where all that a step would gain is lost in rounding.

    A path that is to be followed without end has no plateaus.
    """
    if control.patience is None or control.patience > control.max_iter or not len(pairs):
        return Status.STALLED
    gain = -0.5 * float(place.gradient @ pairs.direction(place.gradient))
    return Status.PLATEAU if gain <= ROUNDING_RISE * abs(place.loss) else Status.STALLED


class Pairs:
    """The last steps and the changes of the gradient along them, from which the inverse of the Hessian is made."""

    def __init__(self, control: Control, size: int, n_parameters: int) -> None:
        steps = control.remembered("lbfgs_steps", (-1, n_parameters))
        changes = control.remembered("lbfgs_changes", (-1, n_parameters))
        self.size = size
        self.steps, self.changes = np.zeros((0, n_parameters)), np.zeros((0, n_parameters))
        self.forget()
        if steps is not None and changes is not None and len(steps) == len(changes):
            for step, change in zip(steps, changes, strict=True):
                self.add(step, change)

    def __len__(self) -> int:
        return len(self.steps)

    def forget(self) -> None:
        """Begin again without any."""
        self.steps, self.changes = self.steps[:0], self.changes[:0]
        self.crossed, self.squares = np.zeros((0, 0)), np.zeros((0, 0))

    def add(self, step: Array, change: Array) -> None:
        """Note a step (P,); one along which the slope does not grow says nothing of the Hessian's inverse."""
        if not step @ change > EPS * (change @ change):
            return
        kept = slice(max(0, len(self) + 1 - self.size), None)
        self.steps = np.vstack([self.steps[kept], step])
        self.changes = np.vstack([self.changes[kept], change])
        self.crossed = _bordered(self.crossed[kept, kept], self.changes @ step, self.steps @ change)
        of_change = self.changes @ change
        self.squares = _bordered(self.squares[kept, kept], of_change, of_change)

    def direction(self, gradient: Array) -> Array:
        """Return −Hg, in the compact form of H (Byrd, Nocedal and Schnabel, 1994).

        With steps S and changes Y, R the upper triangle of SᵀY, D its diagonal and γ = sᵀy/yᵀy of the last,
        ``Hg = γg + S R⁻ᵀ((D + γYᵀY)u − γYᵀg) − γYu`` for ``u = R⁻¹Sᵀg``.
        """
        gamma = self.crossed[-1, -1] / self.squares[-1, -1]
        upper = np.triu(self.crossed)
        u = solve_triangle(upper, (self.steps @ gradient)[:, None])[:, 0]
        inner = np.diagonal(upper) * u + gamma * (self.squares @ u - self.changes @ gradient)
        v = solve_triangle(upper, inner[:, None], transposed=True)[:, 0]
        return np.asarray(gamma * (u @ self.changes - gradient) - v @ self.steps)

    def remembered(self) -> dict[str, AnyArray]:
        """Return what an array can hold of it."""
        return {"lbfgs_steps": self.steps, "lbfgs_changes": self.changes} if len(self) else {}


def _bordered(matrix: Array, row: Array, column: Array) -> Array:
    """Return a matrix (k, k) with one more row and column (k + 1,), which end in the same number."""
    k = len(matrix)
    table = np.empty((k + 1, k + 1))
    table[:k, :k], table[k], table[:, k] = matrix, row, column
    return table
