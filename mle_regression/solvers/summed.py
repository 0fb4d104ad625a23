"""Least squares from cross-products alone, when the rows have gone by."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from mle_regression.linalg.arrays import EPS, Array, BoolArray, IntArray
from mle_regression.linalg.exact import Fixed
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.gram import Moments, moved
from mle_regression.linalg.qr import triangular_factor
from mle_regression.linalg.rank import independent_columns, spectrum, surely_full_rank
from mle_regression.linalg.scaling import scale
from mle_regression.linalg.sums import KeptSums
from mle_regression.linalg.triangle import Triangle, exceeds_condition, triangle_of_factor, triangle_of_moments
from mle_regression.solvers.base import LeastSquares, Solution, Solver
from mle_regression.solvers.direct import Polish, conclude
from mle_regression.solvers.normal import WELL_CONDITIONED, NormalEquation, triangle_of_sums
from mle_regression.solvers.passes import sum_exact
from mle_regression.solvers.qr import TallSkinnyQR
from mle_regression.solvers.svd import SingularValues

# Added to the squares of columns of unit length where they are dependent: the singular values that are zero become 2**-50,
# the least that a preconditioner in float64 can turn into one, and stay below the tolerance.
_FLOOR, _ABOVE_FLOOR = 2.0**-100, 2.0**-49
# Error of the eigenvalues of unit columns from sums in float64, in eps for each column.
_EIGENVALUE_EPS = 8.0
# A warning tells of rounded sums with fewer correct digits than this.
_FEW_DIGITS = 8.0
# Digits of a number in float64.
_ALL_DIGITS = 16.0


@dataclass(frozen=True, slots=True)
class SummedTriangle:
    """What sums over rows come down to.

    Attributes
    ----------
    triangle : Triangle
    frame : Frame
        In which it was made.
    exact : bool
        Whether its equation can be solved in exact arithmetic.
    tolerance : float
        Relative singular value at which a direction counts as none, that of the problem or more.
    digits : float
        How many the rounding of the sums leaves.
    """

    triangle: Triangle
    frame: Frame
    exact: bool
    tolerance: float
    digits: float = _ALL_DIGITS


def solve_summed(problem: LeastSquares, solver: Solver) -> Solution:
    """Minimise a problem of which only the sums are left: the exact normal equation, at the rank that it has.

    The singular values of the triangle, where the ``solver`` is of these; QR needs rows.

    What was summed in float64 is solved in float64, with directions taken for none that the rounding of the sums hides.
    """
    found, by_spectrum = reduce_sums(problem), isinstance(solver, SingularValues)
    solution = conclude(
        replace(problem, refine=found.exact, tolerance=found.tolerance),
        found.triangle,
        found.frame,
        SingularValues.name if by_spectrum else NormalEquation.name,
        Polish.NOTHING,
        by_spectrum=by_spectrum,
    )
    notes: tuple[str, ...] = ()
    if found.digits < _FEW_DIGITS:
        notes = (
            f"The columns are so nearly dependent that sums in float64 leave about {max(found.digits, 0.0):.0f} digits of "
            "the coefficients. Fit all rows together, or give them to partial_fit with refine=True.",
        )
    reason = f"of solver={solver.name!r}, sums over rows have this alone" if isinstance(solver, TallSkinnyQR) else ""
    return replace(solution, refined=solution.refined and kept_sums(problem).as_given, notes=notes, reason=reason)


def kept_sums(problem: LeastSquares) -> KeptSums:
    """Return the sums of a problem whose rows have gone by."""
    if problem.sums is None:
        raise ValueError("The problem has rows, not sums.")
    return problem.sums


def reduce_sums(problem: LeastSquares) -> SummedTriangle:
    """Reduce the sums to a triangle, of which directions without length are exactly without."""
    sums = kept_sums(problem)
    if sums.moments is not None and sums.only_rounded:
        return _of_rounded(problem, sums.moments, sums)
    p, q = problem.rows.shape[1], sum(problem.rows.shape[1:])
    gram, exponent = sum_exact(problem, np.arange(p), np.zeros(q, dtype=np.int64))
    first = int(problem.centred)
    frame = Frame(exponent[first:], np.zeros(q))
    if _swamped(problem, gram, exponent).any():
        rounded = _rounded_triangle(problem, frame)
        if rounded is not None:
            return SummedTriangle(rounded, frame, False, problem.tolerance)
    # Rounded sums hide more than exact ones.
    hidden = sums.moments is not None and not sums.well_conditioned
    floor = _hidden_squares(q) if hidden else _FLOOR
    tolerance = max(problem.tolerance, 2.0 * np.sqrt(floor) if hidden else _ABOVE_FLOOR)
    triangle = triangle_of_sums(problem, gram, exponent, frame)
    if triangle is None:
        triangle = triangle_of_sums(problem, gram, exponent, frame, floor=floor)
        triangle = None if triangle is None else _without_floor(triangle, gram.to_float().diagonal()[first : first + p])
    if triangle is not None and not surely_full_rank(triangle, tolerance):
        # Directions that short are beyond the digits of a factor in float64: one of independent columns has all of them.
        s = spectrum(triangle, tolerance)
        if s.rank < p:
            kept = independent_columns(triangle, s, tolerance)
            triangle = triangle_of_sums(problem, gram, exponent, frame, kept=kept)
    if triangle is None:
        raise np.linalg.LinAlgError("The sums over rows are not those of a matrix; were they changed from outside?")
    return SummedTriangle(triangle, frame, True, tolerance)


def _hidden_squares(q: int) -> float:
    """Eigenvalue of q columns of unit length below which rounding of their cross-products hides whether it is zero."""
    return _EIGENVALUE_EPS * q * EPS


def _of_rounded(problem: LeastSquares, moments: Moments, sums: KeptSums) -> SummedTriangle:
    """Triangle of sums in float64: by Cholesky, or where that is not safe by the eigenvalues that rounding has not hidden."""
    p, total, frame = problem.rows.shape[1], problem.totals.sum_weights, sums.frame
    if not problem.centred:
        unshifted = Frame(frame.exponent, np.zeros_like(frame.shift))
        moments, frame = moved(moments, frame, unshifted, total), unshifted
    triangle = triangle_of_moments(moments, frame, p, total, problem.centred, problem.alpha)
    if triangle is not None and not exceeds_condition(triangle.r, WELL_CONDITIONED):
        return SummedTriangle(triangle, frame, False, problem.tolerance)
    offset = moments.sums / total if problem.centred else np.zeros_like(moments.sums)
    gram = moments.gram - np.outer(offset, moments.sums) if problem.centred else moments.gram
    length = np.sqrt(np.maximum(np.diagonal(moments.gram), 0.0))
    # Columns of unit length, before centring in the frame: it is their rounding that hides what is small.
    unit = np.where(length > 0, length, 1.0)
    unit[p:] = 1.0
    gram = gram / np.outer(unit, unit)
    penalty = scale(np.full(p, problem.alpha), -2 * frame.exponent[:p]) / unit[:p] ** 2
    values, vectors = np.linalg.eigh(gram[:p, :p] + np.diag(penalty))
    hidden = _hidden_squares(p + 1)
    seen = values > hidden * max(values.max(initial=0.0), 1.0)
    root, vectors = np.sqrt(values[seen]), vectors[:, seen]
    z = (vectors.T @ gram[:p, p:]) / root[:, None]
    tail = gram[p:, p:] - z.T @ z
    left = np.diag(np.sqrt(np.maximum(np.diagonal(tail), 0.0)))
    # Columns of zeros stay so, whatever rounding has made of them.
    rows = np.hstack([root[:, None] * vectors.T * length[:p], z])
    upper = triangular_factor(np.vstack([rows, np.zeros((p - len(rows), rows.shape[1]))]))
    inner = np.vstack([upper[:p], np.hstack([np.zeros((len(left), p)), left])])
    if problem.centred:
        first = np.sqrt(total) * np.concatenate([np.ones(1), offset])
        inner = np.vstack([first, np.hstack([np.zeros((len(inner), 1)), inner])])
    found = triangle_of_factor(inner, frame, p, total, problem.centred, 0.0)
    tail = scale(tail, -(found.exponent[p:, None] + found.exponent[p:] - frame.exponent[p:, None] - frame.exponent[p:]))
    digits = (
        -np.log10(_EIGENVALUE_EPS * EPS * values[-1] / values[seen].min(initial=values[-1]))
        if seen.any()
        else _ALL_DIGITS
    )
    tolerance = max(problem.tolerance, _ABOVE_FLOOR)
    return SummedTriangle(replace(found, tail=tail), frame, False, tolerance, float(digits))


def _swamped(problem: LeastSquares, gram: Fixed, exponent: IntArray) -> BoolArray:
    """Tell which columns are no more than rounding beside their penalty: exact sums do not reach so far down."""
    first, p = int(problem.centred), problem.rows.shape[1]
    columns = slice(first, first + p)
    penalty = scale(np.full(p, problem.alpha), -2 * exponent[columns])
    return np.asarray(penalty * EPS > np.diagonal(gram.to_float())[columns])


def _rounded_triangle(problem: LeastSquares, frame: Frame) -> Triangle | None:
    """Cholesky triangle of the sums in float64."""
    gram, exponent = kept_sums(problem).table
    unit = np.concatenate([np.zeros(1, dtype=np.int64), frame.exponent])
    table = scale(gram.to_float(), (exponent - unit)[:, None] + (exponent - unit))
    moments = Moments(table[0, 1:], table[1:, 1:])
    return triangle_of_moments(
        moments, frame, problem.rows.shape[1], problem.totals.sum_weights, problem.centred, problem.alpha
    )


def _without_floor(triangle: Triangle, squares: Array) -> Triangle:
    """Make columns of zeros what they are; the floor has given them a length."""
    r, norm, exponent = triangle.r.copy(), triangle.norm.copy(), triangle.exponent.copy()
    empty = np.flatnonzero(squares == 0)
    r[:, empty] = 0.0
    norm[empty] = 0.0
    exponent[empty] = 0
    return replace(triangle, r=r, norm=norm, exponent=exponent)
