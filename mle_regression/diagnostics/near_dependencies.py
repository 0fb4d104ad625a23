"""Columns that are nearly combinations of others, one after another, each with the fewest others that make it so.

The column of the largest variance inflation is written by others and left out, until none is left that is inflated: of k
dependencies k columns are told. What only the constant is inflated by, columns far from zero, is no dependency.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.diagnostics.collinearity import variance_inflation
from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.information import InformationFactor, inverse_root
from mle_regression.linalg.rank import Relation, default_tolerance, independent_columns, relations, spectrum
from mle_regression.linalg.scaling import column_norms, scale
from mle_regression.linalg.triangle import Triangle, inverse_triangle

# Variance inflation from which on a column is told to depend on others: R² of 0.967, standard errors 5.5 times as large.
HARMFUL_INFLATION = 30.0
# The columns named may leave this many times the variation that all others leave, but no more than this share.
_TWICE, _LEFT = 2.0, 0.05
# Among columns inflated nearly as much as the worst, the last counts as dependent: derived columns usually come last.
_AS_BAD = 0.9
# A difference below this many eps of its terms is zero.
_REST_EPS = 64.0
# Backward elimination is tried for up to this many terms.
_PRUNED = 50
# A column is far from zero if its mean is this many standard deviations.
_FAR = 10.0


@dataclass(frozen=True, slots=True)
class NearDependency:
    """A column that is nearly a combination of others.

    Attributes
    ----------
    inflation : float
        Variance inflation of the column on all others that have not been told before; infinite if it is dependent.
    relation : Relation
    r2 : float
        How much of the column's variation those named explain (about zero without an intercept).
    """

    inflation: float
    relation: Relation
    r2: float


def near_dependencies(information: InformationFactor, most: int | None = None) -> list[NearDependency]:
    """Return up to ``most`` columns that depend on others, exact dependencies before near ones."""
    lengths = column_norms(information.factor)
    exact, left = (
        _exact_relations(information) if information.rank < information.size else ((), np.arange(len(lengths)))
    )
    found = [NearDependency(np.inf, relation, 1.0) for relation in exact]
    left = left[lengths[left] > 0]
    unit = information.factor / np.where(lengths > 0, lengths, 1.0)
    inflation = variance_inflation(information)[left] if not exact else _inflation(unit[:, left])
    while left.size > 1 and (most is None or len(found) < most):
        worst = float(inflation.max())
        if not worst >= HARMFUL_INFLATION:
            break
        dependent = int(left[np.flatnonzero(inflation >= _AS_BAD * worst)[-1]])
        left = left[left != dependent]
        named = _fewest(unit, dependent, left)
        relation, r2 = _regress(information, dependent, named)
        if r2 >= 1.0 - _LEFT:
            found.append(NearDependency(worst, relation, r2))
        inflation = _inflation(unit[:, left])
    return found


def intercept_inflation(information: InformationFactor) -> tuple[float, IntArray]:
    """Return the standard error of the intercept over that of the mean of y, and the columns that are far from zero.

    The ratio is √(1 + n x̄ᵀ(X̃ᵀX̃)⁻¹x̄): how far the origin is from the data. Slopes have no part in it.
    """
    if not information.centred or not information.estimable[0]:
        return 1.0, np.zeros(0, dtype=np.int64)
    ratio = float(np.sqrt(information.total) * np.linalg.norm(inverse_root(information)[0]))
    spread = column_norms(information.factor) / np.sqrt(information.total)
    far = np.abs(information.mean) >= _FAR * np.where(spread > 0, spread, np.inf)
    return ratio, np.flatnonzero(far)


def _inflation(unit: Array) -> Array:
    """Variance inflation (k,) of independent columns of unit length."""
    triangle = np.asarray(np.linalg.qr(unit, mode="r"))
    if len(triangle) < triangle.shape[1] or not np.diagonal(triangle).all():
        return np.full(unit.shape[1], np.inf)
    return np.asarray(column_norms(inverse_triangle(triangle).T) ** 2)


def _fewest(unit: Array, dependent: int, others: IntArray) -> IntArray:
    """Return few of the others that explain a column nearly as well as all of them: forward selection, then pruning."""
    target = unit[:, dependent]
    all_left = _rest(unit, target, others)
    allowed = max(min(_TWICE * all_left, _LEFT), all_left, (_REST_EPS * EPS) ** 2)
    part, rest = unit[:, others], target.copy()
    chosen: list[int] = []
    for _ in range(len(others)):
        squares = np.einsum("ij,ij->j", part, part)
        with np.errstate(divide="ignore", invalid="ignore"):
            gain = np.where(squares > EPS**2, (part.T @ rest) ** 2 / squares, -1.0)
        gain[chosen] = -1.0
        best = int(gain.argmax())
        if gain[best] < 0:
            break
        chosen.append(best)
        direction = part[:, best] / np.sqrt(squares[best])
        for _ in range(2):
            rest = rest - direction * (direction @ rest)
        part = part - np.outer(direction, direction @ part)
        if rest @ rest <= allowed:
            break
    named: IntArray = others[np.sort(chosen)]
    while 1 < len(named) <= _PRUNED:
        without = np.array([_rest(unit, target, np.delete(named, k)) for k in range(len(named))])
        if without.min() > allowed:
            break
        named = np.delete(named, int(without.argmin()))
    return named


def _rest(unit: Array, target: Array, named: IntArray) -> float:
    """Return the part of a column's variation that the columns named leave."""
    residual = target - unit[:, named] @ np.linalg.lstsq(unit[:, named], target, rcond=None)[0]
    return float(residual @ residual)


def _exact_relations(information: InformationFactor) -> tuple[tuple[Relation, ...], IntArray]:
    """Return the relations of the first dependent columns, the later written by the earlier, and the others of all."""
    p = information.factor.shape[1]
    norm = np.hypot(column_norms(information.factor), np.sqrt(information.total) * np.abs(information.mean))
    triangle = Triangle(
        r=information.factor,
        z=np.zeros((len(information.factor), 0)),
        tail=np.zeros((0, 0)),
        exponent=information.exponent,
        mean=information.mean,
        offset=np.zeros(p),
        norm=norm,
        total=information.total,
    )
    tolerance = default_tolerance(p + 1)
    kept = independent_columns(triangle, spectrum(triangle, tolerance), tolerance)
    return relations(triangle, kept), kept


def _regress(information: InformationFactor, dependent: int, others: IntArray) -> tuple[Relation, float]:
    """Relation of one column to others, and R², from the factor alone."""
    lengths = column_norms(information.factor)
    target = information.factor[:, dependent] / lengths[dependent]
    columns = information.factor[:, others] / lengths[others]
    shares, *_ = np.linalg.lstsq(columns, target, rcond=None)
    residual = target - columns @ shares
    shares = shares * (lengths[dependent] / lengths[others])
    constant = information.mean[dependent] - information.mean[others] @ shares
    size = np.abs(information.mean[dependent]) + np.abs(information.mean[others] * shares).sum()
    constant = 0.0 if abs(constant) <= _REST_EPS * EPS * size else float(constant)
    exponent = information.exponent
    in_units = scale(shares, exponent[dependent] - exponent[others])
    terms = tuple((int(j), float(c)) for j, c in zip(others, in_units, strict=True) if c != 0)
    relation = Relation(dependent, terms, float(scale(constant, exponent[dependent])))
    return relation, 1.0 - float(residual @ residual)
