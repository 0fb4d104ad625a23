"""The noise families, one line each."""

from __future__ import annotations

from mle_regression.noise.gaussian import Gaussian

NOISES: dict[str, Gaussian] = {"gaussian": Gaussian()}


def find_noise(name: object) -> Gaussian:
    """Return the noise family of this name."""
    if not isinstance(name, str) or name not in NOISES:
        raise ValueError(f"noise={name!r} is not a noise family; the families are: {', '.join(map(repr, NOISES))}.")
    return NOISES[name]
