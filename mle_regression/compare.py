"""Models side by side: fit, likelihood and criteria, in-sample and held out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from scipy.stats import chi2
from sklearn.base import clone
from sklearn.linear_model import LinearRegression
from sklearn.metrics import r2_score, root_mean_squared_error
from sklearn.model_selection import check_cv
from sklearn.pipeline import Pipeline
from sklearn.utils import _safe_indexing as take_rows
from sklearn.utils.validation import _num_samples as n_rows_of

from mle_regression import checks
from mle_regression.diagnostics import criteria
from mle_regression.diagnostics.fitted import FittedLinear
from mle_regression.diagnostics.likelihood import new_log_density
from mle_regression.diagnostics.nesting import total_squares, total_weight, unmatched_columns
from mle_regression.diagnostics.noise_factor import factor_of_array
from mle_regression.inference import LinearInference
from mle_regression.linalg.arrays import EPS, Array
from mle_regression.linalg.scaling import column_norms
from mle_regression.noise.gaussian import Gaussian
from mle_regression.reports.hypotheses import HypothesisTest
from mle_regression.warnings import InferenceWarning, warn_user

# Sums over the same rows, taken in different orders and columns, agree to this.
_SAME = 1e-8
# Residuals of this many units of rounding of y are none.
_ROUNDING = 4.0


def log_likelihood_scorer(estimator: Any, X: Any, y: Any, sample_weight: Any = None) -> float:
    """Mean log-likelihood of a row, for ``scoring=`` of GridSearchCV and cross_val_score.

    Parameters
    ----------
    estimator : fitted estimator with a ``log_likelihood`` method, or a Pipeline that ends in one
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    sample_weight : array-like of shape (n_samples,), default=None

    Returns
    -------
    float
        Log-likelihood divided by the number of rows; greater is better.

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
    model, inner = _last_step(estimator, X)
    if not hasattr(model, "log_likelihood"):
        raise TypeError(
            f"{type(model).__name__} has no log_likelihood method; score it with 'neg_mean_squared_error', or compare it "
            "by compare_models, which takes the noise variance of its training residuals."
        )
    return float(model.log_likelihood(inner, y, sample_weight=sample_weight)) / int(n_rows_of(X))


def likelihood_ratio_test(restricted: Any, full: Any) -> HypothesisTest:
    """Likelihood-ratio test of a linear model against a larger one fitted to the same rows.

    2(ℓ_full − ℓ_restricted), χ² with as many degrees of freedom as the larger model has more parameters of the mean
    (Wilks, 1938). Exact in large samples only; `MLELinearRegressor.test_linear` has the F test, exact under Gaussian noise.

    Parameters
    ----------
    restricted, full : fitted MLELinearRegressor, or a Pipeline that ends in one
        The columns of the restricted model must be among those of the full one, in any order and under any names. They are
        recognised, and the rows with them, by their means and cross-products, which every fit keeps.

    Returns
    -------
    HypothesisTest
        With ``statistic``, ``df_num``, ``p_value``; ``df_denom`` is infinite, as it is for χ².

    Raises
    ------
    ValueError
        If the models are not nested, were fitted to different rows or weights, or with a penalty.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLELinearRegressor, likelihood_ratio_test
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> full = MLELinearRegressor().fit(X, y)
    >>> restricted = MLELinearRegressor().fit(X.drop(columns=["age", "s3"]), y)
    >>> print(likelihood_ratio_test(restricted, full))
    H0: the restricted model
    chi2(2) = 0.25478, p = 0.8804
    """
    small, large = _linear_fit(restricted, "restricted"), _linear_fit(full, "full")
    _check_nested(small, large)
    df = (large.geometry.rank - small.geometry.rank) * small.params.shape[1]
    gain = _last_estimator(full).log_likelihood_ - _last_estimator(restricted).log_likelihood_
    hypothesis = "the restricted model"
    if df == 0 or not np.isfinite(gain):
        reason = "both models have the same rank" if df == 0 else "a fit is exact, so that its likelihood is infinite"
        warn_user(f"The likelihood-ratio test is NaN: {reason}.", InferenceWarning)
        return HypothesisTest(np.nan, float(df), np.inf, np.nan, hypothesis)
    statistic = max(2.0 * float(gain), 0.0)
    return HypothesisTest(statistic, float(df), np.inf, float(chi2.sf(statistic, df)), hypothesis)


def compare_models(models: Mapping[str, Any], X: Any, y: Any, *, cv: Any = 5) -> pd.DataFrame:
    """Fit models to the same rows and tabulate how well each does, in-sample and held out.

    The likelihood of a model without one of its own is that of Gaussian noise with the covariance of its training
    residuals, which is also what a maximum-likelihood fit has.

    Parameters
    ----------
    models : mapping of str to regressor
        Any scikit-learn regressors, pipelines included. They are cloned, never fitted themselves.
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
    y : array-like of shape (n_samples,) or (n_samples, n_outputs)
    cv : int, splitter, iterable or None, default=5
        As in `sklearn.model_selection.cross_validate`; None leaves the held-out columns out. An integer makes folds of
        consecutive rows: pass ``KFold(5, shuffle=True, random_state=0)`` where rows are in some order.

    Returns
    -------
    pandas.DataFrame
        One row a model, with columns ``fit_time`` (seconds), ``r2``, ``rmse``, ``log_likelihood``, ``aic``, ``bic``
        (NaN where the number of parameters is not defined), ``rank`` (intercept included), ``condition_number``, and
        held out ``cv_r2``, ``cv_rmse`` (means over the folds) and ``cv_log_likelihood`` (sum over all rows held out).

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from sklearn.linear_model import LinearRegression
    >>> from mle_regression import MLELinearRegressor, compare_models
    >>> X, y = load_diabetes(return_X_y=True)
    >>> table = compare_models({"ours": MLELinearRegressor(), "scikit-learn": LinearRegression()}, X, y)
    >>> table[["r2", "log_likelihood", "cv_log_likelihood"]].round(3)
                     r2  log_likelihood  cv_log_likelihood
    ours          0.518       -2385.993          -2396.496
    scikit-learn  0.518       -2385.993          -2396.496
    """
    if not models:
        raise ValueError("models is empty; pass at least one, such as {'linear': MLELinearRegressor()}.")
    X = X.tocsr() if sp.issparse(X) else X  # of the sparse formats, not all can be cut into folds
    outputs = np.asarray(y, dtype=np.float64)
    if checks.warn_of_order(X, y=y):
        y = outputs  # once is enough
    rows = {name: _in_sample(model, X, y, outputs) for name, model in models.items()}
    if cv is not None:
        folds = list(check_cv(cv).split(X, y))
        for name, model in models.items():
            rows[name] |= _held_out(model, X, y, folds)
    return pd.DataFrame.from_dict(rows, orient="index")


def _linear_fit(estimator: Any, role: str) -> FittedLinear:
    """Return the numbers of a fit that a likelihood-ratio test can use."""
    model = _last_estimator(estimator)
    if not isinstance(model, LinearInference):
        raise TypeError(f"The {role} model is a {type(model).__name__}; this test compares fitted MLELinearRegressors.")
    fit = model.fit_numbers()
    if fit.penalised:
        raise ValueError(
            f"The {role} model is penalised (alpha > 0), and its likelihood not the largest: refit with alpha=0, or compare "
            "held-out log-likelihoods by compare_models."
        )
    return fit


def _last_estimator(estimator: Any) -> Any:
    return estimator[-1] if isinstance(estimator, Pipeline) else estimator


def _check_nested(small: FittedLinear, large: FittedLinear) -> None:
    """Raise unless the columns of ``small`` are among those of ``large``, on the same rows."""
    same_rows = (
        small.params.shape[1] == large.params.shape[1]
        and small.frequency == large.frequency
        and np.isclose(small.n, large.n, rtol=_SAME)
        and np.isclose(total_weight(small), total_weight(large), rtol=_SAME)
        and np.allclose(total_squares(small), total_squares(large), rtol=_SAME)
    )
    if not same_rows:
        raise ValueError(
            "The models were fitted to different rows (their numbers, weights, or y differ), so that their likelihoods "
            "cannot be compared. Fit both to the same rows, without those that have missing values in either."
        )
    if small.centred and not large.centred:
        raise ValueError("The models are not nested: the restricted one has an intercept, and the full one has none.")
    missing = unmatched_columns(small, large)
    if missing.size:
        names = ", ".join(repr(small.features[j]) for j in missing[:5])
        raise ValueError(
            f"The models are not nested on the same rows: column {names} of the restricted model is none of the full one. "
            "A hypothesis on combinations of columns is tested by full.test_linear(...)."
        )


def _in_sample(model: Any, X: Any, y: Any, outputs: Array) -> dict[str, float]:
    model = clone(model)
    start = time.perf_counter()
    model.fit(X, y)
    fit_time = time.perf_counter() - start
    mean = model.predict(X)
    last, _ = _last_step(model, None)
    likelihood = _log_likelihood(model, X, outputs, mean, _noise(outputs, mean))
    size = _n_parameters(last)
    return {
        "fit_time": fit_time,
        "r2": r2_score(outputs, mean),
        "rmse": root_mean_squared_error(outputs, mean),
        "log_likelihood": likelihood,
        "aic": criteria.aic(likelihood, size),
        "bic": criteria.bic(likelihood, size, len(outputs)),
        "rank": _rank(last),
        "condition_number": getattr(last, "condition_number_", np.nan),
    }


def _held_out(model: Any, X: Any, y: Any, folds: list[Any]) -> dict[str, float]:
    r2, rmse, total = [], [], 0.0
    for train, test in folds:
        fold = clone(model).fit(take_rows(X, train), take_rows(y, train))
        known, inner = np.asarray(take_rows(y, train), dtype=np.float64), take_rows(X, test)
        truth, mean = np.asarray(take_rows(y, test), dtype=np.float64), fold.predict(inner)
        noise = _noise(known, fold.predict(take_rows(X, train)))
        total += _log_likelihood(fold, inner, truth, mean, noise)
        r2.append(r2_score(truth, mean))
        rmse.append(root_mean_squared_error(truth, mean))
    return {"cv_r2": float(np.mean(r2)), "cv_rmse": float(np.mean(rmse)), "cv_log_likelihood": total}


def _last_step(estimator: Any, X: Any) -> tuple[Any, Any]:
    """Return the model at the end of a pipeline, and X as it reaches it."""
    if not isinstance(estimator, Pipeline):
        return estimator, X
    inner = X if X is None or len(estimator) == 1 else estimator[:-1].transform(X)
    return _last_step(estimator[-1], inner)


def _log_likelihood(model: Any, X: Any, y: Array, mean: Array, noise: tuple[Array, Array]) -> float:
    last, _ = _last_step(model, None)
    if hasattr(last, "log_likelihood"):
        return float(log_likelihood_scorer(model, X, y) * len(y))
    covariance, root = noise
    outputs, means = y.reshape(len(y), -1), mean.reshape(len(y), -1)
    density = new_log_density(
        Gaussian(),
        outputs,
        means,
        covariance,
        None,
        frequency=False,
        noise_free=np.diagonal(covariance) == 0,
        root=root,
    )
    return float(-np.inf if np.isneginf(density).any() else density.sum())


def _noise(y: Array, mean: Array) -> tuple[Array, Array]:
    """Covariance (m, m) of residuals and its triangular root, which is empty where it is singular."""
    outputs, n = y.reshape(len(y), -1), len(y)
    residuals = outputs - mean.reshape(n, -1)
    found = factor_of_array(residuals, _ROUNDING * EPS * column_norms(outputs))
    return residuals.T @ residuals / n, found.root / np.sqrt(n)


def _n_parameters(model: Any) -> float:
    """Parameters that the criteria count, noise included; NaN where they are not defined."""
    if type(model) is LinearRegression:
        m = np.atleast_2d(model.coef_).shape[0]
        return float(_rank(model) * m + m * (m + 1) / 2)
    return float(getattr(model, "n_parameters_", np.nan))


def _rank(model: Any) -> float:
    """Rank with the intercept, which scikit-learn does not count."""
    if type(model) is LinearRegression:
        return float(getattr(model, "rank_", np.nan)) + bool(model.fit_intercept)
    return float(getattr(model, "rank_", np.nan))
