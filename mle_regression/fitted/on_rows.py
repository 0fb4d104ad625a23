"""A linear fit and rows to judge it by: what both give together, in numbers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np

from mle_regression.diagnostics.auxiliary import information_at
from mle_regression.diagnostics.covariance import (
    LeverageAndMean,
    Whitener,
    accurate_whitener,
    condition_with_means,
    leverage_of,
    whitened_scores,
    without_projection,
)
from mle_regression.diagnostics.influence import Influence, Noise, influence, row_changes
from mle_regression.diagnostics.residual_tests.base import FitView, TestResult, undefined
from mle_regression.diagnostics.residual_tests.registry import DIAGNOSTICS
from mle_regression.diagnostics.robust import Sandwich
from mle_regression.fitted.linear import LinearFit, accurate_residuals
from mle_regression.fitted.robust_covariance import CovarianceChoice, ScoredRows, robust_covariance
from mle_regression.linalg.arrays import Array, IntArray
from mle_regression.linalg.frame import Frame
from mle_regression.linalg.information import InformationFactor, inverse_root
from mle_regression.linalg.memory import require_memory
from mle_regression.linalg.product_information import ProductInformation
from mle_regression.linalg.rank import default_tolerance
from mle_regression.linalg.scaling import column_norms, scale
from mle_regression.linalg.threads import one_blas_thread
from mle_regression.models.linear import linear_map, linear_mean
from mle_regression.noise.registry import least_squares_families
from mle_regression.rows.base import Block, Rows, row_totals
from mle_regression.rows.observations import n_observations
from mle_regression.rows.registry import as_rows, in_memory
from mle_regression.solvers.base import LeastSquares
from mle_regression.solvers.by_products import InverseByProducts
from mle_regression.warnings import InferenceWarning, warn_user

TRAINING, NEW = "the rows of the fit", "new rows"
_SAME_ROWS, _SAME_TRACE = 1e-6, 1e-3
# Rounding of a residual, in units of eps times the reach of its terms.
_REACH_EPS = 256.0
# Lengths of the terms of Xβ relative to that of the residuals, and conditions of [1 X], up to which plain products keep about
# 13 digits.
_NEAR_REACH, _NEAR_CONDITION = 100.0, 100.0
# From this leverage on, 1 − h has lost a digit that what divides by it needs.
_LARGE_LEVERAGE = 0.9


@dataclass(frozen=True, slots=True)
class _RowValues:
    """What a fit makes of n rows.

    Attributes
    ----------
    whitener : Whitener
    residual : Array of shape (n, m)
        Of outputs divided by ``2**output_exponent``.
    leverage : Array of shape (n,)
        For rows of weight one.
    """

    whitener: Whitener
    residual: Array
    leverage: Array


class FitOnRows:
    """A snapshot of a fit, rows, and what follows from both, worked out once when first asked for.

    Parameters
    ----------
    fit : LinearFit
    x : array or sparse matrix of shape (n, p)
    y : Array of shape (n, m)
    weights : Array of shape (n,) or None for ones
    labels : sequence
        What the user calls the rows.
    """

    @one_blas_thread()
    def __init__(
        self,
        fit: LinearFit,
        x: Any,
        y: Array,
        weights: Array | None,
        labels: Any,
    ) -> None:
        self._as_fitted = fit
        self._x = x
        self._y = y
        # In the coordinates of the information, whose weights are divided by a power of four.
        self._weights = None if weights is None else scale(weights, -2 * fit.weight_exponent)
        if weights is None and fit.weight_exponent:
            self._weights = scale(np.ones(len(y)), -2 * fit.weight_exponent)
        self._rows = as_rows(x, y, self._weights)
        self._labels = labels
        self.data = TRAINING if self._is_training() else NEW

    @property
    def _columns(self) -> Rows:
        """The rows without outputs."""
        return self._rows.with_targets(np.zeros((len(self._y), 0)), self._weights)

    @property
    def _n_counted(self) -> int:
        """Number of rows that have weight."""
        return len(self._y) if self._weights is None else int(np.count_nonzero(self._weights))

    @cached_property
    def _fit(self) -> LinearFit:
        """The fit; of one by products alone, with the triangle of its rows, which is summed where someone asks for it."""
        fit, information = self._as_fitted, self._as_fitted.information
        if not isinstance(information, ProductInformation) or self.data == NEW:
            return fit
        p = len(fit.features)
        require_memory(
            40.0 * p**2,
            f"The triangle of {p} columns takes {p} x {p} numbers",
            "Ask for chosen columns, coefficients(columns=[...]), or for a hypothesis, test_linear",
        )
        rows = self._columns
        frame, tolerance = Frame(information.exponent, information.mean), default_tolerance(information.size, fit.eps)
        return replace(
            fit,
            information=information_at(
                rows, frame, information.total, centred=fit.centred, tolerance=tolerance, alpha=information.alpha
            ),
        )

    @cached_property
    def _by_products(self) -> InverseByProducts | None:
        """Variances of single combinations of coefficients, if the fit has no triangle and these are its rows."""
        fit, information = self._as_fitted, self._as_fitted.information
        if not isinstance(information, ProductInformation) or self.data == NEW:
            return None
        rows = self._columns
        totals = row_totals(self._y, self._weights)
        return InverseByProducts(
            LeastSquares(
                rows, totals, fit.centred, information.alpha, default_tolerance(information.size), "min_norm", False
            )
        )

    @cached_property
    def _values(self) -> _RowValues:
        """Whitening, residuals and leverages: of plain products, or in twice the precision where digits would cancel."""
        fit = self._fit
        if not self._fit.refined:
            return self._values_by(Whitener(fit.information))
        if not self._cancels:
            found = self._values_by(Whitener(fit.information))
            share = found.leverage if self._weights is None else self._weights * found.leverage
            if not (share > _LARGE_LEVERAGE).any():
                return found
        found = self._values_by(accurate_whitener(self._columns, fit.information))
        return replace(found, residual=self._without_projection(found)) if found.whitener.correction.size else found

    @property
    def _cancels(self) -> bool:
        """Whether terms of Xβ, or of whitened rows, are so much larger than their sums that these lose the 13th digit."""
        fit = self._as_fitted
        terms = fit.reach > _NEAR_REACH * np.sqrt(fit.residual_squares)
        return bool(terms.any()) or condition_with_means(fit.information) > _NEAR_CONDITION

    def _values_by(self, whitener: Whitener) -> _RowValues:
        fit = self._fit
        both = LeverageAndMean.of(whitener, fit.coef, fit.intercept)
        values = partial(_values_of_block, fit, whitener)
        if both is not None:
            values = partial(_values_by_one_product, both, fit.output_exponent)
        table = self._rows.map(values, dense=True)
        return _RowValues(whitener, table[:, :-1], table[:, -1])

    def _without_projection(self, found: _RowValues) -> Array:
        """Take from residuals the part in the span of the columns, which is what the rounding of coefficients left."""
        whitener, residual = found.whitener, found.residual
        part = self._scores(found)
        if (np.linalg.norm(part, axis=0) > self._rounding).any():
            return residual  # of other outputs than were fitted
        rows = self._rows.with_targets(residual, self._weights)
        return rows.map(partial(without_projection, whitener, part), dense=True)

    def _scores(self, found: _RowValues) -> Array:
        """Weighted sums (r, m) of residuals along the whitened columns."""
        rows, whitener = self._rows.with_targets(found.residual, self._weights), found.whitener
        if whitener.accurate:
            return rows.reduce(partial(whitened_scores, whitener), np.add, dense=True)
        # Whitening is linear: a sum over the columns as they are is whitened once, and not row by row.
        exponent, shift, root, constant = whitener.plan
        sums = rows.reduce(partial(_sums_of_block, exponent, shift), np.add, dense=bool(shift.any()))
        return np.asarray(root.T @ sums[:-1] + np.outer(constant, sums[-1]))

    @property
    def _whitener(self) -> Whitener:
        return self._values.whitener

    @property
    def _plain_residual(self) -> Array:
        """Residuals (n, m) of outputs divided by ``2**output_exponent``, by a product with X."""
        fit = self._as_fitted
        return scale(self._y - linear_mean(self._x, fit.coef, fit.intercept), -fit.output_exponent)

    @property
    def _residual(self) -> Array:
        """Residuals (n, m) of outputs divided by ``2**output_exponent``."""
        return self._values.residual

    @cached_property
    def _fitted(self) -> Array:
        """Fitted means (n, m) of outputs so divided."""
        return scale(self._y, -self._fit.output_exponent) - self._residual

    @property
    def _precision(self) -> Array | None:
        return None if self._fit.frequency else self._weights

    def _require_least_squares(self, what: str) -> None:
        """Raise where the fit is not by least squares, of which a formula is."""
        noise = self._as_fitted.likelihood.noise
        if not noise.sums_suffice:
            raise ValueError(
                f"{what} are defined for least squares, and this fit is under {noise.title}. What holds for it: "
                "coefficients(), covariance(), test_linear(), collinearity() and curvature(). For the others diagnose a fit "
                f"with {least_squares_families()}."
            )

    @cached_property
    def _influence(self) -> Influence:
        self._require_least_squares("Influence of rows, PRESS and leave-one-out residuals")
        fit = self._fit
        return influence(
            self._fitted,
            self._residual,
            self._values.leverage,
            self._precision,
            Noise(
                fit.scaled_residual_variance,
                fit.residual_dof,
                fit.effective_dof,
                fit.penalised,
            ),
            fitted_on=self.data == TRAINING,
        )

    @cached_property
    def _press(self) -> Array:
        """PRESS (m,) in the coordinates of the information."""
        residual = self._influence.loo_residual
        undetermined = np.isnan(self._values.leverage)
        if undetermined.any():
            residual = np.where(undetermined[:, None], np.nan, residual)
        if self._weights is None:
            return np.asarray(np.sum(residual**2, axis=0))
        counted = self._weights > 0
        return np.asarray(self._weights[counted] @ residual[counted] ** 2)

    @cached_property
    def _press_in_units(self) -> Array:
        """PRESS (m,) in the units of y² and of the weights as given."""
        return scale(self._press, 2 * self._fit.output_exponent + 2 * self._fit.weight_exponent)

    @cached_property
    def _predicted_r2(self) -> Array:
        """1 − PRESS/TSS (m,)."""
        weights = np.ones(len(self._y)) if self._weights is None else self._weights
        y = scale(self._y, -self._fit.output_exponent)
        centre = np.average(y, axis=0, weights=weights) if self._fit.centred else 0.0
        total = weights @ (y - centre) ** 2
        return np.asarray(1.0 - self._press / np.where(total > 0, total, np.nan))

    @property
    def _why_undefined(self) -> str:
        """Why PRESS, or its share of the variation of y, is NaN."""
        if not np.isnan(self._press).any():
            return "y does not vary"
        if self.data == TRAINING:
            return "a row has leverage one"
        return "new rows ask for what the fit does not determine"

    def _warn_of_undefined(self, name: str, values: Array) -> None:
        if np.isnan(values).any():
            warn_user(f"{name} is NaN: {self._why_undefined}.", InferenceWarning)

    def _changes(self, k: int) -> Array:
        """DFBETAS (n, c + p) of output k."""
        found = self._influence
        training = self.data == TRAINING
        pull = row_changes(found, self._precision, k, fitted_on=training)
        weight = np.ones(len(pull)) if self._precision is None else self._precision
        # Of the variance of a coefficient, adding a row takes this share, times the square of its component.
        share = weight / (1.0 + found.leverage)
        root = self._whitener.root
        unit = root / np.where(column_norms(root.T) > 0, column_norms(root.T), 1.0)[:, None]
        rows = self._rows.with_targets(np.column_stack([pull, share]), None)
        return rows.map(partial(_changes_of_block, self._whitener, unit, training), dense=True)

    @property
    def _rounding(self) -> Array:
        """What the rounding of coefficients and of sums may do to the length of the residuals (m,)."""
        return _REACH_EPS * np.finfo(np.float64).eps * self._as_fitted.reach

    def _solves_for_rows(self, residual: Array) -> bool:
        """Whether the gradient of residuals (n, m) at the rows is that of the fit: the columns are its own."""
        fit = self._as_fitted
        weighted = residual if self._weights is None else self._weights[:, None] * residual
        products = self._rows.with_targets(residual, self._weights).reduce(_slopes_of_block, np.add)
        slopes = scale(products, -fit.information.exponent[:, None])
        expected = fit.score[int(fit.centred) :]
        # In whitened columns ‖e‖ is the unit of a gradient; those of unit length are no further from them than by eps.
        length = fit.information.column_lengths() + np.sqrt(fit.information.total) * np.abs(fit.information.mean)
        size = np.sqrt(np.einsum("ij,ij->j", residual, weighted))
        return bool((np.abs(slopes - expected) <= length[:, None] * (_SAME_ROWS * size + self._rounding)).all())

    def _is_training(self) -> bool:
        """Whether these rows are those of the fit: as many, of the same weight, with the same residual sum of squares."""
        fit, weights = self._as_fitted, self._weights
        total = float(len(self._y)) if weights is None else float(weights.sum())
        n = n_observations(weights, len(self._y), frequency=fit.frequency)
        if weights is not None and fit.frequency:
            n = float(scale(n, 2 * fit.weight_exponent))
        if (
            abs(n - fit.n) > _SAME_ROWS * fit.n
            or abs(total - fit.information.total) > _SAME_ROWS * fit.information.total
        ):
            return False
        w = np.ones(len(self._y)) if weights is None else weights
        by_products = isinstance(fit.information, ProductInformation)
        by_rows = not fit.likelihood.noise.sums_suffice
        residual = self._plain_residual if by_products else self._residual
        squares = w @ residual**2
        rounding = self._rounding**2
        if not (np.abs(squares - fit.residual_squares) <= _SAME_ROWS * fit.residual_squares + rounding).all():
            return False
        if by_rows:  # whose residuals need not be orthogonal to the columns
            return True
        if by_products:
            return self._solves_for_rows(residual)
        # At the rows of the fit the gradient is what the fit has found there, zero but for rounding of a direct solver.
        expected = inverse_root(fit.information).T @ fit.score
        off = np.linalg.norm(self._scores(self._values) - expected, axis=0)
        if (off > np.sqrt(_SAME_ROWS**2 * squares + rounding) + _SAME_ROWS * np.linalg.norm(expected, axis=0)).any():
            return False
        # The leverages of the rows of the fit, and of few others, add up to its degrees of freedom.
        counted = w > 0
        return bool(
            abs(w[counted] @ self._values.leverage[counted] - fit.effective_dof) <= _SAME_TRACE * fit.effective_dof
        )

    @cached_property
    def _views(self) -> list[FitView]:
        """One view for each output, without the rows of weight zero."""
        if not in_memory(self._x):
            raise ValueError(
                "Tests of the assumptions take the rows in their order and as a whole: X must be an array or a sparse matrix "
                "in memory. For rows that are elsewhere there are rows(), coefficients(cov=...), collinearity() and "
                "curvature()."
            )
        fit, weights = self._fit, self._weights
        keep: Any = slice(None) if weights is None or (weights > 0).all() else weights > 0
        counts = scale(weights, 2 * fit.weight_exponent)[keep] if fit.frequency and weights is not None else None
        precision = self._precision
        return [
            FitView(
                x=self._x[keep],
                fitted=self._fitted[keep, k],
                residual=self._residual[keep, k],
                precision=None if precision is None else precision[keep],
                counts=counts,
                information=fit.information,
                variance=float(fit.scaled_residual_variance[k]),
                dof=fit.residual_dof,
                eps=fit.eps,
                least_squares=self.data == TRAINING and not fit.penalised,
            )
            for k in range(self._y.shape[1])
        ]

    @cached_property
    def _linear_information(self) -> InformationFactor:
        """Information of the rows without penalty."""
        if self.data == TRAINING and not self._fit.penalised:
            return self._fit.information
        return self._information_with(0.0)

    @cached_property
    def _own_information(self) -> InformationFactor:
        """Information of the objective on the rows."""
        return self._fit.information if self.data == TRAINING else self._information_with(self._fit.information.alpha)

    def _information_with(self, alpha: float) -> InformationFactor:
        """Information of the rows with a penalty; those that stand for several count as given."""
        fit, weights = self._fit, self._weights
        if fit.frequency and weights is not None:
            weights = scale(weights, 2 * fit.weight_exponent)
        return information_at(
            self._rows.with_targets(np.zeros((len(self._y), 0)), weights),
            Frame(fit.information.exponent, fit.information.mean),
            float(len(self._y)) if weights is None else float(weights.sum()),
            centred=fit.centred,
            tolerance=default_tolerance(fit.information.size, fit.eps),
            alpha=alpha,
        )

    def _tested(self, k: int) -> dict[str, TestResult]:
        """Return what each test of the assumptions that makes sense for such rows has found on output k."""
        self._require_least_squares("Tests of the assumptions")
        view, new = self._views[k], self.data == NEW
        found: dict[str, TestResult] = {}
        for name, diagnostic in DIAGNOSTICS.items():
            if diagnostic.new_rows and not new:
                continue
            if self._fit.noise_free[k] and not new:
                result = undefined("the fit is exact: there is no noise to test")
            elif diagnostic.ordered and view.counts is not None:
                result = undefined("rows that stand for several have no order")
            elif diagnostic.new_rows:
                result = diagnostic.compute(view)
            else:
                result = diagnostic.compute(view.by_least_squares)
            found[name] = result
        return found

    # -- covariances -------------------------------------------------------------------------------------------------

    def _robust(self, choice: CovarianceChoice) -> Sandwich:
        """Return the robust covariance of a kind."""
        self._require_least_squares("Robust covariances")
        rows = ScoredRows(
            fit=self._fit,
            rows=self._rows,
            weights=self._weights,
            residual=self._residual,
            leverage=self._influence.leverage,
            whitener=self._whitener,
            labels=self._labels,
        )
        return robust_covariance(rows, choice)


def _values_of_block(fit: LinearFit, whitener: Whitener, block: Block) -> Array:
    """Return the residuals (b, m) of a block, and last the leverages (b,)."""
    q = whitener(block.x)
    if whitener.accurate:
        residual = accurate_residuals(block.x, block.y, fit)
    else:
        residual = _in_units_of_fit(block.y - linear_map(block.x, fit.coef, fit.intercept), fit.output_exponent)
    return np.column_stack([residual, leverage_of(fit.information, block.x, q)])


def _values_by_one_product(both: LeverageAndMean, output_exponent: IntArray, block: Block) -> Array:
    """Return the same, of columns that are used as they lie."""
    leverage, mean = both(block.x)
    return np.column_stack([_in_units_of_fit(block.y - mean, output_exponent), leverage])


def _in_units_of_fit(residual: Array, output_exponent: IntArray) -> Array:
    return scale(residual, -output_exponent) if output_exponent.any() else residual


def _sums_of_block(exponent: IntArray, shift: Array, block: Block) -> Array:
    """Return Σ w z yᵀ (p, m) of ``z = x 2**-exponent − shift``, and last Σ w y (m,)."""
    weighted = block.y if block.weights is None else block.weights[:, None] * block.y
    if shift.any():
        sums = (scale(block.x, -exponent) - shift).T @ weighted
    else:
        sums = scale(np.asarray(block.x.T @ weighted), -exponent[:, None])
    return np.vstack([sums, weighted.sum(axis=0)])


def _slopes_of_block(block: Block) -> Array:
    return np.asarray(block.x.T @ (block.y if block.weights is None else block.weights[:, None] * block.y))


def _changes_of_block(whitener: Whitener, unit: Array, training: bool, block: Block) -> Array:
    """Return DFBETAS (b, c + p) of a block whose outputs are the pulls of its rows and their shares in a variance."""
    components = whitener(block.x) @ unit.T
    moved: Array = components * block.y[:, :1]
    return moved if training else moved / np.sqrt(1.0 - block.y[:, 1:] * components**2)
