"""Noise that is correlated within groups of rows: the covariance of the scores, summed by group.

With Q (n, r) the whitened rows times the roots of their weights, and M_g = Q_gᵀQ_g, the hat matrix of a group is Q_gQ_gᵀ.
Bell and McCaffrey's (2002) adjustment of its residuals is (I − Q_gQ_gᵀ)^(−½), and its score
Q_gᵀ(I − Q_gQ_gᵀ)^(−½)e_g = (I − M_g)^(−½) Q_gᵀe_g: whatever the size of a group, its matrices are r × r.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mle_regression.diagnostics.robust import ALONE
from mle_regression.linalg.arrays import Array, IntArray

# Size of the matrices of groups that are held at a time, in numbers.
_HELD = 1 << 22


def sums_by_group(values: Array, group: IntArray, n_groups: int) -> Array:
    """Sum the rows of values (n, r) by group; return (n_groups, r)."""
    total = np.empty((n_groups, values.shape[1]))
    for j in range(values.shape[1]):
        total[:, j] = np.bincount(group, weights=values[:, j], minlength=n_groups)
    return total


def cluster_meat(scores: Array, group: IntArray, n_groups: int) -> Array:
    """Return Σ s sᵀ over groups, s the sum of the scores (n, r) of a group."""
    total = sums_by_group(scores, group, n_groups)
    return np.asarray(total.T @ total)


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
            groups, n_groups = codes[:, pick[0]], int(codes[:, pick[0]].max(initial=-1)) + 1
            for j in pick[1:]:
                # Groups are renumbered after each factor, so that no number exceeds rows times groups of one factor.
                width = int(codes[:, j].max(initial=-1)) + 1
                present, groups = np.unique(groups * width + codes[:, j], return_inverse=True)
                n_groups = len(present)
            found.append((groups.reshape(-1), n_groups, 1 if size % 2 else -1))
    return found


@dataclass(frozen=True)
class AdjustedGroups:
    """Groups of rows under a working model of independent noise of variance σ²/w, for Bell and McCaffrey's CR2.

    Attributes
    ----------
    rows : Array of shape (n, r)
        Whitened rows times the roots of their weights, group by group.
    starts : IntArray of shape (G + 1,)
        Where each group begins, and the end.
    """

    rows: Array
    starts: IntArray

    @classmethod
    def of(cls, rows: Array, group: IntArray, n_groups: int) -> AdjustedGroups:
        """Sort rows (n, r), whitened and times the roots of their weights, by group; empty groups are left out."""
        counts = np.bincount(group, minlength=n_groups)
        starts = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts[counts > 0])])
        return cls(rows[np.argsort(group, kind="stable")], starts)

    def parts(self) -> Iterator[tuple[slice, Array, Array, Array]]:
        """Give some groups at a time: which, M (g, r, r), its eigenvalues (g, r) and eigenvectors (g, r, r)."""
        r = self.rows.shape[1]
        width = max(1, _HELD // max(1, r * r))
        lo = 0
        while lo < len(self.starts) - 1:
            # As many groups as have so many rows, one at least.
            hi = int(np.searchsorted(self.starts, self.starts[lo] + width, side="right")) - 1
            hi = min(max(hi, lo + 1), lo + width)
            gram = self._gram(lo, hi)
            yield slice(lo, hi), gram, *np.linalg.eigh(gram)
            lo = hi

    def _gram(self, lo: int, hi: int) -> Array:
        if hi == lo + 1:
            part = self.rows[self.starts[lo] : self.starts[hi]]
            return (part.T @ part)[None]
        part = self.rows[self.starts[lo] : self.starts[hi]]
        products = part[:, :, None] * part[:, None, :]
        return np.asarray(np.add.reduceat(products, self.starts[lo:hi] - self.starts[lo], axis=0))

    def meat(self, sums: Array) -> Array:
        """Return Σ s sᵀ over groups, s = (I − M_g)^(−½) times the sum (G, r) of the group's scores."""
        total = np.zeros((sums.shape[1],) * 2)
        for which, _, values, vectors in self.parts():
            inside = np.einsum("gra,gr->ga", vectors, sums[which]) * _power(values)
            adjusted = np.einsum("gra,ga->gr", vectors, inside)
            total += adjusted.T @ adjusted
        return total

    def alone(self) -> Array:
        """Return the directions (r, a) that one group alone determines: eigenvectors of M_g at eigenvalue one."""
        found = [np.zeros((self.rows.shape[1], 0))]
        for _, _, values, vectors in self.parts():
            group, place = np.nonzero(values >= 1.0 - ALONE)
            found.append(vectors[group, :, place].T)
        return np.hstack(found)

    def degrees_of_freedom(self, root: Array) -> Array:
        """Satterthwaite's degrees of freedom of single coefficients, whose roots are the rows of ``root`` (k, r).

        ``(Σ P_gg)² / Σ P_gh²`` with P_gh the covariances, under the working model, of the terms whose squares add up to the
        variance (Bell and McCaffrey, 2002; Pustejovsky and Tipton, 2018).
        """
        k, r = root.shape
        trace, squares, crossed, inner = np.zeros(k), np.zeros(k), np.zeros(k), np.zeros((k, r, r))
        for _, gram, values, vectors in self.parts():
            t = np.einsum("gra,ga,gsa,ks->gkr", vectors, _power(values), vectors, root, optimize=True)
            z = np.einsum("grs,gks->gkr", gram, t, optimize=True)
            own, length = np.einsum("gkr,gkr->gk", t, z), np.einsum("gkr,gkr->gk", z, z)
            trace += (own - length).sum(axis=0)
            squares += (own**2).sum(axis=0)
            crossed += (own * length).sum(axis=0)
            inner += np.einsum("gkr,gks->krs", z, z, optimize=True)
        whole = squares - 2.0 * crossed + np.einsum("krs,krs->k", inner, inner)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(whole > 0, trace**2 / whole, np.nan)

    def wald_degrees_of_freedom(self, directions: Array) -> float:
        """η of a hypothesis on orthonormal ``directions`` (r, q) of the whitened coefficients.

        ``q (q + 1) / Σ_st Var(D_st)`` with D the estimated covariance of the hypothesis in units of the true one, under the
        working model: the approximation by Hotelling's T² of Pustejovsky and Tipton (2018).
        """
        r, q = directions.shape
        inner, outer, alone = np.zeros((r * q, r * q)), np.zeros((q, q, r, r)), 0.0
        for _, gram, values, vectors in self.parts():
            t = np.einsum("gra,ga,gsa,sq->grq", vectors, _power(values), vectors, directions, optimize=True)
            z = np.einsum("grs,gsq->grq", gram, t, optimize=True)
            own = np.einsum("gra,grb->gab", t, z)
            shared = np.einsum("gra,grb->gab", z, z)
            flat = z.reshape(len(z), -1)
            inner += flat.T @ flat
            outer += np.einsum("gra,gsb->abrs", z, z, optimize=True)
            alone += float(_products(own - shared).sum() - _products(shared).sum())
        variance = float(np.sum(inner**2)) + float(np.einsum("abrs,bars->", outer, outer)) + alone
        return q * (q + 1.0) / variance if variance > 0 else float(np.nan)


def _products(p: Array) -> Array:
    """(tr P)² + tr P² of each P (g, q, q)."""
    return np.asarray(np.einsum("gaa->g", p) ** 2 + np.einsum("gab,gba->g", p, p))


def _power(values: Array) -> Array:
    """(1 − λ)^(−½) of the eigenvalues of M_g; zero of those that are one, along which a group has no residual."""
    left = 1.0 - values
    return np.asarray(np.where(left > ALONE, np.maximum(left, ALONE), np.inf) ** -0.5)
