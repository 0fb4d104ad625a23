"""Cholesky factorisation of a sparse Gram matrix most of whose columns are orthogonal to each other, as dummies are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from scipy.linalg.lapack import dpotrf, dpotrs

from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.triangle import inverse_triangle


@dataclass(frozen=True)
class Elimination:
    """A positive semidefinite G = [D E; Eᵀ C] with D diagonal: D is eliminated first, which leaves C − EᵀD⁻¹E.

    Attributes
    ----------
    first, rest : IntArray of shape (d,) and (q,)
        Which rows and columns of G (k, k) are those of D and those of C.
    pivots : Array of shape (d,)
        The diagonal of D, positive.
    across : CSR array of shape (d, q)
        E.
    corner : CSR array of shape (q, q)
        C.
    """

    first: IntArray
    rest: IntArray
    pivots: Array
    across: Any
    corner: Any

    @cached_property
    def unit(self) -> Array:
        """Lengths (q,) by which the columns of the complement are divided: the roots of the diagonal of C."""
        return np.asarray(np.sqrt(self.corner.diagonal()))

    @cached_property
    def _divided(self) -> Any:
        return sp.csr_array(sp.diags_array(1.0 / self.pivots) @ self.across)

    @cached_property
    def complement(self) -> Array:
        """C − EᵀD⁻¹E (q, q), dense, of columns divided by `unit`."""
        dense = (self.corner - self.across.T @ self._divided).toarray()
        return np.asarray(dense / self.unit / self.unit[:, None])

    def complement_product(self, v: Array) -> Array:
        """Return the complement, of columns divided by `unit`, times v (q, k); it is not formed."""
        u = v / self.unit[:, None]
        return np.asarray((self.corner @ u - self.across.T @ (self._divided @ u)) / self.unit[:, None])

    @cached_property
    def root(self) -> Array | None:
        """Upper-triangular factor (q, q) of the `complement`; None where it is not positive definite."""
        if not len(self.rest):
            return np.zeros((0, 0))
        factor, info = dpotrf(self.complement, clean=1)
        return np.asarray(factor) if info == 0 else None

    @cached_property
    def inverse(self) -> Array:
        """Inverse of `root` (q, q), its rows divided by `unit`."""
        if self.root is None:
            raise np.linalg.LinAlgError("The complement is singular.")
        return inverse_triangle(self.root) / self.unit[:, None]

    def solve(self, rhs: Array, complement_solver: Callable[[Array], Array] | None = None) -> Array:
        """Return G⁻¹ rhs for rhs (k, m); the ``complement_solver`` solves with the complement, its factor if None."""
        upper = rhs[self.first] / self.pivots[:, None]
        inner = (rhs[self.rest] - self.across.T @ upper) / self.unit[:, None]
        if complement_solver is not None:
            inner = complement_solver(inner)
        elif len(self.rest):
            inner, _ = dpotrs(self.root, inner)
        inner = inner / self.unit[:, None]
        solution = np.empty(rhs.shape)
        solution[self.rest] = inner
        solution[self.first] = upper - self._divided @ inner
        return solution

    def inverse_lengths(self) -> Array:
        """Return the roots (k,) of the diagonal of G⁻¹."""
        squares = np.empty(len(self.first) + len(self.rest))
        squares[self.rest] = np.einsum("ij,ij->i", self.inverse, self.inverse)
        squares[self.first] = 1.0 / self.pivots + self._quadratic(self._divided)
        return np.sqrt(squares)

    def quadratic(self, x: Any) -> Array:
        """Return the diagonal (b,) of x G⁻¹ xᵀ for sparse rows x (b, k)."""
        by_pivot = sp.csr_array(x[:, self.first] @ sp.diags_array(self.pivots**-0.5))
        inner = sp.csr_array(x[:, self.rest] - x[:, self.first] @ self._divided)
        return np.asarray(by_pivot.multiply(by_pivot).sum(axis=1)).ravel() + self._quadratic(inner)

    def _quadratic(self, x: Any) -> Array:
        """Return the diagonal of x S⁻¹ xᵀ for sparse rows x (b, q), a few rows at a time."""
        values = np.empty(x.shape[0])
        width = max(1, _BLOCK_SIZE // max(1, len(self.rest)))
        for lo in range(0, len(values), width):
            image = x[lo : lo + width] @ self.inverse
            values[lo : lo + width] = np.einsum("ij,ij->i", image, image)
        return values


# Size of a block of rows that is made dense, in numbers.
_BLOCK_SIZE = 1 << 20


def eliminate(gram: Any, orthogonal: IntArray) -> Elimination:
    """Prepare G (k, k), sparse, in which the ``orthogonal`` rows and columns (d,) have no entries but on the diagonal."""
    rest = np.setdiff1d(np.arange(gram.shape[0]), orthogonal)
    upper = gram[orthogonal]
    return Elimination(
        orthogonal, rest, gram.diagonal()[orthogonal], sp.csr_array(upper[:, rest]), sp.csr_array(gram[rest][:, rest])
    )


def orthogonal_run(x: Any) -> IntArray:
    """Return the longest run of neighbouring columns of x (n, p), CSR, no two of which are nonzero in one row.

    Examples
    --------
    >>> import numpy as np, scipy.sparse as sp
    >>> orthogonal_run(sp.csr_array([[1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]))
    array([1, 2, 3])
    """
    p = x.shape[1]
    # before[j]: the last column before j that is nonzero in a row where j is; a run from s on ends where before[j] >= s.
    before = np.full(p, -1)
    if x.nnz:
        if not x.has_sorted_indices:
            x = x.sorted_indices()
        follows = np.ones(x.nnz, dtype=bool)
        follows[x.indptr[:-1][np.diff(x.indptr) > 0]] = False
        at = np.flatnonzero(follows)
        np.maximum.at(before, x.indices[at], x.indices[at - 1])
    starts, start = [0], 0
    for j, last in enumerate(before.tolist()):
        if last >= start:
            start = j
            starts.append(j)
    edges = np.array([*starts, p])
    longest = int(np.argmax(np.diff(edges)))
    return np.arange(edges[longest], edges[longest + 1])
