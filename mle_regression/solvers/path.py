"""How an iterative solver gets there: its controls, the path it leaves, and what may end it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from mle_regression.linalg.arrays import EPS, AnyArray, Array
from mle_regression.solvers.base import Status

# A path is divergent after this many steps in a row that raise the loss, to above its start (momentum may overshoot).
_RISES = 5
# Relative increase over the first loss that may still be rounding.
_GROWN = 1e-4
# Rounding error of a gradient near the optimum of a quadratic, in eps for each parameter.
_GRADIENT_EPS = 4.0
# After this many steps in a row that do not lower the loss, so small a gradient is rounding error.
_STILL_STEPS = 3
# Progress is printed at each of the first iterations, and this many times later.
_ALL_PRINTED, _PRINTED = 10, 20
# Part of the flattest gradient so far below which one is flatter.
FLATTER = 0.9
# How many times as long a gradient may go without getting flatter, which its norm does not at each step.
GRADIENT_PATIENCE = 5
_TINY = float(np.finfo(np.float64).tiny)


class DivergenceError(ValueError):
    """The loss rises without end, or is no number any more."""


@dataclass(frozen=True, slots=True)
class Control:
    """What nearly all iterative solvers share.

    Attributes
    ----------
    learning_rate : float or "auto"
    batch_size : int or None
    max_iter : int
        Iterations, or passes over the rows of solvers that draw batches.
    tol : float
        Distance to the optimum, relative to the parameters' length, that is near enough; bounded by the gradient over the
        smallest curvature where that is known, else the norm of the gradient itself.
    rng : numpy.random.Generator
    tell : callable, default=None
        Called with (iteration, theta, loss, gradient norm) at the start, which is iteration 0, and after each iteration; a
        status in return ends the path with it.
        What theta is (an objective's, or a model's parameters) is for who made the objective to say.
    patience : int, default=None
        Iterations without a loss lower by ``tol`` of itself after which there is no point in more; None for never.
    memory : dict of str to array
        What a solver remembered at the end of an earlier path, to go on from.
    remember : bool, default=False
        Whether to remember also what takes much room, or is of use to the same objective only.
    """

    learning_rate: float | str
    batch_size: int | None
    max_iter: int
    tol: float
    rng: np.random.Generator
    tell: Callable[[int, Array, float, float], Status | None] | None = None
    patience: int | None = None
    memory: dict[str, AnyArray] = field(default_factory=dict)
    remember: bool = False

    def require_automatic_step(self, why: str) -> None:
        """Raise where a step has been set of a solver that has none to set, which ``why`` says."""
        if self.learning_rate != "auto":
            raise ValueError(f"{why}; leave learning_rate='auto'.")

    def remembered(self, name: str, shape: tuple[int, ...]) -> AnyArray | None:
        """Return a copy of what is remembered under a name; None if that is nothing, or of another shape (-1 for any)."""
        found = self.memory.get(name)
        if found is None or np.ndim(found) != len(shape):
            return None
        fits = all(size in (-1, there) for size, there in zip(shape, np.shape(found), strict=True))
        return np.array(found, dtype=np.float64) if fits else None


@dataclass(slots=True)
class Path:
    """Where an iterative solver has been.

    Attributes
    ----------
    theta : Array of shape (P,)
        Where it is.
    losses, gradient_norms : list of float
        J and the norm of its gradient after each iteration, the start before them.
    status : Status
    rate : float
        By how much a step shrinks the error according to theory; NaN where there is none.
    memory : dict of str to array
        What the solver remembers: moments of the gradient, a damping.
    stability_limit : float
        Largest curvature at which the solver's last step is stable; NaN where it has no step of its own.
    """

    theta: Array
    losses: list[float] = field(default_factory=list)
    gradient_norms: list[float] = field(default_factory=list)
    status: Status = Status.MAX_ITER
    rate: float = np.nan
    memory: dict[str, AnyArray] = field(default_factory=dict)
    stability_limit: float = np.nan

    @property
    def n_iter(self) -> int:
        """Number of iterations."""
        return max(0, len(self.losses) - 1)

    @property
    def observed_rate(self) -> float:
        """By how much an iteration has shrunk the gradient, the geometric mean over the second half of the path."""
        norms = np.array(self.gradient_norms)
        half = len(norms) // 2
        if len(norms) < 4 or not norms[-1] > 0 or not norms[half] > 0:
            return float(np.nan)
        return float((norms[-1] / norms[half]) ** (1.0 / (len(norms) - 1 - half)))


class ConvergenceMonitor:
    """Follow a path: note each iteration, and tell when to end it.

    Parameters
    ----------
    control : Control
    theta : Array of shape (P,)
    lowest : float
        Smallest curvature, zero if not known.
    stable : str
        What to say of a step that does not diverge.
    proven : bool, default=False
        Whether theory says that the path converges, however far it swings out before; only what is no number ends it then.
    highest : float, default=0.0
        Largest curvature, zero if not known.
    by_gradient : bool, default=False
        Whether patience lasts as well while the gradient falls: near an optimum the loss is above its minimum by the
        square of the gradient, and stands still long before. The gradient must be that of all rows.
    """

    def __init__(
        self,
        control: Control,
        theta: Array,
        lowest: float,
        stable: str,
        proven: bool = False,
        highest: float = 0.0,
        by_gradient: bool = False,
    ) -> None:
        self.control, self.stable, self.proven, self.by_gradient = control, stable, proven, by_gradient
        self.lowest, self.highest = lowest, highest
        self.path = Path(theta)
        self.rises = 0
        self.best, self.since_best = np.inf, 0
        self.flattest, self.since_flattest = np.inf, 0
        self.least, self.still = np.inf, 0

    def note(self, theta: Array, loss: float, norm: float) -> bool:
        """Note where the path is, and return whether it ends there."""
        path, control = self.path, self.control
        finite = np.isfinite(loss) and np.isfinite(norm)
        if not path.losses and not finite:
            raise DivergenceError(
                "The loss at the start is no finite number: the squares of what X and y hold overflow. Measure them in "
                "units of about their spread; standardize=True does that."
            )
        if path.losses:
            risen = not finite or loss > path.losses[-1]
            self.rises = self.rises + 1 if risen else 0
            grown = not self.proven and self.rises >= _RISES and loss > path.losses[0] + _GROWN * abs(path.losses[0])
            if not finite or grown:
                raise DivergenceError(
                    f"The solver diverged after {path.n_iter + 1} iterations; the last finite loss was "
                    f"{path.losses[-1]:.6g}, in units of the spread of y. {self.stable}"
                )
        path.theta = theta
        path.losses.append(loss)
        path.gradient_norms.append(norm)
        told = control.tell(path.n_iter, theta, loss, norm) if control.tell is not None else None
        if self.near(theta, loss, norm):
            told = Status.CONVERGED
        elif told is None and self._stands_still(loss, norm):
            told = Status.PLATEAU
        if told is not None:
            path.status = told
        return told is not None

    def _stands_still(self, loss: float, norm: float) -> bool:
        """Whether the loss has not fallen by a part that counts for as long as the control has patience."""
        lower = loss < self.best - self.control.tol * abs(self.best) or not np.isfinite(self.best)
        self.best, self.since_best = (loss, 0) if lower else (self.best, self.since_best + 1)
        flatter = norm < FLATTER * self.flattest
        self.flattest, self.since_flattest = (norm, 0) if flatter else (self.flattest, self.since_flattest + 1)
        patience = np.inf if self.control.patience is None else self.control.patience
        falling = self.by_gradient and self.since_flattest < GRADIENT_PATIENCE * patience
        return self.since_best >= patience and not falling

    def near(self, theta: Array, loss: float, norm: float) -> bool:
        """Whether the optimum is within the tolerance, or as near as rounding lets it be known."""
        if norm <= near_norm(self.control.tol, theta, loss, self.lowest, self.highest):
            return True
        # A gradient is known to the rounding of its terms; while the loss still falls, it is known better than that.
        rounding, squares = _GRADIENT_EPS * len(theta) * EPS, self.highest * float(theta @ theta)
        self.still = self.still + 1 if loss >= self.least * (1.0 - _GRADIENT_EPS * EPS) else 0
        self.least = min(self.least, loss)
        stands = self.still >= _STILL_STEPS or loss <= rounding**2 * squares
        return stands and norm <= rounding * np.sqrt(self.highest * squares)


def is_printed(iteration: int, max_iter: int) -> bool:
    """Tell whether progress is printed at an iteration: at each of the first ones, and some twenty times later."""
    return iteration < _ALL_PRINTED or iteration % max(1, max_iter // _PRINTED) == 0


def ends_of(spectrum: Array | None) -> tuple[float, float]:
    """Return the smallest and the largest curvature of a spectrum, zeros if it is not known or empty."""
    return (float(spectrum[0]), float(spectrum[-1])) if spectrum is not None and spectrum.size else (0.0, 0.0)


def near_norm(tol: float, theta: Array, loss: float, lowest: float, highest: float) -> float:
    """Return the norm of the gradient at which the optimum is near enough: ``tol`` itself where no curvature is known.

    On a quadratic ‖g‖/λmin is no less than the distance to the optimum, and ‖g‖²/2λmin no less than what the loss is above
    its minimum: the distance is to be ``tol`` of the parameters' length, the loss within ``tol`` of itself, which counts if
    next to nothing is left of it: what is a difference of squares of the size λmax‖θ‖²/2 is known to their rounding.
    """
    if not lowest:
        return tol
    squares = float(theta @ theta)
    known = max(loss, EPS * highest * squares)
    return float(max(min(tol * lowest * squares**0.5, (2.0 * lowest * tol * known) ** 0.5), _TINY))


def run_monitored(step: Callable[[ConvergenceMonitor], None], monitor: ConvergenceMonitor) -> Path:
    """Run a solver's loop; Ctrl-C ends it where it is, once it has been anywhere.

    Overflow gives NaN or infinity, which the monitor reports as divergence.
    """
    try:
        with np.errstate(over="ignore", invalid="ignore"):
            step(monitor)
    except KeyboardInterrupt:
        if not monitor.path.losses:
            raise
        monitor.path.status = Status.INTERRUPTED
    return monitor.path


def remaining(path: Path, control: Control, lowest: float, highest: float) -> float:
    """Return how many more iterations the path needs at the rate of its second half; infinite if it gets no nearer."""
    rate = path.observed_rate if np.isfinite(path.observed_rate) else path.rate
    target = near_norm(control.tol, path.theta, path.losses[-1], lowest, highest) if path.losses else 0.0
    if not path.gradient_norms or not rate < 1.0 or not target > 0:
        return float(np.inf)
    return float(np.ceil(np.log(target / path.gradient_norms[-1]) / np.log(rate)))
