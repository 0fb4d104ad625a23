"""Covariances of the coefficients that do not trust the noise to be equal and independent: from a choice to numbers."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from mle_regression.diagnostics import robust
from mle_regression.diagnostics.clusters import AdjustedGroups, cluster_meat, intersections, sums_by_group
from mle_regression.diagnostics.covariance import Whitener
from mle_regression.diagnostics.robust import Sandwich, sandwich
from mle_regression.fitted.linear import LinearFit
from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.scaling import scale
from mle_regression.rows.base import Block, Rows

# Below so many groups a covariance summed by them is far too small, and Student's t with G − 1 no help.
_FEW_GROUPS = 4
_SHOWN = 5


@dataclass(frozen=True)
class ScoredRows:
    """The rows of a fit, and what they leave.

    Attributes
    ----------
    fit : LinearFit
    rows : Rows
    weights : Array of shape (n,) or None
        In the coordinates of the fit's information.
    residual : Array of shape (n, m)
        Of outputs divided by ``2**output_exponent``.
    leverage : Array of shape (n,)
    whitener : Whitener
    labels : sequence
        What the user calls the rows.
    """

    fit: LinearFit
    rows: Rows
    weights: Array | None
    residual: Array
    leverage: Array
    whitener: Whitener
    labels: Any

    @property
    def scores(self) -> Array:
        """Residuals (n, m) times weights: the factors of the scores."""
        return self.residual if self.weights is None else self.weights[:, None] * self.residual

    @property
    def counted(self) -> BoolArray:
        """Which rows have weight (n,)."""
        return np.ones(len(self.residual), dtype=bool) if self.weights is None else self.weights > 0

    def whitened(self, factor: Array) -> Array:
        """Return the whitened rows (n, r), each times its factor (n,)."""
        rows = self.rows.with_targets(factor[:, None], None)
        return rows.map(partial(_whitened_times, self.whitener), dense=True)

    def whitened_only(self, which: BoolArray) -> Array:
        """Return the whitened rows (k, r) of some rows alone (n,)."""
        rows = self.rows.with_targets(np.zeros((len(which), 0)), which.astype(np.float64))
        return rows.reduce(partial(_whitened, self.whitener), _stacked, dense=True)


@dataclass(frozen=True, slots=True)
class CovarianceChoice:
    """Which covariance, of what the user may choose.

    Attributes
    ----------
    kind : str
        "HC0" to "HC3", "cluster" or "HAC".
    groups : IntArray of shape (n, d)
        Numbers of the groups of each row, in d ways; empty where there are no clusters.
    lags : int
        Of HAC; -1 where Newey and West's rule is to choose them.
    correction : bool
        Whether small-sample factors are applied.
    adjusted : bool
        Whether the residuals of clusters are adjusted, as CR2 has it.
    each : bool
        Whether each of several groupings has the factor G/(G - 1) of its own, and not of the coarsest.
    """

    kind: str
    groups: IntArray = field(default_factory=lambda: np.zeros((0, 0), dtype=np.int64))
    lags: int = 0
    correction: bool = False
    adjusted: bool = False
    each: bool = True


def robust_covariance(rows: ScoredRows, choice: CovarianceChoice) -> Sandwich:
    """Return the covariance of a kind."""
    if choice.kind == "cluster":
        if choice.adjusted:
            return _adjusted_clusters(rows, choice)
        return _clusters(rows, choice)
    if choice.kind == "HAC":
        return _autocorrelated(rows, choice)
    return _heteroskedastic(rows, choice.kind)


def _heteroskedastic(rows: ScoredRows, kind: str) -> Sandwich:
    fit, leverage, weights = rows.fit, rows.leverage, rows.weights
    if weights is not None:
        leverage = np.where(weights > 0, leverage, 0.0)
    factor = robust.row_factors(kind, leverage)
    if weights is not None:
        factor = factor * (np.sqrt(weights) if fit.frequency else weights)
    if kind == "HC1":
        factor = factor * (np.sqrt(fit.n / fit.residual_dof) if fit.residual_dof > 0 else np.nan)
    meats = robust.score_products(rows.rows.with_targets(factor[:, None] * rows.residual, None), rows.whitener)
    alone = np.flatnonzero(~(leverage < 1.0 - robust.ALONE)) if kind in ("HC2", "HC3") else np.zeros(0, dtype=np.int64)
    if not alone.size:
        return sandwich(rows.whitener, meats, fit.residual_dof)
    # Rows of leverage one are orthogonal to each other and to all others, but for those that stand for several.
    root_weights = np.ones(len(alone)) if weights is None or fit.frequency else np.sqrt(weights[alone])
    q = rows.whitened_only(~(leverage < 1.0 - robust.ALONE))
    directions = np.linalg.svd(q * root_weights[:, None], full_matrices=False)
    undefined = directions[2][directions[1] > robust.ALONE].T
    found = sandwich(rows.whitener, meats, fit.residual_dof, undefined)
    which = f"row {rows.labels[alone[0]]} has" if alone.size == 1 else f"{alone.size} rows have"
    unknown = np.flatnonzero(found.sees_undefined(np.eye(len(found.inverse))))
    names = ", ".join(repr(fit.names[j]) for j in unknown[:_SHOWN]) + (", …" if len(unknown) > _SHOWN else "")
    note = (
        f"{which} leverage one, with a coefficient of {'its' if alone.size == 1 else 'their'} own: {kind} does not tell the "
        f"variance of {names}; the others are those without such rows"
    )
    return sandwich(rows.whitener, meats, fit.residual_dof, undefined, notes=(note,))


def _fewest(rows: ScoredRows, codes: IntArray) -> int:
    """Return how many groups (n, d) the coarsest of d groupings has."""
    fewest = min(_present(codes[:, j], rows.counted) for j in range(codes.shape[1]))
    if fewest < 2:
        raise ValueError(
            "All rows are in one cluster: the correlation within it cannot be told from the coefficients. Give at least "
            "two groups, better thirty or more."
        )
    return fewest


def _present(group: IntArray, counted: BoolArray) -> int:
    """Return in how many groups there are rows of weight."""
    return int(np.count_nonzero(np.bincount(group if counted.all() else group[counted])))


def _clusters(rows: ScoredRows, choice: CovarianceChoice) -> Sandwich:
    fit, m = rows.fit, rows.residual.shape[1]
    codes, fewest, corrected, each = choice.groups, _fewest(rows, choice.groups), choice.correction, choice.each
    spread = (fit.n - 1.0) / fit.residual_dof if corrected and fit.residual_dof > 0 else 1.0
    groupings = [
        (group, size, sign, _present(group, rows.counted) if each else fewest)
        for group, size, sign in intersections(codes)
    ]
    meats = []
    for k in range(m):
        scores = rows.whitened(rows.scores[:, k])
        meat = np.zeros((scores.shape[1],) * 2)
        for group, size, sign, present in groupings:
            factor = sign * (spread * present / (present - 1.0) if corrected else 1.0)
            meat += factor * cluster_meat(scores, group, size)
        meats.append(meat)
    ways = codes.shape[1]
    said = f"{fewest} clusters" if ways == 1 else f"{ways}-way clusters, {fewest} in the coarsest"
    if corrected and ways > 1:
        said += ", each grouping with G/(G - 1) of its own" if each else ", all with G/(G - 1) of the coarsest"
    notes: tuple[str, ...] = ()
    if fewest < _FEW_GROUPS:
        notes = (
            f"only {fewest} clusters: such standard errors are far too small, and Student's t with G − 1 = {fewest - 1} "
            "does not make up for it; take 'kind': 'CR2', or a coarser model of the noise",
        )
    return sandwich(rows.whitener, meats, float(fewest - 1), said=said, notes=notes)


def _adjusted_clusters(rows: ScoredRows, choice: CovarianceChoice) -> Sandwich:
    """CR2 (Bell and McCaffrey, 2002), with degrees of freedom for each coefficient."""
    fit = rows.fit
    codes, fewest = choice.groups, _fewest(rows, choice.groups)
    if codes.shape[1] > 1:
        raise ValueError("CR2 is for one grouping; for several leave 'kind' out, or take their intersection.")
    if fit.penalised:
        raise ValueError("CR2 is for fits without a penalty: fit with alpha=0, or leave 'kind' out.")
    counted, group = rows.counted, codes[:, 0]
    root_weights = np.ones(len(group)) if rows.weights is None else np.sqrt(rows.weights)
    groups = AdjustedGroups.of(rows.whitened(root_weights)[counted], group[counted], int(group.max()) + 1)
    present = np.bincount(group[counted], minlength=int(group.max()) + 1) > 0
    sums = [sums_by_group(rows.whitened(column), group, len(present))[present] for column in rows.scores.T]
    return sandwich(
        rows.whitener,
        [groups.meat(part) for part in sums],
        groups.degrees_of_freedom(rows.whitener.root),
        groups.alone(),
        said=f"{fewest} clusters, CR2",
        wald_dof=groups.wald_degrees_of_freedom,
    )


def _autocorrelated(rows: ScoredRows, choice: CovarianceChoice) -> Sandwich:
    fit, lags = rows.fit, choice.lags
    if fit.frequency and rows.weights is not None:
        raise ValueError("Rows that stand for several have no order in time; repeat them instead for a HAC covariance.")
    automatic = lags < 0
    correction = choice.correction and fit.residual_dof > 0
    scale_up = fit.n / fit.residual_dof if correction else 1.0
    counted = rows.counted
    meats, used = [], []
    for column in rows.scores.T:
        used.append(robust.automatic_lags((_sum_of_columns(rows) * column)[counted]) if automatic else lags)
        scores = rows.whitened(column)[counted]
        meats.append(scale_up * robust.autocorrelation_meat(scores, used[-1]))
    said = (
        f"HAC, {', '.join(map(str, dict.fromkeys(used)))} lags{' chosen by Newey and West (1994)' if automatic else ''}"
    )
    return sandwich(rows.whitener, meats, fit.residual_dof, said=said)


def _sum_of_columns(rows: ScoredRows) -> Array:
    """Sum (n,) of the columns of X, divided by one power of two that keeps it in range."""
    shift = int(rows.fit.information.exponent.max(initial=0))
    return rows.rows.map(partial(_scaled_row_sums, shift), dense=True)


def _scaled_row_sums(shift: int, block: Block) -> Array:
    return np.asarray(scale(block.x, -shift).sum(axis=1))


def _whitened(whitener: Whitener, block: Block) -> Array:
    return whitener(block.x)


def _whitened_times(whitener: Whitener, block: Block) -> Array:
    return whitener(block.x) * block.y


def _stacked(a: Array, b: Array) -> Array:
    return np.vstack([a, b])
