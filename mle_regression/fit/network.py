"""How a network is trained: from which start, by which solver, watched by whom, and which of several starts is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np

from mle_regression.diagnostics.laplace_approximation import few_residuals
from mle_regression.fit.early_stopping import HeldOut, keep_best
from mle_regression.fit.network_options import NetworkOptions
from mle_regression.fit.network_rows import observations, relative_alpha
from mle_regression.fit.penalty.evidence import parameter_groups, train_by_evidence
from mle_regression.fitted.penalty import LeftOutChoice, PenaltyChoice
from mle_regression.fitted.predictive_noise import PredictiveNoise
from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.models.network import Network
from mle_regression.objective.dead import is_constant, is_dead
from mle_regression.objective.likelihood import likelihood_objective
from mle_regression.objective.network import NetworkObjective
from mle_regression.objective.scaled import ScaledSumOfSquares
from mle_regression.rows.standard import StandardRows, Units, standard_rows
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import ENDED_FROM_OUTSIDE, Need, Status
from mle_regression.solvers.levenberg_marquardt import LevenbergMarquardt
from mle_regression.solvers.path import Control, Path, is_printed
from mle_regression.solvers.registry import find_network_solver
from mle_regression.warnings import warn_user

# What "auto" may spend on one Gauss-Newton step, and on one gradient of all rows: multiplications. Beyond the first, lbfgs
# gets to losses as low and to predictions as good in a fraction of the time.
_LM_WORK, _GRADIENT_WORK = 8e7, 5e7
# Multiplications of a gradient, a row and parameter; and as how many of them a step of few rows may take at any size.
_OF_A_GRADIENT, _GRADIENTS = 6.0, 2.5
# What all steps together may take where no rows are held out to end them, and how many steps there are at any size.
_ALL_WORK, _STEPS = 1e10, 100
# Multiplications that the noise of new rows may always take, and which part of those of all steps.
_ALWAYS, _SHARE = 1e8, 0.1
# Starts that are drawn for one that is alive, and that training is begun from anew where it ends in a constant.
_DRAWS, _RESTARTS = 30, 5
# Steps in a row that gain too little to go on.
_STILL_STEPS = 2


@dataclass(frozen=True, slots=True)
class Watch:
    """Who follows the training.

    Attributes
    ----------
    begin_path : callable
        Called with what tells the parameters that a solver starts from.
    iteration : callable
        Called after an iteration with what tells the parameters there; returns whether to stop.
    begin_start, end_start : callable
        Called before and after training from a start; the latter returns whether to begin no other.
    """

    begin_path: Callable[[Callable[[], tuple[NetworkObjective, AnyArray]]], None]
    iteration: Callable[[Callable[[], tuple[NetworkObjective, AnyArray]]], bool]
    begin_start: Callable[[], None]
    end_start: Callable[[], bool]


@dataclass(frozen=True)
class Trained:
    """A network that training has left somewhere.

    Attributes
    ----------
    path : Path
        Where it ended, the parameters to keep, and how it got there.
    objective : NetworkObjective
        What was minimised, with the penalties at the end.
    solver, reason : str
        Its name and, where it was chosen for the user, why.
    score : float
        By which restarts are ranked: log evidence, held-out log-likelihood, or minus the loss.
    validation_curve : list of float
        Log-likelihood of a row held out after each iteration, at their own noise, in the units of y; empty if none are.
    chosen : PenaltyChoice or None
        Penalties by evidence.
    held_out : PredictiveNoise or None
        How far rows held out lie from the mean, if there are any.
    budget : float
        Multiplications that asking the training rows for the same may take.
    dead : bool
        Whether no row gets through the network.
    left_out : LeftOutChoice or None
        The penalty by rows left out.
    """

    path: Path
    objective: NetworkObjective
    solver: str
    reason: str
    score: float
    validation_curve: list[float]
    chosen: PenaltyChoice | None = None
    held_out: PredictiveNoise | None = None
    budget: float = 0.0
    dead: bool = False
    left_out: LeftOutChoice | None = None

    @property
    def by_residuals(self) -> bool:
        """Whether the solver works on each residual, and ends where no step lowers their squares."""
        return find_network_solver(self.solver).needs is Need.RESIDUALS

    @property
    def theta(self) -> Array:
        """Where the objective was left: parameters (P,) in standard units and, if it has them, log scales of the noise."""
        return np.array(self.path.theta, dtype=np.float64)

    @property
    def parameters(self) -> Array:
        """Parameters (P,) of the network, in standard units."""
        return self.theta[: self.objective.network.n_parameters]


@dataclass(frozen=True)
class Training:
    """Trains one network architecture on some rows, from any start.

    Attributes
    ----------
    options : NetworkOptions
    data : TrainingData
    held_out : TrainingData or None
        Rows to watch the likelihood on.
    units : pair of Units
        Of X and y.
    network : Network
    features : list of str
    watch : Watch or None
    """

    options: NetworkOptions
    data: TrainingData
    held_out: TrainingData | None
    units: tuple[Units, Units]
    network: Network
    features: list[str]
    watch: Watch | None = None

    def best_of(self, seeds: np.random.SeedSequence) -> tuple[Trained, list[Trained]]:
        """Train from ``n_init`` random starts; return the best and the others."""
        found: list[Trained] = []
        for seed in seeds.spawn(self.options.n_init):
            rng = np.random.default_rng(seed)
            trained, enough = self.followed(self.alive(rng), rng, {})
            found.append(trained)
            if enough or trained.path.status in ENDED_FROM_OUTSIDE:
                break
        best = int(np.argmax([trained.score for trained in found]))
        return found[best], found[:best] + found[best + 1 :]

    def followed(self, start: Array, rng: np.random.Generator, memory: dict[str, AnyArray]) -> tuple[Trained, bool]:
        """Train from one start, and tell who follows of it; return also whether to begin no other."""
        if self.watch is None:
            return self.from_start(start, rng, memory), False
        self.watch.begin_start()
        trained = self.from_start(start, rng, memory)
        return trained, self.watch.end_start()

    def alive(self, rng: np.random.Generator) -> Array:
        """Draw a start that is not dead, if some draws find one."""
        start = self.network.initial(rng)
        objective = self._posed(start)[0]
        for _ in range(_DRAWS):
            if not is_dead(objective, start):
                break
            start = self.network.initial(rng)
        return start

    def from_start(self, start: Array, rng: np.random.Generator, memory: dict[str, AnyArray]) -> Trained:
        """Train from one start, and a solver's memory; from others too where a random one leads to a constant."""
        trained = self._trained(start, rng, memory)
        for _ in range(_RESTARTS):
            ended = trained.path.status in ENDED_FROM_OUTSIDE
            if ended or memory or self.options.by_evidence or not is_constant(trained.objective, trained.theta):
                break
            again = self._trained(self.alive(rng), rng, {})
            trained = max(trained, again, key=lambda one: one.score)
        return replace(trained, dead=is_dead(trained.objective, trained.theta))

    def _trained(self, start: Array, rng: np.random.Generator, memory: dict[str, AnyArray]) -> Trained:
        objective, held_out = self._posed(start)
        solver, reason = self._solver(objective)
        if self.options.by_evidence:
            path, objective, chosen = self._by_evidence(objective, held_out, solver, rng)
            curve = [] if held_out is None else held_out.curve
            outside = None if held_out is None else held_out.noise(np.asarray(path.theta))
            return Trained(path, objective, solver.name, reason, chosen.log_marginal_likelihood, curve, chosen, outside)
        path = keep_best(
            self._minimise(objective, held_out, solver, self._control(objective, solver, rng, memory)), held_out
        )
        if held_out is None:
            step = gradient_work(self.network, objective.n_rows)
            if isinstance(solver, LevenbergMarquardt):
                step = step_work(self.network, objective.n_residuals)
            score, budget = -min(path.losses[-1], path.losses[0]), max(_ALWAYS, _SHARE * path.n_iter * step)
            return Trained(path, objective, solver.name, reason, score, [], budget=budget)
        outside = held_out.noise(np.asarray(path.theta))
        return Trained(path, objective, solver.name, reason, held_out.best, held_out.curve, held_out=outside)

    def one_pass(self, start: Array, rng: np.random.Generator, memory: dict[str, AnyArray]) -> Trained:
        """Go once through the rows by batches."""
        objective, _ = self._posed(start)
        solver = find_network_solver("adam" if self.options.solver == "auto" else self.options.solver)
        control = replace(self._control(objective, solver, rng, memory), max_iter=1, patience=None)
        with one_blas_thread():
            path = solver.minimise(objective, control)
        path.memory = path.memory | {"passes": np.array(int(memory.get("passes", 0)) + 1)}
        path.status = path.status if path.status is Status.CONVERGED else Status.CONTINUING
        dead = is_dead(objective, np.asarray(path.theta))
        return Trained(path, objective, solver.name, "", -path.losses[-1], [], dead=dead)

    def pose(self, data: TrainingData, alpha: float | Array, start: Array) -> NetworkObjective:
        """Return the objective of some rows, in the units of all, under a penalty for weights as given."""
        rows = standard_rows(data, self.units, self.options.dtype)
        return NetworkObjective(self.network, rows, relative_alpha(alpha, data.weights), start)

    def walk(
        self, objective: NetworkObjective, name: str, steps: int, gain: float, memory: dict[str, AnyArray]
    ) -> Path:
        """Take so many steps of lm or lbfgs, at most, while they lower the loss by some part of itself."""
        given = self.options.solver
        if name == "lbfgs":
            solver, memory = find_network_solver(name), {}  # what it has seen of another objective misleads
        else:
            solver = LevenbergMarquardt(False, "damping") if given == "auto" else find_network_solver(given)
        most = min(steps, self.options.iterations(solver))
        control = Control("auto", None, most, self.options.tol, np.random.default_rng(0), memory=memory)
        return self._minimise(objective, _Gains(gain), solver, control)

    def to_rest(self, objective: NetworkObjective, theta: Array) -> Path:
        """Go on to the very optimum, where second derivatives count."""
        solver = find_network_solver("lm" if self.options.solver == "auto" else self.options.solver)
        control = self._control(objective, solver, np.random.default_rng(0), {})
        return self._minimise(replace(objective, start=theta), None, solver, control)

    @cached_property
    def _standard(self) -> StandardRows:
        """The rows in standard units, the same for all starts."""
        return standard_rows(self.data, self.units, self.options.dtype)

    def _posed(self, start: Array) -> tuple[NetworkObjective, HeldOut | None]:
        options, data, rows = self.options, self.data, self.held_out
        alpha = 0.0 if options.by_evidence else relative_alpha(options.penalty, data.weights)
        standard, family = self._standard, options.family
        if family.sums_suffice:
            objective = NetworkObjective(self.network, standard, alpha, start)
        else:
            objective = likelihood_objective(self.network, standard, alpha, start, family, options.frequency)
        if rows is None:
            return objective, None
        weights = None if rows.weights is None else rows.weights[rows.weights > 0]
        stops = options.early_stopping is not False and not options.by_evidence
        inner = standard_rows(rows, self.units, options.dtype)
        return objective, HeldOut(self.network, inner, weights, options.patience, stops, options.frequency, family)

    def _solver(self, objective: NetworkObjective) -> tuple[Any, str]:
        """Return the solver and, where it was not for the user to choose, why it is this one."""
        if self.options.solver != "auto":
            solver = find_network_solver(self.options.solver)
            return solver, ""
        if self.options.by_evidence:
            return find_network_solver("lm"), "penalties by evidence"
        if self.options.calls_for_batches:
            return find_network_solver("adam"), "for the learning_rate or batch_size that is set"
        size, residuals = self.network.n_parameters, objective.n_residuals
        by_squares = self.options.family.sums_suffice
        said = f"{size:,} parameters, {objective.n_rows:,} rows"
        few = _GRADIENTS * _OF_A_GRADIENT * residuals * size if residuals < size else 0.0
        if by_squares and step_work(self.network, residuals) <= max(_LM_WORK, few):
            return find_network_solver("lm"), f"{said}: few enough for a Gauss-Newton matrix in each step"
        if objective.n_rows * size <= _GRADIENT_WORK:
            return find_network_solver("lbfgs"), f"{said}: few enough for all rows in each step"
        return find_network_solver("adam"), f"{said}: too many for all rows in each step"

    def _minimise(
        self,
        objective: NetworkObjective,
        held_out: HeldOut | _Gains | None,
        solver: Any,
        control: Control,
        scale: Array | None = None,
    ) -> Path:
        """Let the solver minimise, in units ``scale`` of the parameters; callbacks, and what may end it, follow it."""
        options, factor = self.options, 1.0 if scale is None else scale

        def tell(iteration: int, theta: AnyArray, loss: float, norm: float) -> Status | None:
            theta = factor * theta
            if iteration == 0:
                if self.watch is not None:
                    self.watch.begin_path(lambda: (objective, theta))
                return None
            stop = held_out is not None and held_out.look(theta, loss)
            if options.verbose and is_printed(iteration, control.max_iter):
                likelihood = (
                    f", held-out log-likelihood {held_out.curve[-1]:.6g}" if isinstance(held_out, HeldOut) else ""
                )
                print(f"{solver.name} {iteration:6d}: loss {loss:.8g}, gradient {norm:.3g}{likelihood}")
            if self.watch is not None and self.watch.iteration(lambda: (objective, theta)):
                return Status.STOPPED
            return Status.EARLY_STOPPED if stop else None

        posed: Any = objective
        control = replace(control, tell=tell)
        if scale is not None:
            posed, control = ScaledSumOfSquares(objective, scale), replace(control, patience=None)
        with one_blas_thread():
            path: Path = solver.minimise(posed, control)
        path.theta = factor * path.theta
        return path

    def _by_evidence(
        self, objective: NetworkObjective, held_out: HeldOut | None, solver: Any, rng: np.random.Generator
    ) -> tuple[Path, NetworkObjective, PenaltyChoice]:
        """Let the solver minimise under penalties that the evidence chooses."""
        reached: AnyArray | None = None

        def train(posed: NetworkObjective, steps: int, tol: float) -> Path:
            nonlocal reached
            # Gauss–Newton steps lead from a random start; near an optimum, as ever after, those of Newton do. Where residuals
            # are few these cost several times as much, and are left to where the others have not arrived.
            near = posed.start is reached or (posed.start is not objective.start and not few_residuals(posed))
            memory: dict[str, AnyArray] = {"exact": np.array(True)} if near else {}
            control = replace(self._control(posed, solver, rng, memory), max_iter=steps)
            control = replace(control, tol=max(control.tol, tol))
            # In units of the prior's spread no group of parameters is steep where another is flat. What has no penalty of its
            # own moves with what it makes up for.
            penalty = posed.penalty
            spread = (n * np.where(penalty > 0, penalty, penalty[penalty > 0].min())) ** -0.5
            path = self._minimise(posed, held_out, to_the_end, control, spread)
            reached = path.theta
            return path

        options, data, max_iter = self.options, self.data, self.options.iterations(solver)
        n, log_weights = observations(data.weights, len(data.y), options.frequency)
        grouping = parameter_groups(self.network, options.grouping, self.features)
        to_the_end = replace(solver, second_order=True) if solver.second_order == "auto" else solver
        with one_blas_thread():
            return train_by_evidence(objective, train, grouping, max_iter, n, log_weights)

    def _control(
        self, objective: NetworkObjective, solver: Any, rng: np.random.Generator, memory: dict[str, AnyArray]
    ) -> Control:
        options, n_rows = self.options, objective.n_rows
        if options.batch_size != "auto" and options.batch_size > n_rows:
            warn_user(
                f"batch_size={options.batch_size} is more than the {n_rows} rows, all of which are taken.", UserWarning
            )
        return Control(
            learning_rate=options.learning_rate,
            batch_size=options.batch(n_rows),
            max_iter=self._iterations(objective, solver),
            tol=options.tol,
            rng=rng,
            patience=options.patience.least,
            memory=memory,
            remember=bool(options.warm_start),
        )

    def _iterations(self, objective: NetworkObjective, solver: Any) -> int:
        """Return how many iterations a solver has; where nobody has set any, as many as their cost allows."""
        most = self.options.iterations(solver)
        chosen = self.options.solver == "auto" and self.options.max_iter == "auto" and not self.options.by_evidence
        if not (chosen and self.held_out is None and isinstance(solver, LevenbergMarquardt)):
            return most
        return min(most, max(_STEPS, int(_ALL_WORK / step_work(self.network, objective.n_residuals))))


@dataclass
class _Gains:
    """Ends a path whose last steps have lowered the loss by less than a part of itself."""

    least: float
    loss: float = np.inf
    still: int = 0

    def look(self, theta: AnyArray, loss: float) -> bool:
        """Note the loss after a step; return whether to stop."""
        self.still = self.still + 1 if self.loss - loss < self.least * loss else 0
        self.loss = loss
        return self.still >= _STILL_STEPS


def gradient_work(network: Network, n_rows: int) -> float:
    """Return about how many multiplications a gradient of all rows takes."""
    return _OF_A_GRADIENT * n_rows * network.n_parameters


def step_work(network: Network, residuals: int) -> float:
    """Return about how many multiplications a Gauss–Newton step takes, in the smaller of its two forms.

    P × P: a product of the Jacobian with itself. k × k: up to three times, for as many lengths of the step, the kernel by
    the units and its Cholesky factor, and some products with the Jacobian.
    """
    size, k = float(network.n_parameters), float(residuals)
    if size <= k:
        return k * size**2
    return 3.0 * k**2 * sum(network.sizes) + k**3 + 10.0 * k * size
