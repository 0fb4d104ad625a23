"""Linear hypotheses: from words to numbers, and the result in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from mle_regression.linalg.arrays import Array
from mle_regression.reports.digits import number, p_equals
from mle_regression.reports.linear.equations import evaluate, quoted, read

# Equations of more terms are written without a look at how they would be read.
_CHECKED_TERMS = 200


@dataclass(frozen=True, slots=True)
class HypothesisTest:
    """Result of a test of linear hypotheses on the coefficients.

    Attributes
    ----------
    statistic : float or Array of shape (n_outputs,)
        F statistic (χ² of a likelihood-ratio test).
    df_num : float
        Number of independent restrictions.
    df_denom : float
        Residual degrees of freedom; infinite for χ².
    p_value : float or Array of shape (n_outputs,)
    hypothesis : str
    note : str
        What was estimated, or to be wary of, where there is more to say.
    outputs : tuple of str
        Names of several outputs; empty if they have none.
    """

    statistic: Any
    df_num: float
    df_denom: float
    p_value: Any
    hypothesis: str
    note: str = ""
    outputs: tuple[str, ...] = ()

    def __str__(self) -> str:
        law = f"chi2({self.df_num:.6g})" if np.isinf(self.df_denom) else f"F({self.df_num:.6g}, {self.df_denom:.6g})"
        pairs = zip(np.atleast_1d(self.statistic), np.atleast_1d(self.p_value), strict=True)
        results = [f"{law} = {number(float(statistic))}, {p_equals(float(p_value))}" for statistic, p_value in pairs]
        if len(results) > 1:
            names = self.outputs or tuple(f"output {k}" for k in range(len(results)))
            results = [f"{name}: {result}" for name, result in zip(names, results, strict=True)]
        return "\n".join([f"H0: {self.hypothesis}", *results, *([f"Note: {self.note}."] if self.note else [])])


def parse_hypotheses(text: str | Sequence[str], names: Sequence[str]) -> tuple[Array, Array]:
    """Read equations between named parameters; return R (q, k) and q (q,) with ``R β = q``.

    Parameters
    ----------
    text : str or sequence of str
        Equations such as ``"bmi = 2*bp"`` or ``"age = sex = 0"``, separated by commas; ``"age, sex"`` is ``"age = sex = 0"``.
        Names may hold spaces and signs. One that can be taken for something else (a number, or the difference of two others)
        is written in backticks or, as in patsy and formulaic, ``Q("like this")``.
    names : sequence of str
        Of the k parameters.

    Examples
    --------
    >>> R, q = parse_hypotheses("bmi = 2*bp + 1", ["intercept", "bmi", "bp"])
    >>> R, q
    (array([[ 0.,  1., -2.]]), array([1.]))
    """
    position = {name: j for j, name in enumerate(names)}
    twice = {name: count for name, count in Counter(names).items() if count > 1}
    rows: list[Array] = []
    for item in [text] if isinstance(text, str) else text:
        tokens = read(item, names)
        for token in tokens:
            if token.kind in ("name", "quoted") and token.text in twice:
                raise ValueError(
                    f"{token.text!r} names {twice[token.text]} parameters; rename the column, or give R as a matrix."
                )
        for sides in evaluate(tokens, position, item):
            values = [_as_row(side, len(names)) for side in sides]
            rows += [left - right for left, right in pairwise(values)] or values
    if not rows:
        raise ValueError("There is no hypothesis to test.")
    table = np.array(rows)
    if not table[:, 1:].any(axis=1).all():
        raise ValueError(
            f"In {text!r} is an equation without any parameter, or one whose parameters cancel. A name that is a number "
            "stands in backticks."
        )
    return table[:, 1:], 0.0 - table[:, 0]


def describe_hypotheses(restriction: Array, value: Array, names: Sequence[str]) -> str:
    """Write R β = q as equations between named parameters, which `parse_hypotheses` reads as the same.

    Examples
    --------
    >>> import numpy as np
    >>> describe_hypotheses(np.array([[0.0, 1.0, -2.0]]), np.array([0.0]), ["intercept", "bmi", "bp"])
    'bmi - 2*bp = 0'
    """
    rows = list(zip(restriction, value.tolist(), strict=True))
    plain = ", ".join(_written(row, right, names) for row, right in rows)
    if np.count_nonzero(restriction) > _CHECKED_TERMS or _is_read_as(plain, restriction, names):
        return plain
    # Names that may be taken for something else stand in quotes.
    return ", ".join(_written(row, right, [quoted(name) for name in names]) for row, right in rows)


def _is_read_as(text: str, restriction: Array, names: Sequence[str]) -> bool:
    """Whether a text is read as equations in the parameters, with the signs, of R."""
    try:
        found, _ = parse_hypotheses(text, names)
    except ValueError:
        return False
    return np.array_equal(np.sign(found), np.sign(restriction))


def _written(row: Array, right: float, names: Sequence[str]) -> str:
    text = ""
    for j in np.flatnonzero(row).tolist():
        size = "" if abs(row[j]) == 1 else f"{abs(row[j]):.6g}*"
        text += (" - " if row[j] < 0 else " + ") + size + names[j]
    text = text[3:] if text.startswith(" + ") else text.replace(" - ", "-", 1)
    return f"{text} = {right + 0.0:.6g}"


def _as_row(side: dict[int, float], k: int) -> Array:
    """Return a linear expression as an array (1 + k,), the constant first."""
    row = np.zeros(1 + k)
    row[[1 + j for j in side]] = list(side.values())
    return row
