"""Levenberg–Marquardt: Gauss–Newton steps inside a trust region."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from mle_regression.linalg.arrays import EPS, TINY, AnyArray, Array
from mle_regression.linalg.memory import NUMBER_BYTES
from mle_regression.objective.base import SumOfSquares
from mle_regression.solvers.base import Need, Options, Serves, Status
from mle_regression.solvers.damped_systems import DampedSystem, damped_system
from mle_regression.solvers.path import Control, ConvergenceMonitor, Path, run_monitored
from mle_regression.solvers.trust_region import ACCEPTABLE_SHARE, LOSS_EPS, next_radius

# How near to the edge of the region is at it, and how many times the damping is bettered to get there.
_AT_EDGE, _TRIES = 0.2, 20
# By what the damping grows where nothing tells how far, and up to how much more than the least it is the least.
_MORE_DAMPING, _LESS_DAMPING, _AT_LEAST = 10.0, 0.1, 1.01
# Share of the gain that a step lengthened along negative curvature may leave to a better one.
_ENOUGH = 0.2
# Parameters up to which the exact Hessian is made; where they outnumber the residuals, whose matrix is cheaper; and Newton's
# steps at the end.
_POLISHED, _POLISHED_DUAL, _LAST_STEPS = 3000, 800, 3
# Part of the gradient below which each of these is to leave it.
_BETTER = 0.1
# Matrices of the size of the system that a step takes.
_COPIES = 3

# So many steps that gain so little together call for the exact Hessian.
_LAST, _LITTLE_GAIN = 5, 0.02
# Part of the loss at the start that is small.
_SMALL = 1e-3

# Damping of the first step, relative to the mean of the diagonal; the least factor that lowers it, the first that raises it.
_FIRST_DAMPING, _LOWERED, _RAISED = 1e-2, 0.2, 2.0


@dataclass
class LevenbergMarquardt(Options):
    """Each step minimises ``‖r + Jδ‖² + d·(θ + δ)²`` with ‖δ‖ within the region's radius (Levenberg, 1944; Moré, 1978).

    The damping λ in ``(JᵀJ + d + λI)δ = −g`` is found by Newton's method on the length of δ (Hebden, 1973). How much of the
    predicted gain came true widens or narrows the region; or it lowers or raises the damping itself (Nielsen, 1999), with one
    factorisation a step where a radius takes about two. JᵀJ is summed over blocks of rows; where there are fewer residuals
    than parameters, k < P, the same step comes from the k × k matrix ``I + J(d + λI)⁻¹Jᵀ``, and J is never formed.

    Where residuals stay large and steps become many and short, the exact Hessian takes the place of 2JᵀJ, as in NL2SOL
    (Dennis, Gay and Welsch, 1981): its steps converge quadratically where those of Gauss–Newton creep.

    Parameters
    ----------
    second_order : bool or "auto", default="auto"
        Whether the exact Hessian takes over where Gauss–Newton steps gain little. "auto": unless parameters outnumber the
        residuals and these have become small, where Gauss–Newton steps are all but exact, and from fewer numbers.
    region : {"radius", "damping"}, default="radius"
        What is moved by how much of the predicted gain came true. "damping" is the cheaper step, of about the same number;
        "radius" is the surer one where the exact Hessian takes over.
    radius : float, default=1.0
        Of the first trust region.
    max_memory : float, default=2.0
        Gigabytes that the matrices may take.
    """

    second_order: bool | Literal["auto"] = "auto"
    region: Literal["radius", "damping"] = "radius"
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
            theta, region = start.copy(), self._region(control)
            exact = small and "exact" in control.memory
            loss, gradient = objective.value_and_gradient(theta)
            ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))
            while not ended and monitor.path.n_iter < control.max_iter:
                losses = monitor.path.losses
                exact = exact or (small and _creeps(losses) and (always or losses[-1] > _SMALL * losses[0]))
                system = damped_system(objective, theta, exact)
                accepted = False
                while not accepted:
                    step = region.step(system, 0.5 * gradient)
                    length = float(np.linalg.norm(step))
                    if not length > 4.0 * EPS * float(np.linalg.norm(theta)):
                        monitor.path.status = Status.PLATEAU
                        return
                    predicted = -float(gradient @ step) - system.squares(step)
                    new_loss, new_gradient = objective.value_and_gradient(theta + step)
                    rounding = LOSS_EPS * EPS * loss
                    share = (loss - new_loss + rounding) / (predicted + rounding)
                    accepted = bool(share > ACCEPTABLE_SHARE)
                    region.judge(share, length)
                theta, loss, gradient = theta + step, new_loss, new_gradient
                monitor.path.memory = region.memory
                ended = monitor.note(theta, loss, float(np.linalg.norm(gradient)))

        path = run_monitored(iterate, monitor)
        if small and path.status in (Status.CONVERGED, Status.PLATEAU):
            _polish(objective, path)
        return path

    def _region(self, control: Control) -> _Radius | _Damping:
        memory = control.memory
        if self.region == "damping":
            return _Damping(float(memory.get("damping", 0.0)))
        return _Radius(float(memory.get("radius", self.radius)))

    def _check_memory(self, n_parameters: int, n_residuals: int) -> None:
        size = _COPIES * NUMBER_BYTES / 1e9 * min(n_parameters, n_residuals) ** 2
        if size > self.max_memory:
            raise ValueError(
                f"solver='lm' would need about {size:.3g} GB for {n_parameters:,} parameters, more than "
                f"max_memory={self.max_memory:g}. Take solver='lbfgs' or 'adam', with a number as alpha, or allow it: "
                f"LevenbergMarquardt(max_memory={np.ceil(size):.0f})."
            )


@dataclass(frozen=True, slots=True)
class DampedLength:
    """How long a step δ(λ) is: what tells about which damping λ makes the next one as long as its radius.

    Attributes
    ----------
    damping : float
        λ.
    length : float
        ‖δ(λ)‖; zero where nothing is known.
    rate : float
        By which part 1/‖δ‖, all but linear in λ, grows with λ; zero where that is not known.
    """

    damping: float = 0.0
    length: float = 0.0
    rate: float = 0.0

    def damping_at(self, length: float) -> float:
        """Return about the damping of steps of another length; negative where these are longer than all."""
        return self.damping + (self.length / length - 1.0) / max(self.rate, TINY)


@dataclass
class _Radius:
    """Steps are no longer than the radius, which moves."""

    radius: float
    last: DampedLength = DampedLength()

    def step(self, system: DampedSystem, slope: Array) -> Array:
        step, self.last = step_within(system, slope, self.radius, self.last)
        return step

    def judge(self, share: float, length: float) -> None:
        """Widen or narrow by which share of the predicted gain a step of some length has brought."""
        self.radius = next_radius(self.radius, share, length, 1.0 - 2.0 * _AT_EDGE)

    @property
    def memory(self) -> dict[str, AnyArray]:
        return {"radius": np.array(self.radius)}


@dataclass
class _Damping:
    """The damping λ moves (H. B. Nielsen, 1999, Damping parameter in Marquardt's method); zero before the first step."""

    damping: float
    raised: float = _RAISED

    def step(self, system: DampedSystem, slope: Array) -> Array:
        self.damping = self.damping or _FIRST_DAMPING * system.size
        least = system.least * max(system.size, TINY)
        for _ in range(_TRIES):
            try:
                return -system.solver(max(self.damping, least))(slope)
            except LinAlgError as error:
                self.damping = max(_RAISED * max(self.damping, least), getattr(error, "least", 0.0))
        return np.zeros_like(slope)

    def judge(self, share: float, length: float) -> None:
        """Lower or raise by which share of the predicted gain a step has brought."""
        if share > ACCEPTABLE_SHARE:
            self.damping *= max(_LOWERED, 1.0 - (2.0 * share - 1.0) ** 3)
            self.raised = _RAISED
        else:
            self.damping *= self.raised
            self.raised *= 2.0

    @property
    def memory(self) -> dict[str, AnyArray]:
        return {"damping": np.array(self.damping)}


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
        near = loss <= path.losses[-1] * (1.0 + LOSS_EPS * EPS)
        if not (near and new_norm < _BETTER * norm):
            return
        theta, norm = moved, new_norm
        path.theta = theta
        path.losses.append(loss)
        path.gradient_norms.append(norm)


def _creeps(losses: list[float]) -> bool:
    """Whether the last steps together have gained little."""
    return len(losses) > _LAST and losses[-1 - _LAST] - losses[-1] < _LITTLE_GAIN * losses[-1]


def _first_damping(system: DampedSystem, gradient: Array, radius: float, last: DampedLength) -> float:
    """Return about the damping of a step as long as the radius: by the last step's, else as if g were an eigenvector."""
    if last.rate:
        foretold = last.damping_at(radius)
        return foretold if foretold > 0 else _LESS_DAMPING * last.damping
    norm = float(np.linalg.norm(gradient))
    if last.damping or not norm:
        return last.damping
    return max(norm / radius - system.squares(gradient / norm), _LESS_DAMPING * norm / radius)


def step_within(system: DampedSystem, gradient: Array, radius: float, last: DampedLength) -> tuple[Array, DampedLength]:
    """Return the step that minimises the model within the radius, and how long steps are; begins with what is known of that.

    With ``δ(λ) = −(M + λI)⁻¹g`` Newton's method on 1/radius − 1/‖δ‖, nearly linear in λ, converges from either side. Where M
    has a negative eigenvalue along which the gradient has next to nothing, δ stays short however near λ comes to it; what is
    left to the radius is then gone along that direction, nearly as far down as any step leads (Moré and Sorensen, 1983).
    """
    least = system.least * max(system.size, TINY)
    low, high = 0.0, np.inf
    trial = max(_first_damping(system, gradient, radius, last), least)
    step, down, found, less = np.zeros_like(gradient), None, last, _LESS_DAMPING
    for _ in range(_TRIES):
        try:
            solve = system.solver(trial)
            step = -solve(gradient)
        except LinAlgError as error:
            low, down = max(trial, getattr(error, "least", 0.0)), getattr(error, "direction", None)
            trial = np.sqrt(low * high) if np.isfinite(high) else max(2.0 * low, _MORE_DAMPING * trial, least)
            continue
        length = float(np.linalg.norm(step))
        if not np.isfinite(length):
            low, trial = trial, _MORE_DAMPING * trial
            continue
        along = step / max(length, TINY)
        found = DampedLength(trial, length, float(along @ solve(along)))
        if abs(length - radius) <= _AT_EDGE * radius or (length < radius and trial <= _AT_LEAST * max(low, least)):
            break
        if down is not None and length < radius:
            longer, lost = _lengthened(system, gradient, step, solve(down), down, radius)
            if lost <= _ENOUGH * (trial * radius**2 - float(gradient @ step)):
                return longer, found
        low, high = (trial, high) if length > radius else (low, trial)
        trial = found.damping_at(radius)
        if not low < trial < high:
            if not np.isfinite(high):
                trial = _MORE_DAMPING * low
            elif low:
                trial = np.sqrt(low * high)
            else:  # a tenth of it at first, and then none
                trial, less = less * high, 0.0
        trial = max(trial, least)
    return step, found


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
