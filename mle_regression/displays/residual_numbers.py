"""Numbers of residuals that pictures are made of."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from mle_regression.diagnostics.quantile_band import QuantileBand, plotting_positions, quantile_band
from mle_regression.linalg.arrays import EPS, Array
from mle_regression.noise.base import NoiseFamily
from mle_regression.noise.registry import DEFAULT_NOISE

# Residuals of this many units of rounding of y are none.
_EXACT_EPS = 64.0


@dataclass(frozen=True, slots=True)
class RowInfluence:
    """What is known of n rows beyond their residuals.

    Attributes
    ----------
    standardized : Array of shape (n,)
        √w e/(s √(1 − h)); NaN where a row has leverage one.
    leverage, cooks_distance : Array of shape (n,)
    """

    standardized: Array
    leverage: Array
    cooks_distance: Array


def influence_of_table(table: pd.DataFrame, weights: Array, *, frequency: bool, added: bool) -> RowInfluence:
    """Return the influence of rows from the table of one output that ``diagnose(X, y).rows()`` tells.

    Parameters
    ----------
    table : DataFrame of n rows
    weights : Array of shape (n,)
    frequency : bool
        Whether weights count rows.
    added : bool
        Whether the table says what adding each row would do: a leverage g is then h = g/(1 + g) in the fit with the row.
    """
    leverage = table["leverage"].to_numpy()
    leverage = leverage / (1.0 + leverage) if added else leverage
    if "studentized_internal" in table:
        return RowInfluence(table["studentized_internal"].to_numpy(), leverage, table["cooks_distance"].to_numpy())
    # Of a network the table has no variance: s² = Σ w e² / (n − tr H).
    residual, counts = table["residual"].to_numpy(), weights if frequency else np.ones(len(weights))
    scaled = residual if frequency else np.sqrt(weights) * residual
    unit = float(np.abs(scaled).max(initial=0.0)) or 1.0
    dof = float(counts.sum() - counts @ leverage)
    with np.errstate(all="ignore"):
        deviation = np.sqrt(counts @ (scaled / unit) ** 2 / dof) if dof > 0 else np.nan
        standardized = np.where(leverage < 1, scaled / unit / (deviation * np.sqrt(1.0 - leverage)), np.nan)
    return RowInfluence(standardized, leverage, table["cooks_distance"].to_numpy())


def is_exact(truth: Array, residual: Array) -> bool:
    """Whether residuals (n,) are no more than the rounding of y (n,)."""
    return bool((np.abs(residual) <= _EXACT_EPS * EPS * np.abs(truth).max(initial=0.0)).all())


def in_own_units(residual: Array, weights: Array, *, frequency: bool, scale: float | None = None) -> Array:
    """Residuals √w e/s (n,) with s the scale or, by default, s² the mean of w e²; NaN where all are zero."""
    counts = weights if frequency else np.ones(len(weights))
    scaled = residual if frequency else np.sqrt(weights) * residual
    unit = float(np.abs(scaled).max(initial=0.0))
    if unit == 0:
        return np.full(len(scaled), np.nan)
    if scale is not None:
        return np.asarray(scaled / scale if scale > 0 else np.full(len(scaled), np.nan))
    scaled = scaled / unit  # whose squares do not overflow
    return np.asarray(scaled / np.sqrt(counts @ scaled**2 / counts.sum()))


def counted_parameters(found: RowInfluence) -> float:
    """Return k of Cook's D = t² h/((1 − h) k); NaN where D is not of this form."""
    with np.errstate(all="ignore"):
        k = found.standardized**2 * found.leverage / (1.0 - found.leverage) / found.cooks_distance
    k = k[np.isfinite(k) & (found.leverage > 0) & (np.abs(found.standardized) > 1e-6)]
    return float(np.median(k)) if len(k) and np.ptp(k) <= 1e-3 * np.median(k) else float(np.nan)


def noise_quantiles(standardized: Array, counts: Array | None, noise: NoiseFamily = DEFAULT_NOISE) -> Array:
    """Quantiles (n,) of the noise at the ranks of standardised residuals (n,); NaN where these are.

    A row that stands for several, ``counts`` (n,), has the middle of their ranks.
    """
    quantiles = np.full(len(standardized), np.nan)
    known = np.flatnonzero(np.isfinite(standardized))
    order = known[np.argsort(standardized[known], kind="stable")]
    if counts is None:
        quantiles[order] = noise.quantile(plotting_positions(len(order)))
    elif len(order):
        reached = np.cumsum(counts[order])
        quantiles[order] = noise.quantile((reached - 0.5 * counts[order]) / reached[-1])
    return quantiles


def noise_band(n: float, coverage: float, noise: NoiseFamily = DEFAULT_NOISE) -> QuantileBand:
    """Band of n ordered standardised residuals: position and limits are quantiles of the noise."""
    band = quantile_band(max(int(n), 1), coverage)
    return QuantileBand(noise.quantile(band.position), noise.quantile(band.lower), noise.quantile(band.upper))
