"""The linear systems of damped Gauss–Newton steps, in the smaller of two forms."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable

import numpy as np
from scipy.linalg import LinAlgError, cho_factor, cho_solve
from scipy.linalg.lapack import dpotrf, dpotrs

from mle_regression.linalg.arrays import Array
from mle_regression.objective.base import JacobianProducts, SumOfSquares

# Damping, relative to the mean of the diagonal, below which a matrix may be singular; the dual form divides by it.
_LEAST_DAMPING, _LEAST_DUAL = 1e-14, 1e-8

Solve = Callable[[Array], Array]


class _IndefiniteError(LinAlgError):
    """The matrix is not positive definite; it may be with more than ``least`` damping, as a ``direction`` shows."""

    def __init__(self, least: float, direction: Array) -> None:
        super().__init__("not positive definite")
        self.least, self.direction = least, direction


class DampedSystem(ABC):
    """``(M + λI)δ = v`` for any damping λ, M a Gauss–Newton matrix with its penalty.

    Attributes
    ----------
    size : float
        Mean of the diagonal of M.
    least : float
        Smallest damping, relative to that.
    """

    size: float
    least: float = _LEAST_DAMPING

    @abstractmethod
    def solver(self, damping: float) -> Solve:
        """Return a function that solves with M + λI; raises LinAlgError where that is not positive definite."""

    @abstractmethod
    def squares(self, step: Array) -> float:
        """Return δᵀMδ."""


class _Primal(DampedSystem):
    """By the Cholesky factor of M, P × P."""

    def __init__(self, gauss_newton: Array, penalty: Array) -> None:
        self.matrix = gauss_newton
        self.diagonal = np.diagonal(gauss_newton) + penalty
        np.fill_diagonal(self.matrix, self.diagonal)
        self.size = float(self.diagonal.mean())

    def solver(self, damping: float) -> Solve:
        damped = self.matrix.copy()
        np.fill_diagonal(damped, self.diagonal + damping)
        # Of a symmetric matrix the transpose, which LAPACK takes without a copy.
        factor, failed = dpotrf(damped.T, lower=1, clean=0, overwrite_a=1)
        if failed:
            raise self._indefinite(factor, failed - 1, damping)
        return lambda v: np.asarray(dpotrs(factor, v, lower=1)[0])

    def _indefinite(self, factor: Array, k: int, damping: float) -> _IndefiniteError:
        """Return how far below zero, at least, the least eigenvalue is: row k has ended the factorisation.

        With u from the factor of the rows before, ``(−u, 1)`` is a direction of negative curvature (Moré and Sorensen, 1983).
        """
        row = self.matrix[k, :k]
        u = dpotrs(factor[:k, :k], row, lower=1)[0] if k else row
        found = float((row @ u - self.diagonal[k] - damping) / (u @ u + 1.0))
        direction = np.zeros(len(self.matrix))
        direction[:k], direction[k] = -u, 1.0
        return _IndefiniteError(damping + max(found, 0.0), direction)

    def squares(self, step: Array) -> float:
        return float(step @ self.matrix @ step)


class _Dual(DampedSystem):
    """By the Cholesky factor of ``I + J E⁻¹ Jᵀ``, k × k, with E = d + λI; J is there by its products alone."""

    least = _LEAST_DUAL

    def __init__(self, jacobian: JacobianProducts, penalty: Array) -> None:
        self.jacobian, self.penalty = jacobian, penalty
        self.size = float(jacobian.squares / len(penalty) + penalty.mean())

    def solver(self, damping: float) -> Solve:
        inverse = 1.0 / (self.penalty + damping)
        inner = self.jacobian.gram(inverse)
        inner[np.diag_indices_from(inner)] += 1.0
        factor = cho_factor(inner, lower=True, overwrite_a=True, check_finite=False)

        def solve(v: Array) -> Array:
            image = cho_solve(factor, self.jacobian.product(inverse * v), check_finite=False)
            return np.asarray(inverse * (v - self.jacobian.transposed(image)))

        return solve

    def squares(self, step: Array) -> float:
        image = self.jacobian.product(step)
        return float(image @ image + self.penalty @ step**2)


def damped_system(objective: SumOfSquares, theta: Array, exact: bool = False) -> DampedSystem:
    """Return the system of a Gauss–Newton step, in the smaller of its two forms, or with the exact Hessian."""
    if exact:
        half = 0.5 * objective.hessian(theta)
        half[np.diag_indices_from(half)] -= objective.penalty
        return _Primal(half, objective.penalty)
    if objective.n_residuals < len(theta):
        return _Dual(objective.residual_products(theta), objective.penalty)
    return _Primal(objective.gauss_newton(theta), objective.penalty)
