"""What each row does to a linear fit: leverage, studentised residuals, and the fit with the row left out.

Leaving a row out needs no second fit. With h the leverage of the row and e its residual, the residual from the fit to
the others is e/(1 − h) (Cook and Weisberg, 1982). The same algebra runs the other way: a new row, with x(XᵀWX)⁻¹xw = g
under the fit that did not see it, would have leverage g/(1 + g) and residual e/(1 + g) if it were added.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mle_regression.linalg.arrays import Array

# A row whose leverage is this near to one determines a parameter alone.
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
    fitted: Array, residual: Array, leverage: Array, precision: Array | None, noise: Noise, *, fitted_on: bool
) -> Influence:
    """Influence of rows from their ``leverage`` (n,), x(XᵀWX + αI₀)⁻¹x.

    Parameters
    ----------
    fitted, residual : Array of shape (n, m)
    leverage : Array of shape (n,)
    precision : Array of shape (n,) or None for ones
        Weights that are precisions (of a row that stands for several, one is left out). A row of weight zero is of no
        influence; its studentised residuals are NaN.
    noise : Noise
        Under a penalty the variance without a row is not known in closed form: what is built on it is NaN.
    fitted_on : bool
        Whether the rows are those of the fit; else the influence is that of adding each.
    """
    g = leverage if precision is None else precision * leverage
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        # From the fit with the row (leverage h, residual e) and from the one without (residual e / (1 - h)).
        kept = without_leverage(g, fitted_on)
        inside, outside = (residual, residual / kept) if fitted_on else (residual * kept, residual)
        change = inside * outside
        if precision is not None:
            change *= precision[:, None]
            inside = inside * np.sqrt(precision)[:, None]
        without_row, with_row = _deviations(noise, change, fitted_on)
        standardized = inside / with_row
        spread = np.sqrt(kept)
        internal = standardized / spread
        external = inside / (without_row * spread)
        # In place: a new array of n numbers costs as much as an operation on them.
        odds = np.divide(g[:, None], kept, out=kept) if fitted_on else g[:, None].copy()
        cooks_distance = internal**2
        cooks_distance *= odds
        cooks_distance /= noise.n_params
        np.sqrt(odds, out=odds)
        found = Influence(
            fitted=fitted,
            residual=residual,
            leverage=g,
            standardized=standardized,
            studentized_internal=internal,
            studentized_external=external,
            cooks_distance=cooks_distance,
            dffits=external * odds,
            loo_residual=outside,
        )
    if precision is not None and not precision.all():
        for values in (found.standardized, found.studentized_internal, found.studentized_external):
            values[precision == 0] = np.nan
    return found


def _deviations(noise: Noise, change: Array, fitted_on: bool) -> tuple[Array, Array]:
    """Return s without each row (n or 1, m) and with it, by the ``change`` (n, m) of the sums of squares between the two."""
    squares = noise.variance * noise.dof
    with_row = noise.variance if fitted_on else (squares + change) / (noise.dof + 1.0)
    if noise.penalised:
        without_row: Array = np.full((1, change.shape[1]), np.nan)
    elif fitted_on:
        without_row = squares - change
        np.maximum(without_row, 0.0, out=without_row)
        without_row /= noise.dof - 1.0 if noise.dof > 1 else np.nan
        np.sqrt(without_row, out=without_row)
    else:
        without_row = np.sqrt(noise.variance)[None, :]
    return without_row, np.sqrt(with_row)


def without_leverage(g: Array, fitted_on: bool) -> Array:
    """Return 1 − h (n, 1), h the leverage in the fit that includes the row; NaN where the row is alone."""
    if not fitted_on:
        return 1.0 / (1.0 + g[:, None])
    kept = 1.0 - g[:, None]
    kept[~(kept > _ALONE)] = np.nan
    return kept


def row_changes(found: Influence, precision: Array | None, k: int, *, fitted_on: bool) -> Array:
    """Return c (n,) of output k with DFBETASⱼ = c · (L q)ⱼ / ‖Lⱼ‖: how far a row moves the coefficients.

    Leaving a row out moves them by ``w C x e/(1 − h)``; in standard errors with the s of the fit without the row, that is
    ``√w C x t / √(1 − h)`` with the externally studentised t.
    """
    kept = without_leverage(found.leverage, fitted_on)[:, 0]
    # The inverse of the fit with the row, applied to x, is that of the fit without it times 1 - h.
    change = found.studentized_external[:, k] * (1.0 / np.sqrt(kept) if fitted_on else np.sqrt(kept))
    if precision is None:
        return np.asarray(change)
    return np.asarray(np.where(precision == 0, 0.0, change * np.sqrt(precision)))
