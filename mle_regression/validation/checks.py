"""What the estimators accept: scikit-learn's checks, and those that it leaves out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_array, check_consistent_length, validate_data

from mle_regression.linalg.arrays import EPS, AnyArray, Array, IntArray
from mle_regression.rows.labels import labels_of, shown
from mle_regression.rows.registry import as_rows, has_own_home
from mle_regression.rows.training_data import TrainingData
from mle_regression.solvers.base import NonFiniteRowsError
from mle_regression.solvers.passes import magnitudes
from mle_regression.validation.containers import as_numbers, describe, refuse, same_labels_reordered
from mle_regression.validation.numbers import check_finite, check_numbers, non_finite
from mle_regression.warnings import warn_user

_X_CHECKS: dict[str, Any] = {"accept_sparse": ("csr", "csc"), "ensure_all_finite": False, "dtype": "numeric"}
_Y_CHECKS: dict[str, Any] = {"ensure_2d": False, "ensure_all_finite": False, "dtype": "numeric", "input_name": "y"}


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


@contextmanager
def named_columns(estimator: BaseEstimator, data: TrainingData, in_pipeline: bool = True) -> Iterator[None]:
    """Name the columns that hold NaN or infinity, where sums over the rows have come upon them."""
    try:
        yield
    except NonFiniteRowsError as error:
        raise ValueError(non_finite_message(estimator, error.columns, data, in_pipeline)) from None


def training_data(
    estimator: BaseEstimator, x: Any, y: Any, sample_weight: Any, *, more: bool = False, some: bool = True
) -> TrainingData:
    """Check X, y and weights, all but their finiteness, which the sums over rows reveal at no cost.

    ``more`` rows than those seen before must have the same columns; ``some`` rows must have weight, else there may be none.
    """
    _refuse_unusable(X=x, y=y, sample_weight=sample_weight)
    if y is None:
        validate_data(estimator, X=x, y=y)  # raises scikit-learn's own message
    if hasattr(estimator, "fit_intercept") and getattr(x, "shape", ())[1:] == (0,):
        raise ValueError(
            f"Found array with 0 feature(s) (shape={x.shape}) while a minimum of 1 is required. The model of the mean alone "
            "is a column of ones with fit_intercept=False."
        )
    warn_of_order(x, y=y, sample_weight=sample_weight)
    labels = {"X": labels_of(x), "y": labels_of(y)}
    if more:
        _check_labels(estimator, labels)
    plain = _is_plain(x) and x.ndim == 2
    if plain and more:
        plain = not hasattr(estimator, "feature_names_in_") and x.shape[1] == estimator.n_features_in_
    if has_own_home(x):
        _check_columns(estimator, x, "X", reset=not more)
    elif more and not some and (x == [] if isinstance(x, list) else getattr(x, "shape", None) == (0,)):
        x = np.empty((0, estimator.n_features_in_))  # no rows at all
    elif plain:
        # No names and no dtype to look into: the rest of what validate_data does is to keep count.
        estimator.n_features_in_ = x.shape[1]
        estimator.__dict__.pop("feature_names_in_", None)
    else:
        numbers, least = as_numbers(x, "X"), int(some)
        x = validate_data(estimator, X=numbers, reset=not more, ensure_min_samples=least, **_X_CHECKS)
        check_numbers(x, "X", labels["X"])
    matrix, one_dimensional = _outputs(y, "y", labels["y"], least=int(some))
    check_consistent_length(x, matrix)
    eps = float(np.finfo(np.float32).eps) if x.dtype == np.float32 else EPS
    if not more:
        estimator._labels = labels
    weights = check_weights(sample_weight, len(matrix), none=not some)
    return TrainingData(x, matrix, weights, one_dimensional, eps, output_labels(estimator))


def _check_columns(estimator: BaseEstimator, x: Any, name: str, reset: bool) -> None:
    """Check the shape of a container that has a home of its own, and is not looked into; ``reset`` keeps its columns."""
    if len(x.shape) != 2 or 0 in x.shape:
        raise ValueError(
            f"{name} has shape {tuple(x.shape)}; it must have two dimensions (n, p), with rows and columns."
        )
    if reset:
        estimator.n_features_in_ = int(x.shape[1])
        estimator.__dict__.pop("feature_names_in_", None)
    elif x.shape[1] != estimator.n_features_in_:
        raise ValueError(
            f"{name} has {x.shape[1]} features, but {type(estimator).__name__} is expecting {estimator.n_features_in_} "
            "features as input."
        )


def _check_finite_rows(estimator: BaseEstimator, x: Any, name: str) -> None:
    """Refuse NaN and infinity in a container that has a home of its own, by one pass over its rows."""
    try:
        magnitudes(as_rows(x, np.zeros((x.shape[0], 0))))
    except NonFiniteRowsError as error:
        labels = labels_of(x) or _labels(estimator, "X")
        raise ValueError(non_finite(name, x, error.columns, labels)) from None


def check_same_outputs(n_outputs: int, single: bool, before: int, single_before: bool) -> None:
    """Raise unless the y of a batch is of the kind of the batches before."""
    if n_outputs != before:
        raise ValueError(
            f"y has {n_outputs} outputs; the batches before had {before}. Give the same ones, or fit() anew."
        )
    if single != single_before:
        here, there = ("one dimension", "two") if single else ("two dimensions", "one")
        remedy = "y[:, None], or y.to_frame()" if single else "y.ravel(), or y.iloc[:, 0] of a frame"
        raise ValueError(
            f"y has {here}, and in the batches before it had {there}; give it in the same shape: {remedy}."
        )


def _outputs(y: Any, name: str, labels: tuple[Any, ...] | None, least: int = 1) -> tuple[Array, bool]:
    """Check y of ``least`` rows but for its finiteness; return it as (n, m) float64, and whether it has one dimension."""
    if not _is_plain(y):
        y = check_array(as_numbers(y, name), **{**_Y_CHECKS, "input_name": name, "ensure_min_samples": least})
    if y.ndim > 2 or y.ndim == 0:
        raise ValueError(f"{name} has {y.ndim} dimensions; it must have one (n,) or two (n, outputs).")
    check_numbers(y, name, labels)
    return np.asarray(y, dtype=np.float64).reshape(len(y), 1 if y.ndim == 1 else y.shape[1]), y.ndim == 1


def new_data(estimator: BaseEstimator, x: Any, name: str = "X") -> Any:
    """Check X for a fitted estimator; ``name`` is what the user calls it."""
    _refuse_unusable(**{name: x})
    labels = labels_of(x)
    _check_labels(estimator, {"X": labels}, name)
    if has_own_home(x):
        _check_columns(estimator, x, name, reset=False)
        _check_finite_rows(estimator, x, name)
        return x
    checked = validate_data(estimator, X=as_numbers(x, name), reset=False, **_X_CHECKS)
    check_numbers(checked, name, labels)
    check_finite(checked, name, labels or _labels(estimator, "X"))
    return checked


def new_rows(
    estimator: BaseEstimator,
    x: Any,
    y: Any,
    sample_weight: Any,
    n_outputs: int,
    names: tuple[str, str, str] = ("X", "y", "sample_weight"),
) -> TrainingData:
    """Check rows for a fitted estimator of m outputs, under the names by which the user has passed them."""
    of_x, of_y, of_weights = names
    warn_of_order(x, of_x, **{of_y: y, of_weights: sample_weight})
    inner = new_data(estimator, x, of_x)
    _refuse_unusable(**{of_y: y})
    if y is None:
        raise ValueError(f"{of_y} is None; give one number for each row of {of_x}, or several for several outputs.")
    labels = labels_of(y)
    _check_labels(estimator, {"y": labels}, of_y)
    matrix, one_dimensional = _outputs(y, of_y, labels)
    if matrix.shape != (inner.shape[0], n_outputs):
        raise ValueError(
            f"{of_y} has shape {matrix.shape}; {of_x} and the fit call for ({inner.shape[0]}, {n_outputs})."
        )
    check_finite(matrix, of_y, labels or _labels(estimator, "y"), one_dimensional)
    weights = check_weights(sample_weight, len(matrix), name=of_weights)
    return TrainingData(inner, matrix, weights, one_dimensional, EPS)


def more_data(estimator: BaseEstimator, data: TrainingData, x: Any, y: Any, sample_weight: Any) -> TrainingData:
    """Check rows that go with those of ``data``."""
    names = ("X_val", "y_val", "sample_weight_val")
    rows = new_rows(estimator, x, y, sample_weight, data.y.shape[1], names)
    return replace(data, x=rows.x, y=rows.y, weights=rows.weights)


def check_validation_rows(x: Any, y: Any, sample_weight: Any) -> None:
    """Raise unless rows to watch a fit on are whole."""
    if (x is None) != (y is None) or (x is None and sample_weight is not None):
        raise ValueError("X_val and y_val (and weights for them) go together; pass both or none.")


def check_weights(sample_weight: Any, n_rows: int, *, none: bool = False, name: str = "sample_weight") -> Array | None:
    """Check sample weights: None, a number, or (n,) finite numbers, not negative and (unless ``none``) not all zero."""
    if sample_weight is None:
        return None
    if isinstance(sample_weight, Real):
        sample_weight = np.full(n_rows, _as_float(sample_weight))
    numbers = as_numbers(sample_weight, name)
    weights = check_array(
        numbers,
        ensure_2d=False,
        ensure_all_finite=False,
        ensure_min_samples=min(1, n_rows),
        dtype=np.float64,
        input_name=name,
    )
    if weights.shape != (n_rows,):
        raise ValueError(f"{name} has shape {weights.shape}; it must be ({n_rows},), one weight per row.")
    for what, bad in (("NaN or infinite", ~np.isfinite(weights)), ("negative", weights < 0)):
        if bad.any():
            first = int(np.flatnonzero(bad)[0])
            raise ValueError(f"{name}[{first}] is {weights[first]}: {what} weights have no meaning.")
    if not none and not weights.any():
        raise ValueError(f"All sample weights are zero ({name}): there is no row to fit or to watch.")
    return np.asarray(weights)


def warn_of_batches(batch_size: int | None, n_rows: int) -> None:
    """Warn of batches that are more than all rows."""
    if batch_size is not None and batch_size > n_rows:
        warn_user(f"batch_size={batch_size} is more than the {n_rows} rows, all of which are taken.", UserWarning)


def describe_column(estimator: BaseEstimator, j: int) -> str:
    """Name a column of X as the user knows it."""
    return describe("X", j, _labels(estimator, "X"))


def feature_names(estimator: BaseEstimator) -> list[str]:
    """Names of the columns of X that the estimator was fitted on: as given, else x0, x1 and so on."""
    return shown(_labels(estimator, "X"), estimator.n_features_in_, "x")


def output_names(estimator: BaseEstimator, n_outputs: int) -> list[str]:
    """Names of the columns of y, to be told."""
    labels = _labels(estimator, "y")
    return [f"y[:, {k}]" for k in range(n_outputs)] if labels is None else shown(labels, n_outputs, "y")


def output_labels(estimator: BaseEstimator) -> tuple[str, ...]:
    """Names that the columns of y were given, if any."""
    labels = _labels(estimator, "y")
    return () if labels is None else tuple(shown(labels, len(labels), "y"))


def check_feature_names(estimator: BaseEstimator, names: Sequence[str] | None) -> list[str]:
    """Return names for the columns that the estimator was fitted on: those given, else its own."""
    known = feature_names(estimator)
    if names is None:
        return known
    given = [str(name) for name in names]
    if len(given) != len(known):
        raise ValueError(f"feature_names has {len(given)} names; the fit has {len(known)} columns.")
    return given


def _labels(estimator: BaseEstimator, which: str) -> tuple[Any, ...] | None:
    """Labels of the columns of X or y that the estimator was fitted on."""
    labels: tuple[Any, ...] | None = getattr(estimator, "_labels", {}).get(which)
    if labels is None and which == "X" and hasattr(estimator, "feature_names_in_"):
        return tuple(estimator.feature_names_in_)
    return labels


def _check_labels(estimator: BaseEstimator, found: dict[str, tuple[Any, ...] | None], name: str = "") -> None:
    """Warn where columns have the labels of the fit in another order; scikit-learn itself looks at strings in X."""
    for which, labels in found.items():
        known = _labels(estimator, which)
        if labels is None or known is None or labels == known or set(labels) != set(known) or len(labels) != len(known):
            continue
        if which == "y" or not all(isinstance(label, str) for label in labels):
            warn_user(
                f"The columns of {name or which} are those of the fit in another order, and are taken by their place; "
                "bring them into the order of the fit.",
                UserWarning,
            )


def warn_of_order(x: Any, of_x: str = "X", **others: Any) -> bool:
    """Warn where rows that belong together by their labels are not in the same place; return whether it is so."""
    index, found = getattr(x, "index", None), False
    for name, data in others.items():
        if same_labels_reordered(data, index):
            found = True
            warn_user(
                f"The index of {name} holds the labels of {of_x}'s in another order, and rows are matched by their place. "
                f"Align them first, as by {name}.loc[{of_x}.index], or pass {name}.to_numpy() if their place is meant.",
                UserWarning,
            )
    return found


def non_finite_message(
    estimator: BaseEstimator, columns: AnyArray, data: TrainingData, in_pipeline: bool = True
) -> str:
    """Say which of the ``columns`` of [X | y] hold NaN or infinity, and what to do; batches go through no Pipeline."""
    p = data.x.shape[1]
    parts = [
        non_finite(name, array, found, _labels(estimator, name), one_dimensional, in_pipeline)
        for name, array, found, one_dimensional in (
            ("X", data.x, columns[columns < p], False),
            ("y", data.y, columns[columns >= p] - p, data.single_output),
        )
        if len(found)
    ]
    return " ".join(parts)


def check_choice(name: str, value: object, choices: tuple[object, ...]) -> None:
    """Raise unless ``value`` is one of ``choices``; True and 1 are told apart."""
    value = bool(value) if isinstance(value, np.bool_) else value
    if not (value in choices if isinstance(value, str) else any(value is choice for choice in choices)):
        raise ValueError(f"{name}={value!r} is not one of: {', '.join(map(repr, choices))}.")


def check_non_negative(name: str, value: object) -> float:
    """Return ``value`` as a float; raise unless it is a finite number that is not negative."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 <= _as_float(value) < np.inf:
        raise ValueError(f"{name}={value!r} must be a finite number, zero or more.")
    return float(value)


def check_penalty_of_batches(alpha: Any) -> None:
    """Raise AttributeError, for which a method is not there, unless the penalty is known before all rows are."""
    if isinstance(alpha, str) and alpha in ("evidence", "loo"):
        raise AttributeError(
            f"alpha={alpha!r} is chosen from all rows together, and there is no partial_fit: call fit, or give a number."
        )


def check_penalty(alpha: Any) -> float:
    """Return the penalty as a float; of one for each output, all must be equal."""
    each = np.unique(np.asarray(alpha)) if isinstance(alpha, (list, tuple, np.ndarray)) and np.size(alpha) else None
    if each is not None and len(each) > 1:
        raise ValueError(
            f"alpha={alpha!r} differs from output to output, and outputs of one network share its hidden units: give one "
            "number, or fit the outputs one by one, for instance by sklearn.multioutput.MultiOutputRegressor."
        )
    return check_non_negative("alpha", alpha if each is None else each[0].item())


def check_tolerance(tol: object) -> float:
    """Return the tolerance as a float, zero for None: to go on until rounding, or the last iteration."""
    return 0.0 if tol is None else check_non_negative("tol", tol)


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
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < _as_float(value) < np.inf:
        raise ValueError(f"{name}={value!r} must be a finite number above zero.")


def check_positive_integer(name: str, value: object) -> None:
    """Raise unless ``value`` is an integer above zero."""
    if isinstance(value, bool) or not isinstance(value, Integral) or int(value) < 1:
        raise ValueError(f"{name}={value!r} must be an integer of one or more.")


def check_probability(name: str, value: object) -> None:
    """Raise unless ``value`` is a number strictly between 0 and 1."""
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < _as_float(value) < 1:
        raise ValueError(f"{name}={value!r} must lie strictly between 0 and 1.")


def _as_float(value: Any) -> float:
    """Return a number as a float; an integer or fraction beyond float64 is infinite."""
    try:
        return float(value)
    except OverflowError:
        return float(np.inf) if value > 0 else float(-np.inf)


def _is_plain(array: Any) -> bool:
    """Whether this is an ordinary array of floats with something in it, in which scikit-learn's checks find nothing."""
    return type(array) is np.ndarray and array.dtype.kind == "f" and array.dtype.itemsize <= 8 and array.size > 0


def _refuse_unusable(**arrays: Any) -> None:
    for name, array in arrays.items():
        refuse(array, name)
        if isinstance(array, np.ma.MaskedArray):
            raise TypeError(
                f"{name} is a masked array, whose mask would be lost; fill it or drop the masked rows first."
            )
