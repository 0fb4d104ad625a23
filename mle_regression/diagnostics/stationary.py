"""Is a point where the gradient vanishes a minimum, a valley or a saddle? What the Hessian there says, and how surely."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
from scipy.linalg import eigh
from scipy.optimize import minimize

from mle_regression.diagnostics.curvature import FLAT_MINIMUM, NOT_STATIONARY, UNDETERMINED
from mle_regression.linalg.arrays import EPS, TINY, Array, Product
from mle_regression.linalg.lanczos import MAX_STEPS, TOL, extreme_eigenpairs

MINIMUM = "minimum"
SADDLE = "saddle point"

# A point is stationary up to this steepness: the gradient relative to the largest that a loss of var(y) could have.
STATIONARY = 1e-6
# Eigenvalues below this share of the largest are flat: from the whole matrix, and from products with vectors, which find
# small eigenvalues less accurately.
_FLAT, _FLAT_BY_PRODUCTS = 1e-10, 1e-7
# Newton's steps to the nearest stationary point: least relative curvature of the directions they follow, most steps, and
# largest distance relative to ‖θ‖.
_STEEP_ENOUGH, _NEWTON_STEPS, _NEARBY_STEP = 1e-7, 20, 0.1
# Search for a lower loss along flat directions: half the width of the box, starts, and steps from each.
_BOX, _STARTS, _SEARCH = 0.02, 6, 40
# A relative decrease of the loss up to this, or a loss below its square, is rounding.
_NO_GAIN = 64.0 * EPS
# Line search along negative curvature: shortest and longest step, and factor between steps.
_ESCAPE_LENGTHS, _LONGER = (1e-3, 1e3), 2.0**0.5
# Rounding error of the Hessian, in eps times its largest eigenvalue.
_HESSIAN_EPS = 16.0


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
        complete = self.complete and len(pick) == n
        return Spectrum(
            self.values[pick], self.vectors[:, pick], self.bounds[pick], self.drift[pick], self.largest, complete
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
    bounds = residual + _HESSIAN_EPS * EPS * len(values) ** 0.5 * largest
    _, gradient = objective.value_and_gradient(theta)
    step = _newton_step(values, vectors, np.maximum(bounds, _FLAT * largest), gradient)
    moved = eigh(objective.hessian(theta + step), eigvals_only=True, check_finite=False, driver="evr")
    return Spectrum(values, vectors, bounds, np.abs(moved - values), largest, complete=True)


def extreme_spectrum(
    objective: Curved, theta: Array, k: int, rng: np.random.Generator, tol: float = TOL, max_steps: int = MAX_STEPS
) -> Spectrum:
    """Return the k smallest and the k largest eigenpairs, by Hessian-vector products alone."""
    size = len(theta)
    found = extreme_eigenpairs(objective.hessian_products(theta), size, k, k, rng, tol, max_steps)
    _, gradient = objective.value_and_gradient(theta)
    step = _newton_step(found.values, found.vectors, found.bounds, gradient)
    rest = gradient - found.vectors @ (found.vectors.T @ gradient)
    # Curvatures between the two ends are taken to be no smaller in size than the smallest found, or flat.
    inner = np.abs(found.values[np.abs(found.values) > found.bounds])
    step = step - rest / (float(np.median(inner)) if inner.size else 1.0)
    at_moved = objective.hessian_products(theta + step)
    moved = np.array([float(v @ at_moved(v)) for v in found.vectors.T], dtype=np.float64)
    bounds = found.bounds + _HESSIAN_EPS * EPS * size**0.5 * found.largest
    complete = len(found.values) == size
    return Spectrum(found.values, found.vectors, bounds, np.abs(moved - found.values), found.largest, complete)


def steepness(norm: float, largest: float, variance: float) -> float:
    """Return ``‖g‖ / √(2 λmax J₀)``, the gradient in units that neither scale of y nor of θ changes.

    On a quadratic ‖g‖² is at most 2 λmax (J − J*); J₀ is the loss of the best constant prediction,
    or one of standard units where y is constant.
    """
    return float(norm / max((2.0 * largest * (variance if variance > EPS else 1.0)) ** 0.5, TINY))


def nearest_stationary_point(objective: Curved, theta: Array, spectrum: Spectrum) -> Array:
    """Return the stationary point (P,) nearby, by Newton's steps along what is curved; θ where they lead nowhere near."""
    curved = np.abs(spectrum.values) > np.maximum(spectrum.bounds, _STEEP_ENOUGH * spectrum.largest)
    vectors, values = spectrum.vectors[:, curved], spectrum.values[curved]
    _, gradient = objective.value_and_gradient(theta)
    here, norm = theta, float(np.linalg.norm(gradient))
    for _ in range(_NEWTON_STEPS):
        moved = here - vectors @ ((vectors.T @ gradient) / values)
        _, gradient = objective.value_and_gradient(moved)
        if not float(np.linalg.norm(gradient)) < 0.5 * norm:
            break
        here, norm = moved, float(np.linalg.norm(gradient))
    near = float(np.linalg.norm(here - theta)) <= _NEARBY_STEP * (1.0 + float(np.linalg.norm(theta)))
    return here if near else theta


@dataclass(frozen=True, slots=True)
class Judgement:
    """What kind of point it is, and what that rests on.

    Attributes
    ----------
    verdict : str
    spectrum : Spectrum
        At the stationary point nearby, or of the point itself where that is as good. An eigenvalue that seems negative, but
        along which the loss does not fall, is uncertain by its size.
    escape : Escape or None
        From a saddle point, the way down.
    """

    verdict: str
    spectrum: Spectrum
    escape: Escape | None = None


def judged(objective: Curved, theta: Array, spectrum: Spectrum, steep: float, rng: np.random.Generator) -> Judgement:
    """Say what kind of point it is; nothing of curvature where the gradient does not vanish.

    What is called a saddle point is one: the loss has been seen to fall by more than rounding, along a direction of negative
    curvature or, where curvature is zero, close by.
    """
    if not steep <= STATIONARY:
        return Judgement(NOT_STATIONARY, spectrum)
    if spectrum.inertia[2] < len(spectrum.values) and spectrum.complete:
        theta = nearest_stationary_point(objective, theta, spectrum)
        spectrum = full_spectrum(objective, theta)
    escape = None
    if spectrum.inertia[0]:
        surest = int((spectrum.values + spectrum.slack).argmin())
        escape = escape_direction(objective, theta, spectrum.vectors[:, surest])
        if escape.gain > _rounding(escape.loss + escape.gain):
            return Judgement(SADDLE, spectrum, escape)
        size = np.where(spectrum.values < 0, np.abs(spectrum.values), 0.0)
        spectrum = replace(spectrum, bounds=np.maximum(spectrum.bounds, size))
    if not spectrum.inertia[1]:
        return Judgement(MINIMUM, spectrum)
    open_ones = np.abs(spectrum.values) <= spectrum.slack
    escape = lower_nearby(objective, theta, spectrum.vectors[:, open_ones], float(spectrum.slack[open_ones].max()), rng)
    if escape is not None:
        return Judgement(SADDLE, spectrum, escape)
    exact = bool((spectrum.bounds[~open_ones] <= _FLAT * spectrum.largest).all()) and spectrum.complete
    flat = (_FLAT if exact else _FLAT_BY_PRODUCTS) * spectrum.largest
    return Judgement(FLAT_MINIMUM if (spectrum.slack[open_ones] <= flat).all() else UNDETERMINED, spectrum)


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


def escape_direction(objective: Curved, theta: Array, direction: Array) -> Escape:
    """Go along a direction of negative curvature, to both sides, and return where the loss was lowest."""
    here, _ = objective.value_and_gradient(theta)
    best = (here, 0.0)
    for side in (1.0, -1.0):
        length, lowest = _ESCAPE_LENGTHS[0], here
        while length < _ESCAPE_LENGTHS[1]:
            value, _ = objective.value_and_gradient(theta + side * length * direction)
            # A gain may begin below the rounding of the loss.
            if not value < lowest and (length > 1.0 or lowest < here - _rounding(here)):
                break
            lowest = min(lowest, value)
            best = min(best, (value, side * length))
            length *= _LONGER
    signed = direction if best[1] >= 0 else -direction
    return Escape(signed, abs(best[1]), best[0], here - best[0])


def lower_nearby(objective: Curved, theta: Array, flat: Array, slack: float, rng: np.random.Generator) -> Escape | None:
    """Look for a lower loss close to a point, from random starts along its flat directions (P, f); None if none is found.

    Where curvature is zero, derivatives of third and higher order decide, and these are too many to look at: a search in a
    small box sees what they do. The loss must be lower by more than what the rest of the gradient, curvatures as
    negative as ``slack`` and rounding account for.
    """
    here, gradient = objective.value_and_gradient(theta)
    norm, bounds = float(np.linalg.norm(gradient)), np.column_stack([theta - _BOX, theta + _BOX])
    best: Escape | None = None
    for _ in range(_STARTS):
        direction = flat @ rng.standard_normal(flat.shape[1])
        start = theta + 0.5 * _BOX * direction / max(float(np.abs(direction).max()), TINY)
        options = {"maxiter": _SEARCH, "ftol": 0.0, "gtol": 0.0}
        with np.errstate(
            over="ignore", invalid="ignore"
        ):  # SciPy divides by losses, which may be near the end of the range
            found = minimize(
                objective.value_and_gradient, start, jac=True, method="L-BFGS-B", bounds=bounds, options=options
            )
        step, gain = float(np.linalg.norm(found.x - theta)), here - float(found.fun)
        sure = gain > _rounding(here) + 2.0 * norm * step + slack * step**2
        if sure and (best is None or gain > best.gain):
            best = Escape((found.x - theta) / step, step, float(found.fun), gain)
    return best


def _rounding(loss: float) -> float:
    """Return what two evaluations of a loss may differ by."""
    return _NO_GAIN * abs(loss) + _NO_GAIN**2


def gauss_newton_product(objective: Any, theta: Array) -> Product:
    """Return the product with the Gauss–Newton part of the Hessian, without the penalty."""
    product: Product = objective.hessian_products(theta, gauss_newton=True)
    return lambda v: product(v) - 2.0 * objective.penalty * v


def _newton_step(values: Array, vectors: Array, bounds: Array, gradient: Array) -> Array:
    """Return where the model of second order is stationary; directions that are flat to their bounds stay as they are."""
    along = vectors.T @ gradient
    curved = np.abs(values) > bounds
    return np.asarray(-vectors[:, curved] @ (along[curved] / values[curved]))
