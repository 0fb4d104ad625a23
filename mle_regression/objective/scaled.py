"""An objective in other units of its parameters."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import AnyArray, Array


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

    def _framed(self, matrix: Array) -> Array:
        matrix *= self.scale
        matrix *= self.scale[:, None]
        return matrix
