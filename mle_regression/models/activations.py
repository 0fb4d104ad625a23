"""Activations with their first and second derivatives, one entry each in a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy.special import expit, ndtr

from mle_regression.linalg.arrays import AnyArray

LEAK = 0.01
_ROOT_2PI = float(np.sqrt(2.0 * np.pi))


@dataclass(frozen=True, slots=True)
class Activation:
    """A function of each unit's input, written into arrays that exist.

    Attributes
    ----------
    name : str
    value : callable
        ``value(z, out)`` writes a(z).
    slope : callable
        ``slope(z, a, out)`` writes a′(z), given a(z).
    second_derivative : callable
        ``second_derivative(z, a, s, out)`` writes a″(z), given a(z) and a′(z).
    smooth : bool
        Whether a′ is continuous; where it is not, a″ is that of the pieces, zero.
    gain : float
        By what weights of variance 1/fan-in are multiplied so that the spread is kept from layer to layer.
    """

    name: str
    value: Callable[[AnyArray, AnyArray], object]
    slope: Callable[[AnyArray, AnyArray, AnyArray], object]
    second_derivative: Callable[[AnyArray, AnyArray, AnyArray, AnyArray], object]
    smooth: bool = True
    gain: float = 1.0


def _no_curvature(z: AnyArray, a: AnyArray, s: AnyArray, out: AnyArray) -> None:
    out.fill(0.0)


def _identity_value(z: AnyArray, out: AnyArray) -> None:
    np.copyto(out, z)


def _identity_slope(z: AnyArray, a: AnyArray, out: AnyArray) -> None:
    out.fill(1.0)


def _tanh_value(z: AnyArray, out: AnyArray) -> None:
    np.tanh(z, out=out)


def _tanh_slope(z: AnyArray, a: AnyArray, out: AnyArray) -> None:
    np.multiply(a, a, out=out)
    np.subtract(1.0, out, out=out)


def _tanh_curvature(z: AnyArray, a: AnyArray, s: AnyArray, out: AnyArray) -> None:
    np.multiply(a, s, out=out)
    out *= -2.0


def _logistic_value(z: AnyArray, out: AnyArray) -> None:
    expit(z, out=out)


def _logistic_slope(z: AnyArray, a: AnyArray, out: AnyArray) -> None:
    np.subtract(1.0, a, out=out)
    out *= a


def _logistic_curvature(z: AnyArray, a: AnyArray, s: AnyArray, out: AnyArray) -> None:
    np.multiply(a, -2.0, out=out)
    out += 1.0
    out *= s


def _relu_value(z: AnyArray, out: AnyArray) -> None:
    out.fill(0.0)  # beside an array of zeros NumPy takes the maximum in half the time that it takes beside one zero
    np.maximum(z, out, out=out)


def _relu_slope(z: AnyArray, a: AnyArray, out: AnyArray) -> None:
    np.greater(z, 0.0, out=out, casting="unsafe")


def _leaky_value(z: AnyArray, out: AnyArray) -> None:
    np.multiply(z, LEAK, out=out)
    np.maximum(z, out, out=out)


def _leaky_slope(z: AnyArray, a: AnyArray, out: AnyArray) -> None:
    np.greater(z, 0.0, out=out, casting="unsafe")
    out *= 1.0 - LEAK
    out += LEAK


def _softplus_value(z: AnyArray, out: AnyArray) -> None:
    np.logaddexp(z, 0.0, out=out)


def _softplus_slope(z: AnyArray, a: AnyArray, out: AnyArray) -> None:
    expit(z, out=out)


def _softplus_curvature(z: AnyArray, a: AnyArray, s: AnyArray, out: AnyArray) -> None:
    np.subtract(1.0, s, out=out)
    out *= s


def _silu_value(z: AnyArray, out: AnyArray) -> None:
    expit(z, out=out)
    out *= z


def _silu_slope(z: AnyArray, a: AnyArray, out: AnyArray) -> None:
    # σ + a(1 − σ) = σ + a − aσ
    sigma = expit(z)
    np.multiply(a, sigma, out=out)
    np.subtract(a, out, out=out)
    out += sigma


def _silu_curvature(z: AnyArray, a: AnyArray, s: AnyArray, out: AnyArray) -> None:
    # σ(1 − σ)(2 + z(1 − 2σ))
    sigma = expit(z)
    np.multiply(sigma, -2.0, out=out)
    out += 1.0
    out *= z
    out += 2.0
    out *= sigma
    out *= 1.0 - sigma


def _gelu_value(z: AnyArray, out: AnyArray) -> None:
    ndtr(z, out=out)
    out *= z


def _gelu_slope(z: AnyArray, a: AnyArray, out: AnyArray) -> None:
    # Φ + zφ
    _normal_density(z, out)
    out *= z
    out += ndtr(z)


def _gelu_curvature(z: AnyArray, a: AnyArray, s: AnyArray, out: AnyArray) -> None:
    # φ(2 − z²)
    _normal_density(z, out)
    out *= 2.0 - z * z


def _normal_density(z: AnyArray, out: AnyArray) -> None:
    np.multiply(z, z, out=out)
    out *= -0.5
    np.exp(out, out=out)
    out /= _ROOT_2PI


ACTIVATIONS: dict[str, Activation] = {
    "identity": Activation("identity", _identity_value, _identity_slope, _no_curvature),
    "tanh": Activation("tanh", _tanh_value, _tanh_slope, _tanh_curvature),
    "logistic": Activation("logistic", _logistic_value, _logistic_slope, _logistic_curvature, gain=4.0),
    "relu": Activation(
        "relu",
        _relu_value,
        _relu_slope,
        _no_curvature,
        smooth=False,
        gain=2.0**0.5,
    ),
    "leaky_relu": Activation("leaky_relu", _leaky_value, _leaky_slope, _no_curvature, smooth=False, gain=2.0**0.5),
    "softplus": Activation("softplus", _softplus_value, _softplus_slope, _softplus_curvature),
    "silu": Activation("silu", _silu_value, _silu_slope, _silu_curvature, gain=2.0**0.5),
    "gelu": Activation("gelu", _gelu_value, _gelu_slope, _gelu_curvature, gain=2.0**0.5),
}


def find_activation(name: object) -> Activation:
    """Return the activation of this name."""
    if not isinstance(name, str) or name not in ACTIVATIONS:
        raise ValueError(f"activation={name!r} is not one of: {', '.join(map(repr, ACTIVATIONS))}.")
    return ACTIVATIONS[name]
