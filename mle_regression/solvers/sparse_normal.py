"""The normal equation of sparse columns whose Gram matrix is sparse too: at the price of its nonzeros."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import scipy.sparse as sp

from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.conjugate_gradients import conjugate_gradients
from mle_regression.linalg.elimination import Elimination, eliminate, orthogonal_run
from mle_regression.linalg.frame import Frame, safe_exponents
from mle_regression.linalg.nullspace import echelon_basis, semidefinite_null_space
from mle_regression.linalg.rank import Relation
from mle_regression.linalg.scaling import exponents, scale
from mle_regression.linalg.sparse_information import SparseInformation
from mle_regression.rows.base import Block
from mle_regression.solvers.base import LeastSquares, Solution, Status
from mle_regression.solvers.direct import noise_free
from mle_regression.solvers.passes import magnitudes, sum_residuals

# Fewer columns are cheaper as a dense triangle.
_FROM_COLUMNS = 150
# Complements of up to so many columns are factorised; those of more are solved by conjugate gradients.
FACTORISED = 500
# Condition of unit columns up to which standard errors have nine digits, and the solution fifteen after one residual pass.
_RESIDUAL_PASS_CONDITION = 1e3
# Range of rank tolerances for which the rank is that of a triangle.
_LEAST_TOLERANCE, _SAFE_TOLERANCE = 16.0 * EPS, 0.1 / _RESIDUAL_PASS_CONDITION
# Relative residual of the iterations; and least part of a random vector in the null space that is not rounding.
_SOLVED, _LOST = 1e-13, 1e-6
# Number of random vectors for the null space of a complement that is not factorised; it must have a smaller dimension.
_PROBES = 6
# Time of a floating-point operation of a sparse product, relative to one of a dense factorisation.
SPARSE_PRICE = 6.0
# Iterations use X if the Gram matrix has more than this many times its nonzeros.
_GRAM_TO_ROWS = 6.0
# Iterations that a complement in good condition is expected to take.
_ITERATIONS = 25
# Zero to rounding: entries of unit null vectors, and length of unit columns along them.
_NULL_ENTRY, _NULL_LENGTH = 1e-9, 1e-10


@dataclass(frozen=True, slots=True)
class SparseSums:
    """Sums over rows of sparse [1 | X], columns divided by powers of two, and y.

    Attributes
    ----------
    gram : CSR array of shape (c + p, c + p)
    cross : Array of shape (c + p, m)
        [1 | X]ᵀWy.
    squares : Array of shape (m,)
        Σ w y².
    unit : IntArray of shape (c + p,)
    """

    gram: Any
    cross: Array
    squares: Array
    unit: IntArray


def solve_sparse(problem: LeastSquares) -> Solution | None:
    """Minimise a problem of sparse columns; None where that would cost more than a dense triangle, or not be sure.

    A run of columns orthogonal to each other, as the dummies of a factor are, is eliminated first. What is left of the
    others is factorised if they are few, else solved by conjugate gradients; the null space, of dummies that add up to the
    constant, comes of a pivoted factorisation, or of what random vectors lose when they are solved for. One pass for the
    residuals restores the digits that the sums have rounded away.
    """
    x = getattr(problem.rows, "x", None)
    if not sp.issparse(x) or not _promises(problem, x):
        return None
    orthogonal = orthogonal_run(x)
    if not _pays(x, len(orthogonal)) or safe_exponents(magnitudes(problem.rows)).any():
        return None
    sums = _sums(problem)
    return _solved(problem, sums, orthogonal + int(problem.centred))


def _promises(problem: LeastSquares, x: Any) -> bool:
    p = x.shape[1]
    counted = problem.totals.n_rows >= p + int(problem.centred) or problem.alpha > 0
    return (
        problem.sums is None
        and not problem.refine
        and p >= _FROM_COLUMNS
        and counted
        and _LEAST_TOLERANCE < problem.tolerance < _SAFE_TOLERANCE
    )


def _pays(x: Any, n_orthogonal: int) -> bool:
    """Whether the sparse way is foreseen to cost less than a Gram matrix and a factor in p × p memory."""
    p = x.shape[1]
    per_row = np.diff(x.indptr).astype(np.float64)
    products = min(float(per_row @ per_row), float(p) ** 2)
    rest = p - n_orthogonal
    if rest > FACTORISED and products > _GRAM_TO_ROWS * x.nnz:
        return False
    solving = rest**3 / 3 if rest <= FACTORISED else SPARSE_PRICE * 2 * products * (_PROBES + 1) * _ITERATIONS
    return bool(per_row @ per_row <= SPARSE_PRICE * p**2 and solving + SPARSE_PRICE * products < p**3 / 3)


def _sums(problem: LeastSquares) -> SparseSums:
    """One pass for the sparse cross-products of [1 | X | y]."""
    first = int(problem.centred)
    gram, cross, squares = problem.rows.reduce(partial(_products_of_block, problem.centred), _each_added)
    diagonal = gram.diagonal()
    diagonal[first:] += problem.alpha
    unit = exponents(np.sqrt(diagonal))
    if first:
        unit[0] = 0
    scaled = sp.csr_array(sp.diags_array(scale(1.0, -unit)) @ gram @ sp.diags_array(scale(1.0, -unit)))
    if problem.alpha:
        penalty = np.r_[np.zeros(first), scale(np.full(len(unit) - first, problem.alpha), -2 * unit[first:])]
        scaled = sp.csr_array(scaled + sp.diags_array(penalty))
    scaled.sort_indices()
    return SparseSums(scaled, scale(cross, -unit[:, None]), squares, unit)


def _products_of_block(centred: bool, block: Block) -> tuple[Any, Array, Array]:
    """Return the sparse cross-products of [1 | X], those with y, and Σ w y²."""
    x = sp.csr_array(sp.hstack([np.ones((len(block.y), 1)), block.x])) if centred else block.x
    weighted = x if block.weights is None else sp.diags_array(block.weights) @ x
    return sp.csr_array(weighted.T @ x), np.asarray(weighted.T @ block.y), _weighted_squares(block)


def _each_added(a: tuple[Any, ...], b: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(u + v for u, v in zip(a, b, strict=True))


def _weighted_squares(block: Block) -> Array:
    weights = np.ones(len(block.y)) if block.weights is None else block.weights
    return np.asarray(weights @ block.y**2)


def _solved(problem: LeastSquares, sums: SparseSums, orthogonal: IntArray) -> Solution | None:
    first, size = int(problem.centred), len(sums.unit)
    diagonal = sums.gram.diagonal()
    empty = np.flatnonzero(diagonal == 0)
    occupied = np.flatnonzero(diagonal > 0)
    inner = sums.gram if not len(empty) else sp.csr_array(sums.gram[occupied][:, occupied])
    run = np.searchsorted(occupied, np.intersect1d(orthogonal, occupied))
    step = _Equation(eliminate(inner, run), inner)
    found = step.null_space()
    if found is None:
        return None
    null = np.zeros((size, found.shape[1] + len(empty)))
    null[occupied, : found.shape[1]] = found
    null[empty, np.arange(found.shape[1], null.shape[1])] = 1.0
    null, dependent = echelon_basis(null, _NULL_ENTRY)
    information = SparseInformation(
        gram=sums.gram,
        orthogonal=np.setdiff1d(orthogonal, dependent),
        null=null,
        dependent=dependent,
        exponent=sums.unit[first:],
        total=problem.totals.sum_weights,
        alpha=problem.alpha,
        centred=problem.centred,
        dropped=problem.deficiency == "drop",
    )
    step = _Equation(
        information.elimination, sums.gram[information.kept][:, information.kept] if len(dependent) else sums.gram
    )
    if (len(dependent) and problem.alpha) or not step.is_well_conditioned():
        return None
    if len(dependent) and not _is_null(problem, sums, null):
        information = replace(information, null=_sharper(problem, sums, information, step))
        if not _is_null(problem, sums, information.null):
            return None
    return _finished(problem, sums, information, step)


class _Equation:
    """Solve with a Gram matrix by elimination, and by a factor or by conjugate gradients of what that leaves."""

    def __init__(self, elimination: Elimination, gram: Any) -> None:
        self.elimination, self.gram = elimination, gram
        self.factorised = len(elimination.rest) <= FACTORISED
        self.length = np.sqrt(gram.diagonal())
        self.lowest = 1.0

    def solve(self, rhs: Array, tol: float = _SOLVED) -> Array:
        """Return G⁻¹ rhs (k, m); residuals of iterations are to fall to ``tol`` of rhs."""

        def iterate(inner: Array) -> Array:
            return conjugate_gradients(self.elimination.complement_product, inner, tol=tol).solution

        return self.elimination.solve(rhs, None if self.factorised else iterate)

    def null_space(self) -> Array | None:
        """Return a basis (k, r) of the null space; None where it cannot be told from directions of little length."""
        parts = self.elimination
        q = len(parts.rest)
        if self.factorised:
            inner = (
                semidefinite_null_space(parts.complement, _NULL_LENGTH, 1 / _RESIDUAL_PASS_CONDITION**2)
                if q
                else np.zeros((0, 0))
            )
        else:
            inner = self._lost_by_probes(q)
        if inner is None:
            return None
        inner = inner / parts.unit[:, None]
        null = np.zeros((len(parts.first) + q, inner.shape[1]))
        null[parts.rest] = inner
        null[parts.first] = -(parts.across @ inner) / parts.pivots[:, None]
        return null

    def _lost_by_probes(self, q: int) -> Array | None:
        """Basis of what random vectors w lose in w − S⁺Sw: their parts in the null space."""
        product = self.elimination.complement_product
        probes = np.random.default_rng(0).standard_normal((q, _PROBES))
        found = conjugate_gradients(product, product(probes))
        if not found.converged or found.lowest < found.highest / _RESIDUAL_PASS_CONDITION**2:
            return None
        left, values, _ = np.linalg.svd(probes - found.solution, full_matrices=False)
        r = int(np.sum(values > _LOST))
        return None if r == _PROBES else left[:, :r]

    def is_well_conditioned(self) -> bool:
        """Whether the matrix, of unit columns, has a condition up to which its factor keeps nine digits."""
        vectors = np.random.default_rng(1).standard_normal((len(self.length), 2))
        if self.factorised and self.elimination.root is None:
            return False
        largest = smallest = 0.0
        inverse = vectors
        for _ in range(_POWER_STEPS):
            vectors = self.gram @ (vectors / np.linalg.norm(vectors, axis=0) / self.length[:, None])
            vectors = vectors / self.length[:, None]
            largest = float(np.linalg.norm(vectors, axis=0).max())
            if self.factorised:
                inverse = self.solve(inverse / np.linalg.norm(inverse, axis=0) * self.length[:, None])
                inverse = inverse * self.length[:, None]
                smallest = float(np.linalg.norm(inverse, axis=0).max())
        return largest * smallest <= _RESIDUAL_PASS_CONDITION**2


# Steps of power iteration for a condition number.
_POWER_STEPS = 6
# Relative tolerance for a correction, which is of the size of rounding and needs few digits.
_CORRECTION = 1e-3


def _is_null(problem: LeastSquares, sums: SparseSums, null: Array) -> bool:
    """Whether the rows themselves, and not only the sums of their squares, vanish along the null vectors (c + p, r)."""

    def squares(image: Array, block: Block) -> Array:
        return _weighted_squares(Block(block.x, image, block.weights))

    length = np.sqrt(_along(problem, sums, null, squares))
    reach = np.abs(null).T @ np.sqrt(sums.gram.diagonal())
    return bool((length <= max(problem.tolerance, _LEAST_TOLERANCE) * reach).all())


def _sharper(problem: LeastSquares, sums: SparseSums, information: SparseInformation, step: _Equation) -> Array:
    """Return the null vectors (c + p, r) less what rounding has left of them outside of the null space."""
    kept, null = information.kept, information.null.copy()
    pull = scale(_along(problem, sums, null, partial(_pull_of_block, problem.centred)), -sums.unit[:, None])
    null[kept] -= step.solve(pull[kept], _CORRECTION)
    return np.where(np.abs(null) < _NULL_ENTRY, 0.0, null)


def _pull_of_block(centred: bool, image: Array, block: Block) -> Array:
    """Return [1 | X]ᵀW times an image (b, r)."""
    weighted = image if block.weights is None else block.weights[:, None] * image
    ones = [weighted.sum(axis=0, keepdims=True)] if centred else []
    return np.vstack([*ones, np.asarray(block.x.T @ weighted)])


def _along(problem: LeastSquares, sums: SparseSums, null: Array, block_sum: Callable[[Array, Block], Array]) -> Array:
    """Sum over blocks what ``block_sum`` makes of the image (b, r) of vectors (c + p, r), and the block."""
    params = scale(null, -sums.unit[:, None])
    constant, slopes = (params[0], params[1:]) if problem.centred else (np.zeros(params.shape[1]), params)
    return problem.rows.reduce(partial(_of_image, block_sum, slopes, constant), np.add)


def _of_image(block_sum: Callable[[Array, Block], Array], slopes: Array, constant: Array, block: Block) -> Array:
    return block_sum(np.asarray(block.x @ slopes) + constant, block)


def _finished(
    problem: LeastSquares, sums: SparseSums, information: SparseInformation, step: _Equation
) -> Solution | None:
    """Solve, sharpen by one residual pass, and settle what the data leave open."""
    first, m = int(problem.centred), sums.cross.shape[1]
    kept = information.kept
    params = np.zeros((information.size, m))
    params[kept] = step.solve(sums.cross[kept])
    penalty = np.r_[np.zeros(first), scale(np.full(information.size - first, problem.alpha), -2 * sums.unit[first:])]
    cross, pull = _residuals(problem, sums, params)
    change = np.zeros(params.shape)
    change[kept] = step.solve((pull - penalty[:, None] * params)[kept], _CORRECTION)
    params += change
    # Of the residuals after the change, from those before it and what pulled at them.
    moved = sums.gram @ change - penalty[:, None] * change
    cross = cross - change.T @ pull - pull.T @ change + change.T @ moved
    if not np.isfinite(params).all():
        return None
    if len(information.dependent) and not information.dropped:
        params = _smallest(params, information.null, sums.unit, first)
    return _as_solution(problem, sums, information, params, cross)


def _residuals(problem: LeastSquares, sums: SparseSums, params: Array) -> tuple[Array, Array]:
    """Cross-products (m, m) of the residuals of params in scaled columns, and [1 | X]ᵀWe (c + p, m)."""
    first, m = int(problem.centred), params.shape[1]
    raw = scale(params, -sums.unit[:, None])
    p = len(raw) - first
    identity = Frame(np.zeros(p + m, dtype=np.int64), np.zeros(p + m))
    found = sum_residuals(problem.rows, identity, raw[first:], raw[0] if first else np.zeros(m))
    gradient = np.vstack([found.total, found.gradient]) if first else found.gradient
    return found.cross, scale(gradient, -sums.unit[:, None])


def _smallest(params: Array, null: Array, unit: IntArray, first: int) -> Array:
    """Return, of all parameters that fit as these do, those whose coefficients are smallest in the units of X."""
    raw, basis = scale(params, -unit[:, None]), scale(null, -unit[:, None])
    coordinates, *_ = np.linalg.lstsq(basis[first:], raw[first:], rcond=None)
    return np.asarray(params - null @ coordinates)


def _relations(sums: SparseSums, information: SparseInformation, limit: int = 5) -> tuple[Relation, ...]:
    """Write the first ``limit`` dependent columns as combinations of those kept, in the units of X."""
    first = int(information.centred)
    found = []
    for k, j in enumerate(information.dependent[:limit]):
        share = -scale(information.null[:, k], sums.unit[j] - sums.unit)
        share[j] = 0.0
        terms = tuple((int(i) - first, float(share[i])) for i in np.flatnonzero(share) if i >= first)
        found.append(Relation(int(j) - first, terms, float(share[0]) if first else 0.0))
    return tuple(found)


def _as_solution(
    problem: LeastSquares, sums: SparseSums, information: SparseInformation, params: Array, cross: Array
) -> Solution:
    first, m = int(problem.centred), params.shape[1]
    raw = scale(params, -sums.unit[:, None])
    unit = exponents(np.sqrt(sums.squares))
    cross = 0.5 * scale(cross + cross.T, -(unit[:, None] + unit))
    np.fill_diagonal(cross, np.maximum(np.diagonal(cross), 0.0))
    lengths = np.sqrt(sums.gram.diagonal())
    reach = scale(lengths[first:] @ np.abs(params[first:]) + (lengths[0] * np.abs(params[0]) if first else 0.0), -unit)
    length = scale(np.sqrt(sums.squares), -unit)
    saturated = problem.totals.n_rows <= information.rank and not problem.alpha
    left = sums.cross - sums.gram @ params
    deficient = bool(len(information.dependent))
    return Solution(
        coef=raw[first:],
        intercept=raw[0] if first else np.zeros(m),
        residual_cross=cross,
        output_exponent=unit,
        information=information,
        noise_free=noise_free(length, reach, cross) | saturated,
        gradient_norm=float(np.linalg.norm(scale(left, -unit))) * 2.0 / problem.totals.sum_weights,
        relations=_relations(sums, information) if deficient else (),
        status=Status.RANK_DEFICIENT if deficient else Status.CONVERGED,
        solver="normal",
        refined=False,
    )
