"""What a solver sees: a function of a vector of parameters, and no model."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array, Product


@dataclass(frozen=True, slots=True)
class Evaluation:
    """An objective at some parameters: its ``value``, ``gradient`` (P,) and the residuals' mean cross-products (m, m)."""

    value: float
    gradient: Array
    cross: Array


class Objective(Protocol):
    """A function of a vector of parameters, a mean over rows and a penalty."""

    @property
    def start(self) -> Array:
        """Where to start (P,)."""
        ...

    @property
    def spectrum(self) -> Array | None:
        """Eigenvalues of the Hessian, ascending, if they are known and the same everywhere; zeros left out."""
        ...

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Return J and its gradient (P,)."""
        ...

    def hessian_products(self, theta: Array) -> Product:
        """Return what multiplies the Hessian at θ with one direction (P,) after another."""
        ...

    def without_constant(self) -> tuple[Objective, float]:
        """Return the objective less a known constant, which differences of J would lose digits to, and the constant."""
        ...


class BatchObjective(Objective, Protocol):
    """An objective that can be estimated from some of its rows."""

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        ...

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the numbers that batches are worked out in."""
        ...

    def batches(self, rng: np.random.Generator, size: int) -> Iterator[Any]:
        """Return batches of about ``size`` rows in random order, each row once; a batch is overwritten by the next."""
        ...

    def thinned(self, size: int) -> Objective:
        """Return the objective of about so many of the rows."""
        ...

    def batch_gradient(self, theta: AnyArray, batch: Any) -> tuple[float, AnyArray]:
        """Return estimates of J and of its gradient (P,), which is unbiased; the array is overwritten by the next call."""
        ...

    def batch_curvature(self, size: int) -> float:
        """Return what batches of a size add to the largest curvature that a step must be stable for; 0 if not known."""
        ...

    def after_pass(self, theta: AnyArray) -> tuple[float, Array] | None:
        """Return J and its gradient if they cost much less than a pass over the rows, else None."""
        ...


class JacobianProducts(Protocol):
    """Products with a Jacobian J (k, P), which need not be there as a matrix."""

    @property
    def squares(self) -> float:
        """Sum of the squares of its entries."""
        ...

    def gram(self, scale: Array) -> Array:
        """Return J diag(scale) Jᵀ (k, k), for a scale (P,) of the structure of the objective's penalty."""
        ...

    def product(self, direction: Array) -> Array:
        """Return J·v (k,)."""
        ...

    def transposed(self, image: Array) -> Array:
        """Return Jᵀu (P,)."""
        ...


@runtime_checkable
class SumOfSquares(Protocol):
    """An objective ``J = ‖r(θ)‖² + Σ dᵢθᵢ²`` with residuals r, one for each row and output, and their Jacobian."""

    @property
    def start(self) -> Array:
        """Where to start (P,)."""
        ...

    @property
    def n_residuals(self) -> int:
        """Number of residuals."""
        ...

    @property
    def penalty(self) -> Array:
        """Penalty d (P,)."""
        ...

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Return J and its gradient (P,)."""
        ...

    def hessian(self, theta: Array) -> Array:
        """Return the Hessian (P, P) of J."""
        ...

    def gauss_newton(self, theta: Array) -> Array:
        """Return JᵀJ (P, P) of the residuals, without the penalty."""
        ...

    def residual_jacobian(self, theta: Array) -> tuple[Array, Array]:
        """Return the residuals (k,) and their Jacobian (k, P)."""
        ...

    def residual_products(self, theta: Array) -> JacobianProducts:
        """Return what multiplies the Jacobian (k, P) of the residuals."""
        ...
