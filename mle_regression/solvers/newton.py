"""Newton's method with conjugate gradients inside a trust region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mle_regression.linalg.arrays import EPS, TINY, Array
from mle_regression.linalg.lanczos import extreme_eigenpairs
from mle_regression.objective.base import Objective
from mle_regression.solvers.base import Need, Options, Serves, Status
from mle_regression.solvers.path import Control, ConvergenceMonitor, Path, ends_of, run_monitored
from mle_regression.solvers.trust_region import ACCEPTABLE_SHARE, LOSS_EPS, next_radius

# Search for negative curvature: residual of the eigenpair, number of products, and relative curvature that is rounding.
_LOOKED_TO, _PRODUCTS, _NO_CURVATURE = 1e-5, 300, 1e-12
# Factor by which a step is shortened that does not lower the loss.
_SHORTER = 0.25
# A step of at least this share of the radius ends at the edge of the region.
_AT_EDGE = 0.99
# Forcing term of conjugate gradients, min(0.25, √‖g‖) (Nocedal and Wright, 2006, (7.3)).
_FORCING = 0.25
# Length of a random direction, relative to the radius, where the gradient is zero.
_RANDOM_LENGTH = 1e-3
# Conjugate gradients take at most twice as many products as parameters, and these.
_MORE_PRODUCTS = 10


@dataclass
class NewtonCG(Options):
    """Trust-region Newton: each step minimises the quadratic model by conjugate gradients (Steihaug, 1983).

    Products with the Hessian are exact. Where conjugate gradients meet negative curvature they follow it to the edge of the
    region. Where the gradient vanishes, Lanczos' method looks for the smallest eigenvalue; if it is negative, the place is a
    saddle point, and is left along its direction.

    Parameters
    ----------
    radius : float, default=1.0
        Of the first trust region.
    """

    radius: float = 1.0

    name: ClassVar[str] = "newton"
    serves: ClassVar[Serves] = Serves.ANY
    needs: ClassVar[Need] = Need.MOMENTS
    continues_from: ClassVar[Need | None] = Need.MOMENTS

    def minimise(self, objective: Objective, control: Control) -> Path:
        """Follow trust-region Newton steps."""
        control.require_automatic_step("newton chooses its own steps")
        spectrum = objective.spectrum
        low, high = ends_of(spectrum)
        stable = "It chooses its own steps: look for numbers of extreme size."
        monitor = ConvergenceMonitor(control, objective.start, low, stable, highest=high)

        earlier = control.remembered("newton_radius", ())
        radius = self.radius if earlier is None else float(earlier)

        def iterate(monitor: ConvergenceMonitor) -> None:
            nonlocal radius
            theta = monitor.path.theta.copy()
            loss, gradient = objective.value_and_gradient(theta)
            ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))
            while monitor.path.n_iter < control.max_iter:
                if ended:
                    down = _way_on(objective, monitor.path, radius, control.rng)
                    if down is None:
                        return
                    monitor.path.status = Status.MAX_ITER
                    theta = theta + down
                    loss, gradient = objective.value_and_gradient(theta)
                    ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))
                    continue
                step, model = trust_region_step(objective, theta, gradient, radius, control.rng)
                length = float(np.linalg.norm(step))
                if not length > 0:
                    return
                new_loss, new_gradient = objective.value_and_gradient(theta + step)
                rounding = LOSS_EPS * EPS * (abs(loss) + TINY)
                share = (loss - new_loss + rounding) / (-model + rounding)
                radius = next_radius(radius, share, length, _AT_EDGE)
                if share > ACCEPTABLE_SHARE:
                    theta, loss, gradient = theta + step, new_loss, new_gradient
                ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))

        path = run_monitored(iterate, monitor)
        if control.remember:
            path.memory = {"newton_radius": np.array(radius)}
        return path


def _way_on(objective: Objective, path: Path, radius: float, rng: np.random.Generator) -> Array | None:
    """Return a step from where a path has ended; None where that is no saddle point.

    Where the curvature changes from place to place, a gradient of zero may be that of one.
    """
    if path.status is not Status.CONVERGED or objective.spectrum is not None:
        return None
    return escape_direction(objective, path.theta, path.losses[-1], radius, rng)


def escape_direction(
    objective: Objective, theta: Array, loss: float, radius: float, rng: np.random.Generator
) -> Array | None:
    """Return a step that leads down from a saddle point, along the lowest curvature; None where that is not negative."""
    found = extreme_eigenpairs(objective.hessian_products(theta), len(theta), 1, 0, rng, _LOOKED_TO, _PRODUCTS)
    if not found.values[0] < -found.bounds[0] - _NO_CURVATURE * found.largest:
        return None
    length = radius
    while length > EPS * max(1.0, float(np.linalg.norm(theta))):
        for step in (length * found.vectors[:, 0], -length * found.vectors[:, 0]):
            if objective.value_and_gradient(theta + step)[0] < loss:
                return np.asarray(step)
        length *= _SHORTER
    return None


def trust_region_step(
    objective: Objective, theta: Array, gradient: Array, radius: float, rng: np.random.Generator
) -> tuple[Array, float]:
    """Return a step inside the radius, and what the quadratic model says it gains (negative)."""
    step, image = np.zeros_like(theta), np.zeros_like(theta)
    residual = -gradient
    if not residual.any():
        residual = rng.standard_normal(len(theta))
        residual *= _RANDOM_LENGTH * radius / np.linalg.norm(residual)
    direction = residual.copy()
    squares = float(residual @ residual)
    enough = squares * min(_FORCING, squares**0.5) ** 2 if gradient.any() else 0.0
    hessian = objective.hessian_products(theta)
    for _ in range(2 * len(theta) + _MORE_PRODUCTS):
        curved = hessian(direction)
        curvature = float(direction @ curved)
        if curvature <= 0:
            edge = _to_edge(step, direction, radius)
            step, image = step + edge * direction, image + edge * curved
            break
        size = squares / curvature
        if np.linalg.norm(step + size * direction) >= radius:
            edge = _to_edge(step, direction, radius)
            step, image = step + edge * direction, image + edge * curved
            break
        step, image = step + size * direction, image + size * curved
        residual = residual - size * curved
        new_squares = float(residual @ residual)
        if new_squares <= enough or new_squares == 0:
            break
        direction = residual + (new_squares / squares) * direction
        squares = new_squares
    return step, float(gradient @ step + 0.5 * step @ image)


def _to_edge(step: Array, direction: Array, radius: float) -> float:
    """Return t ≥ 0 with ‖step + t·direction‖ = radius."""
    a, b, c = direction @ direction, step @ direction, step @ step - radius**2
    discriminant = float(b * b - a * c)
    return float((-b + max(discriminant, 0.0) ** 0.5) / a)
