"""The parameters of a linear estimator, checked."""

from __future__ import annotations

from typing import Any

from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fit.penalty.linear_choice import EVIDENCE, LEAVE_ONE_OUT
from mle_regression.noise.registry import find_noise, least_squares_families
from mle_regression.solvers.base import Need
from mle_regression.solvers.registry import find_solver
from mle_regression.validation import checks
from mle_regression.validation.penalties import check_penalties

WEIGHT_TYPES = ("precision", "frequency")
ALPHA_PER, CHOICES = ("all", "output"), (EVIDENCE, LEAVE_ONE_OUT)
ON_RANK_DEFICIENCY = ("warn", "raise", "drop", "min_norm")
_MAX_ITER = 1000


def linear_options(estimator: Any) -> LinearOptions:
    """Read the options of an estimator; raises ValueError on one that makes no sense."""
    noise = find_noise(estimator.noise)
    solver = find_solver(estimator.solver, estimator.noise)
    checks.check_choice("fit_intercept", estimator.fit_intercept, (True, False))
    checks.check_choice("weight_type", estimator.weight_type, WEIGHT_TYPES)
    checks.check_choice("on_rank_deficiency", estimator.on_rank_deficiency, ON_RANK_DEFICIENCY)
    checks.check_choice("refine", estimator.refine, ("auto", True, False))
    checks.check_choice("warm_start", estimator.warm_start, (True, False))
    checks.check_choice("alpha_per", estimator.alpha_per, ALPHA_PER)
    choice = _choice_of_alpha(estimator)
    if not noise.sums_suffice:
        _check_by_rows(estimator, choice)
    rank_tol = None if estimator.rank_tol is None else checks.check_non_negative("rank_tol", estimator.rank_tol)
    _check_steps(estimator, draws_batches=solver.needs is Need.BATCHES)
    return LinearOptions(
        solver=solver,
        fit_intercept=bool(estimator.fit_intercept),
        alpha=None if choice else check_penalties(estimator.alpha),
        choice=choice,
        per_output=estimator.alpha_per == "output",
        noise=noise,
        frequency=estimator.weight_type == "frequency",
        rank_tol=rank_tol,
        deficiency=estimator.on_rank_deficiency,
        refine=estimator.refine,
        learning_rate=estimator.learning_rate,
        batch_size=None if estimator.batch_size is None else int(estimator.batch_size),
        max_iter=_MAX_ITER if estimator.max_iter is None else int(estimator.max_iter),
        tol=checks.check_tolerance(estimator.tol),
        warm_start=bool(estimator.warm_start),
        verbose=bool(estimator.verbose),
    )


def _choice_of_alpha(estimator: Any) -> str | None:
    """Return how alpha is to be chosen; None where it is given."""
    choice = estimator.alpha if isinstance(estimator.alpha, str) and estimator.alpha in CHOICES else None
    if estimator.alpha_per == "output" and choice != LEAVE_ONE_OUT:
        raise ValueError(
            "alpha_per='output' is for alpha='loo', which can choose a penalty for each output. Give the penalties as "
            "alpha, of shape (n_outputs,), or leave alpha_per='all'."
        )
    return choice


def _check_steps(estimator: Any, draws_batches: bool) -> None:
    """Raise on options of iterative solvers that make no sense."""
    if estimator.max_iter is not None:
        checks.check_positive_integer("max_iter", estimator.max_iter)
    if estimator.batch_size is not None:
        checks.check_positive_integer("batch_size", estimator.batch_size)
        if not draws_batches:
            raise ValueError(
                f"batch_size={estimator.batch_size!r} has no effect: this solver takes all rows in each step. Leave "
                "batch_size=None, or take a solver that draws batches: 'sgd', 'adam', 'adamw'."
            )
    if not (isinstance(estimator.learning_rate, str) and estimator.learning_rate == "auto"):
        checks.check_positive("learning_rate", estimator.learning_rate)


def _check_by_rows(estimator: Any, choice: str | None) -> None:
    """Raise where an option is defined for least squares alone, and the noise is of another kind."""
    if choice:
        raise ValueError(f"alpha={choice!r} is defined for {least_squares_families()} only; set a number as alpha.")
    if estimator.refine is True:
        raise ValueError(
            f"refine=True works out a least-squares solution, and noise={estimator.noise!r} has another; leave "
            "refine='auto'."
        )
