"""What a fitted network tells: the methods and attributes that `MLPGradientRegressor` has of its fit.

Each is a function of an estimator that has a network's fit, and stands in the class by its name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from mle_regression.fitted.network import KeptCurvature, NetworkFit, sum_of_logs
from mle_regression.fitted.network_on_rows import network_on_rows
from mle_regression.fitted.predictive_noise import is_unsure
from mle_regression.linalg.arrays import Array
from mle_regression.noise.registry import least_squares_families
from mle_regression.reports.digits import number
from mle_regression.reports.document import Document
from mle_regression.reports.network.diagnosis import NetworkDiagnosis
from mle_regression.reports.network.summary import network_summary
from mle_regression.rows.labels import shown
from mle_regression.validation import checks
from mle_regression.warnings import InferenceWarning, warn_user


class HasNetworkFit(Protocol):
    """An estimator that has been fitted."""

    _fit: NetworkFit
    curvature: str | None

    def _noise_share(self, sample_weight: Any, n_rows: int) -> float | Array: ...


def fit_of(self: HasNetworkFit) -> NetworkFit:
    """Return the fit of an estimator."""
    check_is_fitted(self)
    return self._fit


def diagnose(
    self: HasNetworkFit, X: Any, y: Any, sample_weight: Any = None, *, feature_names: Sequence[str] | None = None
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
        Eigenvalues of the Hessian with their error bounds, verdict, trace, log-determinant, spectral density, influence of
        the rows; each worked out when asked for.
    """
    fit, names = fit_of(self), checks.check_feature_names(self, feature_names)
    if not fit.likelihood.noise.sums_suffice:
        raise ValueError(
            f"The curvature of a network is defined for {least_squares_families()} as yet, and this one was fitted under "
            f"{fit.likelihood.noise.title}."
        )
    data = checks.new_rows(self, X, y, sample_weight, fit.sizes[-1])
    objective = fit.objective(data.x, data.y, data.weights)
    outputs = checks.output_labels(self) or shown(None, data.y.shape[1], "y")
    if fit.single_output:
        outputs = ("y",)
    labels = getattr(X, "index", None)
    return NetworkDiagnosis(
        network_on_rows(objective, data, fit.likelihood.frequency),
        names,
        outputs,
        fit.stability_limit,
        labels if isinstance(labels, pd.Index) else None,
    )


def log_predictive_density(
    self: HasNetworkFit, X: Any, y: Any, pointwise: bool = False, sample_weight: Any = None
) -> Any:
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
    fit = fit_of(self)
    rows = checks.new_rows(self, X, y, sample_weight, fit.likelihood.n_outputs)
    warn_of_noise(fit)
    share, weights = self._noise_share(sample_weight, rows.x.shape[0]), rows.weights
    whole = fit.log_predictive_density(rows.x, rows.y, share)
    if weights is not None:
        with np.errstate(invalid="ignore"):
            whole = np.where(weights > 0, whole * (weights if fit.likelihood.frequency else 1.0), 0.0)
    return whole if pointwise else float(sum_of_logs(whole))


def summary(self: HasNetworkFit) -> Document:
    """Report on the fit: the network, how it was trained, how likely it is, and what to be wary of.

    Returns
    -------
    Document
        Text when printed, HTML in a notebook.
    """
    fit = fit_of(self)
    return network_summary(fit, checks.output_names(self, fit.likelihood.n_outputs))


def hessian_eigenvalues_(self: HasNetworkFit) -> Array:
    """Eigenvalues of the Hessian of J in standard units, ascending: all, or some at each end."""
    return _kept_curvature(self).eigenvalues


def condition_number_(self: HasNetworkFit) -> float:
    """λmax/λmin of the Hessian; infinite where λmin is zero to its error bound, NaN where it is negative."""
    return _kept_curvature(self).condition_number


def verdict_(self: HasNetworkFit) -> str:
    """Where training ended: "minimum", "flat minimum", "saddle point", "not stationary" or "undetermined".

    "flat minimum": some eigenvalues are zero, and no lower loss was found close by. "saddle point": the loss has been
    seen to fall, along a negative eigenvalue or, where eigenvalues are zero, by derivatives of higher order.
    """
    return _kept_curvature(self).verdict


def _kept_curvature(self: HasNetworkFit) -> KeptCurvature:
    found = fit_of(self).curvature
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
    return found


def warn_of_noise(fit: NetworkFit) -> None:
    """Say so where the noise of new rows, which a fit without curvature has alone, is not known."""
    source = fit.predictive.source
    if fit.posterior is not None or not is_unsure(source):
        return
    warn_user(
        f"How far new rows lie from the mean is not known: {len(fit.theta):,} parameters were fitted to "
        f"{number(fit.likelihood.n)} observations, and the deviation told comes from them ({source}). For "
        "one to rely on, fit with early_stopping=True, give X_val and y_val, or let alpha='evidence' choose the penalty.",
        InferenceWarning,
    )
