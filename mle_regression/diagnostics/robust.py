"""Covariance of the coefficients without the assumption of equal and independent noise: sandwiches.

Each is ``L M Lᵀ`` with L the root of (XᵀWX + αI₀)⁻¹ and M (r, r) the covariance of the scores in the coordinates of
`covariance.whiten`, where the fit's cross-products are the identity and sums lose nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from mle_regression.diagnostics.covariance import Whitener, condition_with_means
from mle_regression.linalg.arrays import Array, BoolArray, IntArray
from mle_regression.linalg.gram import cross_product, fold_gram
from mle_regression.linalg.scaling import column_norms, scale
from mle_regression.rows.base import Block, Rows

# A row whose leverage is this near to one determines a coefficient alone.
ALONE = 1e-11
# A coefficient is undetermined if more than this share of its row of the root is.
_SEEN = 1e-6
# Eigenvalues of the meat below this share of the largest, times their number, are rounding.
_MEAT_ROUNDING = 1e-15
# A condition of [1 X] up to which sums over the columns as they are, whitened afterwards, have about 12 digits.
_NEAR_CONDITION = 100.0
HETEROSKEDASTIC = ("HC0", "HC1", "HC2", "HC3")


@dataclass(frozen=True, slots=True)
class Sandwich:
    """Covariances V = L M Lᵀ of the parameters (c + p) of m outputs, in scaled columns and outputs.

    Attributes
    ----------
    inverse : Array of shape (c + p, r)
        L.
    root : Array of shape (c + p, r, m)
        L times a root of M; where M has negative eigenvalues, of its positive part.
    negative : Array of shape (c + p, r, m) or (c + p, 0, m)
        L times a root of minus the negative part of M, if it has one.
    dof : float or Array of shape (c + p,)
        Degrees of freedom of Student's t.
    undefined : Array of shape (r, a)
        Directions whose variance the rows do not tell, since some row, or group, alone determines them; orthonormal.
    said : str
        What was estimated, where that is not told by the name of the kind.
    notes : tuple of str
        What to be wary of.
    wald_dof : callable or None
        From orthonormal directions (r, q) of whitened coefficients to η: of a Wald statistic Q, ``Q (η − q + 1)/(η q)`` is
        distributed as F(q, η − q + 1). None if Q/q is as F(q, dof).
    """

    inverse: Array
    root: Array
    negative: Array
    dof: float | Array
    undefined: Array
    said: str = ""
    notes: tuple[str, ...] = ()
    wald_dof: Callable[[Array], float] | None = None

    @property
    def deviations(self) -> tuple[Array, BoolArray]:
        """Standard deviations (c + p, m), and which of them are those of the positive part, V having none.

        NaN where the rows do not tell them.
        """
        m = self.root.shape[2]
        length = np.stack([column_norms(self.root[:, :, k].T) for k in range(m)], axis=1)
        less = np.stack([column_norms(self.negative[:, :, k].T) for k in range(m)], axis=1)
        repaired = less >= length * (1.0 - _SEEN)
        repaired &= less > 0
        with np.errstate(invalid="ignore"):
            found = np.where(repaired, length, np.sqrt(np.maximum(length - less, 0.0)) * np.sqrt(length + less))
        found[self.sees_undefined(np.eye(len(self.root)))] = np.nan
        return found, repaired

    def matrix(self, k: int) -> Array:
        """V (c + p, c + p) of output k; rows and columns without a variance are those of the positive part."""
        root, negative = self.root[:, :, k], self.negative[:, :, k]
        positive = root @ root.T
        matrix = positive - negative @ negative.T
        repaired = self.deviations[1][:, k]
        matrix[repaired], matrix[:, repaired] = positive[repaired], positive[:, repaired]
        unknown = self.sees_undefined(np.eye(len(root)))
        matrix[unknown] = matrix[:, unknown] = np.nan
        return np.asarray(matrix)

    def sees_undefined(self, restriction: Array) -> BoolArray:
        """Tell which rows of R (q, c + p) ask for what is not determined."""
        if not self.undefined.shape[1]:
            return np.zeros(len(restriction), dtype=bool)
        image = restriction @ self.inverse
        return np.asarray(column_norms((image @ self.undefined).T) > _SEEN * column_norms(image.T))


def sandwich(
    whitener: Whitener,
    meats: Sequence[Array],
    dof: float | Array,
    undefined: Array | None = None,
    said: str = "",
    notes: tuple[str, ...] = (),
    wald_dof: Callable[[Array], float] | None = None,
) -> Sandwich:
    """Put the covariance of the scores (r, r) of each output between the roots of the inverse.

    The rest is as in `Sandwich`.
    """
    root = whitener.root
    parts = [meat_roots(meat) for meat in meats]
    negative = np.stack([root @ part for _, part in parts], axis=2)
    return Sandwich(
        inverse=root,
        root=np.stack([root @ part for part, _ in parts], axis=2),
        negative=negative if negative.any() else negative[:, :0],
        dof=dof,
        undefined=np.zeros((root.shape[1], 0)) if undefined is None else undefined,
        said=said,
        notes=notes,
        wald_dof=wald_dof,
    )


def row_factors(kind: str, leverage: Array) -> Array:
    """Return by what each residual is multiplied (n,): MacKinnon and White's (1985) HC0 to HC3, from the leverages.

    HC1 is HC0 with one factor, n/(n − k), for all. Under HC2 and HC3 a row of leverage one, whose residual is zero whatever
    its noise, is left out.
    """
    left = np.where(leverage < 1.0 - ALONE, 1.0 - leverage, np.inf)
    if kind == "HC2":
        return np.asarray(1.0 / np.sqrt(left))
    return 1.0 / left if kind == "HC3" else np.ones(len(leverage))


def score_products(rows: Rows, whiten: Whitener) -> list[Array]:
    """Return Σ z zᵀ over rows, z = q · y: the meat (r, r) of each output, whose factors the y (n, m) of ``rows`` are.

    Whitening is linear: where it loses next to nothing the columns are summed as they are, and the sums whitened.
    """
    if whiten.accurate or condition_with_means(whiten.information) > _NEAR_CONDITION:
        total: Array = rows.reduce(partial(_score_products, whiten), np.add, dense=True)
        return list(total)
    exponent, shift, root, constant = whiten.plan
    total = rows.reduce(partial(_plain_products, exponent, shift), np.add, dense=True)
    linear = np.vstack([root, constant])
    return [linear.T @ meat @ linear for meat in total]


def _plain_products(exponent: IntArray, shift: Array, block: Block) -> Array:
    """Return Σ z zᵀ (m, p + 1, p + 1), z = [x 2**-exponent − shift | 1] · y, of each output."""
    x = scale(block.x, -exponent) if exponent.any() else block.x
    if shift.any():
        x = x - shift
    p = x.shape[1]
    meats = np.empty((block.y.shape[1], p + 1, p + 1))
    z = np.empty_like(x, order="C")
    for meat, column in zip(meats, block.y.T, strict=True):
        np.multiply(x, column[:, None], out=z)
        meat[:p, :p] = fold_gram(z)
        meat[p, :p] = meat[:p, p] = cross_product(column, z)
        meat[p, p] = column @ column
    return meats


def _score_products(whiten: Whitener, block: Block) -> Array:
    q = whiten(block.x)
    meats = []
    for column in block.y.T[:-1]:
        z = q * column[:, None]
        meats.append(cross_product(z, z))
    q *= block.y[:, -1:]
    return np.stack([*meats, cross_product(q, q)])


def autocorrelation_meat(scores: Array, lags: int) -> Array:
    """Meat of scores (n, r) in the order of time: Newey and West's (1987), Bartlett weights 1 − l/(lags + 1)."""
    meat = scores.T @ scores
    for lag in range(1, lags + 1):
        crossed = scores[lag:].T @ scores[:-lag]
        meat += (1.0 - lag / (lags + 1.0)) * (crossed + crossed.T)
    return np.asarray(meat)


def automatic_lags(scores: Array) -> int:
    """Lags for Bartlett weights that make the mean squared error small: Newey and West (1994), without prewhitening.

    ``⌊γ n^⅓⌋`` with ``γ = 1.1447 (s₁/s₀)^⅔``, where s₀ and s₁ are Σ γ̂ⱼ and Σ |j| γ̂ⱼ over the lags up to ``⌊4 (n/100)^(2/9)⌋``
    of the autocovariances γ̂ⱼ of the sum of the scores.

    Parameters
    ----------
    scores : Array of shape (n,)
        Sum over the columns, the constant left out, of a row's score.
    """
    n = len(scores)
    used = min(int(4.0 * (n / 100.0) ** (2.0 / 9.0)), n - 1)
    covariances = np.array([scores[lag:] @ scores[: n - lag] for lag in range(used + 1)])
    zeroth = covariances[0] + 2.0 * covariances[1:].sum()
    first = 2.0 * np.arange(1, used + 1) @ covariances[1:]
    if not zeroth:
        return 0
    bandwidth = 1.1447 * ((first / zeroth) ** 2 * n) ** (1.0 / 3.0)
    return int(min(bandwidth, n - 1.0))


def meat_roots(meat: Array) -> tuple[Array, Array]:
    """Return roots (r, r) of the positive part of a symmetric meat, and of minus its negative part.

    Clustering in several ways can have directions of negative variance. Directions of none, of which few clusters leave
    many, are rounding.
    """
    if not np.isfinite(meat).all():
        return np.full_like(meat, np.nan), np.zeros_like(meat)
    values, vectors = np.linalg.eigh(meat)
    real = np.abs(values) > _MEAT_ROUNDING * len(values) * np.abs(values).max(initial=0.0)
    kept = np.where(real, values, 0.0)
    return vectors * np.sqrt(np.maximum(kept, 0.0)), vectors * np.sqrt(np.maximum(-kept, 0.0))
