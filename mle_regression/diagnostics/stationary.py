"""Is a point where the gradient vanishes a minimum, a valley or a saddle? What the Hessian there says, and how surely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from scipy.linalg import eigh

from mle_regression.diagnostics.curvature import FLAT_MINIMUM, NOT_STATIONARY
from mle_regression.linalg.arrays import EPS, Array, Product
from mle_regression.linalg.lanczos import extreme_eigenpairs

MINIMUM = "minimum"
SADDLE = "saddle point"
UNDETERMINED = "undetermined"

# A gradient of this size, beside the steepest that a loss of the whole variance of y could have, is none.
STATIONARY = 1e-6
# Eigenvalues known to be below this part of the largest, and no better known, are called flat: of a matrix, and of products
# with vectors alone, which find small eigenvalues less exactly.
_FLAT, _FLAT_BY_PRODUCTS = 1e-10, 1e-7
# Rounding of the sums over rows that the Hessian is made of, in units of eps times the largest eigenvalue.
_ROUNDING = 16.0


class Curved(Protocol):
    """An objective with exact second derivatives."""

    def value_and_gradient(self, theta: Array) -> tuple[float, Array]:
        """Return J and its gradient (P,)."""
        ...

    def hessian_products(self, theta: Array) -> Product:
        """Return what multiplies the Hessian at θ with one direction (P,) after another."""
        ...

    def hessian(self, theta: Array) -> Array:
        """Return the Hessian (P, P)."""
        ...


@dataclass(frozen=True, slots=True)
class Spectrum:
    """Eigenpairs of the Hessian of J at a point.

    Attributes
    ----------
    values : Array of shape (k,)
        Ascending.
    vectors : Array of shape (P, k)
    bounds : Array of shape (k,)
        An eigenvalue lies within this distance of each value.
    drift : Array of shape (k,)
        How far the values are from those at the stationary point that Newton's step points to.
    largest : float
        Largest absolute eigenvalue.
    complete : bool
        Whether these are all there are.
    """

    values: Array
    vectors: Array
    bounds: Array
    drift: Array
    largest: float
    complete: bool

    @property
    def slack(self) -> Array:
        """What the values may be off at the stationary point (k,)."""
        return self.bounds + 2.0 * self.drift

    def ends(self, k: int) -> Spectrum:
        """Return the k smallest and the k largest pairs."""
        n = len(self.values)
        pick = np.r_[: min(k, n), max(min(k, n), n - k) : n]
        return Spectrum(
            self.values[pick], self.vectors[:, pick], self.bounds[pick], self.drift[pick], self.largest, len(pick) == n
        )

    @property
    def inertia(self) -> tuple[int, int, int]:
        """How many values are negative, zero and positive, to the slack."""
        negative, positive = int((self.values < -self.slack).sum()), int((self.values > self.slack).sum())
        return negative, len(self.values) - negative - positive, positive


def full_spectrum(objective: Curved, theta: Array) -> Spectrum:
    """Return all eigenpairs of the Hessian, by its matrix."""
    matrix = objective.hessian(theta)
    values, vectors = eigh(matrix, check_finite=False)
    largest = float(np.abs(values).max())
    residual = np.linalg.norm(matrix @ vectors - vectors * values, axis=0)
    bounds = residual + _ROUNDING * EPS * len(values) ** 0.5 * largest
    _, gradient = objective.value_and_gradient(theta)
    step = _newton_step(values, vectors, bounds, gradient)
    moved = eigh(objective.hessian(theta + step), eigvals_only=True, check_finite=False, driver="evr")
    return Spectrum(values, vectors, bounds, np.abs(moved - values), largest, complete=True)


def extreme_spectrum(
    objective: Curved, theta: Array, k: int, rng: np.random.Generator, tol: float = 1e-8, max_steps: int = 1000
) -> Spectrum:
    """Return the k smallest and the k largest eigenpairs, by Hessian-vector products alone."""
    size = len(theta)
    found = extreme_eigenpairs(objective.hessian_products(theta), size, k, k, rng, tol, max_steps)
    _, gradient = objective.value_and_gradient(theta)
    step = _newton_step(found.values, found.vectors, found.bounds, gradient)
    rest = gradient - found.vectors @ (found.vectors.T @ gradient)
    # Between the ends curvatures are at least those of the smallest found, but for their sign, or flat.
    inner = np.abs(found.values[np.abs(found.values) > found.bounds])
    step = step - rest / (float(np.median(inner)) if inner.size else 1.0)
    at_moved = objective.hessian_products(theta + step)
    moved = np.array([float(v @ at_moved(v)) for v in found.vectors.T], dtype=np.float64)
    bounds = found.bounds + _ROUNDING * EPS * size**0.5 * found.largest
    complete = len(found.values) == size
    return Spectrum(found.values, found.vectors, bounds, np.abs(moved - found.values), found.largest, complete)


def steepness(norm: float, largest: float, variance: float) -> float:
    """Return ``‖g‖ / √(2 λmax J₀)``, the gradient in units that neither scale of y nor of θ changes.

    On a quadratic ‖g‖² is at most 2 λmax (J − J*); J₀ is the loss of the best constant prediction,
    or one of standard units where y is constant.
    """
    return float(norm / max((2.0 * largest * (variance if variance > EPS else 1.0)) ** 0.5, 1e-300))


def verdict(spectrum: Spectrum, steep: float) -> str:
    """Say what kind of point it is; nothing of curvature where the gradient does not vanish."""
    if not steep <= STATIONARY:
        return NOT_STATIONARY
    negative, zero, _ = spectrum.inertia
    if negative:
        return SADDLE
    if not zero:
        return MINIMUM
    open_ones = np.abs(spectrum.values) <= spectrum.slack
    exact = bool((spectrum.bounds <= _FLAT * spectrum.largest).all())
    flat = (_FLAT if exact else _FLAT_BY_PRODUCTS) * spectrum.largest
    return FLAT_MINIMUM if (spectrum.slack[open_ones] <= flat).all() else UNDETERMINED


@dataclass(frozen=True, slots=True)
class Escape:
    """The way down from a saddle point.

    Attributes
    ----------
    direction : Array of shape (P,)
        Of the most negative curvature, of length one, signed so that the loss falls along it.
    step : float
        How far along it the loss was lowest of the lengths tried.
    loss, gain : float
        J there, and by how much it is lower.
    """

    direction: Array
    step: float
    loss: float
    gain: float


def way_down(objective: Curved, theta: Array, direction: Array) -> Escape:
    """Go along a direction of negative curvature, to both sides, and return where the loss was lowest."""
    here, _ = objective.value_and_gradient(theta)
    best = (here, 0.0)
    for side in (1.0, -1.0):
        length, lowest = 1e-3, np.inf
        while length < 1e3:
            value, _ = objective.value_and_gradient(theta + side * length * direction)
            if not value < lowest:
                break
            lowest = value
            best = min(best, (value, side * length))
            length *= 2.0**0.5
    signed = direction if best[1] >= 0 else -direction
    return Escape(signed, abs(best[1]), best[0], here - best[0])


def gauss_newton_product(objective: Any, theta: Array) -> Product:
    """Return the product with the Gauss–Newton part of the Hessian, without the penalty."""
    product: Product = objective.hessian_products(theta, gauss_newton=True)
    return lambda v: product(v) - 2.0 * objective.penalty * v


def _newton_step(values: Array, vectors: Array, bounds: Array, gradient: Array) -> Array:
    """Return where the model of second order is stationary; directions that are flat to their bounds stay as they are."""
    along = vectors.T @ gradient
    curved = np.abs(values) > bounds
    return np.asarray(-vectors[:, curved] @ (along[curved] / values[curved]))
