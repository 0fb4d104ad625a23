"""The noise families, one line each; validation, error texts, tests and documentation read this table."""

from __future__ import annotations

from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.gaussian import GAUSSIAN

NOISES: dict[str, NoiseFamily] = {
    "gaussian": GAUSSIAN,
}

# Of who says nothing of it: residuals are then judged as normal ones.
DEFAULT_NOISE = GAUSSIAN


def least_squares_families() -> str:
    """Name the families that sums over the rows determine, for messages."""
    return " or ".join(f"noise={name!r}" for name, family in NOISES.items() if family.sums_suffice)


def find_noise(name: object) -> NoiseFamily:
    """Return the noise family of this name."""
    if not isinstance(name, str) or name not in NOISES:
        raise ValueError(f"noise={name!r} is not a noise family; the families are: {', '.join(map(repr, NOISES))}.")
    return NOISES[name]
