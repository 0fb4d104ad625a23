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

from mle_regression.diagnostics import criteria
from mle_regression.diagnostics.likelihood import new_log_density
from mle_regression.diagnostics.noise_factor import factor_of_array
from mle_regression.fitted.joint import JointFit
from mle_regression.fitted.linear import INTERCEPT, LinearFit
from mle_regression.fitted.nesting import total_squares, total_weight, unmatched_columns
from mle_regression.linalg.arrays import EPS, Array
from mle_regression.linalg.memory import MemoryNeededError
from mle_regression.linalg.scaling import column_norms
from mle_regression.linear import MLELinearRegressor
from mle_regression.noise.gaussian import GAUSSIAN
from mle_regression.reports.linear.hypotheses import HypothesisTest
from mle_regression.reports.linear.inference import named_fit
from mle_regression.scoring import log_likelihood_scorer, observations_of, unwrapped
from mle_regression.validation import checks
from mle_regression.validation.containers import as_numbers
from mle_regression.warnings import InferenceWarning, warn_user

# Sums over the same rows, taken in different orders and columns, agree to this.
_SAME_SUMS = 1e-8
# Residuals of this many units of rounding of y are none.
_EXACT_RESIDUAL_EPS = 4.0


def likelihood_ratio_test(restricted: Any, full: Any) -> HypothesisTest:
    """Likelihood-ratio test of a linear model against a larger one fitted to the same rows.

    2(ℓ_full − ℓ_restricted), χ² with as many degrees of freedom as the larger model has more parameters of the mean
    (Wilks, 1938). Exact in large samples only; `MLELinearRegressor.test_linear` has the F test, exact under Gaussian noise.

    Parameters
    ----------
    restricted, full : fitted MLELinearRegressor, or a Pipeline or search, nested in any way, of one
        The columns of the restricted model must be among those of the full one, in any order, units and names. They are
        recognised, and the rows with them, by their means and cross-products, which every fit keeps. The null model of the
        mean alone is a column of ones with ``fit_intercept=False``.

    Returns
    -------
    HypothesisTest
        With ``statistic``, ``df_num``, ``p_value``; ``df_denom`` is infinite, as it is for χ².

    Raises
    ------
    ValueError
        If the models are not nested, or swapped, were fitted to different rows or weights, or with a penalty.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from mle_regression import MLELinearRegressor, likelihood_ratio_test
    >>> X, y = load_diabetes(return_X_y=True, as_frame=True)
    >>> full = MLELinearRegressor().fit(X, y)
    >>> restricted = MLELinearRegressor().fit(X.drop(columns=["age", "s3"]), y)
    >>> print(likelihood_ratio_test(restricted, full))
    H0: the restricted model
    chi2(2) = 0.2548, p = 0.8804
    """
    (small, lower), (large, upper) = _linear_fit(restricted, "restricted"), _linear_fit(full, "full")
    _check_same_noise(small, large)
    _check_nested(small, large)
    df = (large.information.rank - small.information.rank) * small.params.shape[1]
    gain = upper - lower
    hypothesis = "the restricted model"
    if df == 0 or not np.isfinite(gain):
        reason = "both models have the same rank" if df == 0 else "the likelihood of a fit is infinite"
        warn_user(f"The likelihood-ratio test is NaN: {reason}.", InferenceWarning)
        return HypothesisTest(np.nan, float(df), np.inf, np.nan, hypothesis)
    statistic = max(2.0 * float(gain), 0.0)
    return HypothesisTest(statistic, float(df), np.inf, float(chi2.sf(statistic, df)), hypothesis)


def compare_models(
    models: Mapping[str, Any], X: Any, y: Any, *, cv: Any = 5, sample_weight: Any = None
) -> pd.DataFrame:
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
    sample_weight : array-like of shape (n_samples,), default=None
        For fits, scores and likelihoods, held out too: precisions, or frequencies to a model whose ``weight_type`` says so.
        All models must take weights; of a pipeline its last step.

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
    outputs = np.asarray(as_numbers(y, "y"), dtype=np.float64)
    if checks.warn_of_order(X, y=y, sample_weight=sample_weight):
        y = outputs  # once is enough
    weights = checks.check_weights(sample_weight, len(outputs))
    rows = {name: _in_sample(model, X, y, outputs, weights) for name, model in models.items()}
    if cv is not None:
        folds = list(check_cv(cv).split(X, y))
        for name, model in models.items():
            rows[name] |= _held_out(model, X, y, weights, folds)
    return pd.DataFrame.from_dict(rows, orient="index")


def _linear_fit(estimator: Any, role: str) -> tuple[LinearFit, float]:
    """Return the numbers of a fit that a likelihood-ratio test can use, and its log-likelihood."""
    model, _ = unwrapped(estimator)
    if not isinstance(model, MLELinearRegressor):
        raise TypeError(f"The {role} model is a {type(model).__name__}; this test compares fitted MLELinearRegressors.")
    fit = named_fit(model)
    if isinstance(fit, JointFit) or fit.penalised:
        raise ValueError(
            f"The {role} model is penalised (alpha > 0), and its likelihood not the largest: refit with alpha=0, or compare "
            "held-out log-likelihoods by compare_models."
        )
    return fit, fit.likelihood.log_likelihood


def _check_same_noise(small: LinearFit, large: LinearFit) -> None:
    """Raise unless both fits have one noise family, fitted by least squares, by which their columns are recognised."""
    ours, theirs = small.likelihood.noise, large.likelihood.noise
    if ours.name != theirs.name:
        raise ValueError(
            f"The models have different noise, {ours.title} and {theirs.title}: neither is the other with some parameters "
            "left out, so that the ratio of their likelihoods is not χ². Compare them by AIC, or by the log-likelihood of "
            "rows held out, compare_models."
        )
    if not ours.sums_suffice:
        raise ValueError(
            f"Whether models are nested is told from the normal equation, which does not hold under {ours.title}. Test "
            "coefficients by full.test_linear(...), or take 2 (full.log_likelihood_ - restricted.log_likelihood_) with "
            "scipy.stats.chi2."
        )


def _check_nested(small: LinearFit, large: LinearFit) -> None:
    """Raise unless the columns of ``small`` are among those of ``large``, on the same rows."""
    same_rows = (
        small.params.shape[1] == large.params.shape[1]
        and small.frequency == large.frequency
        and np.isclose(small.n, large.n, rtol=_SAME_SUMS)
        and np.isclose(total_weight(small), total_weight(large), rtol=_SAME_SUMS)
        and np.allclose(total_squares(small), total_squares(large), rtol=_SAME_SUMS)
    )
    if not same_rows:
        raise ValueError(
            "The models were fitted to different rows (their numbers, weights, or y differ), so that their likelihoods "
            "cannot be compared. Fit both to the same rows, without those that have missing values in either."
        )
    missing = unmatched_columns(small, large)
    if not missing:
        return
    swapped = not unmatched_columns(large, small)
    remedy = "They are swapped: call likelihood_ratio_test(restricted, full), the smaller model first."
    if missing == (INTERCEPT,):
        raise ValueError(
            "The models are not nested: the restricted one has an intercept, and the full one has none."
            + (f" {remedy}" if swapped else "")
        )
    if swapped:
        raise ValueError(f"The models are not nested: the full one has fewer columns than the restricted one. {remedy}")
    names = ", ".join(map(repr, missing[:5]))
    raise ValueError(
        f"The models are not nested on the same rows: column {names} of the restricted model is none of the full one. "
        "A hypothesis on combinations of columns is tested by full.test_linear(...)."
    )


def _in_sample(model: Any, X: Any, y: Any, outputs: Array, weights: Array | None) -> dict[str, float]:
    model = clone(model)
    start = time.perf_counter()
    _fit(model, X, y, weights)
    fit_time = time.perf_counter() - start
    mean = model.predict(X)
    last, _ = unwrapped(model)
    likelihood = _log_likelihood(model, X, outputs, mean, weights, _noise(outputs, mean, weights))
    size = _n_parameters(last)
    return {
        "fit_time": fit_time,
        "r2": r2_score(outputs, mean, sample_weight=weights),
        "rmse": root_mean_squared_error(outputs, mean, sample_weight=weights),
        "log_likelihood": likelihood,
        "aic": criteria.aic(likelihood, size),
        "bic": criteria.bic(likelihood, size, observations_of(last, len(outputs), weights)),
        "rank": _rank(last),
        "condition_number": _condition_number(last),
    }


def _held_out(model: Any, X: Any, y: Any, weights: Array | None, folds: list[Any]) -> dict[str, float]:
    r2, rmse, total = [], [], 0.0
    for train, test in folds:
        of_train, of_test = (None, None) if weights is None else (weights[train], weights[test])
        fold = _fit(clone(model), take_rows(X, train), take_rows(y, train), of_train)
        known, inner = np.asarray(take_rows(y, train), dtype=np.float64), take_rows(X, test)
        truth, mean = np.asarray(take_rows(y, test), dtype=np.float64), fold.predict(inner)
        noise = _noise(known, fold.predict(take_rows(X, train)), of_train)
        total += _log_likelihood(fold, inner, truth, mean, of_test, noise)
        r2.append(r2_score(truth, mean, sample_weight=of_test))
        rmse.append(root_mean_squared_error(truth, mean, sample_weight=of_test))
    return {"cv_r2": float(np.mean(r2)), "cv_rmse": float(np.mean(rmse)), "cv_log_likelihood": total}


def _fit(model: Any, X: Any, y: Any, weights: Array | None) -> Any:
    """Fit a model, with weights for the step that ends it."""
    return model.fit(X, y) if weights is None else model.fit(X, y, **{_name_of_weights(model): weights})


def _name_of_weights(model: Any) -> str:
    """Return the name by which ``fit`` hands weights to the model inside pipelines and searches."""
    if isinstance(model, Pipeline):
        return f"{model.steps[-1][0]}__{_name_of_weights(model.steps[-1][1])}"
    return _name_of_weights(model.estimator) if hasattr(model, "refit") else "sample_weight"


def _log_likelihood(
    model: Any, X: Any, y: Array, mean: Array, weights: Array | None, noise: tuple[Array, Array]
) -> float:
    last, _ = unwrapped(model)
    if hasattr(last, "log_likelihood"):
        return log_likelihood_scorer(model, X, y, weights) * observations_of(last, len(y), weights)
    covariance, root = noise
    outputs, means = y.reshape(len(y), -1), mean.reshape(len(y), -1)
    density = new_log_density(
        GAUSSIAN,
        outputs,
        means,
        covariance,
        weights,
        frequency=False,
        noise_free=np.diagonal(covariance) == 0,
        root=root,
    )
    return float(-np.inf if np.isneginf(density).any() else density.sum())


def _noise(y: Array, mean: Array, weights: Array | None) -> tuple[Array, Array]:
    """Covariance (m, m) of residuals and its triangular root, which is empty where it is singular."""
    root_weights = np.ones((len(y), 1)) if weights is None else np.sqrt(weights)[:, None]
    outputs, n = root_weights * y.reshape(len(y), -1), np.count_nonzero(root_weights)
    residuals = outputs - root_weights * mean.reshape(len(y), -1)
    found = factor_of_array(residuals, _EXACT_RESIDUAL_EPS * EPS * column_norms(outputs))
    return residuals.T @ residuals / n, found.root / np.sqrt(n)


def _n_parameters(model: Any) -> float:
    """Parameters that the criteria count, noise included; NaN where they are not defined."""
    if type(model) is LinearRegression:
        m = np.atleast_2d(model.coef_).shape[0]
        return float(_rank(model) * m + m * (m + 1) / 2)
    return float(getattr(model, "n_parameters_", np.nan))


def _condition_number(model: Any) -> float:
    """Return λmax/λmin of the Hessian, the largest of any output; NaN where there is none, or for lack of memory."""
    try:
        return float(np.max(getattr(model, "condition_number_", np.nan)))
    except MemoryNeededError:
        return float(np.nan)


def _rank(model: Any) -> float:
    """Rank with the intercept, which scikit-learn does not count."""
    if type(model) is LinearRegression:
        return float(getattr(model, "rank_", np.nan)) + bool(model.fit_intercept)
    return float(getattr(model, "rank_", np.nan))
