"""Gradient descent with a constant step, plain or accelerated."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from mle_regression.linalg.arrays import EPS, Array
from mle_regression.objective.base import Objective
from mle_regression.solvers.base import Need, Options, Serves
from mle_regression.solvers.path import Control, ConvergenceMonitor, Path, run_monitored

ACCELERATIONS = ("none", "nesterov", "polyak")
# Relative rounding error of a loss.
_LOSS_ROUNDING = 16.0 * EPS
# Momentum where the curvature is not constant, and steps of the power iteration that estimates the largest curvature.
_MOMENTUM, _POWER_STEPS = 0.9, 20


@dataclass
class GradientDescent(Options):
    """Full-batch gradient descent.

    Parameters
    ----------
    acceleration : {"none", "nesterov", "polyak"}, default="nesterov"
        With the constants for eigenvalues from λmin to λmax, κ = λmax/λmin, on a quadratic:
        "none", step 2/(λmin + λmax), rate (κ − 1)/(κ + 1);
        "nesterov" (Nesterov, 1983; constants of Lessard, Recht and Packard, 2016), step 4/(3λmax + λmin), momentum
        (√(3κ + 1) − 2)/(√(3κ + 1) + 2), rate 1 − 2/√(3κ + 1);
        "polyak" (Polyak, 1964), step 4/(√λmax + √λmin)², momentum ((√κ − 1)/(√κ + 1))², rate (√κ − 1)/(√κ + 1).
    """

    acceleration: str = "nesterov"

    name: ClassVar[str] = "gd"
    serves: ClassVar[Serves] = Serves.ANY
    needs: ClassVar[Need] = Need.MOMENTS
    continues_from: ClassVar[Need | None] = Need.MOMENTS
    iterations: ClassVar[int] = 2000

    def minimise(self, objective: Objective, control: Control) -> Path:
        """Follow the gradient from the objective's start."""
        if self.acceleration not in ACCELERATIONS:
            raise ValueError(
                f"acceleration={self.acceleration!r} is not one of: {', '.join(map(repr, ACCELERATIONS))}."
            )
        spectrum = objective.spectrum
        if spectrum is None:
            return self._on_changing_curvature(objective, control)
        low, high = (float(spectrum[0]), float(spectrum[-1])) if spectrum.size else (1.0, 1.0)
        return self._on_constant_curvature(objective, control, low, high)

    def _on_constant_curvature(self, objective: Objective, control: Control, low: float, high: float) -> Path:
        """Where the Hessian is the same everywhere, of eigenvalues from ``low`` to ``high``."""
        step, momentum, rate = constants(self.acceleration, low, high)
        bound = stable_bound(self.acceleration, momentum, high)
        if control.learning_rate != "auto":
            step = _stable_step(float(control.learning_rate), bound, high)
            rate = linear_rate(self.acceleration, step, momentum, low, high)
        monitor = ConvergenceMonitor(
            control, objective.start, low, f"Steps are stable below {bound:.6g}.", proven=True, highest=high
        )
        nesterov = self.acceleration == "nesterov"
        velocity = _velocity(control, objective.start)

        def descend(monitor: ConvergenceMonitor) -> None:
            nonlocal velocity
            theta = monitor.path.theta.copy()
            if nesterov:
                theta -= momentum * velocity  # the path notes where gradients are taken, a step of momentum ahead
            loss, gradient = objective.value_and_gradient(monitor.path.theta)
            ended = monitor.note(monitor.path.theta, loss, float(np.linalg.norm(gradient)))
            while not ended and monitor.path.n_iter < control.max_iter:
                velocity = momentum * velocity - step * gradient
                theta = theta + velocity
                ahead = theta + momentum * velocity if nesterov else theta
                loss, gradient = objective.value_and_gradient(ahead)
                ended = monitor.note(ahead, loss, float(np.linalg.norm(gradient)))

        path = run_monitored(descend, monitor)
        if control.remember:
            path.memory = {"gd_velocity": velocity}
        path.rate = rate
        return path

    def _on_changing_curvature(self, objective: Objective, control: Control) -> Path:
        """Where the Hessian changes: "auto" begins with half the stable step and halves it whenever the loss rises."""
        theta = objective.start.copy()
        automatic = control.learning_rate == "auto"
        earlier = control.remembered("gd_step", ()) if automatic else None
        with np.errstate(over="ignore", invalid="ignore"):
            bound = 2.0 * (
                float(earlier) if earlier is not None else 1.0 / largest_curvature(objective, theta, control.rng)
            )
        step = 0.5 * bound if automatic else float(control.learning_rate)
        share = 0.0 if self.acceleration == "none" else _MOMENTUM
        velocity = _velocity(control, theta)
        monitor = ConvergenceMonitor(
            control, theta, 0.0, f"Steps are stable below {bound:.6g} where it began; try a tenth of that."
        )

        def descend(monitor: ConvergenceMonitor) -> None:
            nonlocal theta, step, velocity
            loss, gradient = objective.value_and_gradient(theta)
            ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))
            while not ended and monitor.path.n_iter < control.max_iter:
                velocity = share * velocity - step * gradient
                move = share * velocity - step * gradient if self.acceleration == "nesterov" else velocity
                new_loss, new_gradient = objective.value_and_gradient(theta + move)
                # Near a minimum the loss varies by rounding, whatever the step.
                if automatic and not new_loss <= loss + _LOSS_ROUNDING * abs(loss):
                    # If momentum leads uphill it is dropped; if a plain step does, it is too long.
                    step = step if velocity.any() and share and np.vdot(move, gradient) >= 0 else 0.5 * step
                    velocity = np.zeros_like(theta)
                    ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))
                    continue
                theta, loss, gradient = theta + move, new_loss, new_gradient
                ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))

        path = run_monitored(descend, monitor)
        if control.remember:
            path.memory = {"gd_velocity": velocity, "gd_step": np.array(step)}
        path.stability_limit = stable_curvature(self.acceleration, share, step)
        return path


def _stable_step(step: float, bound: float, high: float) -> float:
    """Return a step, or raise if it is not below the bound of those that do not diverge."""
    if step < bound:
        return step
    raise ValueError(
        f"learning_rate={step:g} would diverge: steps are stable below {bound:.6g} (2/λmax is {2 / high:.6g}, "
        "in columns of unit length). Take a smaller one, or 'auto'."
    )


def _velocity(control: Control, theta: Array) -> Array:
    """Return the velocity that is remembered of an earlier path, or none."""
    found = control.remembered("gd_velocity", theta.shape)
    return np.zeros_like(theta) if found is None else found


def stable_curvature(acceleration: str, momentum: float, step: float) -> float:
    """Return the largest curvature at which steps of a size do not grow: 2/η without acceleration."""
    if acceleration == "nesterov":
        return 2.0 * (1.0 + momentum) / (1.0 + 2.0 * momentum) / step
    return 2.0 * (1.0 + momentum) / step


def largest_curvature(objective: Objective, theta: Array, rng: np.random.Generator, steps: int = _POWER_STEPS) -> float:
    """Return about the largest absolute eigenvalue of the Hessian, by power iteration."""
    vector, size, hessian = rng.standard_normal(len(theta)), 0.0, objective.hessian_products(theta)
    for _ in range(steps):
        with np.errstate(over="ignore", invalid="ignore"):
            vector = hessian(vector / np.linalg.norm(vector))
            size = float(np.linalg.norm(vector))
        if not size > 0:
            return 1.0
    return size


def constants(acceleration: str, low: float, high: float) -> tuple[float, float, float]:
    """Return step, momentum and rate that are best for eigenvalues from ``low`` to ``high``."""
    root = np.sqrt(high / low)
    if acceleration == "polyak":
        momentum = ((root - 1) / (root + 1)) ** 2
        return 4.0 / (np.sqrt(high) + np.sqrt(low)) ** 2, float(momentum), float(np.sqrt(momentum))
    if acceleration == "nesterov":
        wide = np.sqrt(3 * root**2 + 1)
        return 4.0 / (3 * high + low), float((wide - 2) / (wide + 2)), float(1 - 2 / wide)
    return 2.0 / (low + high), 0.0, (high - low) / (high + low)


def stable_bound(acceleration: str, momentum: float, high: float) -> float:
    """Return the step from which on the largest eigenvalue's direction grows, 2/λmax without acceleration."""
    return stable_curvature(acceleration, momentum if acceleration == "nesterov" else 0.0, high)


def linear_rate(acceleration: str, step: float, momentum: float, low: float, high: float) -> float:
    """Return the spectral radius of the iteration, the largest over both ends of the spectrum."""
    return max(_radius(acceleration, step, momentum, value) for value in (low, high))


def _radius(acceleration: str, step: float, momentum: float, eigenvalue: float) -> float:
    shrink = 1.0 - step * eigenvalue
    if acceleration == "none":
        return abs(shrink)
    gain = (1.0 + momentum) * shrink if acceleration == "nesterov" else 1.0 + momentum - step * eigenvalue
    product = momentum * shrink if acceleration == "nesterov" else momentum
    iteration: Array = np.array([[gain, -product], [1.0, 0.0]])
    return float(np.abs(np.linalg.eigvals(iteration)).max())
