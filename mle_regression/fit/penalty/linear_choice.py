"""The penalty that the data choose for a linear model."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mle_regression.fit.linear import LinearProblem, pose
from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fit.penalty.leave_one_out import choose_by_leave_one_out
from mle_regression.fit.penalty.ridge_evidence import largest_evidence
from mle_regression.fitted.penalty import LinearPenalty
from mle_regression.linalg.arrays import EPS
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.threads import suitable_threads
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.auto import Automatic
from mle_regression.solvers.base import Solution

# Ways to choose, by the value of ``alpha`` that asks for them.
EVIDENCE, LEAVE_ONE_OUT = "evidence", "loo"


def choose_penalty(data: TrainingData, options: LinearOptions) -> LinearPenalty | None:
    """Return the penalty that the data choose; None where it is given."""
    if options.choice is None:
        return None
    bare = pose(data, options, 0.0)
    with suitable_threads(*bare.squares.rows.shape[:2]):
        if options.choice == LEAVE_ONE_OUT:
            return choose_by_leave_one_out(bare, per_output=options.per_output)
        squares = replace(bare.squares, refine=False, deficiency="min_norm")
        return evidence_of(replace(bare, squares=squares), Automatic().solve(squares))


def evidence_of(problem: LinearProblem, solution: Solution) -> LinearPenalty:
    """Return the penalty that the data choose, from the solution without one."""
    information, totals, k = solution.information, problem.squares.totals, problem.weight_exponent
    factor = scale(information.factor, information.exponent)
    left, values, _ = np.linalg.svd(factor, full_matrices=False)
    keep = values > len(values) * EPS * values.max(initial=0.0)
    # Each y divided by a power of two, so that no square overflows or vanishes; the density of y takes it back.
    exponent = solution.output_exponent
    projections = left.T[keep] @ (factor @ scale(solution.coef, -exponent))
    n = problem.n
    squares = np.diagonal(solution.residual_cross).copy()
    # Weights divided by 4**k divide squares, and with them the penalty, by as much.
    log_weights = 0.0 if problem.frequency else totals.sum_log_weights
    found = largest_evidence(
        values[keep], projections, squares, n, problem.squares.centred, totals.sum_weights, log_weights
    )
    units = (n - float(problem.squares.centred)) * float(exponent.sum()) * float(np.log(2.0))
    return replace(found, alpha=float(scale(found.alpha, 2 * k)), value=found.value - units)
