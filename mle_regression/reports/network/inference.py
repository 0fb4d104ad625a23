"""What a fitted network tells: how surely it predicts, where its training ended, and a summary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import logsumexp
from sklearn.utils.validation import check_is_fitted

from mle_regression.fit.predictive_noise import is_unsure
from mle_regression.fitted.network import FittedNetwork
from mle_regression.fitted.network_on_rows import network_on_rows
from mle_regression.linalg.arrays import Array
from mle_regression.reports.document import Document, number
from mle_regression.reports.network.diagnosis import NetworkDiagnosis
from mle_regression.reports.network.summary import network_summary
from mle_regression.rows.labels import shown
from mle_regression.validation import checks
from mle_regression.warnings import InferenceWarning, warn_user


class NetworkInference:
    """What an estimator with a network for its mean knows once it is fitted; ``_state`` may hold several networks."""

    _state: dict[str, Any]

    if TYPE_CHECKING:

        def _noise_share(self, sample_weight: Any, n_rows: int) -> float | Array: ...

    def diagnose(
        self, X: Any, y: Any, sample_weight: Any = None, *, feature_names: Sequence[str] | None = None
    ) -> NetworkDiagnosis:
        """Look at the place where training ended through rows, those it was trained on as a rule.

        Of rows that were held out, or others, the objective is another, and its gradient does not vanish there.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            As in ``fit``.
        feature_names : sequence of str, default=None
            Names for columns that had none when they were fitted.

        Returns
        -------
        NetworkDiagnosis
            Eigenvalues of the Hessian with their error bounds, verdict, trace, log-determinant, spectral density; each worked
            out when asked for.
        """
        check_is_fitted(self)
        names = checks.check_feature_names(self, feature_names)
        fitted = FittedNetwork(self._state)
        data = checks.new_rows(self, X, y, sample_weight, fitted.network.sizes[-1])
        objective = fitted.objective(data.x, data.y, data.weights)
        outputs = checks.output_labels(self) or shown(None, data.y.shape[1], "y")
        if self._state["single_output"]:
            outputs = ("y",)
        return NetworkDiagnosis(network_on_rows(objective, data), names, outputs, float(self._state["edge"]))

    def log_predictive_density(self, X: Any, y: Any, pointwise: bool = False, sample_weight: Any = None) -> Any:
        """Log density of new rows with the parameters' uncertainty: a Gaussian, or the mixture of an ensemble's.

        Where the parameters' uncertainty is not known (see ``curvature``), with the deviation that `predict` tells. Outputs
        are taken as independent given the inputs. Compare models by this on rows that they were not fitted on.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        pointwise : bool, default=False
            Whether to return one value a row instead of their sum.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the fitted ``weight_type``, as in `log_likelihood`; rows of weight zero contribute nothing.

        Returns
        -------
        float or ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        rows = checks.new_rows(self, X, y, sample_weight, len(self._state["noise_covariance"]))
        x, outputs, weights = rows.x, rows.y, rows.weights
        self._warn_of_noise()
        share = self._noise_share(sample_weight, x.shape[0])
        each, unit = [], self._state["output_unit"]
        for network in self._networks:
            mean, variance = network.moments(x, share)
            each.append(_log_density(outputs / unit - mean / unit, variance))
        whole = logsumexp(each, axis=0) - np.log(len(each)) - float(np.log(unit).sum())
        if weights is not None:
            with np.errstate(invalid="ignore"):
                whole = np.where(weights > 0, whole * (weights if self._state["frequency"] else 1.0), 0.0)
        return whole if pointwise else float(_sum_of_logs(whole))

    def summary(self) -> Document:
        """Report on the fit: the network, how it was trained, how likely it is, and what to be wary of.

        Returns
        -------
        Document
            Text when printed, HTML in a notebook.
        """
        check_is_fitted(self)
        return network_summary(vars(self), self._state)

    @property
    def hessian_eigenvalues_(self) -> Array:
        """Eigenvalues of the Hessian of J in standard units, ascending: all, or some at each end."""
        return np.asarray(self._from_curvature("eigenvalues"))

    @property
    def condition_number_(self) -> float:
        """λmax/λmin of the Hessian; infinite where λmin is zero to its error bound, NaN where it is negative."""
        return float(self._from_curvature("condition_number"))

    @property
    def verdict_(self) -> str:
        """Where training ended: "minimum", "flat minimum", "saddle point", "not stationary" or "undetermined".

        "flat minimum": some eigenvalues are zero, and no lower loss was found close by. "saddle point": the loss has been
        seen to fall, along a negative eigenvalue or, where eigenvalues are zero, by derivatives of higher order.
        """
        return str(self._from_curvature("verdict"))

    def _from_curvature(self, name: str) -> Any:
        check_is_fitted(self)
        found = self._state["curvature"]
        if found is None and getattr(self, "curvature", None) is not None:
            raise AttributeError(
                "The curvature of this network has not been worked out: fit does so with curvature=, partial_fit does not. "
                "Call fit, or diagnose(X, y).curvature()."
            )
        if found is None:
            raise AttributeError(
                "The curvature of this network has not been worked out: fit with curvature='full' or 'extremes', or call "
                "diagnose(X, y).curvature()."
            )
        return found[name]

    @property
    def _networks(self) -> list[FittedNetwork]:
        """Networks that predictions are averaged over."""
        return [FittedNetwork(state) for state in self._state.get("members") or (self._state,)]

    def _mean(self, x: Any) -> Array:
        return self._shaped(np.mean([network.mean(x) for network in self._networks], axis=0))

    def _deviation(self, x: Any, noise_share: float | Array) -> Array:
        self._warn_of_noise()
        means, variances = zip(*(network.moments(x, noise_share) for network in self._networks), strict=True)
        unit = self._state["output_unit"]
        apart = np.var([mean / unit for mean in means], axis=0)
        return self._shaped(np.sqrt(np.mean(variances, axis=0) + apart) * unit)

    def _warn_of_noise(self) -> None:
        """Say so where the noise of new rows, which a fit without curvature has alone, is not known."""
        state = self._state
        if state["posterior"] is not None or not is_unsure(state.get("predictive_source", "")):
            return
        warn_user(
            f"How far new rows lie from the mean is not known: {len(state['theta']):,} parameters were fitted to "
            f"{number(state['n'])} observations, and the deviation told comes from them ({state['predictive_source']}). For "
            "one to rely on, fit with early_stopping=True, give X_val and y_val, or let alpha='evidence' choose the penalty.",
            InferenceWarning,
        )

    def _shaped(self, outputs: Array) -> Array:
        return np.asarray(outputs[:, 0] if self._state["single_output"] else outputs)


def _log_density(gap: Array, variance: Array) -> Array:
    """Log density (n,) of gaps (n, m) of independent normal outputs; of no variance, infinite on the mean, zero off it."""
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        density = -0.5 * (np.log(2.0 * np.pi * variance) + gap**2 / variance)
    certain = np.where(gap == 0, np.inf, -np.inf)
    return _sum_of_logs(np.where(variance > 0, density, certain))


def _sum_of_logs(values: Array) -> Array:
    """Sum logs over the last axis; what is impossible in one part is impossible, however certain the others are."""
    with np.errstate(invalid="ignore"):
        return np.where((values == -np.inf).any(axis=-1), -np.inf, values.sum(axis=-1))
