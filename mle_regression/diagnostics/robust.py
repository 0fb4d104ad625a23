"""Covariance of the coefficients without the assumption of equal and independent noise: sandwiches.

Each is ``L M Lᵀ`` with L the root of (XᵀWX + αI₀)⁻¹ and M (r, r) the covariance of the scores in the coordinates of
`covariance.whiten`, where the fit's cross-products are the identity and sums lose nothing.
"""

from __future__ import annotations

import operator
from itertools import combinations

import numpy as np
import scipy.sparse as sp

from mle_regression.diagnostics.covariance import Whitener
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.rows.base import Block, Rows

# A row whose leverage is this near to one has a coefficient of its own.
ALONE = 1e-11
# Eigenvalues of a meat below this part of the largest, times their number, are rounding.
_ROUNDING = 1e-15
HETEROSKEDASTIC = ("HC0", "HC1", "HC2", "HC3")


def row_factors(kind: str, lever: Array) -> Array:
    """Return by what each residual is multiplied (n,): MacKinnon and White's (1985) HC0 to HC3, from the leverages.

    HC1 is HC0 with one factor, n/(n − k), for all.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if kind == "HC2":
            return np.asarray(1.0 / np.sqrt(1.0 - lever))
        return 1.0 / (1.0 - lever) if kind == "HC3" else np.ones(len(lever))


def score_products(rows: Rows, whiten: Whitener) -> list[Array]:
    """Return Σ z zᵀ over rows, z = q · y: the meat (r, r) of each output, whose factors the y (n, m) of ``rows`` are."""

    def products(block: Block) -> Array:
        q = whiten(block.x)
        meats = []
        for column in block.y.T[:-1]:
            z = q * column[:, None]
            meats.append(z.T @ z)
        q *= block.y[:, -1:]
        return np.stack([*meats, q.T @ q])

    total: Array = rows.reduce(products, np.add, dense=True)
    return list(total)


def cluster_meat(rows: Rows, whiten: Whitener, n_groups: int) -> Array:
    """Return Σ s sᵀ over groups, s the sum of a group's scores; the y (n, 2) of ``rows`` is factor and group."""

    def sums(block: Block) -> list[tuple[IntArray, Array]]:
        present, group = np.unique(block.y[:, 1].astype(np.int64), return_inverse=True)
        return [(present, _add_up(group, whiten(block.x) * block.y[:, :1], len(present)))]

    parts = rows.reduce(sums, operator.add, dense=True)
    total = _add_up(np.concatenate([group for group, _ in parts]), np.vstack([part for _, part in parts]), n_groups)
    return np.asarray(total.T @ total)


def _add_up(group: IntArray, scores: Array, n_groups: int) -> Array:
    """Sum the scores (b, r) of each group."""
    select = sp.csr_array((np.ones(len(group)), (group, np.arange(len(group)))), shape=(n_groups, len(group)))
    return np.asarray(select @ scores)


def intersections(codes: IntArray) -> list[tuple[IntArray, int, int]]:
    """Return the groupings (n,) that multiway clustering adds up, their sizes and signs (Cameron, Gelbach, Miller, 2011).

    Parameters
    ----------
    codes : IntArray of shape (n, d)
        One grouping a column, numbered from 0.
    """
    found = []
    for size in range(1, codes.shape[1] + 1):
        for pick in combinations(range(codes.shape[1]), size):
            _, inverse = np.unique(codes[:, pick], axis=0, return_inverse=True)
            groups = np.asarray(inverse).reshape(-1)
            found.append((groups, int(groups.max(initial=-1)) + 1, 1 if size % 2 else -1))
    return found


def autocorrelation_meat(scores: Array, lags: int) -> Array:
    """Meat of scores (n, r) in the order of time: Newey and West's (1987), Bartlett weights 1 − l/(lags + 1)."""
    meat = scores.T @ scores
    for lag in range(1, lags + 1):
        crossed = scores[lag:].T @ scores[:-lag]
        meat += (1.0 - lag / (lags + 1.0)) * (crossed + crossed.T)
    return np.asarray(meat)


def meat_root(meat: Array) -> Array:
    """Return a root (r, r) of a symmetric meat.

    Directions of negative variance, which multiway clustering can have, are cut, and those of none: few clusters leave few.
    """
    if not np.isfinite(meat).all():
        return np.full_like(meat, np.nan)
    values, vectors = np.linalg.eigh(meat)
    real = values > _ROUNDING * len(values) * np.abs(values).max(initial=0.0)
    return np.asarray(vectors * np.sqrt(np.where(real, values, 0.0)))
