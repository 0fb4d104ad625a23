"""Rows, weights, containers and options as a hostile user would choose them, for property tests; and what may come of them.

Numbers are small integers times powers of two, so that rational arithmetic knows the truth and a change of units changes no
digit.
"""

from __future__ import annotations

import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from exact import exact_least_squares
from hypothesis import strategies as st
from sklearn.exceptions import ConvergenceWarning, UndefinedMetricWarning

import mle_regression

PACKAGE = str(Path(mle_regression.__file__).parent)
WARNINGS = (
    mle_regression.RankDeficiencyWarning,
    mle_regression.NoiseFreeWarning,
    mle_regression.InferenceWarning,
    ConvergenceWarning,
    UndefinedMetricWarning,  # R² of one row
)
# what NumPy, SciPy and Python say of an array when nobody has asked before
RAW = ("infs or NaNs", "zero-size array", "did not converge", "not aligned", "out of bounds", "could not be broadcast",
       "Singular matrix", "must be non-empty", "math domain", "ambiguous", "leading minor", "max() arg", "attempt to get arg",
       "need at least one array", "not conformable", "mismatch in its core dimension")  # fmt: skip


@dataclass(frozen=True)
class Drawn:
    """``x`` (n, p), ``y`` (n,) or (n, m), ``weights`` (n,) or None: float64 that rational arithmetic can take as they are."""

    x: np.ndarray
    y: np.ndarray
    weights: np.ndarray | None

    @property
    def counted(self) -> np.ndarray:
        """Rows of weight."""
        return np.ones(len(self.x), bool) if self.weights is None else self.weights > 0


@st.composite
def columns(draw: Any, n: int) -> np.ndarray:
    """Columns (n, p), some of them copies, constants, zeros or sums of earlier ones."""
    digit = st.integers(-6, 6)
    made: list[np.ndarray] = []
    kinds = st.sampled_from(("free", "free", "free", "copy", "constant", "zero", "sum"))
    for kind in draw(st.lists(kinds, min_size=1, max_size=4)):
        if kind == "constant":
            made.append(np.full(n, float(draw(digit))))
        elif kind == "zero":
            made.append(np.zeros(n))
        elif kind == "copy" and made:
            made.append(made[-1].copy())
        elif kind == "sum" and len(made) > 1:
            made.append(made[-1] + made[-2])
        else:
            made.append(np.array(draw(st.lists(digit, min_size=n, max_size=n)), float))
    return np.column_stack(made)


@st.composite
def drawn(draw: Any, max_rows: int = 9, outputs: bool = True, units: bool = True, weighted: bool = True) -> Drawn:
    """Rows with a few copies among them, in any units, with or without weights."""
    n = draw(st.integers(1, max_rows))
    x = draw(columns(n))
    m = draw(st.sampled_from((0, 0, 1, 2))) if outputs else 0
    kind = draw(st.sampled_from(("free", "free", "free", "exact", "constant", "zero")))
    shape = (n, m or 1)
    if kind == "exact":
        y = x[:, :1] * 2.0 + 1.0 + np.zeros(shape)
    elif kind == "constant":
        y = np.full(shape, float(draw(st.integers(-6, 6))))
    elif kind == "zero":
        y = np.zeros(shape)
    else:
        y = np.array(draw(st.lists(st.integers(-9, 9), min_size=n * shape[1], max_size=n * shape[1])), float).reshape(
            shape
        )
    if draw(st.booleans()):
        copies = draw(st.lists(st.integers(0, n - 1), min_size=1, max_size=3))
        x, y = np.vstack([x, x[copies]]), np.vstack([y, y[copies]])
    if units:
        exponent = st.sampled_from((0, 0, 0, 0, 10, -30, 480, -480))
        x = x * 2.0 ** np.array([draw(exponent) for _ in range(x.shape[1])])
        y = y * 2.0 ** draw(exponent)
    weights = draw(some_weights(len(x))) if weighted else None
    return Drawn(x, y if m else y[:, 0], weights)


@st.composite
def some_weights(draw: Any, n: int) -> np.ndarray | None:
    """None, or whole numbers of which some are zero, in any unit."""
    if draw(st.booleans()):
        return None
    weights = np.array(draw(st.lists(st.integers(0, 3), min_size=n, max_size=n)), float)
    return weights * 2.0 ** draw(st.sampled_from((0, 0, 0, 20, -20))) if weights.any() else None


def container(draw_from: int, x: np.ndarray) -> Any:
    """X in one of the containers that hold the same numbers."""
    kind = CONTAINERS[draw_from % len(CONTAINERS)]
    return kind(x)


def _strided(x: np.ndarray) -> np.ndarray:
    room = np.full((2 * x.shape[0], 3 * x.shape[1]), np.nan)
    room[::2, ::3] = x
    return room[::2, ::3]


def _read_only(x: np.ndarray) -> np.ndarray:
    copy = x.copy()
    copy.flags.writeable = False
    return copy


CONTAINERS: tuple[Callable[[np.ndarray], Any], ...] = (
    np.ascontiguousarray,
    np.asfortranarray,
    _strided,
    lambda x: x[::-1].copy()[::-1],
    _read_only,
    lambda x: x.tolist(),
    lambda x: x.astype(object),
    lambda x: x.astype(">f8"),
    lambda x: pd.DataFrame(x, columns=[f"c{j}" for j in range(x.shape[1])]),
    sp.csr_array,
    sp.csc_matrix,
    sp.coo_array,
)


@dataclass(frozen=True)
class Truth:
    """Exact least squares: rank, which columns it took (the first independent ones), fitted values, RSS, coefficients."""

    rank: int
    independent: list[int]
    fitted: np.ndarray
    rss: Fraction
    params: np.ndarray
    errors: np.ndarray


def truth(x: np.ndarray, y: np.ndarray, weights: np.ndarray | None, intercept: bool) -> Truth:
    """Solve by elimination in rational numbers, on the first independent columns; of one output."""
    kept = np.ones(len(x), bool) if weights is None else weights > 0
    w = None if weights is None else weights[kept]
    full = [[Fraction(1)] * intercept + [Fraction(v) for v in row] for row in x[kept].tolist()]
    independent = _independent(full)
    taken = [j - intercept for j in independent if j >= intercept]
    fit = exact_least_squares(x[kept][:, taken], y[kept], w, intercept=intercept) if independent else None
    params = [] if fit is None else fit.exact_params
    everywhere = [[Fraction(1)] * intercept + [Fraction(v) for v in row] for row in x[:, taken].tolist()]
    fitted = [sum((a * b for a, b in zip(row, params, strict=True)), Fraction(0)) for row in everywhere]
    gaps = [(Fraction(float(t)) - f) ** 2 for t, f in zip(y, fitted, strict=True)]
    ones = np.ones(len(x)) if weights is None else weights
    rss = sum((Fraction(float(v)) * gap for v, gap in zip(ones, gaps, strict=True)), Fraction(0))
    return Truth(len(independent), taken, np.array([float(f) for f in fitted]), rss,
                 np.array([float(b) for b in params]), np.array([]) if fit is None else fit.errors)  # fmt: skip


def _independent(rows: list[list[Fraction]]) -> list[int]:
    """Columns that are no combination of earlier ones."""
    work = [row[:] for row in rows]
    found: list[int] = []
    for j in range(len(work[0])):
        top = len(found)
        pivot = next((i for i in range(top, len(work)) if work[i][j] != 0), None)
        if pivot is None:
            continue
        work[top], work[pivot] = work[pivot], work[top]
        for i in range(top + 1, len(work)):
            factor = work[i][j] / work[top][j]
            if factor:
                work[i] = [a - factor * b for a, b in zip(work[i], work[top], strict=True)]
        found.append(j)
    return found


def outcome(call: Callable[[], Any]) -> Any:
    """What a call returns; None where it is refused in words, which has to be by a sentence of the package's own.

    Warnings of the package's categories are right; anything else, a RuntimeWarning above all, is an error.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for category in WARNINGS:
            warnings.simplefilter("ignore", category)
        try:
            return call()
        except (ValueError, np.linalg.LinAlgError, AttributeError, TypeError) as error:
            if not _in_words(error):
                raise
            return None


def _in_words(error: Exception) -> bool:
    """Whether the package or scikit-learn's checks raised this on purpose, in a sentence."""
    raised_by = traceback.extract_tb(error.__traceback__)[-1].filename
    ours = raised_by.startswith(PACKAGE) or "sklearn" in raised_by
    message = str(error)
    return ours and len(message) > 20 and not any(words in message for words in RAW)
