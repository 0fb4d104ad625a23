"""What the estimators accept: scikit-learn's checks, and those that it leaves out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from mle_regression.linalg.arrays import EPS, AnyArray, Array, IntArray

_LARGEST_EXACT_INTEGER = 2**53
_X_CHECKS: dict[str, Any] = {"accept_sparse": ("csr", "csc"), "ensure_all_finite": False, "dtype": "numeric"}
_Y_CHECKS: dict[str, Any] = {"ensure_2d": False, "ensure_all_finite": False, "dtype": "numeric", "input_name": "y"}


@dataclass(frozen=True, slots=True)
class TrainingData:
    """Checked rows: ``x`` (n, p) as given, ``y`` (n, m) float64, ``weights`` (n,) or None, and whether y was 1-D.

    ``eps`` is the relative precision of the numbers in x.
    """

    x: Any
    y: Array
    weights: Array | None
    single_output: bool
    eps: float


@contextmanager
def all_or_nothing(estimator: BaseEstimator) -> Iterator[None]:
    """Leave an estimator as it was if what happens inside fails, so that an earlier fit survives a failed one."""
    before = dict(estimator.__dict__)
    try:
        yield
    except BaseException:
        estimator.__dict__.clear()
        estimator.__dict__.update(before)
        raise


def training_data(
    estimator: BaseEstimator, x: Any, y: Any, sample_weight: Any, *, more: bool = False, some: bool = True
) -> TrainingData:
    """Check X, y and weights, all but their finiteness, which the sums over rows reveal at no cost.

    ``more`` rows than those seen before must have the same columns; ``some`` rows must have weight.
    """
    _refuse_masked(X=x, y=y, sample_weight=sample_weight)
    if y is None:
        validate_data(estimator, X=x, y=y)  # raises scikit-learn's own message
    known = more and (hasattr(estimator, "feature_names_in_") or x.shape[1:] != (estimator.n_features_in_,))
    if _is_plain(x) and x.ndim == 2 and not known:
        # No names and no dtype to look into: the rest of what validate_data does is to keep count.
        estimator.n_features_in_ = x.shape[1]
        estimator.__dict__.pop("feature_names_in_", None)
    else:
        x = validate_data(estimator, X=x, reset=not more, **_X_CHECKS)
    if not _is_plain(y):
        y = check_array(y, **_Y_CHECKS)
    check_consistent_length(x, y)
    if y.ndim > 2 or y.ndim == 0:
        raise ValueError(f"y has {y.ndim} dimensions; it must have one (n,) or two (n, outputs).")
    _check_numbers(x, lambda j: describe_column(estimator, j))
    _check_numbers(y, lambda j: "y" if y.ndim == 1 else f"y[:, {j}]")
    eps = float(np.finfo(np.float32).eps) if x.dtype == np.float32 else EPS
    matrix = np.asarray(y, dtype=np.float64).reshape(len(y), -1)
    return TrainingData(x, matrix, check_weights(sample_weight, len(matrix), none=not some), y.ndim == 1, eps)


def new_data(estimator: BaseEstimator, x: Any) -> Any:
    """Check X for a fitted estimator."""
    _refuse_masked(X=x)
    checked = validate_data(estimator, X=x, reset=False, accept_sparse=("csr", "csc"), dtype="numeric")
    _check_numbers(checked, lambda j: describe_column(estimator, j))
    return checked


def new_outputs(y: Any, n_rows: int, n_outputs: int) -> Array:
    """Check y (n,) or (n, m) that goes with n rows of new data, for a fit of m outputs; return (n, m)."""
    _refuse_masked(y=y)
    checked = check_array(y, ensure_2d=False, dtype="numeric", input_name="y")
    _check_numbers(checked, lambda j: "y" if checked.ndim == 1 else f"y[:, {j}]")
    matrix = np.asarray(checked, dtype=np.float64).reshape(len(checked), -1)
    if matrix.shape != (n_rows, n_outputs):
        raise ValueError(f"y has shape {matrix.shape}; X and the fit call for ({n_rows}, {n_outputs}).")
    return matrix


def more_data(estimator: BaseEstimator, data: TrainingData, x: Any, y: Any, sample_weight: Any) -> TrainingData:
    """Check rows that go with those of ``data``."""
    inner = new_data(estimator, x)
    outputs = new_outputs(y, inner.shape[0], data.y.shape[1])
    return replace(
        data, x=inner, y=outputs, weights=check_weights(sample_weight, len(outputs), name="sample_weight_val")
    )


def check_weights(sample_weight: Any, n_rows: int, *, none: bool = False, name: str = "sample_weight") -> Array | None:
    """Check sample weights: None, a number, or (n,) finite numbers, not negative and (unless ``none``) not all zero."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, float(sample_weight))
    weights = check_array(sample_weight, ensure_2d=False, ensure_all_finite=False, dtype=np.float64, input_name=name)
    if weights.shape != (n_rows,):
        raise ValueError(f"{name} has shape {weights.shape}; it must be ({n_rows},), one weight per row.")
    for what, bad in (("NaN or infinite", ~np.isfinite(weights)), ("negative", weights < 0)):
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise ValueError(f"{name}[{first}] is {weights[first]}: {what} weights have no meaning.")
    if not none and not weights.any():
        raise ValueError(f"All sample weights are zero ({name}): there is no row to fit or to watch.")
    return np.asarray(weights)


def describe_column(estimator: BaseEstimator, j: int) -> str:
    """Name a column of X as the user knows it."""
    names = getattr(estimator, "feature_names_in_", None)
    return f"column {j} of X" if names is None else f"column {names[j]!r} of X"


def feature_names(estimator: BaseEstimator) -> list[str]:
    """Names of the columns of X that the estimator was fitted on: as given, else x0, x1 and so on."""
    names = getattr(estimator, "feature_names_in_", None)
    return [f"x{j}" for j in range(estimator.n_features_in_)] if names is None else [str(name) for name in names]


def output_names(estimator: BaseEstimator, n_outputs: int) -> list[str]:
    """Names of the columns of y."""
    return [f"y[:, {k}]" for k in range(n_outputs)]


def non_finite_message(estimator: BaseEstimator, columns: AnyArray, data: TrainingData) -> str:
    """Say which of the ``columns`` of [X | y] hold NaN or infinity, and what to do."""
    p = data.x.shape[1]
    n_outputs = data.y.shape[1]
    names = [describe_column(estimator, j) if j < p else ("y" if n_outputs == 1 else f"y[:, {j - p}]") for j in columns]
    shown = ", ".join(names[:8]) + (f" and {len(names) - 8} more" if len(names) > 8 else "")
    where = "X" if columns[0] < p else "y"
    return (
        f"Input {where} contains NaN or infinity: {shown}. "
        "Drop those rows, or impute them, for instance with sklearn.impute.SimpleImputer in a Pipeline."
    )


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``; True and 1 are told apart."""
    value = bool(value) if isinstance(value, np.bool_) else value
    if not any(value is choice or (isinstance(choice, str) and value == choice) for choice in choices):
        raise ValueError(f"{name}={value!r} is not one of: {', '.join(map(repr, choices))}.")


def check_non_negative(name: str, value: object) -> float:
    """Return ``value`` as a float; raise unless it is a finite number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= float(value) < np.inf:
        raise ValueError(f"{name}={value!r} must be a finite number, zero or more.")
    return float(value)


def check_count(name: str, value: object, upper: int) -> int:
    """Return ``value`` as an int; raise unless it is an integer from 0 to ``upper``."""
    if isinstance(value, bool) or not isinstance(value, Integral) or not 0 <= int(value) <= upper:
        raise ValueError(f"{name}={value!r} must be an integer from 0 to {upper}, less than the number of rows.")
    return int(value)


def check_groups(groups: Any, labels: pd.Index, labelled: bool) -> IntArray:
    """Check cluster labels (n,) or (n, d), or a list of d of them; return their numbers (n, d).

    Labels with an index are brought to that of the rows, if these have one.
    """
    n_rows = len(labels)
    frame = isinstance(groups, (pd.Series, pd.DataFrame))
    if frame and labelled and not groups.index.equals(labels):
        if not groups.index.is_unique or not labels.is_unique or not labels.isin(groups.index).all():
            raise ValueError(
                "The index of the cluster groups is not that of X; give them in its order, without an index."
            )
        groups = groups.reindex(labels)
    array = np.asarray(groups.to_numpy() if frame else groups)
    if array.ndim == 2 and not frame and array.shape[0] != n_rows and array.shape[1] == n_rows:
        array = array.T
    columns = array[:, None] if array.ndim == 1 else array
    if array.ndim not in (1, 2) or len(columns) != n_rows or not columns.shape[1]:
        raise ValueError(
            f"The cluster groups have shape {array.shape}; there must be one label for each of {n_rows} rows."
        )
    codes = np.empty(columns.shape, dtype=np.int64)
    for j in range(columns.shape[1]):
        codes[:, j] = pd.factorize(columns[:, j])[0]
        if (codes[:, j] < 0).any():
            first = int(np.flatnonzero(codes[:, j] < 0)[0])
            raise ValueError(f"The cluster of row {first} is missing; give each row a group, or leave the row out.")
    return codes


def check_positive(name: str, value: object) -> None:
    """Raise unless ``value`` is a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < np.inf:
        raise ValueError(f"{name}={value!r} must be a finite number above zero.")


def check_positive_integer(name: str, value: object) -> None:
    """Raise unless ``value`` is an integer above zero."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise ValueError(f"{name}={value!r} must be an integer of one or more.")


def check_probability(name: str, value: object) -> None:
    """Raise unless ``value`` is a number strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < 1:
        raise ValueError(f"{name}={value!r} must lie strictly between 0 and 1.")


def _is_plain(array: Any) -> bool:
    """Whether this is an ordinary array of floats with something in it, in which scikit-learn's checks find nothing."""
    return type(array) is np.ndarray and array.dtype.kind == "f" and array.dtype.itemsize <= 8 and array.size > 0


def _refuse_masked(**arrays: Any) -> None:
    for name, array in arrays.items():
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(
                f"{name} is a masked array, whose mask would be lost; fill it or drop the masked rows first."
            )


def _check_numbers(array: Any, describe: Any) -> None:
    """Refuse what float64 cannot hold exactly: wider floats, dates, integers beyond 2**53."""
    dtype = array.dtype
    if dtype.kind in "OUS":
        raise ValueError(
            "Text or mixed objects are no numbers: encode categories, for instance with "
            "sklearn.preprocessing.OneHotEncoder, and convert the rest to float64."
        )
    if dtype.kind not in "biuf" or dtype.itemsize > 8:
        raise ValueError(f"Numbers of dtype {dtype} are not supported; convert them to float64.")
    if dtype.kind not in "iu" or dtype.itemsize < 8 or 0 in array.shape:
        return
    high, low = array.max(axis=0), array.min(axis=0)
    if sp.issparse(high):
        high, low = high.toarray().ravel(), low.toarray().ravel()
    beyond = np.atleast_1d((high > _LARGEST_EXACT_INTEGER) | (low < -_LARGEST_EXACT_INTEGER))
    if beyond.any():
        raise ValueError(
            f"Integers beyond 2**53 in {describe(int(np.flatnonzero(beyond)[0]))}: float64 would round them. "
            "Subtract a reference value first, or convert to float64 yourself if rounding is meant."
        )
