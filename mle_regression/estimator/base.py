"""What both estimators share: predictions with their uncertainty, and the likelihood of new data."""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, Literal

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils.validation import check_is_fitted

from mle_regression.estimator.callbacks import CallbackSupport
from mle_regression.estimator.storage import from_stored, to_stored
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.likelihood import OnTheWay
from mle_regression.fitted.linear import LinearFit
from mle_regression.fitted.network import NetworkFit
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import exponents, scale
from mle_regression.reports.linear.dependencies import describe_singular_noise
from mle_regression.validation import checks
from mle_regression.warnings import NoiseFreeWarning, warn_user


class LikelihoodRegressor(CallbackSupport, MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base of estimators that fit a mean and the noise round it by maximum likelihood.

    A subclass keeps its ``_fit``, which has a `Likelihood`, and offers ``_mean(x)``, of the shape of y, and
    ``_deviation(x, noise_share)``, the standard deviation of a prediction with so much of the noise variance added, a number
    or one a row.
    """

    _fit: LinearFit | JointFit | NetworkFit | OnTheWay

    @abstractmethod
    def _mean(self, x: Any) -> Array:
        """Return the mean."""

    def _terms(self, x: Any) -> Array | None:
        """Return sums (n, m) of the sizes of the terms that means are made of; None where that is not known."""
        return None

    @abstractmethod
    def _deviation(self, x: Any, noise_share: float | Array) -> Array:
        """Return the standard deviation of a prediction."""

    def __getstate__(self) -> dict[str, Any]:
        return to_stored(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(from_stored(state, type(self)))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def predict(self, X: Any, return_std: bool = False, sample_weight: Any = None) -> Any:
        """Predict the mean and, on request, the standard deviation of a new observation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return also the standard deviation of an observation: noise, and the uncertainty of the fitted
            parameters. For a linear model ``s · √(1/w + x(XᵀWX + αI₀)⁻¹x)`` with the unbiased s². For a network the latter is
            known after a fit with ``curvature=`` or ``alpha="evidence"`` that ended at an optimum, and refused where it did
            not. Without either the deviation is one for all rows: of rows held out, or else of training rows left out in
            turn, by the network linearised, where that costs little beside the training; `summary` says which. Where
            parameters are about as many as rows the latter may be far too low, and an InferenceWarning says so.

        sample_weight : array-like of shape (n_samples,), default=None
            Weights w of the new observations, one each if None, of the fitted ``weight_type``: an observation of precision w
            has noise variance σ²/w, infinite if w = 0; a frequency says how often it occurs, and leaves its variance alone.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of float32 if X is.
        std : ndarray of the same shape
            Only with ``return_std``. NaN where the training data do not determine it.
        """
        check_is_fitted(self)
        x = checks.new_data(self, X)
        mean = self._mean(x)
        checks.warn_of_order(X, sample_weight=sample_weight)
        share = self._noise_share(sample_weight, len(mean))
        if not return_std:
            return _as_precise(mean, x)
        return _as_precise(mean, x), _as_precise(self._deviation(x, share), x)

    def score(self, X: Any, y: Any, sample_weight: Any = None) -> float:
        """R² of the predicted mean, the average over outputs.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        float
        """
        check_is_fitted(self)
        rows = checks.new_rows(self, X, y, sample_weight, self._fit.likelihood.n_outputs)
        mean = self._mean(rows.x)
        size = -exponents(np.abs(rows.y).max(axis=0, initial=0.0))  # in units of its own no square overflows
        outputs, mean = scale(rows.y, size), scale(mean.reshape(rows.y.shape), size)
        return float(r2_score(outputs, mean, sample_weight=rows.weights))

    def predict_interval(
        self,
        X: Any,
        coverage: float = 0.95,
        kind: Literal["observation", "mean"] = "observation",
        sample_weight: Any = None,
    ) -> tuple[Array, Array]:
        """Interval for a new observation or for the mean.

        Under Gaussian noise by Student's t with the residual degrees of freedom. Under another family an observation lies
        between the family's own quantiles, and the mean is normal about its estimate: the distance from the median to each
        end is the root of the sum of the squares of both distances.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        coverage : float, default=0.95
            Probability with which the interval covers, between 0 and 1.
        kind : {"observation", "mean"}, default="observation"
            Whether the noise of an observation is included.
        sample_weight : array-like of shape (n_samples,), default=None
            As in `predict`. The interval for the mean does not depend on it.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            NaN where the training data do not determine them.
        """
        check_is_fitted(self)
        checks.check_choice("kind", kind, ("observation", "mean"))
        checks.check_probability("coverage", coverage)
        x = checks.new_data(self, X)
        noise = self._fit.likelihood.noise
        if kind == "observation" and not noise.sums_suffice:
            return self._interval_of_noise(x, coverage, self._noise_share(sample_weight, x.shape[0]))
        dof = np.asarray(self._fit.likelihood.residual_dof)
        quantile = student_t.ppf(0.5 + coverage / 2, np.where(dof > 0, dof, np.nan))
        checks.warn_of_order(X, sample_weight=sample_weight)
        share = self._noise_share(sample_weight, x.shape[0])
        half = quantile * self._deviation(x, share if kind == "observation" else 0.0)
        mean = self._mean(x)
        return mean - half, mean + half

    def _interval_of_noise(self, x: Any, coverage: float, share: float | Array) -> tuple[Array, Array]:
        """Return where an observation lies between quantiles of a noise family, the uncertainty of the mean added."""
        mean = self._mean(x)
        low, median, high = self._fit.likelihood.noise.quantile(np.array([0.5 - coverage / 2, 0.5, 0.5 + coverage / 2]))
        spread = np.sqrt(np.reshape(share, (-1, 1))) * self._noise_scale()
        spread = np.broadcast_to(spread, (len(mean), spread.shape[1])).reshape(mean.shape)
        unsure = norm.ppf(0.5 + coverage / 2) * self._mean_deviation(x)
        middle = mean + spread * median
        return middle - np.hypot(spread * (median - low), unsure), middle + np.hypot(spread * (high - median), unsure)

    def _noise_scale(self) -> Array:
        """Return the scale (m,) of the noise of an observation of weight one, in the units of y."""
        return self._fit.likelihood.scale_of_y

    def _mean_deviation(self, x: Any) -> Array:
        """Return the standard deviation of the fitted mean, as far as it is known, of the shape of y."""
        return self._deviation(x, 0.0)

    def _noise_share(self, sample_weight: Any, n_rows: int) -> float | Array:
        """Return the noise variance of new observations in units of that of one of weight one."""
        weights = checks.check_weights(sample_weight, n_rows, none=True)
        if weights is None or self._fit.likelihood.frequency:
            return 1.0
        with np.errstate(divide="ignore"):
            return np.asarray(1.0 / weights)

    def log_likelihood(self, X: Any, y: Any, sample_weight: Any = None, pointwise: bool = False) -> Any:
        """Log-likelihood of rows, new or old, at the fitted parameters and the fitted noise variance σ̂².

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the fitted ``weight_type``.
        pointwise : bool, default=False
            Whether to return one value a row instead of their sum.

        Returns
        -------
        float or ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        likelihood = self._fit.likelihood
        rows = checks.new_rows(self, X, y, sample_weight, likelihood.n_outputs)
        mean = self._mean(rows.x).reshape(rows.y.shape)
        terms = self._terms(rows.x) if likelihood.noise_free.any() else None
        if likelihood.singular is not None:
            warn_user(
                describe_singular_noise(likelihood.singular, checks.output_names(self, likelihood.n_outputs)),
                NoiseFreeWarning,
            )
        density = likelihood.log_density(rows.y, mean, rows.weights, terms)
        if pointwise:
            return density
        # One impossible row makes the data impossible, whatever infinite densities the others have.
        return float(-np.inf if np.isneginf(density).any() else density.sum())

    def _assign_shared(self) -> None:
        """Take the attributes that both estimators have from the fit."""
        fit = self._fit
        assert not isinstance(fit, OnTheWay)
        covariance = fit.likelihood.covariance_of_y
        variance = covariance.diagonal().copy()
        self.noise_variance_ = float(variance[0]) if fit.single_output else variance
        self.__dict__.pop("noise_covariance_", None)
        if not fit.single_output:
            self.noise_covariance_ = covariance
        self.log_likelihood_, self.n_parameters_ = fit.likelihood.log_likelihood, fit.likelihood.n_parameters
        self.__dict__.update(fit.likelihood.criteria)
        self.converged_, self.n_iter_ = fit.optimum.converged, fit.optimum.n_iter
        self.loss_curve_, self.gradient_norm_ = list(fit.optimum.loss_curve), fit.optimum.gradient_norm
        self.gradient_curve_, self.stop_reason_ = list(fit.optimum.gradient_curve), fit.optimum.stop_reason
        self.solver_, self.solver_reason_ = fit.optimum.solver, fit.optimum.solver_reason


def _as_precise(values: Array, x: Any) -> Any:
    """Return predictions in single precision where the rows are, and the numbers within its range."""
    if x.dtype != np.float32:
        return values
    with np.errstate(over="ignore"):
        single = values.astype(np.float32)
    return values if (np.isinf(single) & ~np.isinf(values)).any() else single
