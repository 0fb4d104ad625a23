"""What a picture is of: the model inside pipelines and searches, the rows as they reach it, columns and outputs by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted, validate_data

from mle_regression.estimator.base import LikelihoodRegressor
from mle_regression.linalg.arrays import Array
from mle_regression.linalg.scaling import exponents, scale
from mle_regression.rows.labels import labels_of, shown
from mle_regression.scoring import unwrapped
from mle_regression.validation import checks
from mle_regression.validation.containers import as_numbers


@dataclass(frozen=True, slots=True)
class Subject:
    """A fitted estimator as a picture needs it.

    Attributes
    ----------
    estimator : object
        As given; it takes ``X`` as given.
    model : object
        The last step inside of pipelines and searches.
    x : array, sparse matrix or DataFrame, or None
        X as it reaches the model.
    """

    estimator: Any
    model: Any
    x: Any

    @property
    def likelihood(self) -> bool:
        """Whether the model is one of this package, fitted by maximum likelihood."""
        return isinstance(self.model, LikelihoodRegressor)

    @property
    def fit(self) -> Any:
        """What a model of this package has fitted."""
        return self.model._fit

    @property
    def frequency(self) -> bool:
        """Whether the model takes a weight for the number of times that a row is there."""
        return getattr(self.model, "weight_type", "precision") == "frequency"


def subject_of(estimator: Any, X: Any = None) -> Subject:
    """Return what a picture of a fitted estimator is of; X, if given, goes through the steps of a pipeline.

    Raises
    ------
    sklearn.exceptions.NotFittedError
        If the estimator, or a step of it, has not been fitted.
    """
    check_is_fitted(estimator)
    model, inner = unwrapped(estimator, X)
    check_is_fitted(model)
    return Subject(estimator, model, inner)


def checked_rows(subject: Subject) -> Any:
    """Return the rows that reach the model as numbers (n, p), dense or sparse; raise where they are not those it takes."""
    if subject.likelihood:
        return checks.new_data(subject.model, subject.x)
    return validate_data(subject.model, X=subject.x, reset=False, accept_sparse=True, dtype=np.float64)


def column_names(subject: Subject) -> list[str]:
    """Names of the model's columns: its own, else those that the steps before it give, else x0, x1 and so on."""
    model = subject.model
    if getattr(model, "_labels", {}).get("X") is None and not hasattr(model, "feature_names_in_"):
        found = _names_of_steps(subject.estimator)
        if found is not None and len(found) == model.n_features_in_:
            return found
    if subject.likelihood:
        return checks.feature_names(model)
    return shown(getattr(model, "feature_names_in_", None), model.n_features_in_, "x")


def _names_of_steps(estimator: Any) -> list[str] | None:
    """Names that come out of the steps before the model, if they tell them."""
    if hasattr(estimator, "best_estimator_"):
        return _names_of_steps(estimator.best_estimator_)
    if not isinstance(estimator, Pipeline):
        return None
    inner = _names_of_steps(estimator[-1])
    if inner is not None or len(estimator) == 1:
        return inner
    try:
        return [str(name) for name in estimator[:-1].get_feature_names_out()]
    except (AttributeError, ValueError):
        return None


def chosen_output(labels: Sequence[str], n_outputs: int, output: Any, *, one_dimensional: bool = False) -> int:
    """Return the number of the output that a picture is of.

    Parameters
    ----------
    labels : sequence of str
        Names of the outputs; empty if they have none.
    n_outputs : int
    output : int, str or None
        As the user chose; None will do where there is one.
    one_dimensional : bool, default=False
        Whether y has one dimension.

    Raises
    ------
    ValueError
        If there are several outputs and none is chosen, or there is no such output; the message names them.
    """
    names = [str(label) for label in labels]
    if output is None and n_outputs == 1:
        return 0
    told = ", ".join(map(repr, names or range(n_outputs)))
    if output is None:
        raise ValueError(f"There are {n_outputs} outputs; choose one by output=, a name or a number: {told}.")
    numbered = isinstance(output, Integral) and output is not True and output is not False
    if numbered and 0 <= int(output) < n_outputs:
        return int(output)
    if str(output) in names:
        return names.index(str(output))
    only = " (y has one dimension)" if one_dimensional else ""
    raise ValueError(f"output={output!r} is none of the outputs{only}: {told}.")


def output_labels(subject: Subject | None, y: Any) -> list[str]:
    """Names of the outputs: those of the fit, if there is one, else those of y; empty if they have none."""
    found = checks.output_labels(subject.model) if subject is not None and subject.likelihood else ()
    return list(found) or [str(label) for label in labels_of(y) or ()]


def target_name(labels: Sequence[str], output: int, y: Any) -> str:
    """Name of an output as axes tell it; "y" where it has none."""
    if len(labels) > output:
        return labels[output]
    name = getattr(y, "name", None)
    return str(name) if name is not None and not callable(name) else "y" if not len(labels) else f"y{output}"


def row_labels(X: Any, y: Any, n_rows: int) -> pd.Index:
    """Labels of rows: the index of X, else of y, else their numbers."""
    for data in (X, y):
        index = getattr(data, "index", None)
        if isinstance(index, pd.Index) and len(index) == n_rows:
            return index
    return pd.RangeIndex(n_rows)


def outputs_of(y: Any, name: str = "y") -> Array:
    """Return y as numbers (n, m); raise where it holds none, NaN or infinity."""
    values = np.asarray(as_numbers(y, name), dtype=np.float64)
    if values.ndim not in (1, 2) or not values.size:
        raise ValueError(
            f"{name} has shape {values.shape}; it must be (n_samples,) or (n_samples, n_outputs), not empty."
        )
    matrix = values.reshape(len(values), -1)
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if bad.size:
        raise ValueError(
            f"{name} is NaN or infinite in {len(bad)} rows, the first of them row {bad[0]}; leave them out."
        )
    return matrix


def predicted(subject: Subject, X: Any) -> Array:
    """Return the predicted means (n, m) of an estimator; raise where they are not finite."""
    mean = np.asarray(subject.estimator.predict(X), dtype=np.float64)
    matrix = mean.reshape(len(mean), -1)
    bad = np.flatnonzero(~np.isfinite(matrix).all(axis=1))
    if bad.size:
        raise ValueError(
            f"The predictions of {type(subject.model).__name__} are NaN or infinite in {len(bad)} rows, first row {bad[0]}: "
            "the fit has diverged, or the rows lie beyond the range of numbers. Fit again before drawing it."
        )
    return matrix


def check_same_shape(truth: Array, mean: Array, names: tuple[str, str] = ("y", "the predictions")) -> None:
    """Raise unless observations and predictions (n, m) are of one shape."""
    if truth.shape != mean.shape:
        raise ValueError(
            f"{names[0]} has {truth.shape[0]} rows and {truth.shape[1]} outputs; {names[1]} have {mean.shape[0]} and "
            f"{mean.shape[1]}."
        )


def weights_of(sample_weight: Any, n_rows: int) -> Array:
    """Return weights (n,), ones if None."""
    found = checks.check_weights(sample_weight, n_rows)
    return np.ones(n_rows) if found is None else found


def block_of_output(table: pd.DataFrame, which: int, n_outputs: int) -> pd.DataFrame:
    """Return the part of one output of a table that has those of all one below another."""
    size = len(table) // n_outputs
    block = table.iloc[which * size : (which + 1) * size]
    return block.droplevel(0) if n_outputs > 1 else block


def moments_of_columns(x: Any, weights: Array) -> tuple[Array, Array]:
    """Weighted means and standard deviations (p,) of the columns of rows (n, p), dense or sparse."""
    share = weights / weights.sum()
    if sp.issparse(x):
        unit = 2.0 ** -exponents(np.asarray(abs(x).max(axis=0).todense()).ravel())
        x = x @ sp.diags_array(unit)
        mean = np.asarray(x.T @ share).ravel()
        squares = np.asarray(x.multiply(x).T @ share).ravel()
        return mean / unit, np.sqrt(np.maximum(squares - mean**2, 0.0)) / unit
    values = np.asarray(as_numbers(x, "X"), dtype=np.float64)
    exponent = exponents(np.abs(values).max(axis=0))
    values = scale(values, -exponent)  # in units of its own no square overflows
    mean = share @ values
    return scale(mean, exponent), scale(np.sqrt(share @ (values - mean) ** 2), exponent)


def require_own(subject: Subject, lack: str) -> None:
    """Raise unless the model is one of this package; ``lack`` says what others do not have."""
    if subject.likelihood:
        return
    inner = " Draw its regressor_ with y as it was transformed." if hasattr(subject.model, "regressor_") else ""
    raise ValueError(
        f"{type(subject.model).__name__} {lack}; this picture is of MLELinearRegressor and MLPGradientRegressor, alone or "
        f"inside pipelines and searches.{inner}"
    )


def diagnosis_of(subject: Subject, y: Any, sample_weight: Any = None) -> Any:
    """Return ``model.diagnose`` of rows, columns named as the steps before the model name them.

    Raises
    ------
    ValueError
        If the model is none of this package.
    """
    require_own(subject, "has no objective that is known here")
    model = subject.model
    named = hasattr(model, "feature_names_in_") or getattr(model, "_labels", {}).get("X") is not None
    names = None if named else column_names(subject)
    return model.diagnose(subject.x, y, sample_weight, feature_names=names)
