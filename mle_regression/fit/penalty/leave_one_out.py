"""The penalty of a linear model under which rows left out are foretold best (Allen, 1974; Golub, Heath and Wahba, 1979)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from mle_regression.fit.linear import LinearProblem
from mle_regression.fitted.penalty import INFINITY, NO_COLUMN, NO_ROW, ZERO, LinearPenalty
from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.left_vectors import left_vectors
from mle_regression.linalg.memory import NUMBER_BYTES, require_memory
from mle_regression.linalg.roots import bracketed_roots
from mle_regression.linalg.scaling import column_norms, exponents, fast_column_norms, scale
from mle_regression.rows.base import Block, Rows
from mle_regression.solvers.passes import magnitudes

# Penalties that are tried are a factor of three apart where they are within a hundred times of a squared singular value, else
# of twenty. Beyond these, and at the ends that stand for zero and infinity:
_FINE, _COARSE, _NEAR, _BEYOND = np.log(3.0), np.log(20.0), np.log(100.0), np.log(1e14)
_END = np.log(1e22)
# A multiple of the largest squared singular value that stands for infinity.
_STANDS_FOR_INFINITY = 1e12
# What leverage leaves of one for a row that has a parameter of its own; and what centring leaves of a constant, in eps.
_NO_LEVERAGE_LEFT, _CONSTANT_EPS = 1e-10, 16.0
# Distance of rows that are one and the same but for rounding, relative to the largest.
_SAME_ROW = 1e-12
# How near to a root of the derivative is near enough, and numbers in a table of rows by penalties.
_NEAR_ROOT, _TABLE = 1e-13, 1 << 18
# Powers of two within which columns and outputs are used as they are.
_PLAIN = 100
# Number of arrays of the size of [X | y] that it takes.
_COPIES = 4


@dataclass(frozen=True, slots=True)
class LeftOutRows:
    """What left-out residuals of n rows are made of, along the singular directions of the centred rows times √w.

    With D = α/(s² + α) residuals are ``outside + left D inside``, and leverage leaves ``rest + share left² D`` of one.

    Attributes
    ----------
    left : Array of shape (n, k)
    values : Array of shape (k,)
        Singular values s, descending.
    inside : Array of shape (k, m)
        Projections of y on the left vectors.
    outside : Array of shape (n, m)
        What these leave of y.
    rest, share : Array of shape (n,)
        One less the leverage, without penalty, of what leaves; and the share of a row that leaves.
    total : float
        Sum of the weights.
    constant : float
        Parameters without penalty.
    met : int
        How many rows, the first, are met exactly without penalty.
    """

    left: Array
    values: Array
    inside: Array
    outside: Array
    rest: Array
    share: Array
    total: float
    constant: float
    met: int

    def score(self, logs: Array, outputs: slice | IntArray = slice(None)) -> tuple[Array, Array]:
        """Return mean squares left out (q,) and their derivatives by log α.

        Parameters
        ----------
        logs : Array of shape (q,)
            Logarithms of penalties: one for all ``outputs``, or one for each.
        outputs : slice or IntArray of shape (q,)
            Which outputs; one output serves all penalties.
        """
        inside, kept = self.inside[:, outputs], self.kept(logs)
        slope = kept * self.kept(-logs, sign=-1.0)
        width = max(len(logs), inside.shape[1])
        value, derivative = np.zeros(width), np.zeros(width)
        # Of rows that are met without penalty residual and rest vanish with it, their ratio not: its derivative is that
        # of D − D², and of −D² as well, in which nothing cancels.
        for first, last, change in ((0, self.met, -(kept**2)), (self.met, len(self.left), slope)):
            along, beside = np.hstack([kept * inside, change * inside]), np.hstack([kept, change])
            step = max(1, _TABLE // max(width, len(kept)))
            for start in range(first, last, step):
                rows = slice(start, min(start + step, last))
                left, share = self.left[rows], self.share[rows, None]
                ahead, lengths = left @ along, left**2 @ beside
                rest = self.rest[rows, None] + share * lengths[:, : len(logs)]
                out = (self.outside[rows][:, outputs] + ahead[:, :width]) / rest
                moved = (ahead[:, width:] - out * share * lengths[:, len(logs) :]) / rest
                value += np.einsum("ij,ij->j", out, out)
                derivative += 2.0 * np.einsum("ij,ij->j", out, moved)
        return value / self.total, derivative / self.total

    def kept(self, logs: Array, sign: float = 1.0) -> Array:
        """Return D (k, q); 1 − D, to all its digits, of ``-logs`` and sign −1."""
        with np.errstate(over="ignore"):
            return np.asarray(1.0 / (1.0 + np.exp(sign * 2.0 * np.log(self.values)[:, None] - logs)))

    def grid(self) -> Array:
        """Return logarithms of penalties, ascending, close to each other where squared singular values are."""
        marks, pieces = 2.0 * np.log(self.values[::-1]), list[Array]()
        at = float(marks[0] - _NEAR)
        for mark in marks:
            if mark - _NEAR > at + _COARSE:
                pieces.append(np.arange(at, mark - _NEAR, _COARSE))
                at = float(mark - _NEAR)
            if mark + _NEAR > at:
                pieces.append(np.arange(at, mark + _NEAR, _FINE))
                at = float(pieces[-1][-1] + _FINE)
        inner, tails = np.concatenate(pieces), np.arange(_COARSE, _BEYOND, _COARSE)
        low, high = inner[0] - tails[::-1], inner[-1] + tails
        return np.concatenate([[low[0] - _END], low, inner, high, [high[-1] + _END]])


def choose_by_leave_one_out(problem: LinearProblem, *, per_output: bool) -> LinearPenalty:
    """Return the penalty, or that of each output, under which left-out rows have the smallest mean square.

    A row leaves as a whole: its residual is ``e/(1 − h)``, h its leverage, the intercept included. Of a row that stands for
    several, one leaves. All penalties come of one singular value decomposition of the centred rows. Minima are roots of the
    derivative by log α, looked for where its sign changes on a grid, or the limits zero and infinity.

    Parameters
    ----------
    problem : LinearProblem
        Its own penalty is not looked at.
    per_output : bool
        Whether each output has a penalty of its own; else the mean square over all outputs, in their units, decides.
    """
    found, unit, exponent, own = left_out_rows(problem)
    m = len(exponent)
    if not found.values.size or not len(found.left):
        return _no_choice(found, exponent, own, per_output)
    # Outputs that share a penalty are weighed in their units, of which the largest is one.
    top = int(exponent.max())
    share = np.eye(m) if per_output else scale(np.full((m, 1), 1.0 / m), 2 * (exponent - top)[:, None])
    logs = found.grid()
    value, slope = (table @ share for table in _along(found, logs))
    chosen, limits = _minima(found, logs, value, slope, None if per_output else share[:, 0])
    score, _ = found.score(chosen)
    shift = 2 * unit + 2 * problem.weight_exponent  # columns are divided by 2**unit, weights by 4**weight_exponent
    largest = float(found.values[0])
    alphas = np.array([_penalty(log, limit, largest, shift) for log, limit in zip(chosen, limits, strict=True)])
    path = np.zeros(len(logs), dtype=_path_dtype(m if per_output else None))
    path["penalty"], path["effective_parameters"] = scale(np.exp(logs), shift), _effective(found, logs)
    path["penalty"][[0, -1]] = 0.0, np.inf
    path["score"] = scale(value, 2 * exponent) if per_output else scale(value[:, 0], 2 * top)
    alpha = alphas if per_output else float(alphas[0])
    return LinearPenalty("loo", alpha, scale(score, 2 * exponent), limits, path, own)


def left_out_rows(problem: LinearProblem) -> tuple[LeftOutRows, int, IntArray, IntArray]:
    """Decompose the rows that have weight.

    Returns
    -------
    found : LeftOutRows
        Without rows that have a parameter of their own.
    unit : int
        Columns are divided by ``2**unit``.
    exponent : IntArray of shape (m,)
        Outputs are divided by ``2**exponent``.
    own : IntArray
        The rows that have a parameter of their own.
    """
    squares = problem.squares
    p = squares.rows.shape[1]
    table, counted, unit, exponent = _weighted_table(squares.rows)
    first, z, total = table[:, 0], table[:, 1:], squares.totals.sum_weights
    sizes = _centre(first, z, total)[:p] if squares.centred else None
    left, values = left_vectors(z[:, :p], squares.tolerance, sizes, first if squares.centred else None)
    y = z[:, p:]
    inside = left.T @ y
    outside = y - left @ inside
    share = _share_that_leaves(problem, first)
    if len(values) + int(squares.centred) >= len(first):
        # As many directions as rows: without penalty each is met, and nothing is outside.
        outside, rest = np.zeros_like(outside), 1.0 - share
    else:
        leverage = np.einsum("ij,ij->i", left, left)
        if squares.centred:
            leverage += first**2 / total
        rest = 1.0 - share * leverage
    met = rest <= _NO_LEVERAGE_LEFT
    # Where there are as many parameters as different rows each has one of its own, and what a penalty foretells counts.
    saturated = not met.any() or len(values) + int(squares.centred) >= _different_rows(z[:, :p] / first[:, None])
    own = met & (not saturated)
    if len(first) == 1 and squares.centred:
        own[:] = True
    outside[met], rest[met] = 0.0, 0.0
    if own.any() or (met.any() and not met.all()):
        order = np.concatenate([np.flatnonzero(met & ~own), np.flatnonzero(~met & ~own)])
        left, outside, rest, share, first = (part[order] for part in (left, outside, rest, share, first))
    n_met = int(np.count_nonzero(rest == 0.0))
    total, constant = float(first @ first), float(squares.centred)
    found = LeftOutRows(left, values, inside, outside, rest, share, total, constant, n_met)
    return found, unit, exponent, counted[own]


def _weighted_table(rows: Rows) -> tuple[Array, IntArray, int, IntArray]:
    """Return √w·[1 | X | y] of rows with weight, which these are, and the powers of two that X and y are divided by."""
    n, p, m = rows.shape
    require_memory(
        float(_COPIES * NUMBER_BYTES * n * (p + m)),
        f"alpha='loo' decomposes X of {n} x {p} as a whole",
        "Set a number as alpha, or choose it by cross-validation with solver='lsmr'",
    )
    largest = magnitudes(rows)
    exponent = exponents(np.append(largest[p:], largest[:p].max(initial=0.0)))
    exponent[np.abs(exponent) <= _PLAIN] = 0
    unit, exponent = int(exponent[-1]), exponent[:-1]
    table = rows.map(partial(_weighted_block, np.concatenate([np.full(p, unit), exponent])), dense=True)
    counted = np.flatnonzero(table[:, 0] > 0)
    return table if len(counted) == n else table[counted], counted, unit, exponent


def _share_that_leaves(problem: LinearProblem, root: Array) -> Array:
    """Return which part (n,) of a row of root weights leaves: of one that stands for several, one of these."""
    if not problem.frequency:
        return np.ones(len(root))
    copies = scale(root**2, 2 * problem.weight_exponent)
    return np.asarray(np.minimum(copies, 1.0) / copies)


def _different_rows(x: Array) -> int:
    """Count rows (n, p) that differ, by their projections on a vector drawn at random."""
    length = column_norms(x)
    direction = np.random.default_rng(0).standard_normal(x.shape[1]) / np.where(length > 0, length, 1.0)
    projections = np.sort(x @ direction)
    return 1 + int(np.count_nonzero(np.diff(projections) > _SAME_ROW * np.abs(projections).max(initial=0.0)))


def _weighted_block(division: IntArray, block: Block) -> Array:
    """Return √w·[1 | X | y] (b, 1 + p + m) of a block, columns of [X | y] divided by powers of two."""
    root = np.ones(len(block.y)) if block.weights is None else np.sqrt(block.weights)
    z = np.column_stack([np.ones(len(block.y)), block.x, block.y])
    if division.any():
        z[:, 1:] = scale(z[:, 1:], -division)
    return z if block.weights is None else root[:, None] * z


def _centre(first: Array, z: Array, total: float) -> Array:
    """Take weighted means from the columns of z (n, q), in place, and return the lengths (q,) of what was taken.

    What rounding leaves of constants is made zero. ``first`` is √w (n,).
    """
    mean = first @ z / total
    z -= first[:, None] * mean
    left, size = first @ z / total, np.sqrt(total) * np.abs(mean)
    lengths = fast_column_norms(z)
    if (np.sqrt(total) * np.abs(left) > EPS * lengths).any():  # what rounding of a large mean has left
        z -= first[:, None] * left
        lengths = fast_column_norms(z)
    z[:, lengths <= _CONSTANT_EPS * EPS * size] = 0.0
    return np.asarray(size)


def _along(found: LeftOutRows, logs: Array) -> tuple[Array, Array]:
    """Return scores (g, m) of all outputs and their derivatives."""
    if found.inside.shape[1] == 1:
        value, slope = found.score(logs)
        return value[:, None], slope[:, None]
    pairs = [found.score(logs[[k]]) for k in range(len(logs))]
    return np.array([value for value, _ in pairs]), np.array([slope for _, slope in pairs])


def _minima(
    found: LeftOutRows, logs: Array, value: Array, slope: Array, share: Array | None
) -> tuple[Array, tuple[str, ...]]:
    """Return the log penalties (c,) of the lowest minima of c scores (g, c), and which limits these are.

    ``share`` (m,) is that of each output in the one score of all; None where each output has its own.
    """
    grid, which = np.nonzero((slope[1:-2] < 0) & (slope[2:-1] >= 0))
    grid = grid + 1

    def at(points: Array) -> tuple[Array, Array]:
        if share is None:
            return found.score(points, which)
        tables = [found.score(points[[k]]) for k in range(len(points))]
        return np.array([v @ share for v, _ in tables]), np.array([s @ share for _, s in tables])

    chosen, limits = np.zeros(value.shape[1]), list[str]()
    points, heights = np.zeros(0), np.zeros(0)
    if len(grid):
        ends = logs[grid], logs[grid + 1], slope[grid, which], slope[grid + 1, which]
        points = bracketed_roots(lambda x: at(x)[1], *ends, _NEAR_ROOT)
        heights = at(points)[0]
    for k in range(value.shape[1]):
        candidates = [(heights[j], points[j], "") for j in np.flatnonzero(which == k)]
        if not slope[1, k] < 0:
            candidates.insert(0, (value[0, k], logs[0], ZERO))
        if slope[-2, k] < 0:
            candidates.append((value[-1, k], logs[-1], INFINITY))
        _, chosen[k], limit = min(candidates, key=lambda candidate: candidate[0])
        limits.append(limit)
    return chosen, tuple(limits)


def _penalty(log: float, limit: str, largest: float, shift: int) -> float:
    """Return the penalty in the units of X: zero, or what stands for infinity, at a limit."""
    if limit == ZERO:
        return 0.0
    alpha = float(scale(_STANDS_FOR_INFINITY * largest**2 if limit else np.exp(log), shift))
    if not 0.0 < alpha < np.inf:
        raise ValueError(
            f"The penalty that foretells rows left out best, {np.exp(log):.3g} times 2**{shift}, is no float64. Measure the "
            "columns of X in other units."
        )
    return alpha


def _effective(found: LeftOutRows, logs: Array) -> Array:
    """Return effective parameters tr H (g,)."""
    return np.asarray(found.constant + found.kept(-logs, sign=-1.0).sum(axis=0))


def _no_choice(found: LeftOutRows, exponent: IntArray, own: IntArray, per_output: bool) -> LinearPenalty:
    """Return no penalty where no column varies, or no row can be left out."""
    m = len(exponent)
    if len(found.left):
        score = np.sum((found.outside / found.rest[:, None]) ** 2, axis=0) / found.total
        limit = NO_COLUMN
    else:
        score, limit = np.full(m, np.nan), NO_ROW
    path = np.zeros(0, dtype=_path_dtype(m if per_output else None))
    alpha = np.zeros(m) if per_output else 0.0
    return LinearPenalty("loo", alpha, scale(score, 2 * exponent), (limit,), path, own)


def _path_dtype(outputs: int | None) -> list[Any]:
    score = ("score", float) if outputs is None else ("score", float, (outputs,))
    return [("penalty", float), score, ("effective_parameters", float)]
