"""How nearly the columns depend on each other, and which of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import EPS, Array, IntArray
from mle_regression.linalg.geometry import Geometry, inverse_root, scaled_factor
from mle_regression.linalg.rank import Relation, default_tolerance, independent_columns, relations, spectrum
from mle_regression.linalg.scaling import column_norms, scale
from mle_regression.linalg.triangle import Triangle

# Belsley (1991): a condition index from 30 on with two or more variance proportions above one half does harm.
HARMFUL_INDEX = 30.0
LARGE_PROPORTION = 0.5
# A term of a relation contributes at least this much of what the column varies.
_MINOR = 1e-3
# Components of a unit vector that name a column.
_INVOLVED = 0.3


def variance_inflation(geometry: Geometry) -> Array:
    """Variance inflation factors (p,), 1/(1 − R²) of each column on the others (Marquardt, 1970); ``inf`` if dependent.

    The square of a column's length times that of its row of the inverse's root; of lengths about the mean if there is an
    intercept.
    """
    first = int(geometry.centred)
    lengths = column_norms(geometry.factor) * column_norms(inverse_root(geometry)[first:].T)
    return np.where(geometry.estimable[first:] & (column_norms(geometry.factor) > 0), lengths**2, np.inf)


@dataclass(frozen=True, slots=True)
class Decomposition:
    """Belsley, Kuh and Welsch's (1980) decomposition: columns of unit length, not centred, the intercept among them.

    Attributes
    ----------
    indices : Array of shape (k,)
        Condition indices μ₁/μⱼ, ascending; ``inf`` where the rank is deficient.
    proportions : Array of shape (k, c + p)
        Share of each coefficient's variance that goes with each index; columns add up to one.
    directions : Array of shape (k, c + p)
        The right singular vectors, of columns of unit length.
    """

    indices: Array
    proportions: Array
    directions: Array


def decompose_variances(geometry: Geometry) -> Decomposition:
    """Decompose the variance of each coefficient over the singular values of [1 | X]."""
    factor = _unit_columns(geometry)
    k = factor.shape[1]
    _, values, right_t = np.linalg.svd(factor, full_matrices=True)
    values = np.concatenate([values, np.zeros(k - len(values))]) if len(values) < k else values
    values[geometry.rank :] = 0.0
    with np.errstate(divide="ignore", invalid="ignore"):
        share = np.where(values[:, None] > 0, right_t**2 / values[:, None] ** 2, 0.0)
        # Where the data determine nothing, all variance is there.
        null = np.where(values[:, None] > 0, 0.0, np.where(np.abs(right_t) > np.sqrt(EPS), right_t**2, 0.0))
        undetermined = null.sum(axis=0) > 0
        share[:, undetermined] = null[:, undetermined]
        proportions = share / share.sum(axis=0)
        indices = np.where(values > 0, values.max(initial=0.0) / values, np.inf)
    return Decomposition(indices, proportions, right_t)


@dataclass(frozen=True, slots=True)
class NearDependency:
    """A column that is nearly a combination of others.

    Attributes
    ----------
    index : float
        Its condition index.
    relation : Relation
    r2 : float
        How much of the column's variation the others explain (about zero without an intercept or constant).
    """

    index: float
    relation: Relation
    r2: float


def near_dependencies(geometry: Geometry, found: Decomposition) -> list[NearDependency]:
    """Write each harmful index as a relation: of the columns whose variance it takes, one regressed on the others.

    Where dependencies compete, and no index takes most of the variance of two, the largest index is told by its direction.
    """
    first = int(geometry.centred)
    finite = np.isfinite(found.indices)
    exact = [] if finite.all() else [NearDependency(np.inf, relation, 1.0) for relation in _exact_relations(geometry)]
    harmful = np.flatnonzero((found.indices >= HARMFUL_INDEX) & finite)[::-1]
    groups = [(j, np.flatnonzero(found.proportions[j] > LARGE_PROPORTION)) for j in harmful]
    groups = [(j, involved) for j, involved in groups if len(involved) > 1 and involved[-1] >= first]
    if not groups and harmful.size and not exact:
        groups = [(harmful[0], np.flatnonzero(np.abs(found.directions[harmful[0]]) > _INVOLVED))]
    dependencies = exact
    for j, involved in groups:
        columns = involved[involved >= first] - first
        if not columns.size:
            continue
        dependent = int(columns[np.abs(found.directions[j, first + columns]).argmax()])
        others = columns[columns != dependent]
        dependencies.append(NearDependency(float(found.indices[j]), *_regress(geometry, dependent, others)))
    return dependencies


def _exact_relations(geometry: Geometry) -> tuple[Relation, ...]:
    """Return the relations of dependent columns, the later written by the earlier."""
    p = geometry.factor.shape[1]
    norm = np.hypot(column_norms(geometry.factor), np.sqrt(geometry.total) * np.abs(geometry.mean))
    triangle = Triangle(
        r=geometry.factor,
        z=np.zeros((len(geometry.factor), 0)),
        tail=np.zeros((0, 0)),
        exponent=geometry.exponent,
        mean=geometry.mean,
        offset=np.zeros(p),
        norm=norm,
        total=geometry.total,
    )
    tolerance = default_tolerance(p + 1)
    return relations(triangle, independent_columns(triangle, spectrum(triangle, tolerance), tolerance))


def _regress(geometry: Geometry, dependent: int, others: IntArray) -> tuple[Relation, float]:
    """Relation of one column to others, and R², from the factor alone."""
    target = geometry.factor[:, dependent]
    shares, *_ = np.linalg.lstsq(geometry.factor[:, others], target, rcond=None)
    spread = column_norms(geometry.factor)
    residual = target - geometry.factor[:, others] @ shares
    total = float(target @ target)
    r2 = 1.0 - float(residual @ residual) / total if total > 0 else 0.0
    shares = np.where(np.abs(shares) * spread[others] < _MINOR * spread[dependent], 0.0, shares)
    constant = geometry.mean[dependent] - geometry.mean[others] @ shares
    size = np.abs(geometry.mean[dependent]) + np.abs(geometry.mean[others] * shares).sum()
    constant = 0.0 if abs(constant) <= 64 * EPS * size else float(constant)
    exponent = geometry.exponent
    in_units = scale(shares, exponent[dependent] - exponent[others])
    terms = tuple((int(j), float(c)) for j, c in zip(others, in_units, strict=True) if c != 0)
    return Relation(dependent, terms, float(scale(constant, exponent[dependent]))), r2


def scaled_condition(geometry: Geometry) -> float:
    """Condition number of [1 | X] with columns of unit length, the largest condition index; ``inf`` if dependent."""
    if geometry.rank < geometry.size:
        return float(np.inf)
    values = np.linalg.svd(_unit_columns(geometry), compute_uv=False)
    return float(values[0] / values[-1]) if values.size else 1.0


def _unit_columns(geometry: Geometry) -> Array:
    """Return a factor of [1 | X] with columns of unit length."""
    factor = scaled_factor(geometry)
    lengths = column_norms(factor)
    return np.asarray(factor / np.where(lengths > 0, lengths, 1.0))
