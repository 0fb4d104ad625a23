"""How a linear fit has ended, and what is amiss with it: warnings, and notes that its reports tell again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.exceptions import ConvergenceWarning

from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.linear import LinearFit
from mle_regression.fitted.penalty import INFINITY, NO_COLUMN, NO_ROW, ZERO, LinearPenalty
from mle_regression.reports.linear.dependencies import (
    describe_deficiency,
    describe_singular_noise,
    remedy_of_deficiency,
)
from mle_regression.reports.linear.exact_fits import describe_exact_fit
from mle_regression.solvers.base import UNFINISHED, Need, Solution, Status
from mle_regression.validation import checks
from mle_regression.warnings import InferenceWarning, NoiseFreeWarning, RankDeficiencyWarning, warn_user

# Rows that a warning names.
_SHOWN_ROWS = 6


def tell_of_fit(
    estimator: BaseEstimator, fit: LinearFit | JointFit, solution: Solution, options: LinearOptions
) -> LinearFit | JointFit:
    """Warn of what is amiss, or raise; return the fit with what was told in its notes."""
    finite = np.isfinite(solution.coef)
    if not finite.all():
        beyond = int(np.flatnonzero(~finite.all(axis=1))[0])
        raise ValueError(
            f"The coefficient of {checks.describe_column(estimator, beyond)} is beyond the range of float64; "
            "measure the column in smaller units, or y in larger ones."
        )
    notes, n_rows = list(solution.notes), fit.totals.n_rows
    for note in notes:
        warn_user(note, InferenceWarning)
    if solution.status in UNFINISHED:
        said = f"solver={solution.solver!r} has not converged in {len(solution.losses) - 1} iterations"
        said += UNFINISHED[solution.status]
        if solution.status is not Status.STALLED:
            few = np.isfinite(solution.remaining)
            said += f"; it needs {f'about {solution.remaining:.0f} more' if few else 'more than can be foretold'}"
        notes.append(f"{said}. To go on, {solution.status.value}.")
        warn_user(notes[-1], ConvergenceWarning)
    if solution.relations and solution.status is not Status.CONTINUING:
        rank, size = solution.information.rank, solution.information.size
        said = describe_deficiency(rank, size, solution.relations, checks.feature_names(estimator), n_rows)
        drops = options.solver.needs is Need.MOMENTS
        way_out = remedy_of_deficiency(size, n_rows, drops)
        if options.deficiency == "raise":
            raise np.linalg.LinAlgError(f"{said} To go on, {way_out}.")
        notes.append(said)
        if options.deficiency == "warn":
            remedy = f"The coefficients are those of smallest norm. Instead, {way_out}."
            warn_user(f"{said} {remedy}", RankDeficiencyWarning)
    if fit.noise_free.any():
        outputs, rank = checks.output_names(estimator, len(fit.noise_free)), solution.information.rank
        names = ["y"] if len(outputs) == 1 else outputs
        notes.append(describe_exact_fit(rank, n_rows, fit.constant.tolist(), fit.noise_free.tolist(), names))
        warn_user(notes[-1], NoiseFreeWarning)
    if fit.likelihood.singular is not None:
        outputs = checks.output_names(estimator, len(fit.noise_free))
        notes.append(describe_singular_noise(fit.likelihood.singular, outputs))
        warn_user(notes[-1], NoiseFreeWarning)
    return replace(fit, notes=tuple(notes)) if notes else fit


def warn_of_choice(chosen: LinearPenalty, single_output: bool) -> None:
    """Warn where the data have chosen no penalty that is an optimum, or not all rows have had a say."""
    limits = set(chosen.limits)
    if NO_COLUMN in limits:
        warn_user("No column of X varies: there is no coefficient to penalise, and alpha_ is 0.", ConvergenceWarning)
    elif NO_ROW in limits:
        warn_user(
            "There is no row that could be left out, and so nothing to choose alpha by: alpha_ is 0.",
            ConvergenceWarning,
        )
    elif chosen.method == "evidence" and chosen.limits != ("",):
        small = chosen.limits == (ZERO,)
        warn_user(
            "The evidence grows to the end of its range: the data "
            + ("ask for no penalty" if small else "show no effect of any column")
            + f", and alpha_={chosen.alpha:.3g} stands for {'zero' if small else 'infinity'}.",
            ConvergenceWarning,
        )
    elif INFINITY in limits:
        which = [k for k, limit in enumerate(chosen.limits) if limit == INFINITY]
        said = "alpha_" if isinstance(chosen.alpha, float) or single_output else f"alpha_{which}"
        largest = np.max(chosen.alpha)
        warn_user(
            f"Rows left out are foretold best without any column: {said}={largest:.3g} stands for infinity.",
            ConvergenceWarning,
        )
    if chosen.own.size:
        shown = ", ".join(map(str, chosen.own[:_SHOWN_ROWS].tolist())) + (
            ", ..." if chosen.own.size > _SHOWN_ROWS else ""
        )
        warn_user(
            "Rows that have a parameter of their own each (leverage one) are left out of the score that alpha is chosen by, "
            f"as the others foretell nothing of them: {shown}. Remove the columns that they alone determine.",
            InferenceWarning,
        )
