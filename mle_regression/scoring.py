"""Held-out log-likelihood as a scorer of scikit-learn, and the model inside of what it is given."""

from __future__ import annotations

from copy import deepcopy
from typing import Any, Self

from sklearn.pipeline import Pipeline
from sklearn.utils.metadata_routing import MetadataRequest
from sklearn.utils.validation import _num_samples as n_rows_of

from mle_regression.linalg.arrays import Array
from mle_regression.rows.observations import n_observations
from mle_regression.validation import checks


def unwrapped(estimator: Any, X: Any = None) -> tuple[Any, Any]:
    """Return the model inside pipelines and searches, nested in any way, and X, if there is one, as it reaches it.

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> from mle_regression import MLELinearRegressor
    >>> unwrapped(make_pipeline(StandardScaler(), MLELinearRegressor()))[0]
    MLELinearRegressor()
    """
    if isinstance(estimator, Pipeline):
        inner = X if X is None or len(estimator) == 1 else estimator[:-1].transform(X)
        return unwrapped(estimator[-1], inner)
    if hasattr(estimator, "best_estimator_"):
        return unwrapped(estimator.best_estimator_, X)
    if hasattr(estimator, "__sklearn_is_fitted__") and type(estimator).__name__ == "FrozenEstimator":
        return unwrapped(estimator.estimator, X)
    return estimator, X


def observations_of(model: Any, n_rows: int, weights: Array | None) -> float:
    """Return how many observations rows are: those of weight, or the sum of weights that are frequencies to the model."""
    return n_observations(weights, n_rows, frequency=getattr(model, "weight_type", "precision") == "frequency")


class LogLikelihoodScorer:
    """Mean log-likelihood of an observation, for ``scoring=`` of GridSearchCV and cross_val_score.

    ``log_likelihood_scorer`` is one; it is called with a fitted estimator and rows, as scikit-learn's scorers are.

    Parameters of the call
    ----------------------
    estimator : fitted estimator with a ``log_likelihood`` method, or a Pipeline or search, nested in any way, of one
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), default=None
        Of the estimator's ``weight_type``. With metadata routing, ``set_score_request(sample_weight=True)`` asks for it.

    The call returns the log-likelihood divided by the number of observations, rows of weight above zero or, where weights are
    frequencies, their sum; greater is better.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.model_selection import cross_val_score
    >>> from mle_regression import MLELinearRegressor, log_likelihood_scorer
    >>> X, y = load_diabetes(return_X_y=True)
    >>> scores = cross_val_score(MLELinearRegressor(), X, y, scoring=log_likelihood_scorer)
    >>> [round(float(score), 2) for score in scores]
    [-5.38, -5.43, -5.47, -5.42, -5.41]
    """

    def __init__(self) -> None:
        self._request = MetadataRequest(owner="log_likelihood_scorer")
        self._request.score.add_request(param="sample_weight", alias=None)

    def __call__(self, estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
        """Score a fitted estimator."""
        model, inner = unwrapped(estimator, X)
        if not hasattr(model, "log_likelihood"):
            raise TypeError(
                f"{type(model).__name__} has no log_likelihood method; score it with 'neg_mean_squared_error', or compare "
                "it by compare_models, which takes the noise variance of its training residuals."
            )
        weights = checks.check_weights(sample_weight, n_rows_of(X))
        total = float(model.log_likelihood(inner, y, sample_weight=sample_weight))
        return total / observations_of(model, n_rows_of(X), weights)

    def set_score_request(self, *, sample_weight: bool | str | None) -> Self:
        """Return a scorer that asks for weights under metadata routing; this one is left as it is.

        Parameters
        ----------
        sample_weight : bool, str or None
            As in scikit-learn: True asks for them, a name under that name, False does without, None refuses any.
        """
        other = deepcopy(self)
        other._request.score.add_request(param="sample_weight", alias=sample_weight)
        return other

    def get_metadata_routing(self) -> MetadataRequest:
        """Return what this scorer asks for."""
        return deepcopy(self._request)

    def __repr__(self) -> str:
        alias = self._request.score.requests["sample_weight"]
        return "log_likelihood_scorer" + ("" if alias is None else f".set_score_request(sample_weight={alias!r})")


log_likelihood_scorer = LogLikelihoodScorer()
