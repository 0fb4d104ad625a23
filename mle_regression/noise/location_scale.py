"""A noise family from its log density alone: what is not given is worked out numerically."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from mle_regression.linalg.arrays import Array, BoolArray
from mle_regression.noise.base import Function, NoiseFamily

# Central differences of order eight at offsets ±1 … ±4: first and second derivative (Fornberg, 1988).
_FIRST = np.array([4 / 5, -1 / 5, 4 / 105, -1 / 280])
_SECOND = np.array([8 / 5, -1 / 5, 8 / 315, -1 / 560])
_CENTRE = -205 / 72
# Steps of the differences near zero; from _FAR on they grow with |e|.
_STEP_FIRST, _STEP_SECOND, _FAR = 0.02, 0.04, 16.0
# Panels of a quadrature over t, e = sinh t, and its nodes in each; e reaches 1e17 to both sides.
_PANELS, _REACH, _NODES = 800, 40.0, 16
_NORMALISED = 1e-8
# A tail that the last panels hold more of than this, beside the whole moment, has no such moment.
_DIVERGES = 1e-6
_INVERSIONS = 100
# Residuals to each side at which a family must have numbers, and halvings that find where they end.
_CHECKED, _HALVINGS = 4000, 60
# A log density below this may be beyond the largest number a little further out, as that of a Gumbel density is.
_OUT_OF_RANGE = -1e100
# Probability below which curvature says nothing of a density as a whole; a falling score of less than the other is rounding.
_NO_MASS, _NO_FALL = 1e-12, 1e-8


def location_scale(
    name: str,
    title: str,
    log_density: Function,
    *,
    score: Function | None = None,
    curvature: Function | None = None,
    cdf: Function | None = None,
    quantile: Function | None = None,
) -> NoiseFamily:
    """Return the noise family of a density of about unit width.

    Derivatives that are not given are central differences of order eight: of a density that is smooth on the scale of its own
    width the score is right to about 1e-13 and its derivative to about 1e-12, relative to log g where that is large.
    Distribution function, quantiles and moments are by Gauss–Legendre quadrature, to about 1e-12.

    Parameters
    ----------
    name, title : str
        As `NoiseFamily` has them.
    log_density : callable
        log g(e) of arrays, finite for every finite e: ``np.logaddexp(e, -e)`` and not ``np.log(2 * np.cosh(e))``.
    score, curvature, cdf, quantile : callable, default=None
        As `NoiseFamily` has them, where they are known in closed form.

    Raises
    ------
    ValueError
        If the density does not integrate to one, or has no log or no slope at a residual that may occur.

    Examples
    --------
    >>> import numpy as np
    >>> sech = location_scale("sech", "hyperbolic secant noise", lambda e: -np.logaddexp(np.pi * e / 2, -np.pi * e / 2))
    >>> round(sech.deviation, 10), round(float(sech.cdf(np.array(0.0))), 10)
    (1.0, 0.5)
    """
    slope = score or partial(_minus_first_derivative, log_density)
    second = curvature or partial(_minus_second_derivative, log_density)
    _require_numbers(name, log_density, slope, second)
    table = _Quadrature.of(log_density, name)
    mean = table.moment(lambda e: e)
    return NoiseFamily(
        name=name,
        title=title,
        log_density=log_density,
        score=slope,
        curvature=second,
        cdf=cdf or table.cdf,
        quantile=quantile or table.quantile,
        mean=mean if np.isfinite(mean) else float(np.nan),
        deviation=table.moment(lambda e: (e - mean) ** 2) ** 0.5 if np.isfinite(mean) else float(np.inf),
        information=table.moment(lambda e: slope(e) ** 2),
        log_concave=bool((second(table.likely) >= -_NO_FALL).all()),
    )


def _require_numbers(name: str, log_density: Function, score: Function, curvature: Function) -> None:
    """Raise where a family has no numbers, unless its log density is out of range there."""
    functions = {"log density": log_density, "slope": score, "second derivative": curvature}
    for sign in (1.0, -1.0):
        e = sign * np.sinh(_REACH * np.arange(1, _CHECKED + 1) / _CHECKED)
        for what, function in functions.items():
            finite = _finite(function, e)
            if finite.all():
                continue
            first = int(np.argmin(finite))
            inside, outside = e[first - 1] if first else np.zeros(()), e[first]
            for _ in range(_HALVINGS):
                middle = 0.5 * (inside + outside)
                inside, outside = (middle, outside) if _finite(function, middle) else (inside, middle)
            if not -np.inf < float(log_density(inside)) < _OUT_OF_RANGE:
                raise ValueError(
                    f"The {what} of noise family {name!r} is no finite number at the standardised residual {outside:.6g}. "
                    "Residuals may be of any size: write log_density so that it does not overflow, such as "
                    "np.logaddexp(e, -e) for np.log(2 * np.cosh(e)); a density that is zero somewhere has no log there, "
                    "and cannot be fitted."
                )


def _finite(function: Function, e: Array) -> BoolArray:
    with np.errstate(all="ignore"):
        return np.asarray(np.isfinite(function(e)))


def _steps(e: Array, step: float) -> Array:
    return step * np.maximum(1.0, np.abs(e) / _FAR)


def _minus_first_derivative(function: Function, e: Array) -> Array:
    e = np.asarray(e, dtype=np.float64)
    h = _steps(e, _STEP_FIRST)
    parts = [c * (function(e + k * h) - function(e - k * h)) for k, c in enumerate(_FIRST, 1)]
    return np.asarray(-sum(parts) / h)


def _minus_second_derivative(function: Function, e: Array) -> Array:
    e = np.asarray(e, dtype=np.float64)
    h = _steps(e, _STEP_SECOND)
    parts = [c * (function(e + k * h) + function(e - k * h)) for k, c in enumerate(_SECOND, 1)]
    return np.asarray(-(sum(parts) + _CENTRE * function(e)) / h**2)


def _density(log_density: Function, t: Array) -> Array:
    """Return g(e) de/dt at e = sinh t; zero where the logarithm is no number, far out in a tail."""
    with np.errstate(all="ignore"):
        return np.asarray(np.nan_to_num(np.exp(log_density(np.sinh(t)) + np.log(np.cosh(t))), nan=0.0))


@dataclass(frozen=True)
class _Quadrature:
    """Integrals of a density over panels of t, e = sinh t.

    Attributes
    ----------
    log_density : callable
    edges : Array of shape (k + 1,)
        Of the panels.
    mass : Array of shape (k, q)
        Weight times density at each node of each panel.
    below : Array of shape (k + 1,)
        Probability below each edge.
    """

    log_density: Function
    edges: Array
    mass: Array
    below: Array

    @classmethod
    def of(cls, log_density: Function, name: str) -> _Quadrature:
        """Integrate a density; raises where the whole is not one."""
        edges = np.linspace(-_REACH, _REACH, _PANELS + 1)
        _, weights = np.polynomial.legendre.leggauss(_NODES)
        mass = 0.5 * np.diff(edges)[:, None] * weights * _density(log_density, _nodes(edges[:-1], edges[1:]))
        below = np.concatenate([[0.0], np.cumsum(mass.sum(axis=1))])
        if not abs(below[-1] - 1.0) <= _NORMALISED:
            raise ValueError(
                f"The density of noise family {name!r} integrates to {below[-1]:.10g}, not to one: add the logarithm of its "
                "normalising constant to log_density."
            )
        return cls(log_density, edges, mass, below / below[-1])

    @property
    def values(self) -> Array:
        """Values (k, q) of e at the nodes."""
        return np.asarray(np.sinh(_nodes(self.edges[:-1], self.edges[1:])))

    @property
    def likely(self) -> Array:
        """Those in panels that have mass."""
        likely: Array = self.values[self.mass.sum(axis=1) > _NO_MASS]
        return likely

    def moment(self, function: Function) -> float:
        """Return the expectation of a function; infinite where a tail does not end."""
        with np.errstate(all="ignore"):
            parts = np.where(self.mass > 0, self.mass * function(self.values), 0.0).sum(axis=1)
        tails = max(abs(float(parts[0])), abs(float(parts[-1])))
        if tails > _DIVERGES * float(np.abs(parts).sum()):
            return float(np.inf)
        return float(parts.sum())

    def cdf(self, e: Array) -> Array:
        """Return the distribution function."""
        t = np.clip(np.arcsinh(np.asarray(e, dtype=np.float64)), -_REACH, _REACH)
        panel = np.clip(np.searchsorted(self.edges, t, side="right") - 1, 0, _PANELS - 1)
        return np.asarray(np.clip(self.below[panel] + self._partial(self.edges[panel], t), 0.0, 1.0))

    def quantile(self, probability: Array) -> Array:
        """Return the inverse of the distribution function, by bisection in t; NaN outside of (0, 1)."""
        p = np.asarray(probability, dtype=np.float64)
        panel = np.clip(np.searchsorted(self.below, p, side="left") - 1, 0, _PANELS - 1)
        start, low, high = self.edges[panel], self.edges[panel], self.edges[panel + 1]
        for _ in range(_INVERSIONS):
            middle = 0.5 * (low + high)
            under = self.below[panel] + self._partial(start, middle) < p
            low, high = np.where(under, middle, low), np.where(under, high, middle)
            if not (high - low > np.spacing(np.abs(high))).any():
                break
        return np.asarray(np.where((p > 0) & (p < 1), np.sinh(0.5 * (low + high)), np.nan))

    def _partial(self, start: Array, stop: Array) -> Array:
        """Return the integral from ``start`` to ``stop``, both within one panel."""
        _, weights = np.polynomial.legendre.leggauss(_NODES)
        inner = _density(self.log_density, _nodes(start, stop))
        return np.asarray(0.5 * (stop - start) * (inner @ weights))


def _nodes(start: Array, stop: Array) -> Array:
    """Return the nodes (..., q) of intervals."""
    nodes, _ = np.polynomial.legendre.leggauss(_NODES)
    return np.asarray(0.5 * (start + stop)[..., None] + 0.5 * (stop - start)[..., None] * nodes)
