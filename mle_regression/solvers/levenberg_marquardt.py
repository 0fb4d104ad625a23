"""Levenberg–Marquardt: Gauss–Newton steps inside a trust region."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpotrf, dpotrs

from mle_regression.linalg.arrays import EPS, TINY, Array
from mle_regression.objective.base import JacobianProducts, SumOfSquares
from mle_regression.solvers.base import Need, Options, Serves, Status
from mle_regression.solvers.path import Control, ConvergenceMonitor, Path, run_monitored
from mle_regression.solvers.trust_region import ACCEPTABLE_SHARE, LOSS_EPS, next_radius

# How near to the edge of the region is at it, and how many times the damping is bettered to get there.
_AT_EDGE, _TRIES = 0.1, 20
# Share of the gain that a step lengthened along negative curvature may leave to a better one.
_ENOUGH = 0.2
# Damping, relative to the mean of the diagonal, below which a matrix may be singular; the dual form divides by it.
_LEAST_DAMPING, _LEAST_DUAL = 1e-14, 1e-8

# Parameters up to which the exact Hessian is made; where they outnumber the residuals, whose matrix is cheaper; and Newton's
# steps at the end.
_POLISHED, _POLISHED_DUAL, _LAST_STEPS = 3000, 800, 3

# So many steps that gain so little together call for the exact Hessian.
_LAST, _LITTLE_GAIN = 5, 0.02
# Part of the loss at the start that is small.
_SMALL = 1e-3

Solve = Callable[[Array], Array]


@dataclass
class LevenbergMarquardt(Options):
    """Each step minimises ``‖r + Jδ‖² + d·(θ + δ)²`` with ‖δ‖ within the region's radius (Levenberg, 1944; Moré, 1978).

    The damping λ in ``(JᵀJ + d + λI)δ = −g`` is found by Newton's method on the length of δ (Hebden, 1973). How much of the
    predicted gain came true widens or narrows the region. JᵀJ is summed over blocks of rows; where there are fewer residuals
    than parameters, k < P, the same step comes from the k × k matrix ``I + J(d + λI)⁻¹Jᵀ``, and J is never formed.

    Where residuals stay large and steps become many and short, the exact Hessian takes the place of 2JᵀJ, as in NL2SOL
    (Dennis, Gay and Welsch, 1981): its steps converge quadratically where those of Gauss–Newton creep.

    Parameters
    ----------
    second_order : bool or "auto", default="auto"
        Whether the exact Hessian takes over where Gauss–Newton steps gain little. "auto": unless parameters outnumber the
        residuals and these have become small, where Gauss–Newton steps are all but exact, and from fewer numbers.
    radius : float, default=1.0
        Of the first trust region.
    max_memory : float, default=2.0
        Gigabytes that the matrices may take.
    """

    second_order: bool | Literal["auto"] = "auto"
    radius: float = 1.0
    max_memory: float = 2.0

    name: ClassVar[str] = "lm"
    serves: ClassVar[Serves] = Serves.SUMS
    needs: ClassVar[Need] = Need.RESIDUALS
    continues_from: ClassVar[Need | None] = None

    def minimise(self, objective: SumOfSquares, control: Control) -> Path:
        """Follow Gauss–Newton steps until the gradient vanishes."""
        control.require_automatic_step("lm chooses its own steps")
        start = objective.start
        self._check_memory(len(start), objective.n_residuals)
        always = self.second_order is True or len(start) <= objective.n_residuals
        small = bool(self.second_order) and len(start) <= (_POLISHED if always else _POLISHED_DUAL)
        monitor = ConvergenceMonitor(control, start, 0.0, "It chooses its own steps: look for numbers of extreme size.")

        def iterate(monitor: ConvergenceMonitor) -> None:
            theta, radius, damping = start.copy(), float(control.memory.get("radius", self.radius)), 0.0
            exact = small and "exact" in control.memory
            loss, gradient = objective.value_and_gradient(theta)
            ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))
            while not ended and monitor.path.n_iter < control.max_iter:
                losses = monitor.path.losses
                exact = exact or (small and _creeps(losses) and (always or losses[-1] > _SMALL * losses[0]))
                system = damped_system(objective, theta, exact)
                accepted = False
                while not accepted:
                    step, damping = step_within(system, 0.5 * gradient, radius, damping)
                    length = float(np.linalg.norm(step))
                    if not length > 4.0 * EPS * float(np.linalg.norm(theta)):
                        monitor.path.status = Status.PLATEAU
                        return
                    predicted = -float(gradient @ step) - system.squares(step)
                    new_loss, new_gradient = objective.value_and_gradient(theta + step)
                    rounding = LOSS_EPS * EPS * loss
                    share = (loss - new_loss + rounding) / (predicted + rounding)
                    accepted = bool(share > ACCEPTABLE_SHARE)
                    radius = next_radius(radius, share, length, 1.0 - 2.0 * _AT_EDGE)
                theta, loss, gradient = theta + step, new_loss, new_gradient
                monitor.path.memory = {"radius": np.array(radius)}
                ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))

        path = run_monitored(iterate, monitor)
        if small and path.status in (Status.CONVERGED, Status.PLATEAU):
            _polish(objective, path)
        return path

    def _check_memory(self, n_parameters: int, n_residuals: int) -> None:
        size = 8e-9 * 3.0 * min(n_parameters, n_residuals) ** 2
        if size > self.max_memory:
            raise ValueError(
                f"solver='lm' would need about {size:.3g} GB for {n_parameters:,} parameters, more than "
                f"max_memory={self.max_memory:g}. Take solver='lbfgs' or 'adam', with a number as alpha, or allow it: "
                f"LevenbergMarquardt(max_memory={np.ceil(size):.0f})."
            )


class _IndefiniteError(LinAlgError):
    """The matrix is not positive definite; it may be with more than ``least`` damping, as a ``direction`` shows."""

    def __init__(self, least: float, direction: Array) -> None:
        super().__init__("not positive definite")
        self.least, self.direction = least, direction


class DampedSystem(ABC):
    """``(M + λI)δ = v`` for any damping λ, M a Gauss–Newton matrix with its penalty.

    Attributes
    ----------
    size : float
        Mean of the diagonal of M.
    least : float
        Smallest damping, relative to that.
    """

    size: float
    least: float = _LEAST_DAMPING

    @abstractmethod
    def solver(self, damping: float) -> Solve:
        """Return a function that solves with M + λI; raises LinAlgError where that is not positive definite."""

    @abstractmethod
    def squares(self, step: Array) -> float:
        """Return δᵀMδ."""


class _Primal(DampedSystem):
    """By the Cholesky factor of M, P × P."""

    def __init__(self, gauss_newton: Array, penalty: Array) -> None:
        self.matrix = gauss_newton
        self.diagonal = np.diagonal(gauss_newton) + penalty
        np.fill_diagonal(self.matrix, self.diagonal)
        self.size = float(self.diagonal.mean())

    def solver(self, damping: float) -> Solve:
        damped = self.matrix.copy()
        np.fill_diagonal(damped, self.diagonal + damping)
        # Of a symmetric matrix the transpose, which LAPACK takes without a copy.
        factor, failed = dpotrf(damped.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            raise self._indefinite(factor, failed - 1, damping)
        return lambda v: np.asarray(dpotrs(factor, v, lower=1)[0])

    def _indefinite(self, factor: Array, k: int, damping: float) -> _IndefiniteError:
        """Return how far below zero, at least, the least eigenvalue is: row k has ended the factorisation.

        With u from the factor of the rows before, ``(−u, 1)`` is a direction of negative curvature (Moré and Sorensen, 1983).
        """
        row = self.matrix[k, :k]
        u = dpotrs(factor[:k, :k], row, lower=1)[0] if k else row
        found = float((row @ u - self.diagonal[k] - damping) / (u @ u + 1.0))
        direction = np.zeros(len(self.matrix))
        direction[:k], direction[k] = -u, 1.0
        return _IndefiniteError(damping + max(found, 0.0), direction)

    def squares(self, step: Array) -> float:
        return float(step @ self.matrix @ step)


class _Dual(DampedSystem):
    """By the Cholesky factor of ``I + J E⁻¹ Jᵀ``, k × k, with E = d + λI; J is there by its products alone."""

    least = _LEAST_DUAL

    def __init__(self, jacobian: JacobianProducts, penalty: Array) -> None:
        self.jacobian, self.penalty = jacobian, penalty
        self.size = float(jacobian.squares / len(penalty) + penalty.mean())

    def solver(self, damping: float) -> Solve:
        inverse = 1.0 / (self.penalty + damping)
        inner = self.jacobian.gram(inverse)
        inner[np.diag_indices_from(inner)] += 1.0
        factor = cho_factor(inner, lower=True, overwrite_a=True, check_finite=False)

        def solve(v: Array) -> Array:
            image = cho_solve(factor, self.jacobian.product(inverse * v), check_finite=False)
            return np.asarray(inverse * (v - self.jacobian.transposed(image)))

        return solve

    def squares(self, step: Array) -> float:
        image = self.jacobian.product(step)
        return float(image @ image + self.penalty @ step**2)


def _polish(objective: SumOfSquares, path: Path) -> None:
    """Take Newton's own last steps, which square the gradient, while they lower it and the Hessian is positive definite."""
    theta = np.asarray(path.theta, dtype=np.float64)
    _, gradient = objective.value_and_gradient(theta)
    norm = float(np.linalg.norm(gradient))
    for _ in range(_LAST_STEPS):
        try:
            factor = cho_factor(objective.hessian(theta), lower=True, overwrite_a=True, check_finite=False)
        except LinAlgError:
            return
        moved = theta - cho_solve(factor, gradient, check_finite=False)
        loss, gradient = objective.value_and_gradient(moved)
        new_norm = float(np.linalg.norm(gradient))
        near = loss <= path.losses[-1] * (1.0 + 16.0 * EPS)
        if not (near and new_norm < 0.1 * norm):
            return
        theta, norm = moved, new_norm
        path.theta = theta
        path.losses.append(loss)
        path.gradient_norms.append(norm)


def _creeps(losses: list[float]) -> bool:
    """Whether the last steps together have gained little."""
    return len(losses) > _LAST and losses[-1 - _LAST] - losses[-1] < _LITTLE_GAIN * losses[-1]


def damped_system(objective: SumOfSquares, theta: Array, exact: bool = False) -> DampedSystem:
    """Return the system of a Gauss–Newton step, in the smaller of its two forms, or with the exact Hessian."""
    if exact:
        half = 0.5 * objective.hessian(theta)
        half[np.diag_indices_from(half)] -= objective.penalty
        return _Primal(half, objective.penalty)
    if objective.n_residuals < len(theta):
        return _Dual(objective.residual_products(theta), objective.penalty)
    return _Primal(objective.gauss_newton(theta), objective.penalty)


def step_within(system: DampedSystem, gradient: Array, radius: float, damping: float) -> tuple[Array, float]:
    """Return the step that minimises the model within the radius, and its damping; begins with that of the last step.

    With ``δ(λ) = −(M + λI)⁻¹g`` Newton's method on 1/radius − 1/‖δ‖, nearly linear in λ, converges from either side. Where M
    has a negative eigenvalue along which the gradient has next to nothing, δ stays short however near λ comes to it; what is
    left to the radius is then gone along that direction, nearly as far down as any step leads (Moré and Sorensen, 1983).
    """
    least = system.least * max(system.size, TINY)
    low, high = 0.0, np.inf
    trial = max(damping, least)
    step, down = np.zeros_like(gradient), None
    for _ in range(_TRIES):
        try:
            solve = system.solver(trial)
            step = -solve(gradient)
        except LinAlgError as error:
            low, down = max(trial, getattr(error, "least", 0.0)), getattr(error, "direction", None)
            trial = np.sqrt(low * high) if np.isfinite(high) else max(2.0 * low, 10.0 * trial, least)
            continue
        length = float(np.linalg.norm(step))
        if not np.isfinite(length):
            low, trial = trial, 10.0 * trial
            continue
        if abs(length - radius) <= _AT_EDGE * radius or (length < radius and trial <= 1.01 * max(low, least)):
            break
        if down is not None and length < radius:
            longer, lost = _lengthened(system, gradient, step, solve(down), down, radius)
            if lost <= _ENOUGH * (trial * radius**2 - float(gradient @ step)):
                return longer, trial
        low, high = (trial, high) if length > radius else (low, trial)
        slope = float(step @ solve(step)) / length**2
        trial += (length / radius - 1.0) / max(slope, TINY)
        if not low < trial < high:
            # Where nothing is known to be indefinite, damping may as well be none.
            trial = np.sqrt(low * high) if np.isfinite(high) else 10.0 * low
        trial = max(trial, least)
    return step, trial


def _lengthened(
    system: DampedSystem, gradient: Array, step: Array, image: Array, down: Array, radius: float
) -> tuple[Array, float]:
    """Return a step gone on to the radius along ``image = (M + λI)⁻¹ down``, to the side where the model is lower.

    And what that loses at most, of the model with M + λI, beside the best step there is.
    """
    norm = float(np.linalg.norm(image))
    direction = image / norm
    along, rest = float(step @ direction), radius**2 - float(step @ step)
    root = (along**2 + rest) ** 0.5
    lengths = (root - along, -root - along)
    length = min(lengths, key=lambda t: 2.0 * t * float(gradient @ direction) + system.squares(step + t * direction))
    return step + length * direction, length**2 * float(image @ down) / norm**2
