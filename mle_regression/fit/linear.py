"""A linear model: from accepted rows to a least-squares problem, and to its solution."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fitted.linear import Start
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.exact import BITS
from mle_regression.linalg.rank import default_tolerance
from mle_regression.linalg.scaling import LARGEST_WEIGHT, LEAST_WEIGHT, exponents, scale
from mle_regression.linalg.sums import KeptSums
from mle_regression.linalg.threads import suitable_threads
from mle_regression.noise.base import NoiseFamily
from mle_regression.rows.base import Rows, Totals, row_totals
from mle_regression.rows.registry import as_rows
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import LeastSquares, Solution, Solver, Status
from mle_regression.solvers.linear_path import Iterative, solve_by_path
from mle_regression.solvers.path import Control

Teller = Callable[[int, Array, float, float], Status | None]

# Up to this many numbers in X, working out every digit costs about as much as fitting at all; those of each output beside
# the first cost twice as much. So do multiplications of digits, which are many where columns are: a tenth of a second.
_REFINED_SIZE, _REFINED_WORK = 100_000, 3e8
_LIMB_PAIRS, _EQUATION_PAIRS = 16, 100


@dataclass(frozen=True, slots=True)
class LinearProblem:
    """A linear mean, rows, noise and penalty.

    Attributes
    ----------
    squares : LeastSquares
        With weights divided by ``4**weight_exponent``.
    weight_exponent : int
    noise : NoiseFamily
    frequency : bool
        Whether a weight says how often a row is there.
    eps : float
        Relative precision of the numbers in X.
    single_output : bool
        Whether y had one dimension.
    """

    squares: LeastSquares
    weight_exponent: int
    noise: NoiseFamily
    frequency: bool
    eps: float
    single_output: bool

    @property
    def n(self) -> float:
        """Number of observations: rows of weight, or the sum of frequency weights."""
        totals = self.squares.totals
        return float(scale(totals.sum_weights, 2 * self.weight_exponent)) if self.frequency else float(totals.n_rows)

    @property
    def sum_log_weights(self) -> float:
        """Sum of the logarithms of precision weights, as given."""
        totals = self.squares.totals
        if self.frequency:
            return 0.0
        return totals.sum_log_weights + totals.n_rows * 2 * self.weight_exponent * float(np.log(2.0))


def refinement_is_cheap(n: int, p: int, m: int, parts: int = 1) -> bool:
    """Foretell whether exact refinement of n rows, p columns and m outputs, so many times, costs little beside a fit."""
    numbers = max(n, p) * p + 2 * n * (m - 1)
    work = (_LIMB_PAIRS * n + _EQUATION_PAIRS * p) * p * (p + m)
    return parts * numbers <= _REFINED_SIZE and parts * work <= _REFINED_WORK


def pose(data: TrainingData, options: LinearOptions, alpha: float) -> LinearProblem:
    """Pose the problem of fitting y (n, m) on x (n, p) under a penalty; weights are scaled to stay in range."""
    weights = data.weights
    k, totals = 0, row_totals(data.y, weights)
    if weights is not None and not LEAST_WEIGHT < weights.max() < LARGEST_WEIGHT:
        # Whole limbs of exact sums, which scale without a change of digits. A weight that is lost by that adds nothing to
        # any sum, but its row counts.
        k = BITS // 2 * (int(exponents(weights.max(keepdims=True))[0]) // BITS)
        weights = scale(weights, -2 * k)
        totals = replace(
            totals,
            sum_weights=float(weights.sum()),
            sum_log_weights=totals.sum_log_weights - totals.n_rows * 2 * k * float(np.log(2.0)),
            max_weight=float(weights.max()),
        )
    rows = as_rows(data.x, data.y, weights)
    return scaled_problem(rows, totals, k, options, alpha, data.eps, data.single_output)


def scaled_problem(
    rows: Rows,
    totals: Totals,
    k: int,
    options: LinearOptions,
    alpha: float,
    eps: float,
    single_output: bool,
    sums: KeptSums | None = None,
) -> LinearProblem:
    """Pose the problem of rows whose weights have been divided by ``4**k``; of their ``sums`` if they have gone by.

    ``eps`` is the relative precision of the numbers in X.
    """
    n, p, m = rows.shape
    refine = refinement_is_cheap(n, p, m) if options.refine == "auto" and sums is None else bool(options.refine)
    squares = LeastSquares(
        rows=rows,
        totals=totals,
        centred=options.fit_intercept,
        alpha=float(scale(alpha, -2 * k)),
        tolerance=default_tolerance(p + 1, eps) if options.rank_tol is None else options.rank_tol,
        deficiency=options.deficiency,
        refine=refine or sums is not None,
        sums=sums,
    )
    return LinearProblem(squares, k, options.noise, options.frequency, eps, single_output)


def solve(
    problem: LinearProblem,
    options: LinearOptions,
    rng: Callable[[], np.random.Generator],
    tell: Teller | None = None,
    earlier: Start | None = None,
) -> Solution:
    """Minimise a problem that has rows; iterative solvers begin where an ``earlier`` fit of the same shape has ended."""
    squares, solver = problem.squares, options.solver
    n, p, m = squares.rows.shape
    with suitable_threads(n, p):
        stepwise = iterative(solver)
        if stepwise is None:
            return cast("Solver", solver).solve(squares)
        control, start = control_of(options, rng(), min(n, options.batch_size or n), tell), None
        if earlier is not None and earlier.coef.shape == (p, m):
            start, control = earlier.coef, replace(control, memory=earlier.memory)
        return solve_by_path(squares, stepwise, control, start)


def iterative(solver: Solver | Iterative) -> Iterative | None:
    """Return a solver that goes step by step; None for one that arrives in one.

    By what it offers, and not isinstance: of a protocol with many members that costs a small fit some percent.
    """
    return cast("Iterative", solver) if hasattr(solver, "minimise") else None


def control_of(
    options: LinearOptions, rng: np.random.Generator, batch_size: int | None = None, tell: Teller | None = None
) -> Control:
    """Return what an iterative solver is told to keep to."""
    return Control(
        learning_rate=options.learning_rate,
        batch_size=batch_size if options.batch_size is not None else None,
        max_iter=options.max_iter,
        tol=options.tol,
        remember=options.warm_start,
        rng=rng,
        tell=tell,
    )
