"""A fitted linear model as plain numbers: what reports and diagnoses are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from mle_regression.diagnostics.covariance import standard_errors, unscaled_covariance
from mle_regression.diagnostics.hypotheses import (
    FTest,
    adjusted_r_squared,
    explained_squares,
    f_test,
    independent_restrictions,
    outside_row_space,
    r_squared,
    row_space,
    wald_squares,
    wald_squares_of_difference,
)
from mle_regression.diagnostics.noise_factor import mean_reach
from mle_regression.diagnostics.robust import Sandwich
from mle_regression.fitted.likelihood import Likelihood
from mle_regression.fitted.optimum import Optimum
from mle_regression.fitted.penalty import LinearPenalty
from mle_regression.linalg.arrays import AnyArray, Array, BoolArray, IntArray
from mle_regression.linalg.exact import accurate_product
from mle_regression.linalg.information import InformationFactor, inverse_root
from mle_regression.linalg.scaling import scale
from mle_regression.rows.base import Totals
from mle_regression.rows.labels import unlike

INTERCEPT = "intercept"
# What X explains of y, beside its mean, that is no more than rounding.
_CONSTANT_SHARE = 1e-14


@dataclass(frozen=True, slots=True)
class Start:
    """Where an iterative solver may begin: coefficients (p, m), intercepts (m,), and what an earlier run has remembered."""

    coef: Array
    intercept: Array
    memory: dict[str, AnyArray]


@dataclass(frozen=True, slots=True)
class LinearFit:
    """What a linear fit with c intercepts (0 or 1), p columns and m outputs knows of itself.

    Attributes
    ----------
    features : tuple of str
        Names of the columns.
    coef : Array of shape (p, m)
    intercept : Array of shape (m,)
    information : InformationFactor
        With weights divided by ``4**weight_exponent``.
    residual_squares : Array of shape (m,)
        Weighted sums of squares of outputs divided by ``2**output_exponent``, with the same weights.
    residual_scale : Array of shape (m,)
        s, so divided; of noise with information I about its location the scale over √I, which is s of Gaussian noise.
    effective_dof : float
        Parameters of the mean, a penalised one counted in part.
    output_exponent : IntArray of shape (m,)
    weight_exponent : int
    likelihood : Likelihood
    optimum : Optimum
    totals : Totals
        Of the rows, with weights divided by ``4**weight_exponent``.
    refined : bool
        Whether the solution was worked out in exact arithmetic.
    single_output : bool
    eps : float
        Relative precision of the numbers in X.
    notes : tuple of str
    rates : tuple of float
        By how much an iteration of the solver shrank the error: according to theory and as observed; NaN of direct ones.
    gradient : Array of shape (p, m) or (0, 0)
        What an iterative solver has left of ``XᵀW(y − Xβ − b) − αβ``, in scaled columns.
    memory : dict of str to array
        What an iterative solver has remembered to go on with.
    outputs : tuple of str
        Names of the columns of y; empty if they have none.
    total_squares : Array of shape (m,) or (0,)
        Weighted sums of squares of outputs so divided, about the mean if there is an intercept; empty after least squares,
        of which they follow.
    chosen : LinearPenalty or None
        What the data have chosen as penalty; None where it was given.
    """

    features: tuple[str, ...]
    coef: Array
    intercept: Array
    information: InformationFactor
    residual_squares: Array
    residual_scale: Array
    effective_dof: float
    output_exponent: IntArray
    weight_exponent: int
    likelihood: Likelihood
    optimum: Optimum
    totals: Totals
    refined: bool
    single_output: bool
    eps: float
    notes: tuple[str, ...]
    rates: tuple[float, float]
    gradient: Array
    memory: dict[str, AnyArray]
    outputs: tuple[str, ...] = ()
    total_squares: Array = field(default_factory=lambda: np.zeros(0))
    chosen: LinearPenalty | None = None

    @property
    def n(self) -> float:
        """Number of observations."""
        return self.likelihood.n

    @property
    def residual_dof(self) -> float:
        """Observations less effective parameters."""
        return float(self.likelihood.residual_dof)

    @property
    def frequency(self) -> bool:
        """Whether a weight says how often a row is there."""
        return self.likelihood.frequency

    @property
    def parts(self) -> tuple[LinearFit, ...]:
        """The fit itself: one penalty serves all outputs (see `JointFit`)."""
        return (self,)

    @property
    def places(self) -> tuple[IntArray, ...]:
        """All outputs."""
        return (np.arange(len(self.intercept)),)

    @property
    def informations(self) -> tuple[InformationFactor, ...]:
        """The one information of all outputs."""
        return (self.information,)

    @property
    def rank(self) -> int:
        """Numerical rank over (intercept, coef)."""
        return self.information.rank

    @property
    def noise_free(self) -> BoolArray:
        """Of which outputs (m,) the fit is exact."""
        return self.likelihood.noise_free

    @property
    def centred(self) -> bool:
        """Whether there is an intercept."""
        return self.information.centred

    @property
    def penalised(self) -> bool:
        """Whether there is a penalty."""
        return self.information.alpha > 0

    @property
    def alpha(self) -> float:
        """Penalty, for weights divided by ``4**weight_exponent``."""
        return self.information.alpha

    @property
    def names(self) -> list[str]:
        """Names of the parameters (c + p)."""
        return [unlike(INTERCEPT, self.features), *self.features] if self.centred else list(self.features)

    @property
    def params(self) -> Array:
        """Parameters (c + p, m), the intercept first."""
        return np.vstack([self.intercept, self.coef]) if self.centred else self.coef

    @property
    def errors(self) -> Array:
        """Standard errors (c + p, m), NaN where the data do not determine a parameter."""
        return standard_errors(self.information, self.residual_scale, self.output_exponent)

    @property
    def scaled_coef(self) -> Array:
        """Coefficients (p, m) of outputs divided by ``2**output_exponent``."""
        return scale(self.coef, -self.output_exponent)

    @property
    def constant(self) -> BoolArray:
        """Which outputs (m,) do not vary: X explains no more than rounding beside their mean."""
        mean = scale(self.intercept, -self.output_exponent)
        squares = explained_squares(self.information, self.scaled_coef)
        return np.asarray(squares <= _CONSTANT_SHARE**2 * self.information.total * mean**2)

    @property
    def explained(self) -> Array:
        """TSS − RSS (m,), of outputs divided by ``2**output_exponent``."""
        if self.total_squares.size:
            return self.total_squares - self.residual_squares
        explained = explained_squares(self.information, self.scaled_coef)
        # Of the penalised factor: βᵀ(X̃ᵀWX̃ + αI)β, and TSS = RSS + that + α‖β‖² by the normal equation.
        if not self.penalised:
            return explained
        terms = scale(self.scaled_coef, self.information.exponent[:, None]) ** 2
        penalty: Array = np.sum(scale(self.information.alpha * terms, -2 * self.information.exponent[:, None]), axis=0)
        return explained + penalty

    @property
    def score(self) -> Array:
        """XᵀW(y − Xβ − b) over (intercept, coef), (c + p, m), in scaled columns: αβ and what the solver has left."""
        terms = scale(self.information.alpha * self.scaled_coef, -self.information.exponent[:, None])
        if self.gradient.size:
            terms = terms + self.gradient
        return np.vstack([np.zeros((1, terms.shape[1])), terms]) if self.centred else terms

    @property
    def reach(self) -> Array:
        """Σ ‖xⱼ‖|βⱼ| and the intercept's part (m,): what sums of so large terms round by, times eps, moves a residual."""
        terms = scale(self.scaled_coef, self.information.exponent[:, None])
        return mean_reach(self.information, terms, scale(self.intercept, -self.output_exponent))

    @property
    def r2(self) -> Array:
        """R² (m,)."""
        return r_squared(self.explained, self.residual_squares)

    @property
    def adjusted_r2(self) -> Array:
        """R² (m,) adjusted for the degrees of freedom."""
        dof = self.residual_dof if np.isfinite(self.residual_dof) else self.n - self.effective_dof
        return adjusted_r_squared(self.r2, self.n, self.centred, dof)

    @property
    def residual_variance(self) -> Array:
        """Unbiased s² (m,) in the units of y² (of an observation of weight one); the noise's, of other families."""
        ratio = self.likelihood.noise.variance_ratio
        return scale(ratio * self.residual_scale**2, 2 * self.output_exponent + 2 * self.weight_exponent)

    @property
    def scaled_residual_variance(self) -> Array:
        """Noise variance s² (m,) of outputs divided by ``2**output_exponent``; NaN where the fit is exact."""
        return np.where(self.noise_free, np.nan, self.residual_scale**2)

    def overall_f_test(self) -> FTest:
        """F test that all coefficients but the intercept are zero; Wald's where noise is not fitted by least squares."""
        df = self.information.rank - int(self.centred)
        if not self.likelihood.noise.sums_suffice:
            slopes = np.eye(self.information.size)[int(self.centred) :]
            return self.wald_test(slopes, np.zeros((len(slopes), 1)))
        return f_test(self.explained / self.scaled_residual_variance, df, self.residual_dof)

    def wald_test(self, restriction: Array, value: Array, covariance: Sandwich | None = None) -> FTest:
        """F test of ``restriction @ params = value``.

        Parameters
        ----------
        restriction : Array of shape (q, c + p)
        value : Array of shape (q, 1) or (q, m)
        covariance : Sandwich, default=None
            Of the parameters; the fit's own if None.
        """
        dof = self.residual_dof if covariance is None else float(np.min(covariance.dof))
        exponent = np.r_[np.zeros(int(self.centred), dtype=np.int64), self.information.exponent]
        scaled = scale(restriction, -exponent)
        gap = scale(restriction @ self.params - value, -self.output_exponent)
        nothing = np.full(gap.shape[1], np.nan)
        if outside_row_space(self.information, restriction).any():
            return FTest(nothing, len(restriction), dof, nothing, "the data do not determine it")
        if covariance is not None and covariance.sees_undefined(scaled).any():
            reason = "a row, or group, has a coefficient in it that it alone determines"
            return FTest(nothing, len(restriction), dof, nothing, reason)
        own = inverse_root(self.information)
        rank = independent_restrictions(own, scaled, gap)
        squares, repaired = nothing, False
        for k in np.flatnonzero(~self.noise_free):
            if covariance is None:
                squares[k] = wald_squares(own * self.residual_scale[k], scaled, gap[:, k], rank)
            else:
                root, negative = covariance.root[:, :, k], covariance.negative[:, :, k]
                squares[k], cut = wald_squares_of_difference(root, negative, scaled, gap[:, k], rank)
                repaired |= cut
        if covariance is not None and covariance.wald_dof is not None and rank:
            eta = covariance.wald_dof(row_space(scaled @ covariance.inverse, rank))
            dof = eta - rank + 1.0
            squares = squares * (dof / eta)
        reason = "there are too few groups for so many equations" if dof <= 0 < self.residual_dof else ""
        if np.isnan(squares[~self.noise_free]).any() and dof > 0:
            reason = "the covariance of the coefficients is not defined, or of lower rank than the hypothesis"
        note = "the covariance is not positive here; its positive part is taken" if repaired else ""
        return f_test(squares, rank, dof, reason, note)

    def covariance(self, k: int) -> Array:
        """Covariance matrix (c + p, c + p) of the parameters of output k."""
        unscaled = unscaled_covariance(self.information)
        return scale(unscaled * self.residual_scale[k] ** 2, 2 * int(self.output_exponent[k]))

    def of_output(self, values: Array) -> Any:
        """Return one number per output as the user gave y: a float, or an array (m,)."""
        return float(values[0]) if self.single_output else values

    def named(self, features: Sequence[str], outputs: Sequence[str]) -> LinearFit:
        """Return the fit with names for its columns and outputs."""
        return replace(self, features=tuple(features), outputs=tuple(outputs))

    def start_of(self, which: IntArray) -> Start:
        """Return where a solver for some outputs may begin."""
        whole = np.array_equal(which, np.arange(len(self.intercept)))
        return Start(self.coef[:, which], self.intercept[which], self.memory if whole else {})


def accurate_residuals(x: Array, y: Array, fit: LinearFit) -> Array:
    """Return y − Xβ − b (b, m), in twice the precision, of outputs divided by ``2**output_exponent``."""
    columns = scale(x, -fit.information.exponent)
    terms = scale(fit.scaled_coef, fit.information.exponent[:, None])
    constant = scale(fit.intercept, -fit.output_exponent)
    outputs = scale(y, -fit.output_exponent)
    a = np.hstack([outputs, np.ones((len(y), 1)), columns])
    return accurate_product(a, np.vstack([np.eye(y.shape[1]), -constant, -terms]))
