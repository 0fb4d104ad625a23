"""What each row does to a linear fit: leverage, studentised residuals, and the fit with the row left out.

Leaving a row out needs no second fit. With h the leverage of the row and e its residual, the residual from the fit to
the others is e/(1 − h) (Cook and Weisberg, 1982). The same algebra runs the other way: a new row, with x(XᵀWX)⁻¹xw = g
under the fit that did not see it, would have leverage g/(1 + g) and residual e/(1 + g) if it were added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import Array

# A row whose leverage is this near to one has a parameter of its own: the rest of the data say nothing of it.
_ALONE = 1e-11


@dataclass(frozen=True, slots=True)
class Influence:
    """Influence of n rows on a fit with m outputs.

    Attributes
    ----------
    fitted, residual : Array of shape (n, m)
    leverage : Array of shape (n,)
        w xᵀ(XᵀWX + αI₀)⁻¹x; of a new row it may exceed one.
    standardized : Array of shape (n, m)
        √w e / s.
    studentized_internal : Array of shape (n, m)
        √w e / (s √(1 − h)), with the s of the fit that includes the row.
    studentized_external : Array of shape (n, m)
        The same with the s of the fit without the row: Student's t with one degree of freedom less, under the model.
    cooks_distance : Array of shape (n, m)
        Cook's (1977) D, t² h / ((1 − h) k) with the internally studentised t and k parameters.
    dffits : Array of shape (n, m)
        Belsley, Kuh and Welsch's (1980), t √(h/(1 − h)) with the externally studentised t.
    loo_residual : Array of shape (n, m)
        Residual from the fit without the row.
    """

    fitted: Array
    residual: Array
    leverage: Array
    standardized: Array
    studentized_internal: Array
    studentized_external: Array
    cooks_distance: Array
    dffits: Array
    loo_residual: Array


@dataclass(frozen=True, slots=True)
class Noise:
    """What a fit knows of its noise: s² (m,), its degrees of freedom, the number k of parameters, whether penalised."""

    variance: Array
    dof: float
    n_params: float
    penalised: bool


def influence(
    fitted: Array, residual: Array, lever: Array, precision: Array | None, noise: Noise, *, fitted_on: bool
) -> Influence:
    """Influence of rows from their ``lever`` (n,), x(XᵀWX + αI₀)⁻¹x.

    Parameters
    ----------
    fitted, residual : Array of shape (n, m)
    lever : Array of shape (n,)
    precision : Array of shape (n,) or None for ones
        Weights that are precisions (of a row that stands for several, one is left out). A row of weight zero is of no
        influence; its studentised residuals are NaN.
    noise : Noise
        Under a penalty the variance without a row is not known in closed form: what is built on it is NaN.
    fitted_on : bool
        Whether the rows are those of the fit; else the influence is that of adding each.
    """
    weight = np.ones(len(lever)) if precision is None else precision
    g = weight * lever
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # From the fit with the row (leverage h, residual e) and from the one without (residual e / (1 - h)).
        if fitted_on:
            h, kept = g, np.where(1.0 - g > _ALONE, 1.0 - g, np.nan)
            inside, outside = residual, residual / kept[:, None]
        else:
            h, kept = g / (1.0 + g), 1.0 / (1.0 + g)
            inside, outside = residual * kept[:, None], residual
        share = np.sqrt(weight)[:, None]
        squares = noise.variance * noise.dof
        change = weight[:, None] * inside * outside
        if fitted_on:
            with_row = noise.variance
            without_row = np.maximum(squares - change, 0.0) / (noise.dof - 1.0) if noise.dof > 1 else np.nan
        else:
            with_row, without_row = (squares + change) / (noise.dof + 1.0), noise.variance
        if noise.penalised:
            without_row = np.full_like(change, np.nan)
        spread = np.sqrt(kept)[:, None]
        standardized = share * inside / np.sqrt(with_row)
        internal = standardized / spread
        external = share * inside / (np.sqrt(without_row) * spread)
        odds = (h / kept)[:, None]
        absent = (weight == 0)[:, None]
        return Influence(
            fitted=fitted,
            residual=residual,
            leverage=g,
            standardized=np.where(absent, np.nan, standardized),
            studentized_internal=np.where(absent, np.nan, internal),
            studentized_external=np.where(absent, np.nan, external),
            cooks_distance=internal**2 * odds / noise.n_params,
            dffits=external * np.sqrt(odds),
            loo_residual=outside,
        )


def row_changes(found: Influence, precision: Array | None, k: int, *, fitted_on: bool) -> Array:
    """Return c (n,) of output k with DFBETASⱼ = c · (L q)ⱼ / ‖Lⱼ‖: how far a row moves the coefficients.

    Leaving a row out moves them by ``w C x e/(1 − h)``; in standard errors with the s of the fit without the row, that is
    ``√w C x t / √(1 − h)`` with the externally studentised t.
    """
    weight = np.ones(len(found.leverage)) if precision is None else precision
    g = found.leverage
    with np.errstate(divide="ignore", invalid="ignore"):
        kept = np.where(1.0 - g > _ALONE, 1.0 - g, np.nan) if fitted_on else 1.0 / (1.0 + g)
        # The inverse of the fit with the row, applied to x, is that of the fit without it times 1 - h.
        change = found.studentized_external[:, k] / np.sqrt(kept) * np.sqrt(weight)
    return np.asarray(np.where(weight == 0, 0.0, change if fitted_on else change * kept))
