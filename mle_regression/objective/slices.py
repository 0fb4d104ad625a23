"""An objective on a plane in the space of its parameters."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import Array


@dataclass(frozen=True, slots=True)
class Plane:
    """Places ``origin + directions @ z``, z of two numbers.

    Attributes
    ----------
    origin : Array of shape (P,)
    directions : Array of shape (P, 2)
        Not parallel.
    """

    origin: Array
    directions: Array

    def coordinates(self, points: Array) -> tuple[Array, Array]:
        """Return the coordinates (k, 2) of the places of the plane next to points (k, P), and how far off (k,) these are."""
        offset = points - self.origin
        z, *_ = np.linalg.lstsq(self.directions, offset.T, rcond=None)
        return np.asarray(z.T), np.asarray(np.linalg.norm(offset.T - self.directions @ z, axis=0))


def values_on(plane: Plane, value: Callable[[Array], float], x: Array, y: Array) -> Array:
    """Return the values (len(y), len(x)) of a function of the parameters on a grid of a plane.

    Examples
    --------
    >>> import numpy as np
    >>> plane = Plane(np.zeros(3), np.eye(3)[:, :2])
    >>> values_on(plane, lambda theta: float(theta @ [1.0, 10.0, 100.0]), np.arange(3.0), np.arange(2.0))
    array([[ 0.,  1.,  2.],
           [10., 11., 12.]])
    """
    along_x, along_y = plane.directions.T
    return np.array([[value(plane.origin + a * along_x + b * along_y) for a in x] for b in y])


@dataclass(frozen=True, slots=True)
class Quadratic:
    """``c + gᵀz + ½ zᵀHz`` of two numbers z: what squares of residuals are on a plane.

    Attributes
    ----------
    constant : float
    gradient : Array of shape (2,)
    hessian : Array of shape (2, 2)
    """

    constant: float
    gradient: Array
    hessian: Array

    @property
    def lowest(self) -> Array:
        """Return where it is lowest (2,): of several places the nearest to zero."""
        return np.asarray(-np.linalg.pinv(self.hessian, rcond=1e-12, hermitian=True) @ self.gradient)

    def values(self, x: Array, y: Array) -> Array:
        """Return the values (len(y), len(x)) on a grid."""
        a, b = np.meshgrid(x, y)
        slope = self.gradient[0] * a + self.gradient[1] * b
        bend = self.hessian[0, 0] * a**2 + 2.0 * self.hessian[0, 1] * a * b + self.hessian[1, 1] * b**2
        return np.asarray(self.constant + slope + 0.5 * bend)


def squares_on(
    residual: Array, images: Array, weights: Array, penalty: Array, origin: Array, directions: Array
) -> Quadratic:
    """Return ``(Σ w (r − Uz)² + Σ dⱼ(θ + Dz)ⱼ²)/Σw`` as a quadratic of z.

    Parameters
    ----------
    residual : Array of shape (n,)
        r, where z is zero.
    images : Array of shape (n, 2)
        U, by what the mean moves along each direction.
    weights : Array of shape (n,)
    penalty, origin : Array of shape (P,)
        d and θ.
    directions : Array of shape (P, 2)
        D.
    """
    total = float(weights.sum())
    weighted, pulled = weights[:, None] * images, penalty[:, None] * directions
    return Quadratic(
        constant=float(weights @ residual**2 + penalty @ origin**2) / total,
        gradient=2.0 * (pulled.T @ origin - weighted.T @ residual) / total,
        hessian=2.0 * (weighted.T @ images + directions.T @ pulled) / total,
    )
