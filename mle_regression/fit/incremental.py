"""Sums over the rows of a linear problem that grow, are merged, and are solved when someone asks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np

from mle_regression.diagnostics.noise_factor import factor_of_cross
from mle_regression.fit.linear import LinearProblem, control_of, iterative, refinement_is_cheap, scaled_problem
from mle_regression.fit.linear_options import LinearOptions
from mle_regression.fit.separate import SeparateProblem, SeparateSolution, separate, solve_each
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.linear import LinearFit
from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.exact import BITS
from mle_regression.linalg.frame import Frame, choose_frame
from mle_regression.linalg.gram import Moments, moved
from mle_regression.linalg.information import InformationFactor
from mle_regression.linalg.scaling import LARGEST_WEIGHT, LEAST_WEIGHT, scale
from mle_regression.linalg.sums import ExactSums, KeptSums, exact_sums, no_sums
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.linalg.triangle import Triangle, reciprocal_condition, triangle_of_moments
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.registry import least_squares_families
from mle_regression.rows.base import Block, Rows, SummedRows, Totals, as_dense, joined, row_totals
from mle_regression.rows.registry import as_rows
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import Solution, Solver, Status
from mle_regression.solvers.direct import CLOSE_FIT
from mle_regression.solvers.linear_path import Iterative, solve_by_path
from mle_regression.solvers.passes import FAR_MEAN, SAMPLE_ROWS, UNDERFLOW, magnitudes, moments_of_block
from mle_regression.solvers.summed import solve_summed

# Rounded sums of [X | y] up to this condition leave coefficients and sums of squares 13 digits. If some batches have it,
# all rows together have one larger by the root of the number of batches at most: none can depend where a part does not.
_BATCH_CONDITION = 30.0
_SPECTRUM_COLUMNS = 500
# More columns and outputs than these make exact sums slow: a batch of one row takes as long as one of a thousand in float64.
_BROAD = 80
# A column that is this much penalty has lost half of its digits to it.
_SWAMPED = 1.0 - 1e-8
# So many rows for each column tell how dependent the columns are; fewer are summed exactly.
_TELLING = 4


@dataclass(frozen=True, slots=True)
class RunningSums:
    """Sums over the rows seen so far.

    Attributes
    ----------
    n_features, n_outputs : int
    totals : Totals
    eps : float
        Relative precision of the coarsest numbers in X so far.
    exact : ExactSums of [1 | X | y]
    rounded : Moments of [X | y] in ``frame``, or None
        What was summed in float64: where the columns are far from dependent nothing is lost by that.
    frame : Frame
    rounded_weight : float
        Sum of the weights of the rows in ``rounded``.
    n_rounded : int
        Their number.
    checked : int
        Their number when the condition was last looked at.
    dependent : bool
        Whether the columns were found ill-conditioned, and rows are summed exactly since.
    constant : bool
        Whether the sums of the columns themselves are known.
    as_given : bool
        Whether all rows were summed without rounding.
    single_output : bool
        Whether y had one dimension.
    """

    n_features: int
    n_outputs: int
    totals: Totals
    eps: float
    exact: ExactSums
    rounded: Moments | None
    frame: Frame
    rounded_weight: float = 0.0
    n_rounded: int = 0
    checked: int = 0
    dependent: bool = False
    constant: bool = True
    as_given: bool = True
    single_output: bool = False


def no_rows(n_features: int, n_outputs: int, single_output: bool = False) -> RunningSums:
    """Return the sums over no rows."""
    q = 1 + n_features + n_outputs
    return RunningSums(
        n_features=n_features,
        n_outputs=n_outputs,
        totals=Totals(0, 0.0, 0.0, 0.0),
        eps=0.0,
        exact=no_sums(q),
        rounded=None,
        frame=Frame(np.zeros(q - 1, dtype=np.int64), np.zeros(q - 1)),
        single_output=single_output,
    )


def sums_of_fit(fit: LinearFit | JointFit) -> RunningSums:
    """Return the sums over the rows of a fit, from its triangular factor: as right as a QR decomposition is.

    Parameters
    ----------
    fit : LinearFit or JointFit
        Without intercept the sums of the columns are not known, and left zero.
    """
    check_sums_suffice(fit.likelihood.noise)
    information, k, totals = fit.informations[0], fit.weight_exponent, fit.totals
    unit = np.concatenate([np.zeros(1, dtype=np.int64), information.exponent, fit.output_exponent])
    gram = exact_sums(scale(_factor_of_fit(fit), unit), None)
    if fit.penalised:
        gram = gram + _of_penalties(information, fit)
    whole = replace(
        totals,
        sum_weights=float(np.ldexp(totals.sum_weights, 2 * k)),
        sum_log_weights=totals.sum_log_weights + totals.n_rows * 2 * k * float(np.log(2.0)),
        max_weight=float(np.ldexp(totals.max_weight, 2 * k)),
    )
    return replace(
        no_rows(len(fit.coef), fit.coef.shape[1], fit.single_output),
        totals=whole,
        eps=fit.eps,
        exact=gram.scaled(2 * k // BITS),
        constant=fit.centred,
        as_given=False,
    )


def _factor_of_fit(fit: LinearFit | JointFit) -> Array:
    """Return a factor (1 + p + m, 1 + p + m) of the sums of [1 | X | y], columns divided by powers of two."""
    information, (p, m) = fit.informations[0], fit.coef.shape
    slopes = scale(fit.scaled_coef, information.exponent[:, None])
    mean_of_y = scale(fit.intercept, -fit.output_exponent) + information.mean @ slopes
    first = np.sqrt(information.total) * np.concatenate([np.ones(1), information.mean, mean_of_y])
    if not fit.centred:
        first[1:] = 0.0
    left = fit.likelihood.root * np.sqrt(fit.n)
    if not left.size:
        values, vectors = np.linalg.eigh(fit.likelihood.covariance * fit.n)
        left = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    inner = np.hstack([information.factor, information.factor @ slopes])
    return np.vstack(
        [
            first,
            np.hstack([np.zeros((len(inner), 1)), inner]),
            np.hstack([np.zeros((m, 1 + p)), left]),
        ]
    )


def _of_penalties(information: InformationFactor, fit: LinearFit | JointFit) -> ExactSums:
    """Return what is to be added to cross-products of [1 | X | y] for the penalties that they are made with.

    RᵀR is XᵀX + α₀I. An output of penalty α has (XᵀX + αI)β = Xᵀy, and with another one, of penalty α', the residuals'
    product and βᵀ(XᵀX + α₀I)β' fall short of yᵀy' by (α + α' − α₀) βᵀβ'.
    """
    (p, m), alpha = fit.coef.shape, information.alpha
    whole_squares = np.sum(information.factor**2, axis=0)
    if (scale(alpha, -2 * information.exponent) > _SWAMPED * whole_squares).any():
        raise ValueError(
            "The fit is all penalty: its factor has kept too little of the data to go on from. Call partial_fit() from "
            "the first rows on."
        )
    of_x, of_y = np.zeros((p, 1 + p + m)), np.zeros((p, 1 + p + m))
    if isinstance(fit, LinearFit):
        of_x[:, 1 : 1 + p] = np.sqrt(alpha) * np.eye(p)
        of_y[:, 1 + p :] = np.sqrt(alpha) * fit.coef
        return exact_sums(of_y, None) + _negated(exact_sums(of_x, None))
    # EᵀF + FᵀE with E = [0 I β] and F = [0 −α₀/2 I, β(α − α₀/2)], both of about the size of √α.
    penalties = fit.alpha
    size = np.exp2(np.round(np.log2(penalties.max()) / 2.0))
    of_x[:, 1 : 1 + p], of_x[:, 1 + p :] = size * np.eye(p), size * fit.coef
    of_y[:, 1 : 1 + p] = -alpha / 4.0 / size * np.eye(p)
    of_y[:, 1 + p :] = fit.coef * (penalties / 2.0 - alpha / 4.0) / size
    return exact_sums(of_x + of_y, None) + _negated(exact_sums(of_x - of_y, None))


def _negated(sums: ExactSums) -> ExactSums:
    return ExactSums(sums.gram.negated(), sums.limbs)


def sums_before(sums: RunningSums | None, fit: LinearFit | JointFit | None, data: TrainingData) -> RunningSums:
    """Return the sums that rows are added to: those kept, those of a fit, or none."""
    if sums is not None:
        return sums
    return no_rows(data.x.shape[1], data.y.shape[1], data.single_output) if fit is None else sums_of_fit(fit)


@one_blas_thread()
def with_rows(sums: RunningSums, data: TrainingData, refine: bool | str) -> RunningSums:
    """Add rows: exactly while they are few or the columns nearly dependent (or if asked), else in float64."""
    if not len(data.y):
        return sums
    rows = as_rows(data.x, data.y, data.weights)
    totals = joined(sums.totals, row_totals(data.y, data.weights))
    sums = replace(sums, totals=totals, eps=max(sums.eps, data.eps))
    few = refinement_is_cheap(totals.n_rows, sums.n_features, sums.n_outputs)
    if refine is True or (refine == "auto" and not _is_broad(sums) and (few or sums.dependent)):
        return _with_exact(sums, rows)
    return _with_rounded(sums, rows, data.weights, refine)


def merged(one: RunningSums, other: RunningSums) -> RunningSums:
    """Return the sums over the rows of both."""
    rounded, frame = one.rounded, one.frame
    if rounded is None:
        rounded, frame = other.rounded, other.frame
    elif other.rounded is not None:
        rounded = moved(other.rounded, other.frame, frame, other.rounded_weight) + rounded
    return replace(
        no_rows(one.n_features, one.n_outputs, one.single_output),
        totals=joined(one.totals, other.totals),
        eps=max(one.eps, other.eps),
        exact=one.exact + other.exact,
        rounded=rounded,
        frame=frame,
        rounded_weight=one.rounded_weight + other.rounded_weight,
        n_rounded=one.n_rounded + other.n_rounded,
        # The worse of two well-conditioned batches bounds both together.
        checked=min((s.checked for s in (one, other) if s.rounded is not None), default=0),
        dependent=one.dependent or other.dependent,
        constant=one.constant and other.constant,
        as_given=one.as_given and other.as_given,
    )


def pose_from_sums(
    sums: RunningSums, options: LinearOptions, penalty: float | Array
) -> LinearProblem | SeparateProblem:
    """Pose the problem of the rows seen, under the options of now and one penalty, or one for each output (m,)."""
    check_sums_suffice(options.noise)
    alpha, fit_intercept = float(np.max(penalty)), options.fit_intercept
    if not sums.totals.n_rows:
        raise ValueError("All sample weights so far are zero: there is no row to fit. Give rows of positive weight.")
    if fit_intercept and not sums.constant:
        raise ValueError(
            "fit() without intercept has not kept the means of the columns; an intercept cannot be added now: "
            "fit again, or set fit_intercept=False."
        )
    k = 0
    if not LEAST_WEIGHT < sums.totals.max_weight < LARGEST_WEIGHT:
        # Whole limbs, which moving the radix point of the sums does without a change of digits.
        k = BITS // 2 * (int(np.frexp(sums.totals.max_weight)[1]) // BITS)
    squares = np.zeros(1 + sums.n_features + sums.n_outputs)
    squares[1 : 1 + sums.n_features] = np.ldexp(alpha, -2 * k)
    kept = KeptSums(
        exact=sums.exact.scaled(-2 * k // BITS),
        moments=None if sums.rounded is None else sums.rounded.scaled(-2 * k),
        frame=sums.frame,
        weight=float(np.ldexp(sums.rounded_weight, -2 * k)),
        penalty=squares,
        as_given=sums.as_given,
        well_conditioned=sums.checked > 0,
    )
    whole = scaled_problem(
        SummedRows((sums.totals.n_rows, sums.n_features, sums.n_outputs)),
        replace(
            sums.totals,
            sum_weights=float(np.ldexp(sums.totals.sum_weights, -2 * k)),
            sum_log_weights=sums.totals.sum_log_weights - sums.totals.n_rows * 2 * k * float(np.log(2.0)),
            max_weight=float(np.ldexp(sums.totals.max_weight, -2 * k)),
        ),
        k,
        options,
        alpha,
        sums.eps,
        sums.single_output,
        kept,
    )
    return whole if isinstance(penalty, float) else separate(whole, penalty, options)


@one_blas_thread()
def solve_from_sums(
    problem: LinearProblem | SeparateProblem, options: LinearOptions, rng: Callable[[], np.random.Generator]
) -> Solution | SeparateSolution:
    """Minimise the problem of rows that have gone by."""
    if isinstance(problem, SeparateProblem):
        return solve_each(problem, lambda part, _: _solve_from_sums(part, options, rng))
    return _solve_from_sums(problem, options, rng)


def _solve_from_sums(
    problem: LinearProblem, options: LinearOptions, rng: Callable[[], np.random.Generator]
) -> Solution:
    stepwise = iterative(options.solver)
    if stepwise is None:
        return solve_summed(problem.squares, cast("Solver", options.solver))
    return solve_by_path(problem.squares, stepwise, control_of(options, rng()))


@one_blas_thread()
def solve_by_pass(
    problem: LinearProblem | SeparateProblem,
    options: LinearOptions,
    data: TrainingData,
    start: Array | None,
    rng: Callable[[], np.random.Generator],
) -> Solution | SeparateSolution:
    """Go once through new rows by a solver that draws batches, from coefficients (p, m); zero if None."""
    if isinstance(problem, LinearProblem):
        return _solve_by_pass(problem, options, data, start, rng())

    def solve_part(part: LinearProblem, which: IntArray) -> Solution:
        begun = None if start is None else start[:, which]
        return _solve_by_pass(part, options, replace(data, y=data.y[:, which]), begun, rng())

    return solve_each(problem, solve_part)


def _solve_by_pass(
    problem: LinearProblem, options: LinearOptions, data: TrainingData, start: Array | None, rng: np.random.Generator
) -> Solution:
    stepwise = cast("Iterative", options.solver)
    weights = None if data.weights is None else scale(data.weights, -2 * problem.weight_exponent)
    control = replace(control_of(options, rng, options.batch_size), max_iter=1)
    rows = as_rows(data.x, data.y, weights)
    solution = solve_by_path(problem.squares, stepwise, control, start, rows)
    return solution if solution.status is Status.CONVERGED else replace(solution, status=Status.CONTINUING)


def check_sums_suffice(noise: NoiseFamily) -> None:
    """Raise where a fit is to come of sums over the rows, and the noise needs the rows themselves."""
    if not noise.sums_suffice:
        raise ValueError(
            f"Sums over rows, which partial_fit and merge keep, do not determine a fit under noise={noise.name!r}: call fit "
            f"with all rows (solver='adam' takes them in batches), or set {least_squares_families()}."
        )


def _with_exact(sums: RunningSums, rows: Rows) -> RunningSums:
    magnitudes(rows)  # raises where there is NaN or infinity
    return replace(sums, exact=sums.exact + rows.reduce(_exact_sums_of_block, ExactSums.__add__, dense=True))


def _exact_sums_of_block(block: Block) -> ExactSums:
    return exact_sums(np.hstack([np.ones((len(block.y), 1)), block.x, block.y]), block.weights)


def _is_broad(sums: RunningSums) -> bool:
    """Whether there are so many columns and outputs that exact sums are left to who asks for them."""
    return sums.n_features + sums.n_outputs > _BROAD


def _with_rounded(sums: RunningSums, rows: Rows, weights: Array | None, refine: bool | str) -> RunningSums:
    """Add rows in float64, unless they are too few to tell how dependent the columns are, or these turn out to be so."""
    n, careful = rows.shape[0], refine == "auto" and not _is_broad(sums)
    exact_if_few = careful and sums.rounded is None and n < _TELLING * (sums.n_features + 1)
    frame = choose_frame(rows.sample(SAMPLE_ROWS), shifted=True) if sums.rounded is None else sums.frame

    batch = rows.reduce(partial(moments_of_block, frame), Moments.__add__)
    total = float(n) if weights is None else float(weights.sum())
    if exact_if_few or not _in_range(batch, rows, frame) or (careful and _is_far(batch, total)):
        return _with_exact(sums, rows)
    if sums.rounded is not None:
        batch = batch + sums.rounded
    more = replace(
        sums,
        rounded=batch,
        frame=frame,
        rounded_weight=sums.rounded_weight + total,
        n_rounded=sums.n_rounded + n,
        as_given=False,
    )
    if not careful or more.n_rounded < 2 * sums.checked:
        return more
    if _well_conditioned(more):
        return replace(more, checked=more.n_rounded)
    return _with_exact(replace(sums, dependent=True), rows)


def _in_range(batch: Moments, rows: Rows, frame: Frame) -> bool:
    """Whether the squares of a batch have left float64 neither above nor below."""
    squares = np.diagonal(batch.gram)
    if not np.isfinite(batch.gram).all():
        return False
    small = squares < UNDERFLOW
    return not small.any() or not rows.reduce(partial(_largest_of_block, frame, small), np.maximum).any()


def _largest_of_block(frame: Frame, columns: BoolArray, block: Block) -> Array:
    """Return the largest magnitudes of some columns of [X | y] in a frame."""
    x = as_dense(block.x, slice(None))
    return np.asarray(np.abs(frame.apply(x, block.y, None)[:, columns]).max(axis=0, initial=0.0))


def _is_far(batch: Moments, total: float) -> bool:
    """Whether the mean of a batch is so far from the shift of its frame that it swamps what varies."""
    of_mean = batch.sums**2 / total
    return bool((of_mean > FAR_MEAN * (np.diagonal(batch.gram) - of_mean)).any())


def _well_conditioned(sums: RunningSums) -> bool:
    """Whether what was summed in float64 shows columns far from dependent, and outputs not too close to them or others."""
    if sums.rounded is None:
        return True
    triangle = triangle_of_moments(sums.rounded, sums.frame, sums.n_features, sums.rounded_weight, True, 0.0)
    if triangle is None or not _condition(triangle) < _BATCH_CONDITION:
        return False
    far = bool((np.sum(triangle.z**2, axis=0) < CLOSE_FIT * np.diagonal(triangle.tail)).all())
    # More outputs than the rows can bear are dependent whatever the digits.
    bearable = sums.totals.n_rows > sums.n_features + sums.n_outputs
    return far and (not bearable or factor_of_cross(triangle.tail) is not None)


def _condition(triangle: Triangle) -> float:
    """Condition of the columns: the ratio of singular values while they cost little, an estimate of more than that else."""
    if triangle.n_features > _SPECTRUM_COLUMNS:
        return 1.0 / max(reciprocal_condition(triangle.r), np.finfo(np.float64).tiny)
    values = np.linalg.svd(triangle.r, compute_uv=False)
    return float(values[0] / max(values[-1], np.finfo(np.float64).tiny)) if values.size else 1.0
