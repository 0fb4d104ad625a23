"""An objective of rescaled parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array
from mle_regression.objective.base import JacobianProducts


@dataclass(frozen=True, slots=True)
class ScaledProducts:
    """Products with J·diag(scale).

    Attributes
    ----------
    inner : JacobianProducts
        With J (k, P).
    scale : Array of shape (P,)
    """

    inner: JacobianProducts
    scale: Array

    @property
    def squares(self) -> float:
        """Sum of the squares of its entries."""
        return float(np.trace(self.inner.gram(self.scale**2)))

    def gram(self, scale: Array) -> Array:
        """Return (k, k) products of its rows, columns times √scale."""
        return self.inner.gram(self.scale**2 * scale)

    def product(self, direction: Array) -> Array:
        """Return the product with a direction (P,)."""
        return self.inner.product(self.scale * direction)

    def transposed(self, image: Array) -> Array:
        """Return that of the transpose with u (k,)."""
        return self.scale * self.inner.transposed(image)


@dataclass
class ScaledSumOfSquares:
    """A sum of squares as a function of φ, θ = scale·φ: steep and flat groups of parameters even out.

    Attributes
    ----------
    inner : SumOfSquares
        Of θ.
    scale : Array of shape (P,)
    """

    inner: Any
    scale: Array

    @property
    def start(self) -> Array:
        """Where to start (P,)."""
        return np.asarray(self.inner.start / self.scale)

    @property
    def spectrum(self) -> None:
        """Not known."""
        return None

    @property
    def n_residuals(self) -> int:
        """Number of residuals."""
        return int(self.inner.n_residuals)

    @property
    def penalty(self) -> Array:
        """Penalty d on φ (P,)."""
        return np.asarray(self.inner.penalty * self.scale**2)

    def value_and_gradient(self, phi: AnyArray) -> tuple[float, Array]:
        """Return J and its gradient (P,)."""
        value, gradient = self.inner.value_and_gradient(self.scale * phi)
        return value, gradient * self.scale

    def hessian(self, phi: Array) -> Array:
        """Return the Hessian (P, P) of J."""
        return self._framed(self.inner.hessian(self.scale * phi))

    def gauss_newton(self, phi: Array) -> Array:
        """Return JᵀJ (P, P) of the residuals, without the penalty."""
        return self._framed(self.inner.gauss_newton(self.scale * phi))

    def residual_jacobian(self, phi: Array) -> tuple[Array, Array]:
        """Return the residuals (k,) and their Jacobian (k, P)."""
        residual, jacobian = self.inner.residual_jacobian(self.scale * phi)
        return residual, jacobian * self.scale

    def residual_products(self, phi: Array) -> ScaledProducts:
        """Return what multiplies the Jacobian (k, P) of the residuals."""
        return ScaledProducts(self.inner.residual_products(self.scale * phi), self.scale)

    def _framed(self, matrix: Array) -> Array:
        matrix *= self.scale
        matrix *= self.scale[:, None]
        return matrix
