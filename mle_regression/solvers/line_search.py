"""A step along a direction of descent, judged by its slopes where its losses differ by no more than rounding."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import Array

Value = Callable[[Array], tuple[float, Array]]

# Of the decrease that the slope promises, and of the slope, a step leaves no less and no more (Wolfe's conditions).
_DECREASE, _SLOPE = 0.1, 0.9
# Part of the loss below which a decrease is read off the slopes, and by which rounding may let the loss rise then.
ROUNDING_RISE = 1e-6
_TRIALS = 40
# A step too short is made so many times as long; one inside of a bracket stays this part of it away from its ends.
_LEAST_GROWTH, _LARGEST_GROWTH, _FROM_ENDS = 2.0, 10.0, 0.1
# Every so many trials the bracket is halved, whatever its slopes say.
_HALVED_EVERY = 3


@dataclass(frozen=True, slots=True)
class Place:
    """Parameters θ (P,), the loss there and its gradient (P,)."""

    theta: Array
    loss: float
    gradient: Array


@dataclass(frozen=True, slots=True)
class _Trial:
    """How long a step is, and the place that it leads to; ``slope`` is along the direction."""

    size: float
    slope: float
    place: Place

    @property
    def finite(self) -> bool:
        return bool(np.isfinite(self.place.loss) and np.isfinite(self.slope))


def place_at(value: Value, theta: Array) -> Place:
    """Return the place at some parameters."""
    loss, gradient = value(theta)
    return Place(theta, loss, gradient)


def search_line(value: Value, place: Place, direction: Array, first: float = 1.0) -> Place | None:
    """Return where Wolfe's conditions hold along a direction, or approximately; None where no step is found.

    The slope φ' at the end of a step of size s is to be no steeper than 0.9 of that at its start, and the loss φ to have
    fallen by a tenth of s φ'(0). Where that is about to be lost in the rounding of φ, it is read off the slopes: on a
    parabola it is ``φ'(s) ≤ −0.8 φ'(0)`` (Hager and Zhang, 2005), which gradients tell down to the rounding of their own.
    Steps grow until they bracket the minimum; from there on the secant of the slopes tells where to look.
    """
    start = _Trial(0.0, float(place.gradient @ direction), place)
    if not start.slope < 0 or not np.isfinite(start.slope):
        return None
    allowed = place.loss + ROUNDING_RISE * abs(place.loss)
    before, low, high, size = start, start, None, first
    for count in range(1, _TRIALS + 1):
        found = place_at(value, place.theta + size * direction)
        trial = _Trial(size, float(found.gradient @ direction), found)
        if trial.finite and _is_accepted(start, trial, allowed):
            return found
        if trial.finite and trial.slope < 0 and found.loss <= allowed:
            before, low = low, trial
        else:
            high = trial
        size = _longer(before, low) if high is None else _between(low, high, halve=count % _HALVED_EVERY == 0)
    return None


def _is_accepted(start: _Trial, trial: _Trial, allowed: float) -> bool:
    if trial.slope < _SLOPE * start.slope:
        return False
    promised = -trial.size * start.slope
    if promised > allowed - start.place.loss:
        return trial.place.loss <= start.place.loss - _DECREASE * promised
    return trial.place.loss <= allowed and trial.slope <= (2.0 * _DECREASE - 1.0) * start.slope


def _longer(before: _Trial, low: _Trial) -> float:
    """Return the size at which the slope would be zero if it went on as it did, within bounds."""
    least, largest = _LEAST_GROWTH * low.size, _LARGEST_GROWTH * low.size
    rise = low.slope - before.slope
    return float(np.clip(_secant(before, low), least, largest)) if rise > 0 else largest


def _between(low: _Trial, high: _Trial, *, halve: bool) -> float:
    """Return a size inside of a bracket: where the secant of the slopes is zero, or its middle."""
    width = high.size - low.size
    if halve or not high.finite or high.slope <= 0:
        return low.size + 0.5 * width
    return float(np.clip(_secant(low, high), low.size + _FROM_ENDS * width, high.size - _FROM_ENDS * width))


def _secant(a: _Trial, b: _Trial) -> float:
    return (a.size * b.slope - b.size * a.slope) / (b.slope - a.slope)
