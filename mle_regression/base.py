"""What both estimators share: predictions with their uncertainty, and the likelihood of new data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import numpy as np
from scipy.stats import t as student_t
from sklearn.base import BaseEstimator, MultiOutputMixin, RegressorMixin
from sklearn.utils.validation import check_is_fitted

from mle_regression import checks
from mle_regression.diagnostics.likelihood import new_log_density
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import scale
from mle_regression.noise.registry import find_noise
from mle_regression.storage import from_stored, to_stored
from mle_regression.warnings import NoiseFreeWarning, warn_user


class LikelihoodRegressor(MultiOutputMixin, RegressorMixin, BaseEstimator):
    """Base of estimators that fit a mean and the noise round it by maximum likelihood.

    A subclass offers ``_mean(x)``, of the shape of y, and ``_deviation(x, noise_share)``, the standard deviation of a
    prediction with so much of the noise variance added; and the fitted ``_state``, a dict with at least ``noise``,
    ``noise_covariance`` and its triangular root ``noise_root``, ``residual_dof``, ``frequency``, ``noise_free``, and
    ``singular``, why the likelihood of all outputs together has no finite maximum.
    """

    _state: dict[str, Any]
    # What this version reads of a stored fit.
    _kept: ClassVar[Mapping[str, frozenset[str]]] = {}

    def _mean(self, x: Any) -> Array:
        raise AttributeError("a subclass predicts the mean")

    def _deviation(self, x: Any, noise_share: float) -> Array:
        raise AttributeError("a subclass knows the uncertainty of its mean")

    def __getstate__(self) -> dict[str, Any]:
        return to_stored(super().__getstate__())

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(from_stored(state, type(self), self._kept))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags

    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the mean and, on request, the standard deviation of a new observation.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return also the standard deviation of an observation of weight one: noise, and the uncertainty of
            the fitted parameters. For a linear model ``s · √(1 + x(XᵀWX + αI₀)⁻¹x)`` with the unbiased s². For a network the
            latter is known after a fit with ``curvature=`` or ``alpha="evidence"`` that ended at an optimum; without
            either it is the noise alone, and elsewhere it is refused.

        Returns
        -------
        mean : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        std : ndarray of the same shape
            Only with ``return_std``. NaN where the training data do not determine it.
        """
        check_is_fitted(self)
        x = checks.new_data(self, X)
        mean = self._mean(x)
        return (mean, self._deviation(x, 1.0)) if return_std else mean

    def predict_interval(
        self, X: Any, coverage: float = 0.95, kind: Literal["observation", "mean"] = "observation"
    ) -> tuple[Array, Array]:
        """Interval for a new observation or for the mean, by Student's t with the residual degrees of freedom.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        coverage : float, default=0.95
            Probability with which the interval covers, between 0 and 1.
        kind : {"observation", "mean"}, default="observation"
            Whether the noise of an observation of weight one is included.

        Returns
        -------
        lower, upper : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            NaN where the training data do not determine them.
        """
        check_is_fitted(self)
        checks.check_choice("kind", kind, ("observation", "mean"))
        checks.check_probability("coverage", coverage)
        x = checks.new_data(self, X)
        dof = self._state["residual_dof"]
        quantile = student_t.ppf(0.5 + coverage / 2, dof) if dof > 0 else np.nan
        half = quantile * self._deviation(x, float(kind == "observation"))
        mean = self._mean(x)
        return mean - half, mean + half

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
        x, state = checks.new_data(self, X), self._state
        m = len(state["noise_covariance"])
        mean = self._mean(x)
        outputs = checks.new_outputs(y, len(mean), m)
        # The noise is kept in units of its own, where its squares neither overflow nor vanish.
        unit, exponent = state.get("output_unit", np.ones(m)), state.get("noise_exponent", np.zeros(m, dtype=np.int64))
        weights = checks.check_weights(sample_weight, len(mean))
        density = new_log_density(
            find_noise(state["noise"]),
            scale(outputs / unit, -exponent),
            scale(mean.reshape(outputs.shape) / unit, -exponent),
            scale(state["noise_covariance"], -(exponent[:, None] + exponent)),
            weights,
            frequency=state["frequency"],
            noise_free=state["noise_free"],
            root=state.get("noise_root"),
        )
        if state.get("singular"):
            warn_user(state["singular"], NoiseFreeWarning)
        counted = 1.0 if weights is None else weights if state["frequency"] else weights > 0
        log_unit = float(np.log(unit).sum()) + float(np.log(2.0) * exponent.sum())
        density = density - log_unit * counted
        if pointwise:
            return density
        # One impossible row makes the data impossible, whatever infinite densities the others have.
        return float(-np.inf if np.isneginf(density).any() else density.sum())
